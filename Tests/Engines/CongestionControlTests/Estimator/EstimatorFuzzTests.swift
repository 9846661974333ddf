import Basics
import CongestionControl
import RTP
import TestSupport
import Testing

@Suite("The bandwidth estimator and senseless feedback")
struct EstimatorFuzzTests {
    /// Whatever the numbers, times and order: it never stops, and the estimate stays in its bounds.
    @Test("random reports never stop it", arguments: [1, 2, 3] as [UInt64])
    func randomReports(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let configuration = EstimatorConfiguration(rules: seed == 3 ? .googCC : .sluice, firstSequence: 65_000)
        var estimator = BandwidthEstimator(configuration: configuration, at: .zero)
        var builder = TransportFeedbackBuilder(senderSSRC: SSRC(1), mediaSSRC: SSRC(2))
        var now = Instant.zero
        var last = SequenceNumber(0)
        for step in 0..<30_000 {
            now =
                now
                + Nanoseconds(
                    Int64.random(in: 0...(random.chance(0.001) ? 90_000_000_000 : 40_000_000), using: &random)
                )
            for _ in 0..<Int.random(in: 0...4, using: &random) {
                last = estimator.sent(
                    byteCount: Int.random(in: 0...70_000, using: &random),
                    probe: UInt16.random(in: 0...5, using: &random),
                    isPadding: random.chance(0.3),
                    at: now
                )
            }
            switch Int.random(in: 0...9, using: &random) {
            case 0: estimator.handleREMB(Bitrate(bitsPerSecond: Int64(bitPattern: random.next())), at: now)
            case 1:
                estimator.handleReceiverReport(
                    fractionLost: Double(bitPattern: random.next()),
                    packetCount: Int(truncatingIfNeeded: random.next()),
                    roundTripTime: Nanoseconds(Int64(bitPattern: random.next())),
                    at: now
                )
            case 2: estimator.setGoal(Self.goal(&random), at: now)
            case 3 where step % 100 == 0: estimator.routeChanged(at: now)
            default: Self.report(about: last, &builder, &random) { estimator.handle($0, at: now) }
            }
            if now >= estimator.nextDeadline { estimator.advance(to: now) }
            while let probe = estimator.nextProbe(at: now) {
                guard probe.bitrate <= .kbps(60_000), probe.minimumBytes < 1 << 22 else {
                    Issue.record("seed \(seed), step \(step): \(probe)")
                    return
                }
            }
            let bitrate = estimator.estimate.bitrate
            guard bitrate >= configuration.minimum, bitrate <= configuration.maximum else {
                Issue.record("seed \(seed), step \(step): \(bitrate)")
                return
            }
        }
    }

    private static func goal(_ random: inout SeededRandom) -> ProbeGoal {
        let bitrate =
            random.chance(0.1) ? Int64(bitPattern: random.next()) : Int64.random(in: 0...10_000_000, using: &random)
        return ProbeGoal(bitrate: Bitrate(bitsPerSecond: bitrate), wanted: Bitrate(bitsPerSecond: bitrate))
    }

    /// Feedback about numbers near the last one, with times that go anywhere; sometimes bytes of chance.
    private static func report(
        about last: SequenceNumber,
        _ builder: inout TransportFeedbackBuilder,
        _ random: inout SeededRandom,
        _ body: (borrowing TransportFeedbackView) -> Void
    ) {
        var memory = [UInt8](repeating: 0, count: 2_048)
        var length = 0
        if random.chance(0.2) {
            let words = Int.random(in: 4...60, using: &random)
            memory = [0x8F, 205, 0, UInt8(words)] + random.bytes(words * 4)
            length = memory.count
        } else {
            var number = last.advanced(by: -Int.random(in: 0...60, using: &random))
            var time =
                random.chance(0.05)
                ? Int64(bitPattern: random.next() >> 2) : Int64.random(in: 0...1 << 40, using: &random)
            var arrivals: [PacketArrival] = []
            for _ in 0..<Int.random(in: 1...50, using: &random) {
                arrivals.append(PacketArrival(number, microseconds: random.chance(0.1) ? nil : time))
                number = number.advanced(by: 1)
                time &+= Int64.random(in: -5_000...20_000, using: &random)
            }
            var span = memory.mutableSpan
            var writer = RTCPWriter(span.mutableBytes)
            _ = builder.append(arrivals.span, to: &writer)
            length = writer.count
        }
        _ = forEachRTCPPacket(in: memory.span.bytes.extracting(0..<length)) { packet in
            if let feedback = packet.transportFeedback { body(feedback) }
        }
    }
}
