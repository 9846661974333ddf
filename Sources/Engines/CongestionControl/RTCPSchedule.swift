public import Basics

/// When a session's next compound RTCP packet is due: the middle interval jittered over 0.5 to 1.5 of itself
/// (RFC 3550 §6.2 and A.7).
///
/// There are two parties on each transport, so the session bandwidth rule of §6.2 always ends at its minimum interval;
/// that is the reduced one of the AVPF profile (RFC 4585 §3.4): one second instead of five, as browsers do.
/// Without the jitter the reports of a thousand sessions that joined together would leave together for ever.
@usableFromInline package struct RTCPSchedule: Sendable, BitwiseCopyable {
    @usableFromInline let interval: Nanoseconds
    @usableFromInline package internal(set) var nextDeadline: Instant

    /// - Parameter interval: the middle one. The first report is due after half of it (§6.2): a session has nothing to
    ///   report before it is connected, and that time differs between sessions by itself.
    package init(interval: Nanoseconds = .seconds(1), at now: Instant) {
        self.interval = interval
        self.nextDeadline = now + Nanoseconds(max(interval.count / 2, 0))
    }

    /// Whether a report is due; if so, the next one is scheduled.
    @inlinable package mutating func takeDue(at now: Instant, using random: inout some RandomNumberGenerator) -> Bool {
        guard now >= self.nextDeadline else { return false }
        let half = max(self.interval.count / 2, 0)
        self.nextDeadline = now + Nanoseconds(half + Int64.random(in: 0...(half * 2), using: &random))
        return true
    }
}
