import Basics
import Negotiation
import RTP
import TestSupport
import Testing

@Suite struct ReceiversLearnTheRoundTripTimeTests {
    /// Without it Chromium's jitter buffer does not wait for repaired packets (RFC 3611 §4.4, §4.5).
    @Test func `a receiver's reference time comes back once, with how long the server kept it`() throws {
        let (call, publisher, uplink, subscriber, _) = try SimulatedCall.video(seed: 611)
        var camera = Camera(client: publisher, mid: uplink)
        call.run(for: .seconds(1)) { camera.film(in: call, at: $0) }
        let sent = NTPTime(rawValue: 0xE8D4_A510_0123_4567)
        let sentAt = call.now
        let before = subscriber.rtcp.count
        call.send(
            subscriber.sealRTCP { writer in
                _ = writer.appendReceiverReport(from: SSRC(1), blocks: Span())
                _ = writer.appendReceiverReferenceTime(sent, from: SSRC(1))
            },
            from: subscriber
        )
        call.run(for: .seconds(4)) { camera.film(in: call, at: $0) }
        let echoes = zip(subscriber.rtcp, subscriber.rtcpArrivals).dropFirst(before).compactMap { packet, arrival in
            Self.echo(in: packet).map { (echo: $0, arrival: arrival) }
        }
        let (echo, arrival) = try #require(echoes.first)
        #expect(echoes.count == 1)
        #expect(echo.receiver == SSRC(1))
        #expect(echo.lastReport == sent.middle32)
        let kept = Double(echo.delay) / 65_536
        let roundTrip = (arrival - sentAt).inSeconds - kept
        #expect(roundTrip > -0.001 && roundTrip < 0.02, "\(roundTrip) s on a network without delay")
        #expect(kept < 1.6)
    }

    private static func echo(in packet: [UInt8]) -> ReceiverReferenceEcho? {
        var echo: ReceiverReferenceEcho?
        _ = forEachRTCPPacket(in: packet.span.bytes) { view in
            if let found = view.receiverReferenceEcho { echo = found }
        }
        return echo
    }
}
