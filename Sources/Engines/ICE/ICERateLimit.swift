import Basics

/// At most so many events a second in the long run, and so many at once: a token bucket that keeps one instant.
struct ICERateLimit: Sendable {
    private let interval: Nanoseconds
    private let tolerance: Nanoseconds
    /// When the bucket will be full again.
    private var fullAt = Instant.zero

    /// - Parameters:
    ///   - rate: events a second, 1 or more.
    ///   - burst: events at once, 1 or more.
    init(rate: Int64, burst: Int64) {
        self.interval = .seconds(1) / max(1, rate)
        self.tolerance = self.interval * (max(1, burst) - 1)
    }

    func hasRoom(at now: Instant) -> Bool { self.fullAt - now <= self.tolerance }

    mutating func take(at now: Instant) { self.fullAt = max(self.fullAt, now) + self.interval }

    /// Takes a token when there is one.
    mutating func allows(at now: Instant) -> Bool {
        guard self.hasRoom(at: now) else { return false }
        self.take(at: now)
        return true
    }
}
