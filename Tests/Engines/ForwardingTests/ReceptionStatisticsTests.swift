import Basics
import Forwarding
import RTP
import TestSupport
import Testing

@Suite("Reception statistics")
struct ReceptionStatisticsTests {
    private static func milliseconds(_ count: Int64) -> Instant { Instant(nanoseconds: count * 1_000_000) }

    @Test("loss counts per interval in the fraction, and from the start in the sum")
    func loss() {
        var statistics = ReceptionStatistics(clockRate: 8_000)
        for sequence in [65_536, 65_537, 65_539] as [Int64] {
            statistics.received(sequence: sequence, timestamp: 0, arrival: .zero, byteCount: 100)
        }
        let first = statistics.makeReportBlock(of: SSRC(1), at: .zero)
        #expect(first.fractionLost == 64)
        #expect(first.cumulativeLost == 1)
        #expect(first.extendedHighestSequenceNumber == 3)
        for sequence in 65_540..<65_550 as Range<Int64> {
            statistics.received(sequence: sequence, timestamp: 0, arrival: .zero, byteCount: 100)
        }
        let second = statistics.makeReportBlock(of: SSRC(1), at: .zero)
        #expect(second.fractionLost == 0)
        #expect(second.cumulativeLost == 1)
        #expect(statistics.byteCount == 1_300)
    }

    @Test("turns of the sequence number are counted from the first packet's")
    func extendedSequence() {
        var statistics = ReceptionStatistics(clockRate: 8_000)
        statistics.received(sequence: 65_536 + 65_535, timestamp: 0, arrival: .zero, byteCount: 1)
        statistics.received(sequence: 131_072, timestamp: 0, arrival: .zero, byteCount: 1)
        #expect(statistics.makeReportBlock(of: SSRC(1), at: .zero).extendedHighestSequenceNumber == 0x1_0000)
    }

    @Test("the sum is clamped to 24 bits, and duplicates make it negative")
    func clamp() {
        var losing = ReceptionStatistics(clockRate: 8_000)
        losing.received(sequence: 0, timestamp: 0, arrival: .zero, byteCount: 1)
        losing.received(sequence: 1 << 30, timestamp: 0, arrival: .zero, byteCount: 1)
        let block = losing.makeReportBlock(of: SSRC(1), at: .zero)
        #expect(block.cumulativeLost == 0x7F_FFFF)
        #expect(block.fractionLost == 255)
        var duplicating = ReceptionStatistics(clockRate: 8_000)
        for _ in 0..<3 { duplicating.received(sequence: 9, timestamp: 0, arrival: .zero, byteCount: 1) }
        let negative = duplicating.makeReportBlock(of: SSRC(1), at: .zero)
        #expect(negative.cumulativeLost == -2)
        #expect(negative.fractionLost == 0)
    }

    @Test("what a retransmission brought does not hide the loss")
    func recovered() {
        var statistics = ReceptionStatistics(clockRate: 90_000)
        statistics.received(sequence: 1, timestamp: 0, arrival: .zero, byteCount: 1)
        statistics.received(sequence: 3, timestamp: 0, arrival: .zero, byteCount: 1)
        statistics.recovered(byteCount: 500)
        #expect(statistics.lostCount == 1)
        #expect(statistics.retransmittedPacketCount == 1)
        #expect(statistics.retransmittedByteCount == 500)
    }

    /// The integer filter of RFC 3550 A.8, written out apart.
    @Test(
        "jitter is that of A.8, over the wraps of the timestamp and of the arrival clock",
        arguments: [0, 4_294_000_000] as [UInt32]
    )
    func jitter(start: UInt32) {
        var random = SeededRandom(seed: 3)
        var statistics = ReceptionStatistics(clockRate: 90_000)
        var filter: Int64 = 0
        var lastTransit: Int64?
        for index in 0..<50_000 as Range<Int64> {
            let delay = Int64.random(in: 0...20, using: &random)
            // Arrivals in whole milliseconds: exactly 90 units each.
            let arrival = index * 20 + delay
            statistics.received(
                sequence: index,
                timestamp: start &+ UInt32(truncatingIfNeeded: index * 1_800),
                arrival: Self.milliseconds(arrival),
                byteCount: 1
            )
            let transit = delay * 90
            if let lastTransit { filter += abs(transit - lastTransit) - ((filter + 8) >> 4) }
            lastTransit = transit
        }
        #expect(Int64(statistics.jitter) == filter >> 4)
        #expect(statistics.jitter > 300)
    }

    @Test("a new timeline is not jitter")
    func timelineJump() {
        var statistics = ReceptionStatistics(clockRate: 90_000)
        statistics.received(sequence: 0, timestamp: 0, arrival: .zero, byteCount: 1)
        statistics.received(sequence: 1, timestamp: 2_000_000_000, arrival: .zero, byteCount: 1)
        #expect(statistics.jitter == 0)
    }

    @Test("LSR and DLSR answer the last sender report")
    func senderReport() {
        var statistics = ReceptionStatistics(clockRate: 90_000)
        #expect(statistics.makeReportBlock(of: SSRC(1), at: .zero).lastSenderReport == 0)
        #expect(statistics.makeReportBlock(of: SSRC(1), at: .zero).delaySinceLastSenderReport == 0)
        // The example of RFC 3550 §6.4.1, figure 2.
        statistics.senderReport(ntp: NTPTime(rawValue: 0xB44D_B705_2000_0000), rtp: 0, at: .zero)
        let block = statistics.makeReportBlock(of: SSRC(1), at: Self.milliseconds(5_250))
        #expect(block.lastSenderReport == 0xB705_2000)
        #expect(block.delaySinceLastSenderReport == 0x0005_4000)
    }
}

@Suite("Statistics of a leg")
struct OutboundStatisticsTests {
    private static func block(lsr: UInt32, dlsr: UInt32) -> ReportBlock {
        ReportBlock(
            ssrc: SSRC(1),
            fractionLost: 64,
            cumulativeLost: 7,
            extendedHighestSequenceNumber: 9,
            jitter: 900,
            lastSenderReport: lsr,
            delaySinceLastSenderReport: dlsr
        )
    }

    /// RFC 3550 §6.4.1, figure 2: 6.125 s.
    @Test("the round trip of the RFC's figure")
    func roundTrip() {
        var statistics = OutboundStatistics(clockRate: 90_000)
        statistics.senderReportSent(ntp: NTPTime(rawValue: 0xB44D_B705_2000_0000))
        statistics.received(
            Self.block(lsr: 0xB705_2000, dlsr: 0x0005_4000),
            ntpNow: NTPTime(rawValue: 0xB44D_B710_8000_0000)
        )
        #expect(statistics.roundTripTime == Nanoseconds(6_125_000_000))
        #expect(statistics.fractionLost == 0.25)
        #expect(statistics.jitter == 0.01)
        #expect(statistics.cumulativeLost == 7)
    }

    @Test(
        "answers to nothing we sent, or to the future, measure nothing",
        arguments: [(0, 0), (0xB705_2001, 0), (0xB705_2000, 0x7000_0000), (0xB705_2000, .max)] as [(UInt32, UInt32)]
    )
    func madeUp(lsr: UInt32, dlsr: UInt32) {
        var statistics = OutboundStatistics(clockRate: 90_000)
        statistics.senderReportSent(ntp: NTPTime(rawValue: 0xB44D_B705_2000_0000))
        // A delay of .max is one unit less than none: 0.3 s earlier, the report comes before it was sent.
        statistics.received(Self.block(lsr: lsr, dlsr: dlsr), ntpNow: NTPTime(rawValue: 0xB44D_B704_D000_0000))
        #expect(statistics.roundTripTime == nil)
    }

    @Test("counts are modulo 2^32")
    func counts() {
        var statistics = OutboundStatistics(clockRate: 90_000)
        for _ in 0..<3 { statistics.sent(byteCount: 1 << 31) }
        statistics.retransmitted(byteCount: 5)
        #expect(statistics.senderReportCounts.packets == 3)
        #expect(statistics.senderReportCounts.octets == 1 << 31)
        #expect(statistics.retransmittedByteCount == 5)
    }
}
