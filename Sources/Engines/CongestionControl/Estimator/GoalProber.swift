import Basics

/// Probes up to what the allocator wants to see proven, and not further (rule P).
///
/// GCC probes while little is sent; a server that uses 65 to 100 % of its estimate is never told that there is more.
/// Here a cluster goes out while the goal is above the estimate. It is long and gentle: a sender that paces frames leaves
/// gaps of a frame's length, and a short fast train fits into the gaps of another flow and sees a link that is free. One
/// of 80 ms meets two or three frames of everybody. It counts when it arrives as fast as it left; a train that was merely
/// squeezed through next to others measures the link, not our share of it, and whoever took that would starve them.
struct GoalProber: Sendable {
    /// Between probes, in seconds. Failures lengthen it; the longest is what a path that has got better has to wait for.
    private static let interval = 1.0
    private static let longestInterval = 5.0
    private static let backoff = 1.6
    /// A success that is followed by congestion within this time was none: the room was somebody else's.
    private static let verification = Nanoseconds.seconds(3)
    /// How long a hint is not believed where successes have turned out to be none.
    private static let distrust = Nanoseconds.seconds(15)
    /// The next probe after one of those, doubled from one to the next.
    private static let deceivedInterval = 10.0
    private static let longestDeceivedInterval = 40.0
    /// After a success: the results of the last one have to come in.
    private static let shortInterval = 0.2
    /// So many clusters in a row that could not be sent are taken for a machine that is too busy to probe.
    private static let mostAbandoned = 5
    private static let moreLoss = 0.05
    private static let retryInterval = 0.5
    private static let retryShare = 0.92
    private static let worthRetry = 1.15
    private static let timeout = Nanoseconds.seconds(1)
    /// Over the estimate. The first step is small, because the path is likely full; each success makes the next larger.
    private static let firstStep = 1.25
    private static let stepGrowth = 1.25
    private static let longestStep = 2.0
    private static let leastStep = 1.05
    private static let pauseAfterQueue = Nanoseconds.milliseconds(50)
    /// The queue that a probe leaves on a path that was full, in seconds: its length follows from it.
    private static let cost = 0.02
    /// In bits, above what is sent anyway: three packets.
    private static let leastExtra = 28_800.0
    private static let longest = 0.16
    /// No probe beyond this times everything that is wanted.
    private static let wantedBound = 1.25
    /// A goal is a new one from this times the last new one on; one that has fallen below the other is forgotten.
    private static let newWish = 1.1
    private static let smallerWish = 0.7
    private static let keptRatio = 0.96
    /// Faster than it left: something had held it, and what it had held it for is unknown.
    private static let compressedRatio = 1.15
    /// So many of those in a row are tried again soon: a busy receiver reads its packets late.
    private static let mostCompressed = 2
    /// Over the goal, after a success that did not reach it: measured bitrates breathe, and many small steps take long.
    private static let climbMargin = 1.12

    private struct Outstanding: Sendable, BitwiseCopyable {
        var cluster: UInt16
        var since: Instant
    }

    private struct Accepted: Sendable, BitwiseCopyable {
        var rateBefore: Double
        var lossBefore: Double
        var at: Instant
    }

    /// A cluster to send.
    struct Probe: Sendable, BitwiseCopyable {
        /// bit/s.
        var rate: Double
        var milliseconds: Double
    }

    private(set) var goal: ProbeGoal?
    /// bit/s: the last goal that was a new one.
    private var lastWish = 0.0
    private var waiting = Self.interval
    private var step = Self.firstStep
    private var nextAt: Instant?
    private var outstanding: Outstanding?
    private var abandonedCount = 0
    private var compressedCount = 0
    private var accepted: Accepted?
    private var deceived = Self.deceivedInterval
    private var congestedAt: Instant?
    /// Until then a queue may be our own probe's.
    private var disturbedUntil: Instant?

    /// bit/s; `nil` while nobody has set a goal.
    private var bound: Double? { self.goal.map { Double($0.wanted.bitsPerSecond) * Self.wantedBound } }

    var wantsMore: Bool { (self.goal?.bitrate ?? .zero) > .zero }

    mutating func set(_ goal: ProbeGoal, at now: Instant) {
        let before = self.goal?.bitrate ?? .zero
        self.goal = goal
        // Goals breathe with the bitrates that they are made of.
        let rate = Double(goal.bitrate.bitsPerSecond)
        if rate < self.lastWish * Self.smallerWish { self.lastWish = rate }
        let isNew = goal.isUrgent ? goal.bitrate > before : rate > self.lastWish * Self.newWish
        guard isNew else { return }
        // Somebody has just asked for more: no reason to wait out the last failure.
        self.lastWish = rate
        self.soon(at: now)
    }

    func isOutstanding(_ cluster: UInt16) -> Bool { self.outstanding?.cluster == cluster }

    func isDisturbing(at now: Instant) -> Bool { self.disturbedUntil.map { now < $0 } ?? false }

    /// What stood in the way may have gone.
    mutating func soon(at now: Instant) {
        self.waiting = Self.interval
        self.nextAt = min(self.nextAt ?? now, now)
    }

    /// The link has become faster: no reason to wait, unless it has just been full.
    /// - Returns: whether the hint was taken.
    mutating func hinted(at now: Instant) -> Bool {
        let rest = self.deceived > Self.deceivedInterval ? Self.distrust : Self.verification
        guard self.accepted == nil, self.congestedAt.map({ now - $0 > rest }) ?? true else { return false }
        self.soon(at: now)
        return true
    }

    /// A long queue came and has gone. Whoever made it may have gone with it: the next probe asks for the rate before.
    /// - Parameter factor: that rate over the estimate.
    mutating func queueHasGone(factor: Double, at now: Instant) {
        self.step = min(max(factor, Self.leastStep), Self.longestStep)
        self.nextAt = now + Self.pauseAfterQueue
    }

    /// Something else shows that the path is full.
    /// - Returns: the rate before the last success, in bit/s, if that turns out to have been none.
    mutating func congested(at now: Instant) -> Double? {
        self.step = Self.firstStep
        self.congestedAt = now
        let accepted = self.accepted
        self.accepted = nil
        if let accepted, now - accepted.at < Self.verification {
            self.waiting = self.deceived
            self.deceived = min(self.deceived * 2, Self.longestDeceivedInterval)
        }
        let pause = now + Nanoseconds.fractionalSeconds(max(self.waiting, 2))
        self.nextAt = max(self.nextAt ?? pause, pause)
        return accepted?.rateBefore
    }

    /// - Parameter loss: of the last second: 0...1.
    /// - Returns: the rate before the last success, in bit/s, if more is lost since.
    mutating func lost(_ loss: Double, at now: Instant) -> Double? {
        // Of the sixty packets of a second that a radio drops a tenth of, twice as many may be lost by chance.
        guard let accepted = self.accepted, loss > accepted.lossBefore * 2 + Self.moreLoss else { return nil }
        return self.congested(at: now)
    }

    mutating func next(estimate: Double, isQuiet: Bool, at now: Instant) -> Probe? {
        if let accepted = self.accepted, now - accepted.at >= Self.verification {
            self.accepted = nil
            self.deceived = Self.deceivedInterval
        }
        if let outstanding = self.outstanding {
            guard now - outstanding.since > Self.timeout else { return nil }
            self.outstanding = nil
            self.failed(at: now)
        }
        guard let goal = self.goal, Double(goal.bitrate.bitsPerSecond) > estimate, isQuiet else { return nil }
        guard let next = self.nextAt else {
            self.nextAt = now + Nanoseconds.fractionalSeconds(self.waiting)
            return nil
        }
        guard now >= next else { return nil }
        // A slow path needs a larger step for the same number of packets.
        let step = min(max(self.step, 1 + Self.leastExtra / (estimate * Self.longest)), Self.longestStep)
        let wish = Double(goal.bitrate.bitsPerSecond) * (self.accepted == nil ? 1 : Self.climbMargin)
        let rate = min(estimate * step, wish, self.bound ?? .infinity)
        let extra = rate - estimate
        guard extra > 0 else { return nil }
        let seconds = max(Self.cost * estimate / extra, Self.leastExtra / extra)
        return Probe(rate: rate, milliseconds: 1_000 * min(seconds, Self.longest))
    }

    mutating func sent(_ cluster: UInt16, _ probe: Probe, roundTripTime: Nanoseconds, at now: Instant) {
        self.outstanding = Outstanding(cluster: cluster, since: now)
        let length = Nanoseconds.fractionalSeconds(probe.milliseconds / 1_000)
        self.disturbedUntil = now + length + roundTripTime + .milliseconds(400)
    }

    /// A cluster was given up by the pacer, which was called too late: nothing has been learnt of the path, and it is sent
    /// again soon.
    mutating func abandoned(_ cluster: UInt16, at now: Instant) {
        guard self.isOutstanding(cluster) else { return }
        self.outstanding = nil
        self.abandonedCount += 1
        guard self.abandonedCount <= Self.mostAbandoned else {
            self.abandonedCount = 0
            return self.failed(at: now)
        }
        self.nextAt = now + Nanoseconds.fractionalSeconds(Self.shortInterval)
    }

    /// - Returns: the proven rate in bit/s; `nil` when the cluster proves nothing.
    mutating func judge(
        _ result: ProbeResult,
        estimate: Double,
        loss: Double,
        isQuiet: Bool,
        at now: Instant
    ) -> Double? {
        guard let outstanding = self.outstanding, outstanding.cluster == result.cluster else { return nil }
        self.outstanding = nil
        self.abandonedCount = 0
        let ratio = result.receiveRate / result.sendRate
        if isQuiet, ratio > Self.compressedRatio, self.compressedCount < Self.mostCompressed {
            self.compressedCount += 1
            self.nextAt = now + Nanoseconds.fractionalSeconds(Self.retryInterval)
            return nil
        }
        self.compressedCount = 0
        guard isQuiet, ratio >= Self.keptRatio, ratio <= Self.compressedRatio else {
            self.failed(at: now)
            // Too fast, but there is more than the estimate says: once more, at a rate that may fit.
            let step = Self.retryShare * result.receiveRate / max(estimate, 1)
            if isQuiet, step > Self.worthRetry, ratio < 1 {
                self.step = step
                self.nextAt = now + Nanoseconds.fractionalSeconds(Self.retryInterval)
            }
            return nil
        }
        self.step = min(self.step * Self.stepGrowth, Self.longestStep)
        self.waiting = Self.interval
        self.nextAt = now + Nanoseconds.fractionalSeconds(Self.shortInterval)
        self.accepted = Accepted(rateBefore: estimate, lossBefore: loss, at: now)
        return result.bitrate
    }

    private mutating func failed(at now: Instant) {
        self.step = Self.firstStep
        self.waiting = min(self.waiting * Self.backoff, Self.longestInterval)
        self.nextAt = now + Nanoseconds.fractionalSeconds(self.waiting)
    }
}
