/// A token bucket: so many at once, and as many each second.
package struct TokenBucket: Sendable {
    private let capacity: Double
    package let perSecond: Double
    private var available: Double
    private var updated: Instant

    /// - Parameter burst: how many at once; `nil` = as many as in a second.
    package init(perSecond: Double, burst: Double? = nil, at now: Instant) {
        self.perSecond = perSecond
        self.capacity = max(burst ?? perSecond, 1)
        self.available = self.capacity
        self.updated = now
    }

    /// Returns whether there were so many tokens left; nothing is taken if not.
    ///
    /// - Parameter count: more than the bucket holds are had for a full one, or they never could be.
    package mutating func take(_ count: Int = 1, at now: Instant) -> Bool {
        let elapsed = max((now - self.updated).inSeconds, 0)
        self.updated = max(self.updated, now)
        self.available = min(self.capacity, self.available + elapsed * self.perSecond)
        let price = min(Double(count), self.capacity)
        guard self.available >= price else { return false }
        self.available -= price
        return true
    }

    package func isFull(at now: Instant) -> Bool {
        self.available + max((now - self.updated).inSeconds, 0) * self.perSecond >= self.capacity
    }
}
