import Basics

/// What one feedback has told so far.
struct FeedbackRound: Sendable, BitwiseCopyable {
    var packetCount = 0
    var latestArrival = Int64.min
    /// Microseconds of our clock.
    var latestSend = Int64.min
    /// The least of arrival less send, in microseconds, of two clocks.
    var leastTransit = Int64.max
    var probe: ProbeResult?
    var isMarked = false
}

extension EstimatorCore {
    /// Of what arrives, after a probe that was let through and lost afterwards.
    private static let arrivingShare = 0.95

    mutating func beginFeedback(at now: Instant) {
        self.feedback = FeedbackRound()
        self.delay.beginFeedback(at: now)
    }

    /// - Parameter packets: by the order of arrival.
    ///
    /// None of the detectors looks at another: each takes all packets in one go, which costs less than taking turns.
    mutating func received(_ packets: Span<ReceivedPacket>, at now: Instant) {
        self.note(packets)
        self.delay.add(packets, at: now)
        for index in 0..<packets.count {
            let packet = packets[index]
            self.queue.add(send: packet.send, arrival: packet.arrival, byteCount: Int(packet.byteCount))
        }
        for index in 0..<packets.count {
            self.stall.add(send: packets[index].send, arrival: packets[index].arrival)
        }
        for index in 0..<packets.count {
            let packet = packets[index]
            self.bursts.add(send: packet.send, arrival: packet.arrival, byteCount: Int(packet.byteCount))
        }
        for index in 0..<packets.count {
            let packet = packets[index]
            self.service.add(send: packet.send, arrival: packet.arrival, byteCount: packet.wholeByteCount)
        }
        for index in 0..<packets.count {
            let packet = packets[index]
            let byteCount = Int(packet.byteCount)
            self.inherent.add(byteCount: byteCount, isLost: false, wasLost: packet.wasLost, send: packet.send)
            self.loss.add(
                byteCount: byteCount,
                lostShare: packet.wasLost ? self.blame : 0,
                wasLost: packet.wasLost,
                send: packet.send
            )
        }
    }

    private mutating func note(_ packets: Span<ReceivedPacket>) {
        var round = self.feedback
        round.packetCount += packets.count
        for index in 0..<packets.count {
            let packet = packets[index]
            round.latestArrival = max(round.latestArrival, packet.arrival)
            round.latestSend = max(round.latestSend, packet.send)
            round.leastTransit = min(round.leastTransit, packet.arrival &- packet.send)
            guard packet.probe != 0 else { continue }
            let result = self.results.add(
                cluster: packet.probe,
                send: packet.send,
                arrival: packet.arrival,
                byteCount: Int(packet.byteCount)
            )
            if let result { round.probe = result }
        }
        self.feedback = round
    }

    mutating func lost(byteCount: Int, send: Int64) {
        guard send >= self.lossesCountFrom else { return }
        self.inherent.add(byteCount: byteCount, isLost: true, wasLost: false, send: send)
        self.loss.add(byteCount: byteCount, lostShare: self.blame, wasLost: false, send: send)
    }

    /// A packet that had left with ECT(1).
    mutating func received(isMarked: Bool) {
        self.marks.received(isMarked: isMarked)
        if isMarked { self.feedback.isMarked = true }
    }

    @inline(__always) private var blame: Double { self.rules.contains(.inherentLoss) ? self.inherent.blame : 1 }

    /// - Parameter acknowledged: what arrives, in bit/s.
    mutating func endFeedback(acknowledged: Double?, at now: Instant) {
        self.absence.heardFeedback()
        guard self.feedback.packetCount > 0 else { return self.endLosses(at: now) }
        self.source = .transportFeedback
        self.updateRoundTrip(at: now)
        // What a lossy radio drops had been carried by the link: rates are those of what is sent.
        let delivered = 1 / (1 - self.inherent.share)
        self.acknowledged = acknowledged.map { $0 * delivered }
        var queue = self.queue.milliseconds
        // Before the queue began an underused link had been idle at times.
        var isShort = self.isUnderused
        if !self.stall.isClearing, let short = self.queue.shortMilliseconds, short > self.obvious {
            queue = max(queue ?? 0, short)
            isShort = true
        }
        var service = (isShort ? self.service.shortBitrate : self.service.bitrate).map { $0 * delivered }
        let slowQueue = queue
        if let slower = self.slowerLink(delivered: delivered, at: now) {
            queue = max(queue ?? 0, slower.queue)
            service = slower.service
        }
        self.probes.setALR(startedAt: self.limited.startedAt, at: now)
        let input = self.delayInput(queue: queue, service: service, at: now)
        let rateBefore = self.delay.rateControl.rate
        let isLowered = self.delay.endFeedback(input, at: now)
        self.lastQueue = slowQueue ?? 0
        if self.delay.hasRecovered { self.probes.recovered(at: now) }
        self.runDrain(loweredFrom: isLowered ? rateBefore : nil, queue: queue, service: service, at: now)
        self.endMarks(isLowered: isLowered, at: now)
        self.endLosses(at: now)
        self.endSilence(at: now)
        if self.bursts.hasJumped(), self.prober.hinted(at: now) { self.bursts.mark() }
        self.settle(at: now)
    }

    /// A link that has become slower than what is sent, found by a few packets: all that arrived in the last 60 ms (100 on
    /// a slow link) had to wait, the last of it longer than the first, without a pause of the link, and it was less than
    /// arrived before.
    ///
    /// A burst of ours leaves a queue too, but arrives faster than that; what a pause held back comes faster still, and waits
    /// ever less; in a queue of others packets wait about as long as those before them.
    ///
    /// Mutating, though it changes nothing: to lend an estimator to a function Swift 6.3 copies it (docs/performance.md).
    private mutating func slowerLink(delivered: Double, at now: Instant) -> (queue: Double, service: Double)? {
        guard let acknowledged = self.acknowledged,
            let found = self.slowerLink(.short, acknowledged, delivered)
                ?? self.slowerLink(.long, acknowledged, delivered),
            !self.stall.isClearing, !self.stall.isRecent, !self.drain.isActive, !self.drain.isCompeting(at: now),
            !self.prober.isDisturbing(at: now)
        else { return nil }
        return found
    }

    private mutating func slowerLink(
        _ evidence: QueueDrain.Evidence,
        _ acknowledged: Double,
        _ delivered: Double
    ) -> (queue: Double, service: Double)? {
        guard let latest = self.service.latest(evidence.window, until: self.feedback.latestArrival),
            latest.rise > evidence.leastRise,
            let queue = self.queue.excess(latest.leastTransit), queue > QueueDrain.telling
        else { return nil }
        let service = latest.bitrate * delivered
        guard evidence.measurable.contains(service), service < evidence.slower * acknowledged else { return nil }
        return (queue, service)
    }

    private mutating func updateRoundTrip(at now: Instant) {
        // The packet with the least transit, as if the feedback had left when it arrived.
        let sent = self.feedback.latestArrival &- self.feedback.leastTransit
        let microseconds = min(max(now.nanoseconds / 1_000 &- sent, 0), 60_000_000)
        let sample = Nanoseconds.microseconds(microseconds)
        self.backoff.received(propagation: sample, at: now)
        self.roundTripTime = self.roundTripTime.map { $0 + (sample - $0) / 8 } ?? sample
        self.delay.rateControl.roundTripTime = self.roundTripTime ?? sample
    }

    private mutating func delayInput(queue: Double?, service: Double?, at now: Instant) -> DelayBasedEstimator.Input {
        var input = DelayBasedEstimator.Input(acknowledged: self.acknowledged)
        input.probe = self.provenRate(at: now)
        guard let queue else { return input }
        let isDisturbing = self.prober.isDisturbing(at: now)
        if self.rules.contains(.standingQueueVeto) {
            let negligible = self.spacing == .pairs ? StandingQueue.negligibleInPairs : StandingQueue.negligible
            input.isVetoed = queue < (isDisturbing ? StandingQueue.disturbed : negligible) || self.stall.isClearing
        }
        guard !self.drain.isCompeting(at: now) else {
            input.isVetoed = input.isVetoed || self.isBelowItsShare
            input.isHurried = self.isBelowItsShare
            return input
        }
        if queue > QueueDrain.standing {
            if self.rules.contains(.serviceRateDecrease), !self.stall.isRecent {
                // When little was sent what arrived before the queue began is no measure of the link.
                let others = self.isUnderused ? nil : self.acknowledged
                input.decrease.base = service.map { min($0, others ?? $0) }
            }
            if self.rules.contains(.drain) { input.decrease.factor = QueueDrain.factor(queueMilliseconds: queue) }
        }
        if self.rules.contains(.drain) {
            input.isHeld = queue > QueueDrain.held || self.drain.isActive
            // A key frame leaves a queue that goes by itself.
            let isFalling = queue < self.lastQueue
            input.isForced =
                queue > QueueDrain.tolerated && !isFalling && !isDisturbing && !self.drain.isActive
                && !self.stall.isClearing
        }
        return input
    }

    /// Milliseconds of a queue for which a few packets are proof enough. A sender of layers has key frames, which leave a
    /// queue for a moment; an encoder that follows the estimate fills the link, and a long queue means that it is smaller.
    @inline(__always) private var obvious: Double {
        self.isUnderused ? QueueDrain.obviousWhenUnderused : QueueDrain.obvious
    }

    /// Whether so little was sent that what arrived in the last second is no measure of the link.
    @inline(__always) private var isUnderused: Bool { (self.acknowledged ?? 0) < 0.8 * self.delay.rateControl.rate }

    /// Others keep the queue full whatever we do: a call that gave way until nothing is left would help nobody. Below
    /// half of what it had it comes back, as long as what it sends arrives.
    @inline(__always) private var isBelowItsShare: Bool {
        guard let acknowledged = self.acknowledged, self.inherent.recentLoss < 0.05 else { return false }
        let rate = min(self.delay.rateControl.rate, self.target)
        // What arrives was sent a round trip ago, at a rate that was lower than now by what a hurry adds.
        let seconds = (self.roundTripTime ?? .milliseconds(200)).inSeconds + 0.5
        let arriving = 0.8 / (1 + AIMDRateControl.hurry * seconds)
        return rate < QueueDrain.leastShare * self.drain.before && acknowledged > arriving * rate
    }

    /// The rate that a probe has shown, if it counts.
    private mutating func provenRate(at now: Instant) -> Double? {
        guard let result = self.feedback.probe else { return nil }
        if self.prober.isOutstanding(result.cluster) {
            let rate = self.prober.judge(
                result,
                estimate: self.target,
                loss: max(self.inherent.recentLoss, self.inherent.share),
                isQuiet: self.isQuiet && !self.feedback.isMarked,
                at: now
            )
            if rate == nil { self.bursts.mark() }
            guard let rate, self.isLossLimited, rate > self.target else {
                return rate.flatMap { $0 > self.delay.rateControl.rate ? $0 : nil }
            }
            // More than the losses were said to allow has got through.
            self.loss = LossBasedEstimator(maximum: self.maximum)
            return rate
        }
        // The first ones: what GCC makes of them. One that came slower than it left has met the link's rate: from there on
        // the way up is slow.
        if self.rules.contains(.goalProbing), result.receiveRate < 0.9 * result.sendRate {
            self.delay.rateControl.learn(capacity: result.receiveRate)
        }
        return max(result.bitrate, min(self.delay.rateControl.rate, 0.85 * (self.acknowledged ?? 0)))
    }

    /// - Parameter rateBefore: bit/s before this feedback, if it has lowered the rate.
    private mutating func runDrain(loweredFrom rateBefore: Double?, queue: Double?, service: Double?, at now: Instant) {
        guard self.rules.contains(.drain), let queue else { return }
        if let rateBefore {
            self.bursts.mark()
            self.restore.congested(ceiling: self.prober.congested(at: now), at: now)
            if queue > QueueDrain.standing, let service {
                let rate = self.delay.rateControl.rate
                let wasCompeting = self.drain.isCompeting(at: now)
                self.drain.begin(
                    queueMilliseconds: queue,
                    rate: rate,
                    rateBefore: rateBefore,
                    service: service,
                    acknowledged: self.acknowledged ?? service,
                    isStalled: self.stall.isClearing,
                    at: now
                )
                // The decrease that has shown it was for nothing.
                if !wasCompeting, self.drain.isCompeting(at: now) {
                    self.delay.rateControl.set(rateBefore, at: now)
                }
            }
        }
        if let acknowledged = self.acknowledged {
            self.drain.observe(queueMilliseconds: queue, acknowledged: acknowledged, at: now)
        }
        let outcome = self.drain.update(
            queueMilliseconds: queue,
            service: service,
            roundTripTime: self.roundTripTime ?? .milliseconds(200),
            at: now
        )
        guard let outcome else { return }
        if outcome.isPlateau {
            self.queue.rebase()
            self.delay.resetDetector()
        }
        guard self.rules.contains(.restore) else { return }
        if let rate = self.restore.rate(after: outcome, at: now), rate > self.delay.rateControl.rate {
            self.delay.rateControl.set(rate, at: now)
            self.forgetLosses(at: now)
        }
        guard !outcome.isPlateau, outcome.peakMilliseconds > QueueDrain.foreign else { return }
        self.prober.queueHasGone(factor: outcome.rateBefore / self.delay.rateControl.rate, at: now)
    }

    private mutating func endLosses(at now: Instant) {
        // A policer lets a probe through on what its bucket had saved, and drops what follows.
        if let rate = self.prober.lost(self.inherent.recentLoss, at: now), rate < self.delay.rateControl.rate {
            // What still arrives is no less true for that; a lossy radio must not lose its whole start.
            self.delay.rateControl.set(max(rate, Self.arrivingShare * (self.acknowledged ?? 0)), at: now)
        }
        self.loss.endFeedback(
            acknowledged: self.acknowledged,
            delayBased: self.delay.rateControl.rate,
            isApplicationLimited: self.limited.isLimited
        )
        // A queue that others fill loses some packets of everybody at times; that says nothing about a share that we have
        // not even got.
        if self.isLossLimited, self.drain.isCompeting(at: now), self.isBelowItsShare {
            self.loss = LossBasedEstimator(maximum: self.maximum)
        }
        guard self.rules.contains(.inherentLoss) else { return }
        let verdict = self.inherent.update(
            rate: self.target,
            queueMilliseconds: self.queue.milliseconds,
            roundTripTime: self.roundTripTime ?? .milliseconds(200),
            at: now
        )
        switch verdict {
        case .radio(let rate)?:
            self.loss.forgive()
            if rate > self.delay.rateControl.rate { self.delay.rateControl.set(rate, at: now) }
        case .policer(let rate)?:
            guard rate < self.delay.rateControl.rate else { return }
            self.delay.rateControl.set(rate, at: now)
            self.delay.rateControl.learn(capacity: rate)
        case nil: return
        }
    }

    private mutating func endMarks(isLowered: Bool, at now: Instant) {
        let roundTripTime = self.roundTripTime ?? .milliseconds(200)
        guard let factor = self.marks.endFeedback(roundTripTime: roundTripTime, at: now), !isLowered,
            self.rules.contains(.marks)
        else { return }
        self.delay.rateControl.marked(factor: factor, throughput: self.acknowledged, at: now)
        _ = self.prober.congested(at: now)
    }

    private mutating func endSilence(at now: Instant) {
        guard let before = self.silence.heard(at: now) else { return }
        self.delay.rateControl.set(min(before * FeedbackSilence.returnShare, self.delay.rateControl.rate), at: now)
        self.forgetLosses(at: now)
        self.prober.soon(at: now)
    }

    /// What was lost until now was lost to a full queue or a path that stood still: it says nothing about the new rate.
    private mutating func forgetLosses(at now: Instant) {
        self.loss = LossBasedEstimator(maximum: self.maximum)
        self.inherent.forget()
        self.lossesCountFrom = now.nanoseconds / 1_000
    }
}
