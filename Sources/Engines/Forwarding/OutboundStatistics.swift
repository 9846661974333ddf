package import Basics
package import RTP

/// One forwarded track at one subscriber: what was sent, and what the receiver says came (RFC 3550 §6.4.1, §6.4.2).
@usableFromInline package struct OutboundStatistics: Sendable, BitwiseCopyable {
    /// A longer round trip is a report about somebody else's clock.
    private static let longestRoundTrip: UInt32 = 30 << 16

    package let clockRate: UInt32
    @usableFromInline package internal(set) var packetCount: UInt64 = 0
    @usableFromInline package internal(set) var byteCount: UInt64 = 0
    package private(set) var retransmittedPacketCount: UInt64 = 0
    package private(set) var retransmittedByteCount: UInt64 = 0
    /// 0 to 1, in the receiver's last interval.
    package private(set) var fractionLost: Double = 0
    package private(set) var cumulativeLost: Int32 = 0
    /// In seconds.
    package private(set) var jitter: Double = 0
    package private(set) var highestSequenceNumberReceived: UInt32 = 0
    /// Smoothed over eight measurements; `nil` before the first report that answers one of ours.
    package private(set) var roundTripTime: Nanoseconds?

    /// NTP middles of our last sender reports, newest first: only these are answers (a made-up LSR is ignored).
    private var sentReports = SIMD4<UInt32>.zero

    /// - Parameter clockRate: of the timestamps, in Hz.
    package init(clockRate: UInt32) { self.clockRate = clockRate }

    /// Media packets were sent for the first time.
    /// - Parameter byteCount: of their payloads, without header and padding, as sender reports count it.
    @inlinable package mutating func sent(_ count: Int = 1, byteCount: Int) {
        self.packetCount &+= UInt64(clamping: count)
        self.byteCount &+= UInt64(clamping: byteCount)
    }

    package mutating func retransmitted(byteCount: Int) {
        self.retransmittedPacketCount &+= 1
        self.retransmittedByteCount &+= UInt64(clamping: byteCount)
    }

    /// The counts of a sender report, modulo 2^32 (§6.4.1).
    package var senderReportCounts: (packets: UInt32, octets: UInt32) {
        (UInt32(truncatingIfNeeded: self.packetCount), UInt32(truncatingIfNeeded: self.byteCount))
    }

    /// A sender report with this time was sent.
    package mutating func senderReportSent(ntp: NTPTime) {
        self.sentReports = SIMD4(ntp.middle32, self.sentReports[0], self.sentReports[1], self.sentReports[2])
    }

    /// A report block about this SSRC came.
    /// - Parameter ntpNow: our wall clock at its arrival, by the same anchor as the sender reports' times.
    /// - Returns: the round trip that it tells of; `nil` when it answers no report of ours.
    @discardableResult
    package mutating func received(_ block: ReportBlock, ntpNow: NTPTime) -> Nanoseconds? {
        self.fractionLost = Double(block.fractionLost) / 256
        self.cumulativeLost = block.cumulativeLost
        self.highestSequenceNumberReceived = block.extendedHighestSequenceNumber
        self.jitter = self.clockRate == 0 ? 0 : Double(block.jitter) / Double(self.clockRate)
        return self.measureRoundTrip(block, ntpNow: ntpNow)
    }

    /// A - LSR - DLSR, in 1/65,536 s modulo 2^32 (§6.4.1, figure 2).
    private mutating func measureRoundTrip(_ block: ReportBlock, ntpNow: NTPTime) -> Nanoseconds? {
        let lastReport = block.lastSenderReport
        guard lastReport != 0, any(self.sentReports .== lastReport) else { return nil }
        let roundTrip = Int32(bitPattern: ntpNow.middle32 &- lastReport &- block.delaySinceLastSenderReport)
        // A receiver that rounds up can make it slightly negative on a short way.
        guard roundTrip > -(1 << 12), roundTrip < Int32(bitPattern: Self.longestRoundTrip) else { return nil }
        let sample = Nanoseconds((Int64(max(roundTrip, 0)) * 1_000_000_000) >> 16)
        self.roundTripTime = self.roundTripTime.map { $0 + (sample - $0) / 8 } ?? sample
        return sample
    }
}
