import Basics
import MediaPlane
import Negotiation
import RTP
import TestSupport
import Testing

/// Libraries list `transport-cc` and `goog-remb` in their offers and send neither.
@Suite struct ReceiversWithoutFeedbackTests {
    @Test(arguments: [false, true])
    func `a receiver of ten cameras that promised feedback and sends none gets all of it, and at once`(
        reports: Bool
    ) throws {
        let seed: UInt64 = 2_201
        let call = SimulatedCall(impairment: .init(delay: .milliseconds(10)), seed: seed)
        let subscriber = call.addClient()
        subscriber.sendsFeedback = false
        let mids = (0..<10).map { _ in subscriber.add(.video, direction: .receive) }
        try call.negotiate(subscriber)
        var cameras: [Camera] = []
        for mid in mids {
            let publisher = call.addClient()
            let uplink = publisher.add(.video, direction: .send)
            try call.negotiate(publisher)
            try call.bind(publisher, uplink, to: subscriber, mid)
            // 1.5 Mbit/s, and key frames of 50 kB.
            var camera = Camera(client: publisher, mid: uplink)
            camera.packetsPerFrame = 6
            camera.payloadSize = 1_040
            camera.keyFrameFactor = 8
            cameras.append(camera)
        }
        try #require(call.run(upTo: .seconds(3)) { call.clients.allSatisfy(\.isConnected) })
        let listeners = mids.map { Listener(client: subscriber, mid: $0, clockRate: 90_000) }
        func each(_ now: Instant) {
            for index in cameras.indices { cameras[index].film(in: call, at: now) }
            if reports { for listener in listeners { listener.listen(in: call, at: now) } }
        }
        call.run(for: .seconds(8)) { each($0) }
        for index in cameras.indices { cameras[index].layers[0].needsKeyFrame = true }
        let before = subscriber.packets.count
        call.run(for: .milliseconds(150)) { each($0) }
        // A key frame of each, and two frames besides.
        #expect(subscriber.packets.count - before >= 10 * (48 + 2 * 6), "seed \(seed)")
        call.run(for: .seconds(2)) { each($0) }
        let streams = Dictionary(grouping: subscriber.packets, by: \.header.ssrc)
        #expect(streams.count == 10, "seed \(seed)")
        for packets in streams.values { #expect(PictureWatcher.gaps(packets) == 0, "seed \(seed)") }
        #expect(call.router.currentCounters().droppedOutPacer == 0, "seed \(seed)")
    }
}
