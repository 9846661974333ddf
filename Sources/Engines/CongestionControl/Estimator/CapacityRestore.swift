import Basics

/// Goes back to what the link carries as soon as its queue is empty (rule R), instead of growing there by 8 % a second.
///
/// Only when nobody else sends: a flow that came back at once each time would take what others, who grow slowly, had
/// just left. Alone means that this was the first congestion for ten seconds, and that the queue went as fast as it
/// goes when it is all ours.
struct CapacityRestore: Sendable, BitwiseCopyable {
    private static let isolated = Nanoseconds.seconds(10)
    private static let worthwhile = 50.0
    private static let share = 0.93
    private static let alone = 0.5...1.5

    private var congestedAt: Instant?
    private var isIsolated = false
    private var ceiling = Double.infinity

    /// The rate was lowered.
    /// - Parameter ceiling: what not to go above afterwards, in bit/s: a probe had taken more than there was.
    mutating func congested(ceiling: Double?, at now: Instant) {
        // Decreases of one and the same congestion follow each other closely.
        let gap = self.congestedAt.map { now - $0 }
        if gap.map({ $0 > .seconds(2) }) ?? true { self.isIsolated = gap.map { $0 > Self.isolated } ?? true }
        self.congestedAt = now
        self.ceiling = ceiling ?? .infinity
    }

    /// - Returns: the rate to go to, in bit/s.
    mutating func rate(after outcome: QueueDrain.Outcome, at now: Instant) -> Double? {
        if outcome.isPlateau { return Self.share * outcome.service }
        guard self.isIsolated, outcome.peakMilliseconds > Self.worthwhile, Self.alone.contains(outcome.timeRatio) else {
            return nil
        }
        return min(Self.share * outcome.service, self.ceiling)
    }
}
