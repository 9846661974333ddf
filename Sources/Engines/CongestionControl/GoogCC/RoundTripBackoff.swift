import Basics

/// Slows down when the round trip, the wait for feedback included, exceeds three seconds (libwebrtc, rtt_based_backoff).
struct RoundTripBackoff: Sendable, BitwiseCopyable {
    private static let limit = Nanoseconds.seconds(3)
    private static let interval = Nanoseconds.seconds(1)
    private static let factor = 0.8

    /// From the last packets sent, less the receiver's wait.
    private(set) var propagation: Nanoseconds?
    private var propagationAt: Instant?
    var lastSentAt: Instant?
    private var decreasedAt: Instant?
    /// bit/s; `nil` while the round trip is short enough.
    private(set) var ceiling: Double?

    mutating func received(propagation: Nanoseconds, at now: Instant) {
        self.propagation = propagation
        self.propagationAt = now
        if !self.isOverLimit { self.ceiling = nil }
    }

    /// Whatever was not heard until now may have been said.
    mutating func beginAnew(at now: Instant) {
        if self.propagationAt != nil { self.propagationAt = now }
    }

    /// The round trip if the answer came with the last packet sent.
    var corrected: Nanoseconds {
        guard let propagation = self.propagation, let at = self.propagationAt, let sent = self.lastSentAt else {
            return .zero
        }
        return propagation + max(sent - at, .zero)
    }

    var isOverLimit: Bool { self.corrected > Self.limit }

    /// - Parameter rate: bit/s now.
    mutating func check(rate: Double, floor: Double, at now: Instant) {
        guard self.isOverLimit else { return self.ceiling = nil }
        let current = min(self.ceiling ?? rate, rate)
        guard self.decreasedAt.map({ now - $0 >= Self.interval }) ?? true else { return }
        self.decreasedAt = now
        self.ceiling = max(current * Self.factor, floor)
    }
}
