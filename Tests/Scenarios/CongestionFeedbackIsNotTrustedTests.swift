import Basics
import MediaControl
import MediaPlane
import Negotiation
import PeerSession
import RTP
import TestSupport
import Testing

@Suite struct CongestionFeedbackIsNotTrustedTests {
    /// Two subscribers of one camera: one that lies about what it got (RFC 8888), and a bystander.
    private static func scene(seed: UInt64) throws -> (
        call: SimulatedCall, camera: Camera, liar: SimulatedClient, bystander: SimulatedClient
    ) {
        let call = SimulatedCall(seed: seed, usesMarks: true)
        let publisher = call.addClient()
        let uplink = publisher.add(.video, direction: .send)
        try call.negotiate(publisher)
        let subscribers = try (0..<2).map { index in
            let subscriber = call.addClient()
            subscriber.offer.offersCongestionControlFeedback = index == 0
            let mid = subscriber.add(.video, direction: .receive)
            try call.negotiate(subscriber)
            try call.bind(publisher, uplink, to: subscriber, mid)
            return subscriber
        }
        let isUp = call.run(upTo: .seconds(2)) { publisher.isConnected && subscribers.allSatisfy { $0.isConnected } }
        try #require(isUp, "seed \(seed)")
        return (call, Camera(client: publisher, mid: uplink), subscribers[0], subscribers[1])
    }

    /// Anything between a true report and a made-up one of a whole quarter of all numbers.
    private static func forge(_ liar: SimulatedClient, using random: inout SeededRandom) -> [PacketReport] {
        let ssrcs = liar.packets.last.map { [$0.header.ssrc, SSRC($0.header.ssrc.value &+ 1)] } ?? []
        let ssrc = random.chance(0.7) ? ssrcs.randomElement(using: &random) : nil
        let latest = liar.packets.last?.header.sequenceNumber.value ?? 0
        let isNear = random.chance(0.5)
        let first =
            isNear ? latest &- UInt16.random(in: 0..<100, using: &random) : .random(in: 0 ... .max, using: &random)
        let count = random.chance(0.1) ? 500 : Int.random(in: 1...60, using: &random)
        return (0..<count).map { index in
            PacketReport(
                ssrc ?? SSRC(UInt32.random(in: 0 ... .max, using: &random)),
                SequenceNumber(first &+ UInt16(truncatingIfNeeded: index)),
                arrival: random.chance(0.2) ? .none : .before(UInt16.random(in: 0...8_189, using: &random)),
                mark: ECNMark(rawValue: UInt8.random(in: 0...3, using: &random)) ?? .notCapable
            )
        }
    }

    @Test(arguments: [UInt64(891), 892]) func `made-up, doubled and late reports harm nobody else`(seed: UInt64) throws
    {
        let scene = try Self.scene(seed: seed)
        var camera = scene.camera
        scene.call.run(for: .seconds(2)) { camera.film(in: scene.call, at: $0) }
        let before = scene.bystander.packets.count
        let sentBefore = camera.sentPackets
        var random = SeededRandom(seed: seed)
        var old: [[UInt8]] = []
        scene.call.run(for: .seconds(5)) { now in
            camera.film(in: scene.call, at: now)
            let reports = Self.forge(scene.liar, using: &random)
            let forged = scene.liar.sealRTCP { writer in
                _ = writer.appendCongestionControlFeedback(
                    from: SSRC(1),
                    about: reports.span,
                    timestamp: .random(in: 0 ... .max, using: &random)
                )
            }
            if let forged { old.append(forged) }
            scene.call.send(forged, from: scene.liar)
            if old.count > 50 { scene.call.send(old[old.count - 50], from: scene.liar) }
        }
        #expect(scene.call.end(of: scene.liar) == nil)
        let estimate = scene.call.statistics(of: scene.liar)?.transport.availableOutgoingBitrate
        #expect(estimate.map { $0 >= .kbps(5) && $0 <= .kbps(30_000) } ?? true, "seed \(seed)")
        // Who says that its own path carries nothing is sent nothing; nobody else notices.
        #expect(scene.bystander.packets.count - before >= camera.sentPackets - sentBefore - 8, "seed \(seed)")
    }

    @Test func `who did not negotiate it is not heard, and one datagram is heard up to a bound`() throws {
        let scene = try Self.scene(seed: 893)
        var camera = scene.camera
        scene.call.run(for: .seconds(2)) { camera.film(in: scene.call, at: $0) }
        let dropped = scene.call.router.currentCounters().droppedInMalformed
        let ssrc = try #require(scene.bystander.packets.last).header.ssrc
        let reports = (0..<300).map {
            PacketReport(ssrc, SequenceNumber(UInt16($0)), arrival: .before(0), mark: .congestionExperienced)
        }
        func feedback(_ client: SimulatedClient, copies: Int) -> [UInt8]? {
            client.sealRTCP { writer in
                for _ in 0..<copies {
                    _ = writer.appendCongestionControlFeedback(from: SSRC(1), about: reports.span, timestamp: 1)
                }
            }
        }
        scene.call.send(feedback(scene.bystander, copies: 2), from: scene.bystander)
        scene.call.run(for: .milliseconds(100))
        let afterStranger = scene.call.router.currentCounters()
        let (strangerDrops, marks) = (afterStranger.droppedInMalformed, afterStranger.congestionMarksOut)
        #expect(strangerDrops == dropped && marks == 0)
        // Each has 620 bytes: four fit into what a datagram of RTCP may have, six do not.
        for (copies, drops) in [(4, 0), (6, 1)] as [(Int, UInt64)] {
            let before = scene.call.router.currentCounters()
            scene.call.inject(
                try #require(self.sealLarge(scene.liar, reports: reports, copies: copies)),
                from: scene.liar.address
            )
            let after = scene.call.router.currentCounters()
            #expect(after.droppedInMalformed - before.droppedInMalformed == drops, "\(copies)")
        }
    }

    @Test func `many small reports in one datagram are heard up to a bound`() throws {
        let scene = try Self.scene(seed: 894)
        var camera = scene.camera
        scene.call.run(for: .seconds(2)) { camera.film(in: scene.call, at: $0) }
        func drops(_ build: (inout RTCPWriter) -> Void) -> UInt64 {
            let before = scene.call.router.currentCounters().droppedInMalformed
            scene.call.send(scene.liar.sealRTCP(build), from: scene.liar)
            scene.call.run(for: .milliseconds(100))
            return scene.call.router.currentCounters().droppedInMalformed - before
        }
        let media = try #require(scene.liar.packets.last).header.ssrc
        let little = [PacketReport(media, SequenceNumber(9), arrival: .none, mark: .notCapable)]
        let reports = drops { writer in
            for _ in 0..<40 {
                _ = writer.appendCongestionControlFeedback(from: SSRC(1), about: little.span, timestamp: 1)
            }
        }
        let estimates = drops { writer in
            for _ in 0..<40 { _ = writer.appendMaximumBitrate(.kbps(500), from: SSRC(1), ssrcs: [media].span) }
        }
        #expect(reports == 24 && estimates == 24, "\(reports), \(estimates)")
    }

    /// A datagram larger than a path carries: fragments make it possible.
    private func sealLarge(_ client: SimulatedClient, reports: [PacketReport], copies: Int) -> [UInt8]? {
        var slot = [UInt8](repeating: 0, count: 65_000)
        var count = 0
        do {
            var span = slot.mutableSpan
            var writer = RTCPWriter(span.mutableBytes)
            for _ in 0..<copies {
                _ = writer.appendCongestionControlFeedback(from: SSRC(1), about: reports.span, timestamp: 1)
            }
            count = writer.count
        }
        let length = slot.withUnsafeMutableBytes { client.peer?.sealRTCP(length: count, in: $0) ?? -1 }
        return length > 0 ? Array(slot[0..<length]) : nil
    }
}
