import Basics

/// When GCC probes (libwebrtc, probe_controller): at the start three and six times the start rate, and on while the
/// results are good; every 5 s while little is sent; when more is wanted; and after a large drop.
struct ProbeController: Sendable {
    /// What keeps the estimate where it is.
    enum Limit: Sendable {
        case delay, delayIncrease, loss, lossRecovery, roundTrip
    }

    private static let furtherShare = 0.7
    private static let resultTimeout = Nanoseconds.seconds(1)
    private static let alrInterval = Nanoseconds.seconds(5)
    private static let recentALR = Nanoseconds.seconds(3)
    private static let dropThreshold = 0.66
    private static let dropWindow = Nanoseconds.seconds(5)
    private static let dropProbe = 0.85
    private static let probeUncertainty = 0.05
    private static let newWish = 1.1

    private let maximum: Double
    /// The total of everything wanted, in bit/s; `nil` = not known.
    private var wanted: Double?
    /// The total that was last taken for another one: it breathes with the bitrates of what is published.
    private var probedWanted = 0.0
    private var estimate: Double
    private var limit = Limit.delay
    private(set) var isStarted = false
    private var probedAt: Instant?
    /// A result above this is followed by a faster probe; `nil` when none is awaited.
    private var furtherAbove: Double?
    private var alrStartedAt: Instant?
    private var alrEndedAt: Instant?
    private var droppedAt: Instant?
    private var rateBeforeDrop = 0.0
    private var dropProbedAt: Instant?
    private var pending = ProbeQueue()

    init(start: Double, maximum: Double) {
        self.estimate = start
        self.maximum = maximum
    }

    mutating func takeNext() -> Double? { self.pending.take() }

    /// The first packet left: there is something to probe with.
    mutating func start(at now: Instant) {
        guard !self.isStarted else { return }
        self.isStarted = true
        self.probe(3 * self.estimate, 6 * self.estimate, isFurther: true, at: now)
    }

    mutating func setWanted(_ wanted: Double, at now: Instant) {
        let before = self.probedWanted
        let changed = wanted > before * Self.newWish || wanted < before / Self.newWish
        self.wanted = wanted
        if changed { self.probedWanted = wanted }
        guard changed, self.isStarted, self.furtherAbove == nil, self.alrStartedAt != nil,
            self.estimate < min(wanted, self.maximum)
        else { return }
        let bound = 2 * self.estimate
        let isFurther = bound < 2 * wanted
        self.probe(min(wanted, bound), 2 * wanted > bound ? bound : 2 * wanted, isFurther: isFurther, at: now)
    }

    mutating func setEstimate(_ estimate: Double, limit: Limit, at now: Instant) {
        if estimate < Self.dropThreshold * self.estimate {
            self.droppedAt = now
            self.rateBeforeDrop = self.estimate
        }
        self.estimate = estimate
        self.limit = limit
        if let bound = self.furtherAbove, estimate > bound { self.probe(2 * estimate, nil, isFurther: true, at: now) }
    }

    mutating func setALR(startedAt: Instant?, at now: Instant) {
        if self.alrStartedAt != nil, startedAt == nil { self.alrEndedAt = now }
        self.alrStartedAt = startedAt
    }

    /// The queue is empty again after an overuse.
    mutating func recovered(at now: Instant) {
        let isALR = self.alrStartedAt != nil || self.alrEndedAt.map { now - $0 < Self.recentALR } ?? false
        guard isALR, self.furtherAbove == nil, let dropped = self.droppedAt, now - dropped < Self.dropWindow,
            self.dropProbedAt.map({ now - $0 > Self.dropWindow }) ?? true
        else { return }
        let rate = Self.dropProbe * self.rateBeforeDrop
        guard (1 - Self.probeUncertainty) * rate > self.estimate else { return }
        self.dropProbedAt = now
        self.probe(rate, nil, isFurther: false, at: now)
    }

    /// - Parameter isBeyondGoal: probe each 5 s while little is sent, whatever is wanted.
    mutating func advance(to now: Instant, isBeyondGoal: Bool = true) {
        if self.furtherAbove != nil, let probed = self.probedAt, now - probed > Self.resultTimeout {
            self.furtherAbove = nil
        }
        guard isBeyondGoal, self.furtherAbove == nil, let started = self.alrStartedAt else { return }
        guard now - max(started, self.probedAt ?? started) >= Self.alrInterval else { return }
        self.probe(2 * self.estimate, nil, isFurther: true, at: now)
    }

    private mutating func probe(_ first: Double, _ second: Double?, isFurther: Bool, at now: Instant) {
        let highest = min(self.maximum, self.wanted.map { 2 * $0 } ?? .infinity)
        var isFurther = isFurther
        let bound: Double
        switch self.limit {
        case .roundTrip, .delayIncrease, .loss: return
        case .lossRecovery: bound = min(highest, 1.5 * self.estimate)
        case .delay: bound = highest
        }
        // A probe below the estimate proves nothing, and its result would pull the estimate down to what is wanted now.
        guard min(highest, bound) > self.estimate else { return }
        self.pending.append(min(first, bound))
        var last = min(first, bound)
        if let second, last < highest {
            last = min(second, bound)
            self.pending.append(last)
        }
        if last >= highest { isFurther = false }
        self.probedAt = now
        self.furtherAbove = isFurther ? Self.furtherShare * last : nil
    }
}

/// The rates of the clusters that wait to be sent, in bit/s: at most four.
struct ProbeQueue: Sendable {
    private var rates = InlineArray<4, Double>(repeating: 0)
    private(set) var count = 0

    mutating func append(_ rate: Double) {
        guard self.count < 4 else { return }
        self.rates[self.count] = rate
        self.count += 1
    }

    mutating func take() -> Double? {
        guard self.count > 0 else { return nil }
        let first = self.rates[0]
        for index in 1..<self.count { self.rates[index - 1] = self.rates[index] }
        self.count -= 1
        return first
    }

    mutating func removeAll() { self.count = 0 }
}
