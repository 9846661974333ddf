import Basics
import Forwarding
import MediaControl
import MediaPlane
import Negotiation
import PeerSession
import RTP
import TestSupport
import Testing

@Suite struct SoundAndPictureStayTogetherTests {
    @Test(arguments: [Int64(0), 150])
    func `sender reports put sound and picture on the publisher's own time line`(encodingTime: Int64) throws {
        for seed in UInt64(131)...133 {
            let call = SimulatedCall(impairment: .init(delay: .milliseconds(30), jitter: .milliseconds(6)), seed: seed)
            let scene = try AudioCall(in: call)
            let uplink = scene.publisher.add(.video, direction: .send)
            try call.negotiate(scene.publisher)
            let downlink = scene.subscriber.add(.video, direction: .receive)
            try call.negotiate(scene.subscriber)
            try call.bind(scene.publisher, uplink, to: scene.subscriber, downlink)
            try scene.connect()
            var camera = Camera(client: scene.publisher, mid: uplink)
            camera.encodingTime = .milliseconds(encodingTime)
            // An hour and a bit off ours.
            let clock = NTPAnchor(NTPTime(unixNanoseconds: 1_795_003_723_456_000_000), at: call.now)
            let sound = Listener(client: scene.subscriber, mid: scene.downlink, clockRate: 48_000)
            let picture = Listener(client: scene.subscriber, mid: downlink, clockRate: 90_000)
            var nextReport = call.now + .milliseconds(400)
            var sent = 0
            scene.talk(for: .seconds(12), tick: .milliseconds(5)) { now in
                camera.film(in: call, at: now)
                if now >= nextReport {
                    // Never both at once, as in a browser.
                    if sent % 2 == 0 {
                        scene.talker.report(in: call, at: now, clock: clock)
                    } else {
                        camera.report(in: call, at: now, clock: clock)
                    }
                    sent += 1
                    nextReport = now + .milliseconds(500)
                }
                sound.listen(in: call, at: now)
                picture.listen(in: call, at: now)
            }
            // The last of each are under way still.
            call.run(for: .milliseconds(100))
            let lastSound = try #require(Self.newest(scene.subscriber, scene.downlink))
            let lastPicture = try #require(Self.newest(scene.subscriber, downlink))
            let origin = try #require(sound.reports.last?.report.ntpTime)
            let heard = try #require(sound.seconds(of: lastSound, after: origin))
            let seen = try #require(picture.seconds(of: lastPicture, after: origin))
            let spoken = try #require(scene.talker.captures.last)
            let filmed = try #require(camera.captures.last)
            let error = (heard - seen) - (spoken - filmed).inSeconds
            #expect(abs(error) < 0.005, "\(error * 1_000) ms, seed \(seed)")
        }
    }

    /// The highest timestamp: jitter may have turned the order.
    private static func newest(_ client: SimulatedClient, _ mid: String) -> UInt32? {
        client.packets.filter { $0.mid == mid }.suffix(20).map(\.header.timestamp)
            .max { Int32(bitPattern: $0 &- $1) < 0 }
    }
}
