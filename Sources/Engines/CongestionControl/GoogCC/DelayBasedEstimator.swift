import Basics

/// GCC's delay-based controller: groups, trendline and rate control put together (libwebrtc, delay_based_bwe).
struct DelayBasedEstimator: Sendable {
    private static let streamTimeout = Nanoseconds.seconds(2)

    /// What one feedback brought.
    struct Input: Sendable {
        /// bit/s.
        var acknowledged: Double?
        /// bit/s, of a probe that was accepted.
        var probe: Double?
        /// An overuse without a standing queue is none (rule V).
        var isVetoed = false
        /// A queue stands, though the slope does not say so: an overuse (rule D).
        var isForced = false
        /// A queue is growing: no increase (rule D).
        var isHeld = false
        /// Back to a fair share, by 30 % a second (rule D).
        var isHurried = false
        var decrease = AIMDRateControl.Decrease()
    }

    private var groups = InterArrivalDelta()
    private var trendline = TrendlineEstimator()
    var rateControl: AIMDRateControl
    private var lastSeenAt: Instant?
    /// In this feedback the detector went from underuse to normal: the queue is empty again.
    private(set) var hasRecovered = false
    private(set) var usage = NetworkUsage.normal

    init(start: Double, minimum: Double, maximum: Double) {
        self.rateControl = AIMDRateControl(start: start, minimum: minimum, maximum: maximum)
    }

    mutating func beginFeedback(at now: Instant) {
        self.hasRecovered = false
        if let last = self.lastSeenAt, now - last > Self.streamTimeout { self.resetDetector() }
    }

    /// What was seen of the delay says nothing about what comes.
    mutating func resetDetector() {
        self.groups.reset()
        self.trendline.reset()
    }

    /// - Parameter packets: by the order of arrival.
    mutating func add(_ packets: Span<ReceivedPacket>, at now: Instant) {
        self.lastSeenAt = now
        let system = now.nanoseconds / 1_000
        for index in 0..<packets.count {
            let (send, arrival) = (packets[index].send, packets[index].arrival)
            guard let delta = self.groups.add(send: send, arrival: arrival, system: system) else { continue }
            let before = self.trendline.usage
            self.trendline.add(delta, arrivalMilliseconds: Double(arrival) / 1_000)
            if before == .underusing, self.trendline.usage == .normal { self.hasRecovered = true }
        }
    }

    /// - Returns: whether the rate was lowered because of an overuse.
    mutating func endFeedback(_ input: Input, at now: Instant) -> Bool {
        self.usage = self.trendline.usage == .overusing && input.isVetoed ? .normal : self.trendline.usage
        if input.isForced { self.usage = .overusing }
        guard self.usage == .overusing else {
            if let probe = input.probe {
                self.rateControl.set(probe, at: now)
            } else if input.isHurried {
                self.rateControl.hurry(at: now)
            } else {
                self.rateControl.update(
                    self.usage,
                    throughput: input.acknowledged,
                    decrease: input.decrease,
                    isHeld: input.isHeld,
                    at: now
                )
            }
            return false
        }
        if let acknowledged = input.acknowledged {
            guard self.rateControl.mayReduce(throughput: acknowledged, at: now) else { return false }
            self.rateControl.update(.overusing, throughput: acknowledged, decrease: input.decrease, at: now)
            return true
        }
        // Nothing is known of what arrives: half, every 200 ms.
        guard self.rateControl.mayReduce(throughput: self.rateControl.rate / 2, at: now) else { return false }
        self.rateControl.set(self.rateControl.rate / 2, at: now)
        return true
    }
}
