import Basics
import CongestionControl

/// The instants that the periodic work of all sessions is done at: one wake-up of the loop serves all that is due then.
///
/// Each session keeps the phase that it began with, so that what many do every 25 or 100 ms is spread over some of these
/// instants and is no burst of work.
enum TimerGrid {
    private static let step = BandwidthEstimator.timerStep.count

    /// The last one that is not after `instant`: for what comes round again, or each lateness would add to its period.
    static func last(before instant: Instant) -> Instant {
        instant == .distantFuture ? instant : Instant(nanoseconds: instant.nanoseconds / Self.step * Self.step)
    }

    /// The first one that is not before `instant`.
    static func first(after instant: Instant) -> Instant {
        let last = Self.last(before: instant)
        return last < instant ? last + Nanoseconds(Self.step) : last
    }
}
