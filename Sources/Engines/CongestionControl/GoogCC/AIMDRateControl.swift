import Basics

/// The rate that the delay allows: up by 8 % a second, or by about a packet per response time near the known capacity;
/// down to 85 % of what arrives (libwebrtc, aimd_rate_control). Rates are in bit/s.
struct AIMDRateControl: Sendable, BitwiseCopyable {
    enum State: Sendable { case hold, increase, decrease }

    /// What a decrease starts from, when the rules know better than the acknowledged rate.
    struct Decrease: Sendable, BitwiseCopyable {
        /// bit/s; `nil` = acknowledged.
        var base: Double?
        /// On top of `backoff`: 0.6...1.
        var factor = 1.0
    }

    private static let backoff = 0.85
    /// ln 1.08: 8 % a second.
    private static let logarithmOfGrowth = 0.076_961_041_136_128_3
    /// A second, back to a fair share.
    static let hurry = 0.3
    private static let defaultRoundTrip = Nanoseconds.milliseconds(200)

    private let minimum: Double
    private let maximum: Double
    private(set) var rate: Double
    private(set) var state = State.hold
    private var latestThroughput: Double
    private(set) var capacity = LinkCapacityEstimator()
    private var changedAt: Instant?
    var roundTripTime = Self.defaultRoundTrip

    init(start: Double, minimum: Double, maximum: Double) {
        self.minimum = minimum
        self.maximum = maximum
        self.rate = start
        self.latestThroughput = start
    }

    /// Whether an overuse may lower the rate again: once in a round trip, or at once when less than half arrives.
    func mayReduce(throughput: Double, at now: Instant) -> Bool {
        let interval = min(max(self.roundTripTime, .milliseconds(10)), .milliseconds(200))
        guard let changedAt = self.changedAt, now - changedAt < interval else { return true }
        return throughput < 0.5 * self.rate
    }

    /// A rate that was measured: by a probe, or by a rule.
    mutating func set(_ rate: Double, at now: Instant) {
        self.rate = self.clamp(rate)
        self.changedAt = now
    }

    /// An increase by 30 % a second, whatever is known of the link.
    mutating func hurry(at now: Instant) {
        let elapsed = min(max((now - (self.changedAt ?? now)).inSeconds, 0), 1)
        self.set(self.rate * (1 + Self.hurry * elapsed), at: now)
    }

    /// A queue of a few milliseconds was marked: a little less, and slowly up from there.
    /// - Parameter factor: 0.5...1.
    mutating func marked(factor: Double, throughput: Double?, at now: Instant) {
        if let throughput { self.capacity.overused(throughput: throughput) }
        self.set(self.rate * factor, at: now)
    }

    /// What the link carries was seen without an overuse. A value far from it would be forgotten at the next one.
    mutating func learn(capacity: Double) {
        guard self.capacity.estimate == nil else { return }
        self.capacity.overused(throughput: capacity)
    }

    /// - Parameter isHeld: no increase now.
    mutating func update(
        _ usage: NetworkUsage,
        throughput: Double?,
        decrease: Decrease = Decrease(),
        isHeld: Bool = false,
        at now: Instant
    ) {
        if let throughput { self.latestThroughput = throughput }
        let throughput = self.latestThroughput
        switch usage {
        case .overusing: self.decrease(throughput: throughput, decrease, at: now)
        case .underusing: self.state = .hold
        case .normal:
            if self.state == .hold {
                self.state = .increase
                self.changedAt = now
            }
            guard !isHeld else { return self.changedAt = now }
            self.increase(throughput: throughput, at: now)
        }
    }

    private mutating func decrease(throughput: Double, _ decrease: Decrease, at now: Instant) {
        let base = decrease.base ?? throughput
        var lower = base * Self.backoff * decrease.factor
        if lower > 5_000 { lower -= 5_000 }
        if lower > self.rate, let capacity = self.capacity.estimate { lower = Self.backoff * capacity }
        if lower < self.rate { self.rate = self.clamp(lower) }
        if throughput < self.capacity.lowerBound { self.capacity.reset() }
        self.capacity.overused(throughput: base)
        self.state = .hold
        self.changedAt = now
    }

    private mutating func increase(throughput: Double, at now: Instant) {
        if throughput > self.capacity.upperBound { self.capacity.reset() }
        let elapsed = max((now - (self.changedAt ?? now)).inSeconds, 0)
        self.changedAt = now
        // More than this was never seen to arrive: a sender with little to send must not grow into the blue.
        let limit = 1.5 * throughput + 10_000
        guard self.rate < limit else { return }
        let step: Double
        if self.capacity.estimate != nil {
            step = elapsed * self.nearMaximumIncrease
        } else {
            let growth = Mathematics.exponential(Self.logarithmOfGrowth * min(elapsed, 1)) - 1
            step = max(self.rate * growth, 1_000)
        }
        self.rate = self.clamp(min(self.rate + step, limit))
    }

    /// bit/s per second: half a packet per response time, of packets as a 30 fps video has them.
    var nearMaximumIncrease: Double {
        let frame = self.rate / 30
        let packet = frame / max((frame / 9_600).rounded(.up), 1)
        return max(4_000, packet / (2 * (self.roundTripTime.inSeconds + 0.1)))
    }

    private func clamp(_ rate: Double) -> Double { min(max(rate, self.minimum), self.maximum) }
}
