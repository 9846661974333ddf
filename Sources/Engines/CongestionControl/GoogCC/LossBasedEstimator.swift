import Basics

/// The rate that the losses allow, by maximum likelihood (libwebrtc, loss_based_bwe_v2): a channel is a bandwidth and a
/// loss that it has anyway; whatever is sent above the bandwidth is lost too. Of a handful of candidates the channel that
/// explains the last observations best wins.
///
/// Below 20 % of loss it leans to higher bandwidths, above to lower ones. All rates are in bit/s, all times are send
/// times in microseconds, so that a pause of the feedback is no pause of the clock.
struct LossBasedEstimator: Sendable {
    enum State: Sendable { case delayBased, decreasing, increasingWithPadding }

    struct Channel: Sendable, BitwiseCopyable {
        var bandwidth: Double
        var inherentLoss: Double
    }

    struct Result: Sendable, BitwiseCopyable {
        var bitrate: Double
        var state: State
    }

    private static let minimumObservations = 3
    private static let initialInherentLoss = 0.01
    private static let inherentLossFloor = 1e-3
    private static let inherentLossOffset = 0.05
    private static let bandwidthBalance = 100_000.0
    private static let newtonStep = 0.75
    private static let preferenceThreshold = 0.2
    private static let preferenceSmoothing = 0.002
    private static let linearBias = 0.0002
    private static let logarithmicBias = 0.02
    private static let rampup = 1.5
    private static let rampupInHold = 1.2
    private static let holdBound = 1.3
    private static let maximumIncrease = 1.3
    private static let increaseWindow: Int64 = 300_000
    private static let initialHold: Int64 = 300_000
    private static let maximumHold: Int64 = 60_000_000
    private static let paddingDuration: Int64 = 2_000_000
    private static let floor = 5_000.0

    private let maximum: Double
    private(set) var observations = LossObservations()
    private var best: Channel?
    private(set) var averageLoss = 0.0
    private var instantUpperBound: Double
    private var acknowledged: Double?
    private var state = State.delayBased
    private var bitrate = 0.0
    private var windowStart: Int64?
    private var windowLimit: Double
    private var holdUntil = Int64.min
    private var holdDuration = Self.initialHold
    private var holdRate = Double.infinity
    private var paddingSince = Int64.min
    private var paddingRate = 0.0

    init(maximum: Double) {
        self.maximum = maximum
        self.instantUpperBound = maximum
        self.windowLimit = maximum
    }

    /// `nil` before three observations.
    @inline(__always) var result: Result? {
        guard self.best != nil, self.observations.total >= Self.minimumObservations else { return nil }
        return Result(bitrate: self.bitrate, state: self.state)
    }

    @inline(__always) mutating func add(byteCount: Int, lostShare: Double, wasLost: Bool, send: Int64) {
        self.observations.add(byteCount: byteCount, lostShare: lostShare, wasLost: wasLost, send: send)
    }

    /// What was lost until now had nothing to do with the rate (rule L).
    mutating func forgive() {
        self.observations.forgive()
        self.averageLoss = 0
    }

    /// Once per feedback, after its packets.
    mutating func endFeedback(acknowledged: Double?, delayBased: Double, isApplicationLimited: Bool) {
        self.acknowledged = acknowledged
        guard self.observations.endFeedback(), let now = self.observations.lastSend else { return }
        self.averageLoss = self.observations.averageLoss
        let excess = self.averageLoss - Self.inherentLossOffset
        self.instantUpperBound = excess > 0 ? min(self.maximum, Self.bandwidthBalance / excess) : self.maximum
        let current = self.best ?? Channel(bandwidth: delayBased, inherentLoss: Self.initialInherentLoss)
        if self.best == nil { self.bitrate = delayBased }
        var winner = self.choose(from: current, delayBased: delayBased, isLimited: isApplicationLimited, at: now)
        if self.averageLoss > winner.inherentLoss { winner.bandwidth = min(winner.bandwidth, current.bandwidth) }
        if self.state != .delayBased { self.boundRecovery(&winner, from: current, at: now) }
        let lower = acknowledged ?? 0
        let bounded = max(lower, min(winner.bandwidth, self.instantUpperBound, delayBased))
        if bounded < winner.bandwidth { winner = Channel(bandwidth: bounded, inherentLoss: 0) }
        self.best = winner
        self.settle(bounded, delayBased: delayBased, lower: lower, at: now)
    }

    private func choose(from current: Channel, delayBased: Double, isLimited: Bool, at now: Int64) -> Channel {
        let upper = max(current.bandwidth, self.state == .delayBased ? self.maximum : self.windowLimit)
        var best = current
        var bestObjective = -Double.infinity
        var logarithms = Logarithms()
        let isLossless = self.observations.isLossless
        let isPadding = now &- Self.paddingDuration <= self.paddingSince
        for index in 0..<5 {
            let bandwidth: Double
            switch index {
            case 0: bandwidth = 1.02 * current.bandwidth
            case 1: bandwidth = current.bandwidth
            case 2: bandwidth = 0.95 * current.bandwidth
            case 3:
                guard let acknowledged = self.acknowledged, !isLimited || isPadding else { continue }
                bandwidth = acknowledged
            default:
                guard delayBased > current.bandwidth else { continue }
                bandwidth = delayBased
            }
            var candidate = Channel(bandwidth: min(bandwidth, upper), inherentLoss: current.inherentLoss)
            candidate.inherentLoss = Self.feasible(candidate.inherentLoss, at: candidate.bandwidth)
            // Without a loss there is but one way to go, down.
            let isLowest = isLossless && candidate.inherentLoss == Self.inherentLossFloor
            if !isLowest { self.fitInherentLoss(&candidate) }
            let objective = self.objective(candidate, &logarithms)
            if objective > bestObjective {
                bestObjective = objective
                best = candidate
            }
        }
        return best
    }

    /// The way up from a loss goes in steps: 30 % per 300 ms, and not far above what arrives.
    private func boundRecovery(_ winner: inout Channel, from current: Channel, at now: Int64) {
        if let start = self.windowStart, start &+ Self.increaseWindow > now {
            winner.bandwidth = min(winner.bandwidth, self.windowLimit)
        }
        guard self.isIncrease(from: current.bandwidth, to: winner.bandwidth), let acknowledged = self.acknowledged
        else { return }
        let isInHold = self.holdRate.isFinite && acknowledged < Self.holdBound * self.holdRate
        let limit = (isInHold ? Self.rampupInHold : Self.rampup) * acknowledged
        winner.bandwidth = max(current.bandwidth, min(winner.bandwidth, limit))
        // A little more, so that the state changes and padding can prove the rest.
        if self.state == .decreasing, winner.bandwidth == current.bandwidth { winner.bandwidth += 1 }
    }

    private func isIncrease(from old: Double, to new: Double) -> Bool {
        old < new || (old == new && self.state == .increasingWithPadding)
    }

    private mutating func settle(_ bounded: Double, delayBased: Double, lower: Double, at now: Int64) {
        let isLimited = bounded < delayBased && bounded < self.maximum
        if self.state == .decreasing, self.holdUntil > now, bounded < delayBased {
            self.holdRate = max(lower, self.holdRate)
            self.bitrate = min(self.holdRate, bounded)
            return
        }
        let mayPad =
            self.state != .increasingWithPadding || self.paddingSince &+ Self.paddingDuration >= now
            || self.paddingRate < bounded
        if isLimited, self.isIncrease(from: self.bitrate, to: bounded), mayPad {
            if bounded > self.paddingRate {
                self.paddingRate = bounded
                self.paddingSince = now
            }
            self.state = .increasingWithPadding
        } else if isLimited {
            if self.state != .decreasing {
                self.holdUntil = now &+ self.holdDuration
                self.holdDuration = min(Self.maximumHold, self.holdDuration * 2)
                self.holdRate = bounded
            }
            self.paddingSince = Int64.min / 2
            self.paddingRate = 0
            self.state = .decreasing
        } else {
            self.holdUntil = Int64.min
            self.holdDuration = Self.initialHold
            self.holdRate = .infinity
            self.paddingSince = Int64.min / 2
            self.paddingRate = 0
            self.state = .delayBased
        }
        self.bitrate = bounded
        if self.state != .delayBased, self.windowStart.map({ $0 &+ Self.increaseWindow < now }) ?? true {
            self.windowLimit = max(Self.floor, (self.best?.bandwidth ?? bounded) * Self.maximumIncrease)
            self.windowStart = now
        }
    }
}

extension LossBasedEstimator {
    private static func feasible(_ loss: Double, at bandwidth: Double) -> Double {
        let upper = min(Self.inherentLossOffset + Self.bandwidthBalance / max(bandwidth, 1), 1)
        return min(max(loss, Self.inherentLossFloor), upper)
    }

    /// What a channel loses of what is sent at some rate.
    private struct LossProbability {
        private let bandwidth: Double
        private let inherent: Double
        private let atLeast: Double

        init(_ channel: Channel) {
            self.bandwidth = channel.bandwidth
            self.inherent = min(max(channel.inherentLoss, 0), 1)
            self.atLeast = Self.clamp(self.inherent)
        }

        @inline(__always) func of(sendRate: Double) -> Double {
            guard sendRate > self.bandwidth else { return self.atLeast }
            return Self.clamp(self.inherent + (1 - self.inherent) * (sendRate - self.bandwidth) / sendRate)
        }

        private static func clamp(_ loss: Double) -> Double { min(max(loss, 1e-6), 1 - 1e-6) }
    }

    /// One step of Newton's method towards the inherent loss that explains the observations best, from a feasible one.
    private func fitInherentLoss(_ channel: inout Channel) {
        var first = 0.0
        var second = 0.0
        var weight = 1.0
        let entries = self.observations.entries.span
        let probabilities = LossProbability(channel)
        for age in 0..<self.observations.count {
            let entry = entries[age]
            let probability = probabilities.of(sendRate: entry.sendRate)
            let received = entry.kilobytes - entry.lostKilobytes
            first += weight * (entry.lostKilobytes / probability - received / (1 - probability))
            second -=
                weight
                * (entry.lostKilobytes / (probability * probability) + received
                    / ((1 - probability) * (1 - probability)))
            weight *= 0.9
        }
        if second == 0 { second = -1e-6 }
        channel.inherentLoss = Self.feasible(
            channel.inherentLoss - Self.newtonStep * first / second,
            at: channel.bandwidth
        )
    }

    /// Of a loss probability, and of what it leaves. While less is sent than a channel carries it is the same for all
    /// observations, and often for all channels.
    private struct Logarithms {
        private var probability = -1.0
        private(set) var lost = 0.0
        private(set) var received = 0.0

        mutating func update(_ probability: Double) {
            guard probability != self.probability else { return }
            self.probability = probability
            self.lost = Mathematics.logarithm(probability)
            self.received = Mathematics.logarithm(1 - probability)
        }
    }

    private func objective(_ channel: Channel, _ logarithms: inout Logarithms) -> Double {
        let kilobits = channel.bandwidth / 1_000
        let bias =
            self.bias(Self.linearBias) * kilobits
            + self.bias(Self.logarithmicBias) * Mathematics.logarithm(1 + kilobits)
        var sum = 0.0
        var weight = 1.0
        let entries = self.observations.entries.span
        let probabilities = LossProbability(channel)
        for age in 0..<self.observations.count {
            let entry = entries[age]
            logarithms.update(probabilities.of(sendRate: entry.sendRate))
            let received = entry.kilobytes - entry.lostKilobytes
            sum +=
                weight
                * (entry.lostKilobytes * logarithms.lost + received * logarithms.received + bias * entry.kilobytes)
            weight *= 0.9
        }
        return sum
    }

    private func bias(_ factor: Double) -> Double {
        let distance = Self.preferenceThreshold - self.averageLoss
        return factor * distance / (Self.preferenceSmoothing + abs(distance))
    }
}
