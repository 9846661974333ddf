import Basics

/// Empties the queue that a capacity drop has left (rule D), and knows what the link carried meanwhile.
struct QueueDrain: Sendable, BitwiseCopyable {
    /// Above this a queue stands: rules S and D apply.
    static let standing = 20.0
    /// Above this the rate does not grow.
    static let held = 12.0
    /// Above this the rate is lowered even if the trendline sees nothing: near the capacity the rate grows by 1 % a
    /// second, and a queue that grows as slowly is 100 ms long before its slope stands out of the noise.
    static let tolerated = 27.0
    /// A longer queue than this is not of our making: rates that grow by a few per cent a second are lowered before.
    static let foreign = 38.0
    /// Above this 75 ms of packets are enough to say so.
    static let obvious = 50.0
    static let obviousWhenUnderused = 70.0
    /// Above this a few packets are enough, if the last wait longer than the first and clearly less arrives than before:
    /// see `Evidence`.
    static let telling = 30.0

    /// By which packets a link is found to have become slower.
    struct Evidence: Sendable {
        let window: ServiceRate.Window
        /// Of what arrived before.
        let slower: Double
        /// Microseconds from the first wait to the last: half of what it is where that much less arrives than is sent.
        let leastRise: Int64
        /// bit/s. Less than 3 packets of 1,000 bytes say nothing; where there are enough in the shorter window, it tells
        /// pauses better.
        let measurable: Range<Double>

        static let short = Evidence(window: .short, slower: 0.75, leastRise: 8_000, measurable: 400_000..<1e12)
        /// One packet more or less is a large part of what a slow link takes in 100 ms.
        static let long = Evidence(window: .long, slower: 0.6, leastRise: 18_000, measurable: 240_000..<900_000)
    }
    /// Below this it is empty.
    private static let empty = 10.0
    /// A queue that is still there after twice the time that it would take us to empty it is not ours alone.
    private static let patience = 2.0
    /// At four fifths of the link's rate a queue falls by a fifth of a second in a second; one that others fill goes up
    /// and down. A delay that does neither is the path's own.
    private static let plateauTime = Nanoseconds.seconds(1)
    private static let plateauHeight = 5.0
    private static let longest = Nanoseconds.seconds(8)
    /// Of what there was before, next to others who keep the link full: half, as next to one other.
    static let leastShare = 0.5
    /// As long as a queue stands, a link that is ours alone delivers as much whatever we send; one that we share delivers
    /// less to whoever sends less. Twice less by this after we sent less is no link that has become slower.
    private static let fallenService = 0.75
    private static let falls = 2
    /// bit/s, below which a service rate of 140 ms is a matter of one packet.
    private static let leastService = 150_000.0
    /// The same the other way: more arrives when more is sent, although a queue stands.
    private static let risenService = 1.2
    /// How long others are then believed to be there: rules that empty queues would leave them the link.
    private static let competition = Nanoseconds.seconds(15)

    /// A drain that has ended.
    struct Outcome: Sendable, BitwiseCopyable {
        /// bit/s that the link delivered while the queue stood.
        var service: Double
        var peakMilliseconds: Double
        /// bit/s that were allowed when the queue was found.
        var rateBefore: Double
        /// How long it took, over how long it should have taken if nobody else sends.
        var timeRatio: Double
        /// The delay stays as it is although less is sent than the link delivered: it is no queue. The way has become
        /// longer.
        var isPlateau: Bool
    }

    private struct Mark: Sendable, BitwiseCopyable {
        var queue: Double
        var at: Instant
    }

    private(set) var startedAt: Instant?
    private var peak = 0.0
    private var service = 0.0
    private var expected = 0.0
    private var rateBefore = 0.0
    private var mark = Mark(queue: 0, at: .zero)
    private var competingUntil: Instant?
    /// bit/s that the link delivered at the start of the drain, or when it last delivered much less.
    private var reference = 0.0
    private var fallCount = 0
    /// bit/s: the least that has arrived since a queue stands next to others.
    private var least: Double?
    /// bit/s that arrived before somebody else came.
    private(set) var before = 0.0

    var isActive: Bool { self.startedAt != nil }

    /// How much lower than usual a decrease goes: the longer the queue, the lower, but never below 60 %, and a little
    /// higher when it has hardly begun. At 0.85 of the
    /// link's rate a queue of 300 ms takes two seconds to go; at 0.6 of that, 600 ms. What a drain costs is made up for
    /// by its being short, for the rate comes back at its end (rule R).
    static func factor(queueMilliseconds: Double) -> Double {
        min(max(1.13 - queueMilliseconds / 400, 0.6), 1.08)
    }

    /// The rate was lowered.
    /// - Parameters:
    ///   - rate: the new one, in bit/s.
    ///   - rateBefore: the old one.
    ///   - service: what the link delivers, in bit/s.
    ///   - acknowledged: what arrived in the last second, in bit/s.
    ///   - isStalled: nothing arrived for a moment, so that the service rate is none.
    mutating func begin(
        queueMilliseconds: Double,
        rate: Double,
        rateBefore: Double,
        service: Double,
        acknowledged: Double,
        isStalled: Bool,
        at now: Instant
    ) {
        if self.startedAt == nil {
            self.reference = isStalled ? 0 : service
            self.fallCount = 0
            if !self.isCompeting(at: now) { self.before = acknowledged }
            self.startedAt = now
            self.rateBefore = rateBefore
            self.peak = 0
            self.expected = 0
        }
        if !isStalled, self.reference > Self.leastService, service < Self.fallenService * self.reference {
            self.reference = service
            self.fallCount += 1
            if self.fallCount == Self.falls {
                self.startedAt = nil
                self.compete(at: now)
                return
            }
        }
        self.service = service
        self.peak = max(self.peak, queueMilliseconds)
        self.mark = Mark(queue: queueMilliseconds, at: now)
        // q * C bits have to leave at C - rate.
        let spare = max(service - rate, 0.05 * service)
        let elapsed = (now - (self.startedAt ?? now)).inSeconds
        self.expected = elapsed + queueMilliseconds / 1_000 * service / max(spare, 1)
    }

    /// - Returns: the outcome, once, when the queue has gone.
    mutating func update(queueMilliseconds: Double?, service: Double?, roundTripTime: Nanoseconds, at now: Instant)
        -> Outcome?
    {
        guard let startedAt = self.startedAt, let queue = queueMilliseconds else { return nil }
        if queue > self.peak { self.peak = queue }
        if queue > Self.standing, let service { self.service += (service - self.service) / 4 }
        let elapsed = now - startedAt
        // What was sent before the decrease arrives for another round trip.
        let expected = self.expected + roundTripTime.inSeconds + 0.2
        if queue < Self.empty {
            self.startedAt = nil
            return self.outcome(timeRatio: elapsed.inSeconds / expected)
        }
        if abs(queue - self.mark.queue) > Self.plateauHeight {
            self.mark = Mark(queue: queue, at: now)
        } else if now - self.mark.at > Self.plateauTime + roundTripTime {
            self.startedAt = nil
            self.compete(at: now)
            return self.outcome(timeRatio: 1, isPlateau: true)
        }
        if elapsed > Self.longest || elapsed.inSeconds > Self.patience * expected {
            self.startedAt = nil
            self.compete(at: now)
        }
        return nil
    }

    private func outcome(timeRatio: Double, isPlateau: Bool = false) -> Outcome {
        Outcome(
            service: self.service,
            peakMilliseconds: self.peak,
            rateBefore: self.rateBefore,
            timeRatio: timeRatio,
            isPlateau: isPlateau
        )
    }

    private mutating func compete(at now: Instant) {
        self.competingUntil = now + Self.competition
        self.least = nil
    }

    /// Once per feedback: what shows that the others are still there.
    mutating func observe(queueMilliseconds: Double, acknowledged: Double, at now: Instant) {
        guard self.isCompeting(at: now), queueMilliseconds > Self.foreign else {
            self.least = nil
            return
        }
        let least = min(self.least ?? acknowledged, acknowledged)
        self.least = least
        if acknowledged > Self.risenService * least { self.compete(at: now) }
    }

    /// Whether somebody else keeps the queue full.
    func isCompeting(at now: Instant) -> Bool { self.competingUntil.map { now < $0 } ?? false }
}
