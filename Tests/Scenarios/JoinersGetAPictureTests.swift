import Basics
import MediaControl
import MediaPlane
import Negotiation
import RTP
import TestSupport
import Testing

@Suite struct JoinersGetAPictureTests {
    /// ATTACKS A-52.
    @Test func `1,000 subscribers ask 100 times a second: 2 requests a second pass, and a joiner sees at once`() throws
    {
        let seed: UInt64 = 501
        let call = SimulatedCall(seed: seed)
        let publisher = call.addClient()
        let uplink = publisher.add(.video, direction: .send)
        try call.negotiate(publisher)
        var camera = Camera(client: publisher, mid: uplink)
        camera.packetsPerFrame = 1
        camera.interval = .milliseconds(100)
        var subscribers: [SimulatedClient] = []
        for _ in 0..<1_000 {
            let subscriber = call.addClient()
            subscriber.sendsFeedback = false
            let mid = subscriber.add(.video, direction: .receive)
            try call.negotiate(subscriber)
            try call.bind(publisher, uplink, to: subscriber, mid)
            subscribers.append(subscriber)
        }
        let areUp = call.run(upTo: .seconds(10)) { subscribers.allSatisfy(\.isConnected) }
        try #require(areUp, "seed \(seed)")
        call.run(for: .seconds(1)) { camera.film(in: call, at: $0) }
        let storm = subscribers.compactMap { subscriber -> (SimulatedClient, SSRC)? in
            subscriber.packets.last.map { (subscriber, $0.header.ssrc) }
        }
        #expect(storm.count == 1_000)
        // Each of them, every 10 ms; half a second of it is 50,000 requests.
        func ask() {
            for (subscriber, media) in storm {
                call.send(
                    subscriber.sealRTCP { _ = $0.appendPictureLossIndication(from: SSRC(1), about: media) },
                    from: subscriber
                )
            }
        }
        let before = camera.pictureLossReceived
        let start = call.now
        for _ in 0..<50 {
            ask()
            call.run(for: .milliseconds(10), tick: .milliseconds(10)) { camera.film(in: call, at: $0) }
        }
        let requests = camera.pictureLossReceived - before
        let limit = 1 + Int(((call.now - start).inSeconds * 2).rounded(.up))
        #expect(requests <= limit, "\(requests) requests, seed \(seed)")
        // In the midst of it one joins. The last key frame is kept.
        let joiner = call.addClient()
        let mid = joiner.add(.video, direction: .receive)
        try call.negotiate(joiner)
        try call.bind(publisher, uplink, to: joiner, mid)
        let isUp = call.run(upTo: .seconds(2)) {
            camera.film(in: call, at: call.now)
            return joiner.isConnected
        }
        try #require(isUp)
        let connectedAt = call.now
        call.run(for: .milliseconds(300)) { camera.film(in: call, at: $0) }
        let first = try #require(joiner.packets.first)
        #expect(VP8Descriptor(first.payload.span.bytes)?.keyFrame != nil)
        #expect(first.at - connectedAt < .milliseconds(300))
        #expect(PictureWatcher.gaps(joiner.packets) == 0)
    }

    @Test func `a joiner starts from the last key frame, and costs the publisher none`() throws {
        let seed: UInt64 = 502
        let (call, publisher, uplink, early, _) = try SimulatedCall.video(seed: seed)
        // Connected, and not bound to anything yet.
        let joiner = call.addClient()
        let mid = joiner.add(.video, direction: .receive)
        try call.negotiate(joiner)
        #expect(call.run(upTo: .seconds(2)) { joiner.isConnected })
        var camera = Camera(client: publisher, mid: uplink)
        camera.packetsPerFrame = 2
        call.run(for: .seconds(3)) { camera.film(in: call, at: $0) }
        camera.layers[0].needsKeyFrame = true
        call.run(for: .milliseconds(400)) { camera.film(in: call, at: $0) }
        let requests = camera.pictureLossReceived
        let keyFrames = camera.layers[0].sentKeyFrames
        try call.bind(publisher, uplink, to: joiner, mid)
        let boundAt = call.now
        call.run(for: .seconds(2)) { camera.film(in: call, at: $0) }
        #expect(camera.pictureLossReceived == requests)
        #expect(camera.layers[0].sentKeyFrames == keyFrames)
        let first = try #require(joiner.packets.first)
        #expect(first.at - boundAt < .milliseconds(300), "seed \(seed)")
        #expect(VP8Descriptor(first.payload.span.bytes)?.keyFrame != nil)
        // One stream from there on: no gap, ids by one, times that never go back.
        #expect(PictureWatcher.gaps(joiner.packets) == 0)
        let ids = PictureWatcher.pictureIDs(joiner.packets)
        for (before, after) in zip(ids, ids.dropFirst()) { #expect(after == (before + 1) & 0x7FFF) }
        #expect(ids.count >= 60)
        #expect(early.packets.count > 0)
        let replays = call.router.currentCounters().replaysSent
        #expect(replays >= 1)
    }

    @Test func `what was filmed while a track was muted is not sent afterwards`() throws {
        let seed: UInt64 = 503
        let (call, publisher, uplink, subscriber, _) = try SimulatedCall.video(seed: seed)
        var camera = Camera(client: publisher, mid: uplink)
        call.run(for: .seconds(1)) { camera.film(in: call, at: $0) }
        let track = PublishedTrack(session: publisher.id, mid: uplink)
        call.router.setMuted(true, for: track, at: call.now)
        camera.layers[0].needsKeyFrame = true
        call.run(for: .milliseconds(500)) { camera.film(in: call, at: $0) }
        let muted = camera.layers[0].timestamp
        let count = subscriber.packets.count
        let reference = try #require(subscriber.packets.last).header.timestamp
        call.router.setMuted(false, for: track, at: call.now)
        call.run(for: .seconds(1)) { camera.film(in: call, at: $0) }
        let first = try #require(subscriber.packets[count...].first)
        // Half a second was muted.
        #expect(first.header.timestamp &- reference >= 90_000 * 4 / 10, "seed \(seed)")
        #expect(muted != 0)
    }
}
