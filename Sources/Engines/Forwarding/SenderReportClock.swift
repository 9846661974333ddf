public import Basics

/// What a sender report says about time (RFC 3550 §6.4.1).
@usableFromInline package struct SenderReportTimes: Equatable, Sendable, BitwiseCopyable {
    @usableFromInline package let ntp: NTPTime
    @usableFromInline package let rtpTimestamp: UInt32

    @inlinable package init(ntp: NTPTime, rtpTimestamp: UInt32) {
        self.ntp = ntp
        self.rtpTimestamp = rtpTimestamp
    }
}

/// The time line of one published stream: RTP timestamps against the publisher's wall clock, from its sender reports,
/// and against arrival until the first one.
@usableFromInline package struct SenderReportClock: Sendable, BitwiseCopyable {
    package let clockRate: UInt32
    private var report: SenderReportTimes?
    /// The packet with the shortest way here so far: the best guess until there is a report.
    private var packetTimestamp: UInt32 = 0
    private var packetArrival: Instant?

    /// - Parameter clockRate: of the timestamps, in Hz.
    package init(clockRate: UInt32) { self.clockRate = clockRate }

    /// Notes a sender report of this stream. An NTP time of zero means "no clock".
    package mutating func senderReport(ntp: NTPTime, rtp: UInt32) {
        guard ntp.rawValue != 0 else { return }
        self.report = SenderReportTimes(ntp: ntp, rtpTimestamp: rtp)
    }

    /// Notes a packet's timestamp and arrival. Costs nothing once there is a report.
    package mutating func packet(timestamp: UInt32, at arrival: Instant) {
        guard self.report == nil else { return }
        guard let packetArrival = self.packetArrival else {
            self.packetTimestamp = timestamp
            self.packetArrival = arrival
            return
        }
        let expected = self.packetTimestamp &+ self.units((arrival - packetArrival).inSeconds)
        // Newer than arrival suggests: it came by a shorter way.
        if Int32(bitPattern: timestamp &- expected) > 0 {
            self.packetTimestamp = timestamp
            self.packetArrival = arrival
        }
    }

    /// The stream's timestamp at a moment of our clock: what a packet captured then would carry, were it here at once.
    /// - Returns: `nil` before the first packet and report.
    package func timestamp(at instant: Instant, publisher: PublisherClock) -> UInt32? {
        if let report = self.report, let ntp = publisher.ntp(at: instant) {
            return report.rtpTimestamp &+ self.units(ntp.seconds(since: report.ntp))
        }
        guard let packetArrival = self.packetArrival else { return nil }
        return self.packetTimestamp &+ self.units((instant - packetArrival).inSeconds)
    }

    /// The times of a sender report for one leg: our wall clock now, and the same moment in the leg's timestamps.
    ///
    /// The publisher's capture clock decides for all its streams alike, so a receiver that lines up audio and video by
    /// these reports gets what the publisher meant.
    /// - Parameter timestampOffset: from this stream to the leg: `RTPRewriter.timestampOffset`.
    package func legTimes(
        at now: Instant,
        wallClock: NTPAnchor,
        publisher: PublisherClock,
        timestampOffset: UInt32
    ) -> SenderReportTimes? {
        guard let timestamp = self.timestamp(at: now, publisher: publisher) else { return nil }
        return SenderReportTimes(ntp: wallClock.ntp(at: now), rtpTimestamp: timestamp &+ timestampOffset)
    }

    /// The timestamp that `other` has at the moment of this stream's `timestamp`, by both streams' sender reports.
    /// - Returns: `nil` when either has none, or their clock rates differ.
    package func translate(_ timestamp: UInt32, to other: SenderReportClock) -> UInt32? {
        guard let report = self.report, let otherReport = other.report, self.clockRate == other.clockRate,
            self.clockRate != 0
        else { return nil }
        let between = otherReport.ntp.seconds(since: report.ntp)
        return otherReport.rtpTimestamp &+ (timestamp &- report.rtpTimestamp) &- self.units(between)
    }

    /// Seconds in timestamp units, modulo 2^32. NTP differences reach 2^31 s and rates 2^32 Hz: 2^63 does not fit.
    private func units(_ seconds: Double) -> UInt32 {
        let product = (seconds * Double(self.clockRate)).rounded()
        guard abs(product) < 9e18 else { return 0 }
        return UInt32(truncatingIfNeeded: Int64(product))
    }
}
