package import Basics
package import RTP

/// Reception of one SSRC: losses, jitter and the report block that tells the sender (RFC 3550 §6.4.1, A.3, A.8).
///
/// What came back through RTX counts on its own: a report tells how the network did, not how repair did.
@usableFromInline package struct ReceptionStatistics: Sendable, BitwiseCopyable {
    package let clockRate: UInt32
    package private(set) var retransmittedPacketCount: UInt64 = 0
    package private(set) var retransmittedByteCount: UInt64 = 0
    @usableFromInline package private(set) var packetCount: UInt64 = 0
    @usableFromInline package private(set) var byteCount: UInt64 = 0
    private var base: Int64 = 0
    private var highest: Int64 = 0
    private var expectedAtLastReport: Int64 = 0
    private var receivedAtLastReport: Int64 = 0
    /// Sixteen times the jitter, as in A.8.
    private var scaledJitter: Int64 = 0
    private var lastTransit: UInt32 = 0
    private var lastSenderReport: UInt32 = 0
    private var lastSenderReportArrival = Instant.zero

    /// - Parameter clockRate: of the timestamps, in Hz.
    package init(clockRate: UInt32) { self.clockRate = clockRate }

    /// Counts one packet that came by itself, in whatever order.
    /// - Parameters:
    ///   - sequence: unwrapped, by `SequenceUnwrapper`.
    ///   - byteCount: of the payload, as sender reports count it.
    package mutating func received(sequence: Int64, timestamp: UInt32, arrival: Instant, byteCount: Int) {
        let transit = self.timestampUnits(arrival) &- timestamp
        if self.packetCount == 0 {
            self.base = sequence
            self.highest = sequence
        } else {
            self.highest = max(self.highest, sequence)
            let difference = Int64(Int32(bitPattern: transit &- self.lastTransit).magnitude)
            // A jump of more than 5 s is a new timeline (a restarted encoder), not a late packet.
            if difference < Int64(self.clockRate) * 5 {
                self.scaledJitter += difference - ((self.scaledJitter + 8) >> 4)
            }
        }
        self.lastTransit = transit
        self.packetCount &+= 1
        self.byteCount &+= UInt64(clamping: byteCount)
    }

    /// Counts one packet that a retransmission brought.
    package mutating func recovered(byteCount: Int) {
        self.retransmittedPacketCount &+= 1
        self.retransmittedByteCount &+= UInt64(clamping: byteCount)
    }

    /// Notes a sender report of this SSRC, for the next block's LSR and DLSR.
    package mutating func senderReport(ntp: NTPTime, rtp: UInt32, at arrival: Instant) {
        self.lastSenderReport = ntp.middle32
        self.lastSenderReportArrival = arrival
    }

    /// Packets that should have come: from the first one to the highest (A.3).
    package var expectedCount: Int64 { self.packetCount == 0 ? 0 : self.highest &- self.base &+ 1 }

    /// Packets that did not come by themselves; negative when duplicates outnumber losses.
    package var lostCount: Int64 { self.expectedCount &- Int64(clamping: self.packetCount) }

    /// In timestamp units.
    package var jitter: UInt32 { UInt32(clamping: self.scaledJitter >> 4) }

    package var jitterInSeconds: Double { self.clockRate == 0 ? 0 : Double(self.jitter) / Double(self.clockRate) }

    /// The block about `ssrc` for the next report; starts the interval that the fraction is counted over anew.
    package mutating func makeReportBlock(of ssrc: SSRC, at now: Instant) -> ReportBlock {
        let expected = self.expectedCount
        let received = Int64(clamping: self.packetCount)
        let expectedNow = expected - self.expectedAtLastReport
        let lostNow = expectedNow - (received - self.receivedAtLastReport)
        self.expectedAtLastReport = expected
        self.receivedAtLastReport = received
        let fraction = expectedNow > 0 && lostNow > 0 ? min((lostNow << 8) / expectedNow, 255) : 0
        return ReportBlock(
            ssrc: ssrc,
            fractionLost: UInt8(clamping: fraction),
            cumulativeLost: Int32(min(max(expected - received, -0x80_0000), 0x7F_FFFF)),
            extendedHighestSequenceNumber: self.extendedHighest,
            jitter: self.jitter,
            lastSenderReport: self.lastSenderReport,
            delaySinceLastSenderReport: self.delaySinceSenderReport(at: now)
        )
    }

    /// Turns are counted from the one that the first packet was in.
    private var extendedHighest: UInt32 {
        UInt32(truncatingIfNeeded: self.highest &- (self.base & ~0xFFFF))
    }

    private func delaySinceSenderReport(at now: Instant) -> UInt32 {
        guard self.lastSenderReport != 0 else { return 0 }
        let nanoseconds = max((now - self.lastSenderReportArrival).count, 0)
        let seconds = nanoseconds / 1_000_000_000
        let fraction = (nanoseconds % 1_000_000_000) << 16 / 1_000_000_000
        return UInt32(clamping: seconds << 16 | fraction)
    }

    /// The arrival on the sender's scale, modulo 2^32; split so that no product overflows.
    private func timestampUnits(_ instant: Instant) -> UInt32 {
        let seconds = instant.nanoseconds / 1_000_000_000
        let rest = instant.nanoseconds % 1_000_000_000
        let units = seconds &* Int64(self.clockRate) &+ rest &* Int64(self.clockRate) / 1_000_000_000
        return UInt32(truncatingIfNeeded: units)
    }
}
