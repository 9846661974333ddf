package import Basics

/// Says of each datagram of one direction when it arrives, or that it does not. Without a clock: a run repeats from its
/// seed.
package struct LinkModel: Sendable {
    private static let headerByteCount = 28
    private static let tick: Int64 = 1_000_000

    private let profile: LinkProfile
    private var random: RandomSource
    private var isInBurst = false
    /// When the last bit of what waits has gone.
    private var busyUntil = Instant.zero
    private var lastArrival = Instant.zero
    package private(set) var lostCount: UInt64 = 0
    /// Dropped because the queue was full.
    package private(set) var overflowCount: UInt64 = 0

    package init(_ profile: LinkProfile, seed: UInt64) {
        self.profile = profile
        self.random = .seeded(state: seed)
    }

    /// - Returns: when a datagram arrives at the other end, on a whole millisecond, as the loop's timers count; `nil` =
    ///   never.
    package mutating func admit(byteCount: Int, at now: Instant) -> Instant? {
        var time = now
        if let bandwidth = self.profile.bandwidth, bandwidth.bitsPerSecond > 0 {
            let start = max(self.busyUntil, now)
            guard start - now <= self.profile.queue else {
                self.overflowCount += 1
                return nil
            }
            let bits = Double(byteCount + Self.headerByteCount) * 8
            time = start + .fractionalSeconds(bits / Double(bandwidth.bitsPerSecond))
            self.busyUntil = time
        }
        guard !self.isLost() else {
            self.lostCount += 1
            return nil
        }
        time = time + self.profile.delay
        if self.profile.jitter > .zero {
            time = time + Nanoseconds(Int64.random(in: 0...self.profile.jitter.count, using: &self.random))
        }
        let rounded = (time.nanoseconds + Self.tick - 1) / Self.tick * Self.tick
        self.lastArrival = max(Instant(nanoseconds: rounded), self.lastArrival)
        return self.lastArrival
    }

    /// Two states (Gilbert): within a burst everything is lost. With a mean length of 1, each datagram by itself.
    private mutating func isLost() -> Bool {
        let loss = self.profile.loss
        guard loss > 0 else { return false }
        guard self.profile.burst > 1, loss < 1 else { return Double.random(in: 0..<1, using: &self.random) < loss }
        let stays = 1 - 1 / self.profile.burst
        let enters = min(1, loss / (self.profile.burst * (1 - loss)))
        self.isInBurst = Double.random(in: 0..<1, using: &self.random) < (self.isInBurst ? stays : enters)
        return self.isInBurst
    }
}
