package import Basics

/// A publisher's wall clock against ours: one for all streams of a publisher (one CNAME), because lip-sync needs the
/// same offset for its audio and its video, right or wrong.
///
/// Taken from the arrival of sender reports, so the way here (half a round trip) is part of it. The first report sets
/// it; later ones move it by at most 0.1 ms each, which follows a crystal's drift but not the network's jitter. A
/// difference of more than a second is a clock that was set: taken over at once.
@usableFromInline package struct PublisherClock: Sendable, BitwiseCopyable {
    private static let step = 0.0001
    private static let jump = 1.0

    private var reference: NTPTime?
    private var referenceInstant = Instant.zero
    /// What is added to our time line, in seconds, since the reference was set.
    private var correction = 0.0

    package init() {}

    package var isKnown: Bool { self.reference != nil }

    /// Notes a sender report of any of the publisher's streams. An NTP time of zero means "no clock" (RFC 3550 §6.4.1).
    package mutating func senderReport(ntp: NTPTime, at arrival: Instant) {
        guard ntp.rawValue != 0 else { return }
        guard let expected = self.ntp(at: arrival) else { return self.set(ntp, at: arrival) }
        let error = ntp.seconds(since: expected)
        guard abs(error) < Self.jump else { return self.set(ntp, at: arrival) }
        self.correction += min(max(error, -Self.step), Self.step)
    }

    /// The publisher's wall clock at `instant`; `nil` before its first sender report.
    package func ntp(at instant: Instant) -> NTPTime? {
        guard let reference = self.reference else { return nil }
        return reference.advanced(by: instant - self.referenceInstant + .fractionalSeconds(self.correction))
    }

    private mutating func set(_ ntp: NTPTime, at arrival: Instant) {
        self.reference = ntp
        self.referenceInstant = arrival
        self.correction = 0
    }
}
