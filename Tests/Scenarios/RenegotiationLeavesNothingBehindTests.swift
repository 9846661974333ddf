import Basics
import MediaControl
import MediaPlane
import Negotiation
import PeerSession
import RTP
import TestSupport
import Testing

@Suite struct RenegotiationLeavesNothingBehindTests {
    @Test func `1,000 renegotiations that add, stop and reuse m-lines end where they began`() throws {
        let seed: UInt64 = 101
        let scene = try AudioCall(seed: seed)
        try scene.connect()
        scene.talk(for: .seconds(1))
        let call = scene.call
        func shape(_ client: SimulatedClient) -> [String] {
            let statistics = call.statistics(of: client)
            return (statistics?.inbound.map { "in \($0.mid) \($0.ssrc)" } ?? [])
                + (statistics?.outbound.map { "out \($0.mid) \($0.ssrc) \($0.source?.mid ?? "-")" } ?? [])
        }
        let before = call.router.currentCounters()
        let shapes = [shape(scene.publisher), shape(scene.subscriber)]
        let start = scene.subscriber.packets.count
        var random = SeededRandom(seed: seed)
        var published: [String] = []
        var taken: [String] = []
        var offers = 0
        var bytesPerOffer = 0
        while offers < 1_000 {
            let publishes = Bool.random(using: &random)
            let client = publishes ? scene.publisher : scene.subscriber
            let isVideo = Bool.random(using: &random)
            let mids = publishes ? published : taken
            if mids.count < 3, random.chance(0.6) {
                let mid = client.add(isVideo ? .video : .audio, direction: publishes ? .send : .receive)
                if publishes { published.append(mid) } else { taken.append(mid) }
            } else if let mid = mids.randomElement(using: &random) {
                client.offer.stop(mid)
                published.removeAll { publishes && $0 == mid }
                taken.removeAll { !publishes && $0 == mid }
            }
            try call.negotiate(client)
            offers += 1
            bytesPerOffer = max(bytesPerOffer, client.offer.makeOffer().utf8.count)
            // Whatever fits is bound; and some of it is sent.
            if let mid = taken.randomElement(using: &random), let source = published.randomElement(using: &random),
                scene.subscriber.section(mid)?.kind == scene.publisher.section(source)?.kind
            {
                try call.bind(scene.publisher, source, to: scene.subscriber, mid)
                if let section = scene.publisher.section(source), let codec = section.codecs.first {
                    call.send(
                        scene.publisher.seal(
                            mid: source,
                            payloadType: codec.payloadType,
                            sequence: UInt64(offers),
                            timestamp: 0,
                            ssrc: section.localSSRC,
                            marker: true,
                            payload: [0x10, 0x11, 0, 0]
                        ),
                        from: scene.publisher
                    )
                }
            }
            if offers % 2 == 0 { scene.talk(for: .milliseconds(20), tick: .milliseconds(20)) }
        }
        for mid in published { scene.publisher.offer.stop(mid) }
        for mid in taken { scene.subscriber.offer.stop(mid) }
        try call.negotiate(scene.publisher)
        try call.negotiate(scene.subscriber)
        scene.talk(for: .milliseconds(100))
        let after = call.router.currentCounters()
        #expect(after.sessions == before.sessions)
        #expect(after.tracksPublished.audio == before.tracksPublished.audio, "seed \(seed)")
        #expect(after.tracksPublished.video == before.tracksPublished.video, "seed \(seed)")
        #expect(after.tracksForwarded.audio == before.tracksForwarded.audio, "seed \(seed)")
        #expect(after.tracksForwarded.video == before.tracksForwarded.video, "seed \(seed)")
        #expect([shape(scene.publisher), shape(scene.subscriber)] == shapes, "seed \(seed)")
        // M-lines were used again: four at most were in use at a time.
        #expect(scene.publisher.offer.sections.count <= 5)
        #expect(scene.subscriber.offer.sections.count <= 5)
        #expect(bytesPerOffer < 20_000)
        // The first m-line's media never noticed.
        let packets = scene.subscriber.packets[start...].filter { $0.mid == scene.downlink }
        #expect(packets.count >= 500)
        #expect(PictureWatcher.gaps(packets) == 0)
        #expect(Set(packets.map(\.header.ssrc)).count == 1)
        #expect(scene.isHeard())
    }

    @Test func `a client that stops all that it publishes keeps its connection and can publish again`() throws {
        let scene = try AudioCall(seed: 102)
        _ = scene.publisher.add(.audio, direction: .receive)
        try scene.call.negotiate(scene.publisher)
        try scene.connect()
        #expect(scene.isHeard())
        scene.publisher.offer.stop(scene.uplink)
        try scene.call.negotiate(scene.publisher)
        let idle = scene.call.router.currentCounters()
        #expect(idle.tracksPublished.audio == 0)
        #expect(idle.tracksForwarded.audio == 0)
        #expect(idle.sessions == 2)
        scene.call.run(for: .seconds(20), tick: .milliseconds(20))
        let uplink = scene.publisher.add(.audio, direction: .send)
        try scene.call.negotiate(scene.publisher)
        try scene.call.bind(scene.publisher, uplink, to: scene.subscriber, scene.downlink)
        scene.talker = Talker(client: scene.publisher, mid: uplink, firstSequence: 7)
        #expect(scene.isHeard())
        #expect(Set(scene.subscriber.packets.map(\.header.ssrc)).count == 1)
        #expect(PictureWatcher.gaps(scene.subscriber.packets) == 0)
    }

    @Test func `an m-line that is stopped and offered again under its mid gets other SSRCs`() throws {
        var random = RandomSource.seeded(state: 41)
        var negotiator = Negotiator(codecs: Codec.allCases, using: &random)
        var offer = ClientOffer(
            local: LocalTransport(
                usernameFragment: "abcdefgh",
                password: Redacted("abcdefghijklmnopqrstuvwx"),
                fingerprint: Fingerprint(hash: .sha256, digest: [UInt8](repeating: 7, count: 32)),
                candidates: []
            ),
            using: &random
        )
        _ = offer.add(.audio, direction: .receive, using: &random)
        let mid = offer.add(.video, direction: .receive, using: &random)
        func section(_ text: String) throws -> NegotiatedSection? {
            try negotiator.receive(offer: text, using: &random).sections.first { $0.mid == mid }
        }
        let active = offer.makeOffer()
        let first = try #require(try section(active))
        #expect(try section(active)?.localSSRC == first.localSSRC)
        var stopped = offer
        stopped.stop(mid)
        #expect(try section(stopped.makeOffer()) == nil)
        let again = try #require(try section(active))
        // A new leg starts its numbers anew: on the old SSRC that would use SRTP key stream twice.
        #expect(again.localSSRC != first.localSSRC)
        #expect(again.localRTXSSRC != first.localRTXSSRC)
    }
}
