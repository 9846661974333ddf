import Basics
import MediaControl
import MediaPlane
import Negotiation
import RTP
import TestSupport
import Testing

@Suite struct PacketsAreNumberedForFeedbackTests {
    @Test func `audio, video and retransmissions share one row of transport-wide numbers`() throws {
        let (call, publisher, uplink, subscriber, _) = try SimulatedCall.video(seed: 331)
        let talkerUplink = publisher.add(.audio, direction: .send)
        try call.negotiate(publisher)
        let downlink = subscriber.add(.audio, direction: .receive)
        try call.negotiate(subscriber)
        try call.bind(publisher, talkerUplink, to: subscriber, downlink)
        var camera = Camera(client: publisher, mid: uplink)
        var talker = Talker(client: publisher, mid: talkerUplink)
        call.run(for: .seconds(1)) {
            camera.film(in: call, at: $0)
            talker.talk(in: call, at: $0)
        }
        let video = try #require(subscriber.packets.last { $0.mid == "0" })
        let lost = [video.header.sequenceNumber]
        call.send(
            subscriber.sealRTCP { _ = $0.appendNACK(from: SSRC(1), about: video.header.ssrc, lost: lost.span) },
            from: subscriber
        )
        call.run(for: .seconds(1)) {
            camera.film(in: call, at: $0)
            talker.talk(in: call, at: $0)
        }
        #expect(!subscriber.retransmissions.isEmpty)
        #expect(!subscriber.packets.contains { $0.transportSequence == nil })
        // Of datagrams that arrive at the same moment, some came in another order than they left.
        let numbers = subscriber.transportSequences
        let first = try #require(numbers.first)
        #expect(numbers.map { Int($0 &- first) }.sorted() == Array(0..<numbers.count))
    }

    @Test func `forged, doubled and late feedback harms nobody`() throws {
        let seed: UInt64 = 332
        let (call, publisher, uplink, subscriber, _) = try SimulatedCall.video(seed: seed)
        let bystander = call.addClient()
        let mid = bystander.add(.video, direction: .receive)
        try call.negotiate(bystander)
        try call.bind(publisher, uplink, to: bystander, mid)
        #expect(call.run(upTo: .seconds(2)) { bystander.isConnected })
        var camera = Camera(client: publisher, mid: uplink)
        call.run(for: .seconds(2)) { camera.film(in: call, at: $0) }
        let before = bystander.packets.count
        let sentBefore = camera.sentPackets
        var random = SeededRandom(seed: seed)
        var old: [[UInt8]] = []
        call.run(for: .seconds(5)) { now in
            camera.film(in: call, at: now)
            var arrivals: [PacketArrival] = []
            var number = UInt16.random(in: 0 ... .max, using: &random)
            var time = Int64.random(in: 0..<100_000_000, using: &random)
            for _ in 0..<Int.random(in: 1...40, using: &random) {
                time += Int64.random(in: -3_000...9_000, using: &random)
                arrivals.append(
                    PacketArrival(SequenceNumber(number), microseconds: random.chance(0.3) ? nil : max(0, time))
                )
                number &+= UInt16.random(in: 1...3, using: &random)
            }
            let forged = subscriber.sealRTCP { writer in
                var builder = TransportFeedbackBuilder(senderSSRC: SSRC(1), mediaSSRC: SSRC(2))
                _ = builder.append(arrivals.span, to: &writer)
                if random.chance(0.5) {
                    _ = writer.appendMaximumBitrate(
                        Bitrate(bitsPerSecond: Int64.random(in: 0 ... .max, using: &random)),
                        from: SSRC(1),
                        ssrcs: Span()
                    )
                }
            }
            if let forged { old.append(forged) }
            call.send(forged, from: subscriber)
            if old.count > 50 { call.send(old[old.count - 50], from: subscriber) }
        }
        #expect(call.end(of: subscriber) == nil)
        // Who says that its own path carries nothing is sent nothing; nobody else notices.
        #expect(bystander.packets.count - before >= camera.sentPackets - sentBefore - 8, "seed \(seed)")
    }
}
