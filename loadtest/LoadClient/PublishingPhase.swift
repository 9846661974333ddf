package import Basics

/// Where the packets of a publisher lie within the time from one to the next, on a grid that all publishers of a machine
/// share: with the same phase they leave together, whenever each has joined.
package struct PublishingPhase: Sendable, Equatable {
    /// A share of that time, 0 to 1.
    package let share: Double

    package init(_ share: Double) { self.share = share.isFinite ? min(max(share, 0), 1) : 0 }

    /// The first instant of the grid that is not before `now`.
    /// - Parameter interval: from one packet to the next.
    package func next(from now: Instant, interval: Nanoseconds) -> Instant {
        guard interval > .zero else { return now }
        let offset = Int64(Double(interval.count) * self.share)
        let past = (now.nanoseconds - offset) % interval.count
        // The remainder has the sign of what is divided.
        let rest = past > 0 ? interval.count - past : -past
        return now + Nanoseconds(rest)
    }
}
