import Basics

/// Slows down when packets leave and no feedback comes back: half per 300 ms (rule F). GCC waits three seconds,
/// in which it fills the queues of a path that has stopped.
struct FeedbackSilence: Sendable, BitwiseCopyable {
    /// Where to begin again when feedback comes back; probes find the rest.
    static let returnShare = 0.75

    private static let patience = Nanoseconds.milliseconds(400)
    private static let interval = Nanoseconds.milliseconds(300)
    private static let factor = 0.5

    private var heardAt: Instant?
    /// The first packet that has been sent since.
    private var unansweredSince: Instant?
    private var loweredAt: Instant?
    /// bit/s; `nil` while feedback comes.
    private(set) var ceiling: Double?
    /// The rate before the silence, until somebody asks.
    private var before: Double?

    mutating func sent(at now: Instant) {
        guard self.unansweredSince == nil, self.heardAt != nil else { return }
        self.unansweredSince = now
    }

    /// - Returns: the rate before the silence that has ended, in bit/s.
    mutating func heard(at now: Instant) -> Double? {
        self.heardAt = now
        self.unansweredSince = nil
        self.ceiling = nil
        defer { self.before = nil }
        return self.before
    }

    /// Whatever was not heard until now may have been said.
    mutating func beginAnew(at now: Instant) {
        if self.unansweredSince != nil { self.unansweredSince = now }
    }

    /// When there has been no answer for too long; `distantFuture` while none is due.
    func deadline(roundTripTime: Nanoseconds) -> Instant {
        self.unansweredSince.map { $0 + Self.patience + roundTripTime * 2 } ?? .distantFuture
    }

    /// - Parameter rate: bit/s now.
    mutating func check(rate: Double, floor: Double, roundTripTime: Nanoseconds, at now: Instant) {
        guard now > self.deadline(roundTripTime: roundTripTime) else { return }
        guard self.loweredAt.map({ now - $0 >= Self.interval }) ?? true else { return }
        self.loweredAt = now
        self.before = self.before ?? rate
        self.ceiling = max((self.ceiling ?? rate) * Self.factor, floor)
    }
}
