import Basics

/// A packet that has arrived.
struct ReceivedPacket: Sendable, BitwiseCopyable {
    /// Microseconds of our clock.
    var send: Int64 = 0
    /// Microseconds of the receiver's.
    var arrival: Int64 = 0
    var byteCount: Int32 = 0
    var untrackedByteCount: Int32 = 0
    var probe: UInt16 = 0
    var wasLost = false

    /// With what came before it without a number.
    var wholeByteCount: Int { Int(self.byteCount) + Int(self.untrackedByteCount) }
}

/// GCC and the rules, without the packets' history: the parts in the order in which a feedback runs through them.
/// Rates are in bit/s.
///
/// What only reads is inlined, here and in the larger parts: called, it would be handed a copy of all 4 KiB.
struct EstimatorCore: Sendable {
    // What every packet that leaves touches comes first: with many subscribers it is not in the cache.
    var lastSentAt: Instant?
    var limited: ALRDetector
    var backoff = RoundTripBackoff()
    var silence = FeedbackSilence()
    var probes: ProbeController
    let configuration: EstimatorConfiguration
    var delay: DelayBasedEstimator
    var loss: LossBasedEstimator
    var reports: LossRateControl
    var results = ProbeBitrateEstimator()
    var queue = StandingQueue()
    /// Milliseconds, at the last feedback.
    var lastQueue = 0.0
    var stall = ArrivalStall()
    var bursts = BurstRate()
    var service = ServiceRate()
    var drain = QueueDrain()
    var restore = CapacityRestore()
    var prober = GoalProber()
    var inherent = InherentLoss()
    var marks = MarkResponse()
    /// Microseconds of our clock: what was sent before went into a silence.
    var lossesCountFrom = Int64.min
    var receiver = ReceiverEstimate()
    var source = EstimateSource.none
    var absence = FeedbackAbsence()
    var acknowledged: Double?
    var roundTripTime: Nanoseconds?
    var target: Double
    var nextCluster: UInt16 = 1
    private var askedAt: Instant?
    var feedback = FeedbackRound()

    init(_ configuration: EstimatorConfiguration, start: Bitrate, at now: Instant) {
        let start = Double(start.bitsPerSecond)
        let maximum = Double(configuration.maximum.bitsPerSecond)
        self.configuration = configuration
        self.target = start
        self.delay = DelayBasedEstimator(
            start: start,
            minimum: Double(configuration.minimum.bitsPerSecond),
            maximum: maximum
        )
        self.loss = LossBasedEstimator(maximum: maximum)
        self.reports = LossRateControl(
            start: start,
            minimum: Double(configuration.minimum.bitsPerSecond),
            maximum: maximum
        )
        self.limited = ALRDetector(estimate: start)
        self.probes = ProbeController(start: start, maximum: maximum)
    }

    var rules: EstimatorRules { self.configuration.rules }
    var minimum: Double { Double(self.configuration.minimum.bitsPerSecond) }
    var maximum: Double { Double(self.configuration.maximum.bitsPerSecond) }

    mutating func sent(byteCount: Int, at now: Instant) {
        self.lastSentAt = now
        self.limited.sent(byteCount: byteCount, at: now)
        self.backoff.lastSentAt = now
        self.silence.sent(at: now)
        if !self.probes.isStarted, self.mayProbe { self.probes.start(at: now) }
    }

    /// With rule P nothing is probed that nobody wants.
    @inline(__always) var mayProbe: Bool {
        !self.rules.contains(.goalProbing) || self.prober.goal == nil || self.prober.wantsMore
    }

    mutating func setGoal(_ goal: ProbeGoal, at now: Instant) {
        self.prober.set(goal, at: now)
        self.probes.setWanted(Double(goal.wanted.bitsPerSecond), at: now)
    }

    @inline(__always) func isIdle(at now: Instant, after idle: Nanoseconds) -> Bool {
        let isQuiet = self.lastSentAt.map { now - $0 > idle } ?? true
        return isQuiet && !self.prober.wantsMore
    }

    /// Begins anew with what is known of the path gone, and what is known of the subscriber kept.
    mutating func restart(at now: Instant) {
        let reportsAlone = self.source == .receiverReports
        let guess = reportsAlone ? self.configuration.startWithoutFeedback : self.configuration.start
        let start = Double(guess.bitsPerSecond)
        let first = min(self.acknowledged ?? self.target, self.target, start)
        let rate = Bitrate(bitsPerSecond: Int64(max(first, self.minimum)))
        var fresh = EstimatorCore(self.configuration, start: rate, at: now)
        if let goal = self.prober.goal { fresh.setGoal(goal, at: now) }
        fresh.nextCluster = self.nextCluster
        fresh.receiver = self.receiver
        fresh.source = self.source
        fresh.absence = self.absence
        fresh.absence.restart()
        self = fresh
    }

    /// All that is wanted is sent, and nothing is awaited but the next feedback.
    @inline(__always) var isSteady: Bool {
        self.source == .transportFeedback && self.rules.contains(.goalProbing) && self.prober.goal != nil
            && !self.prober.wantsMore && self.isQuiet && !self.isLossLimited
    }

    mutating func advance(to now: Instant) {
        // Rule P asks for what is wanted and no more; GCC asks for twice the estimate each 5 s, with a train that fits into
        // the gaps of others.
        let isBeyondGoal = !self.rules.contains(.goalProbing) || self.prober.goal == nil
        self.probes.advance(to: now, isBeyondGoal: isBeyondGoal)
        if self.rules.contains(.feedbackSilence) {
            self.silence.check(
                rate: self.target,
                floor: self.minimum,
                roundTripTime: self.roundTripTime ?? .milliseconds(200),
                at: now
            )
        }
        self.backoff.check(rate: self.target, floor: self.minimum, at: now)
        self.reports.advance(to: now)
        if self.absence.check(lastSentAt: self.lastSentAt, at: now) { self.goOnWithoutFeedback() }
        self.settle(at: now)
    }

    /// The pacer takes clusters of the GCC controller first: those are the ones of the first second.
    mutating func nextProbe(at now: Instant) -> ProbeCluster? {
        guard self.lastSentAt != nil || self.prober.wantsMore, !self.absence.isRecognized else { return nil }
        if let rate = self.probes.takeNext() { return self.cluster(rate, milliseconds: 15, at: now) }
        guard self.rules.contains(.goalProbing) else { return nil }
        if let question = self.question(at: now) { return question }
        guard let probe = self.prober.next(estimate: self.target, isQuiet: self.isQuiet, at: now) else { return nil }
        let cluster = self.cluster(probe.rate, milliseconds: probe.milliseconds, at: now)
        let roundTripTime = self.roundTripTime ?? .milliseconds(200)
        self.prober.sent(cluster.id, probe, roundTripTime: roundTripTime, at: now)
        return cluster
    }

    /// What was sent last has not been answered, so next to nothing may be sent.
    @inline(__always) private var isUnheard: Bool { self.silence.ceiling != nil || self.backoff.isOverLimit }

    /// Where nothing is sent nothing is answered, and a path that is back would never be noticed: a few small packets once
    /// a second. That there is an answer is all that they are to show, so their rate is not looked at.
    private mutating func question(at now: Instant) -> ProbeCluster? {
        // A finding of congestion is kept until the next feedback; after 2 s without one that begins anew.
        let isCongested = self.delay.usage == .overusing || self.drain.isActive
        guard self.isUnheard || isCongested else { return nil }
        let patience = Nanoseconds.milliseconds(self.isUnheard ? 500 : 2_200)
        guard self.prober.wantsMore, let lastSentAt = self.lastSentAt, now - lastSentAt >= patience,
            self.askedAt.map({ now - $0 >= .seconds(1) }) ?? true
        else { return nil }
        self.askedAt = now
        let id = self.nextCluster
        self.nextCluster = id == .max ? 1 : id + 1
        return ProbeCluster(id: id, bitrate: Self.bitrate(self.minimum), minimumBytes: 1, minimumPackets: 2)
    }

    private mutating func cluster(_ rate: Double, milliseconds: Double, at now: Instant) -> ProbeCluster {
        let bytes = rate * milliseconds / 8_000
        let cluster = ProbeCluster(
            id: self.nextCluster,
            bitrate: Bitrate(bitsPerSecond: Int64(rate)),
            minimumBytes: Int(bytes),
            minimumPackets: 5
        )
        self.nextCluster = self.nextCluster == .max ? 1 : self.nextCluster + 1
        self.results.expect(cluster)
        return cluster
    }

    /// Nothing speaks of congestion: a probe would show what the path can carry. A delay that falls is none: it falls
    /// after each large frame.
    @inline(__always) var isQuiet: Bool {
        self.delay.usage != .overusing && !self.drain.isActive && !self.inherent.isTrying && self.silence.ceiling == nil
            && !self.backoff.isOverLimit && !self.isLosing
    }

    /// The loss model holds the rate, and for a reason. One that holds it although nothing has been lost of late that
    /// could be blamed on the rate remembers what has gone, and where little is sent it would for ever: libwebrtc lets it
    /// rise by what arrives. A probe may ask then.
    @inline(__always) private var isLosing: Bool { self.isLossLimited && self.loss.averageLoss > InherentLoss.cleared }

    @inline(__always) var isLossLimited: Bool { (self.loss.result?.state ?? .delayBased) != .delayBased }

    /// What holds the estimate where it is.
    @inline(__always) var limit: ProbeController.Limit {
        if self.backoff.isOverLimit { return .roundTrip }
        if self.delay.usage != .normal { return .delayIncrease }
        switch self.loss.result?.state ?? .delayBased {
        case .delayBased: return .delay
        case .decreasing: return .loss
        case .increasingWithPadding: return .lossRecovery
        }
    }
}
