package import Basics

/// The worker's wall clock, read once and carried on by the monotonic clock: a wall clock that is set while calls go on
/// would spoil every round-trip time, and the sender reports' time line.
@usableFromInline package struct NTPAnchor: Sendable, BitwiseCopyable {
    private let instant: Instant
    private let ntp: NTPTime

    /// - Parameters:
    ///   - ntp: the wall clock at `instant`.
    package init(_ ntp: NTPTime, at instant: Instant) {
        self.ntp = ntp
        self.instant = instant
    }

    package func ntp(at instant: Instant) -> NTPTime { self.ntp.advanced(by: instant - self.instant) }
}
