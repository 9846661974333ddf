import Basics

extension EstimatorCore {
    /// libwebrtc has 1.1: it lets an encoder overshoot. What is forwarded comes as it was encoded, and a tenth more than the
    /// link carries makes every key frame a queue there, which reads as congestion; here it waits with us instead.
    private static let pacingFactor = 1.0

    /// The estimate becomes the lowest of what delay, loss, receiver, silence and configuration allow.
    mutating func settle(at now: Instant) {
        var target: Double
        switch self.source {
        case .none, .transportFeedback:
            target = self.delay.rateControl.rate
            if let loss = self.loss.result, loss.state != .delayBased { target = min(target, loss.bitrate) }
        case .receiverEstimate, .receiverReports: target = self.reports.bitrate
        }
        if let cap = self.receiver.current(at: now) { target = min(target, Double(cap.bitsPerSecond)) }
        target = min(target, self.inherent.ceiling ?? target)
        target = min(target, self.silence.ceiling ?? target)
        target = min(target, self.backoff.ceiling ?? target)
        self.target = min(max(target, self.minimum), self.maximum)
        self.limited.setEstimate(self.target)
        self.probes.setEstimate(self.target, limit: self.limit, at: now)
    }

    /// In milliseconds: more is of a clock that was set.
    private static let longestQueue: Double = 3_600_000

    @inline(__always) func snapshot(at now: Instant) -> BandwidthEstimate {
        let hasFeedback = self.source == .transportFeedback
        let isMeasured = hasFeedback || self.source == .receiverEstimate
        let factor = isMeasured ? Self.pacingFactor : BandwidthEstimate.pacingFactorUnmeasured
        let state = self.loss.result?.state ?? .delayBased
        let isDecreasing = hasFeedback ? state == .decreasing : self.reports.lossFraction > 0.1
        return BandwidthEstimate(
            bitrate: Self.bitrate(self.target),
            pacingRate: Self.bitrate(self.target * factor),
            paddingRate: self.paddingRate,
            acknowledged: self.acknowledged.map(Self.bitrate),
            roundTripTime: self.roundTripTime,
            standingQueue: self.queue.milliseconds.map { .microseconds(Int64(min($0, Self.longestQueue) * 1_000)) },
            usage: self.delay.usage,
            isDraining: self.drain.isActive,
            isCongested: self.delay.usage == .overusing || self.drain.isActive || isDecreasing,
            lossFraction: hasFeedback ? self.inherent.recentLoss : self.reports.lossFraction,
            isApplicationLimited: self.limited.isLimited,
            source: self.source,
            spacing: self.spacing
        )
    }

    @inline(__always) var spacing: PacketSpacing {
        if self.rules.contains(.marks), self.marks.isCapable { return .smooth }
        guard self.rules.contains(.goalProbing), let goal = self.prober.goal else { return .single }
        return Double(goal.bitrate.bitsPerSecond) > self.target ? .pairs : .single
    }

    @inline(__always) private var paddingRate: Bitrate {
        switch self.source {
        case .none, .receiverReports: return .zero
        case .receiverEstimate: return self.receiverPadding
        case .transportFeedback:
            // The way out of a loss limitation is to show that more arrives.
            guard self.loss.result?.state == .increasingWithPadding, self.mayProbe else { return .zero }
            return Self.bitrate(self.target)
        }
    }

    /// Any number, as a bitrate that can be calculated with.
    static func bitrate(_ value: Double) -> Bitrate {
        guard value > 0 else { return .zero }
        return Bitrate(bitsPerSecond: Int64(min(value, 1e12)))
    }
}
