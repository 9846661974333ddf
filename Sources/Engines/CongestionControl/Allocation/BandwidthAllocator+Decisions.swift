import Basics

extension BandwidthAllocator {
    /// Says what each track has, why, and what would be needed for more.
    mutating func decide(
        _ requestCount: Int,
        bandwidth: Int64,
        loss: Double,
        audio: Int64,
        changed: Bool,
        at now: Instant,
        into decisions: inout MutableSpan<AllocationDecision>
    ) -> AllocationSummary {
        let total = self.planner.cost(audio: audio)
        var wanted = audio
        for index in 0..<self.planner.count {
            let track = self.planner.tracks[index]
            if track.isSilent { self.wake(at: now + Self.lookAgain) }
            if track.count > 0 {
                wanted += self.planner.level(index, track.count - 1).rate
                self.wake(at: now + Self.lookAgain)
                self.wakeForHistory(track.slot, at: now)
            }
            if index < decisions.count { decisions[index] = self.decision(index, total: total, bandwidth: bandwidth) }
        }
        var index = self.planner.count
        while index < min(requestCount, decisions.count) {
            decisions[index] = .nothing(.tooManyTracks)
            index += 1
        }
        return AllocationSummary(
            allocated: Bitrate(bitsPerSecond: total - audio),
            wanted: Bitrate(bitsPerSecond: wanted),
            goal: self.goal(total: total, audio: audio, wanted: wanted, bandwidth: bandwidth, loss: loss),
            changed: changed,
            isOversending: total > bandwidth && total > audio
        )
    }

    /// What the next better picture needs, or a little more than what is sent now where that is not known to fit.
    private func goal(total: Int64, audio: Int64, wanted: Int64, bandwidth: Int64, loss: Double) -> ProbeGoal {
        var goal = self.planner.goal(total: total, wanted: wanted, bandwidth: bandwidth)
        let share = loss > Self.lossy ? Self.lossyHeadroom : Self.headroom
        let wish = total > audio ? total * share / 100 : 0
        guard wish > bandwidth, wish > goal.bitrate.bitsPerSecond else { return goal }
        goal.bitrate = Bitrate(bitsPerSecond: wish)
        goal.wanted = max(goal.wanted, goal.bitrate)
        return goal
    }

    private mutating func wakeForHistory(_ slot: Int, at now: Instant) {
        let history = self.histories[slot]
        if history.heldUntil > now { self.wake(at: history.heldUntil) }
        if history.doubtedUntil > now { self.wake(at: history.doubtedUntil) }
        if let end = history.reducedUntil, end > now { self.wake(at: end) }
        if let pausedAt = history.pausedAt, pausedAt + TrackHistory.pauseTime > now {
            self.wake(at: pausedAt + TrackHistory.pauseTime)
        }
    }

    private func decision(_ index: Int, total: Int64, bandwidth: Int64) -> AllocationDecision {
        let track = self.planner.tracks[index]
        if track.isSilent {
            let history = self.histories[track.slot]
            return AllocationDecision(
                spatial: history.spatial,
                temporal: history.temporal,
                bitrate: Bitrate(bitsPerSecond: history.rate),
                reason: .nothingOffered
            )
        }
        guard track.count > 0 else { return .nothing(track.weight > 0 ? .nothingOffered : .notVisible) }
        let need = self.planner.need(of: index, total: total)
        guard track.current >= 0 else {
            return AllocationDecision(
                spatial: -1,
                temporal: -1,
                isPausedForBandwidth: true,
                nextNeeds: Bitrate(bitsPerSecond: need),
                reason: .pausedForBandwidth
            )
        }
        let level = self.planner.level(index, track.current)
        return AllocationDecision(
            spatial: Int8(truncatingIfNeeded: level.spatial),
            temporal: Int8(truncatingIfNeeded: level.temporal),
            bitrate: Bitrate(bitsPerSecond: level.rate),
            nextNeeds: Bitrate(bitsPerSecond: need),
            reason: self.reason(index, need: need, bandwidth: bandwidth)
        )
    }

    private func reason(_ index: Int, need: Int64, bandwidth: Int64) -> AllocationReason {
        let track = self.planner.tracks[index]
        if self.planner.oversent == index { return .oversending }
        if need == 0 {
            if track.isLimitedByTile { return .fillsTile }
            return track.isLimitedByRequest ? .limitedByRequest : .best
        }
        if self.planner.isStageUnserved, !track.isOnStage { return .stageFirst }
        if need > bandwidth { return .bandwidth }
        return track.isHeld ? .recovering : .settling
    }
}

extension AllocationPlanner {
    /// What the connection must carry for the next better level of a track; zero when it has its best.
    func need(of index: Int, total: Int64) -> Int64 {
        guard let next = self.next(of: index, total: total, above: 0) else { return 0 }
        return next.need
    }

    /// What a probe should show for the most useful rise that is not proven yet; zero when there is none.
    ///
    /// One rung at a time: a probe far beyond what is needed takes bandwidth from whoever shares the link.
    func goal(total: Int64, wanted: Int64, bandwidth: Int64) -> ProbeGoal {
        var best = -1
        var bestNeed: Int64 = 0
        var bestRank = (0, Float(0))
        for index in 0..<self.count {
            let track = self.tracks[index]
            guard track.count > 0, !track.isHeld, !self.isStageUnserved || track.isOnStage else { continue }
            guard let next = self.next(of: index, total: total, above: bandwidth) else { continue }
            let rank: (Int, Float)
            if track.current < 0 {
                rank = (2, track.weight)
            } else {
                rank = (track.isOnStage && track.current < track.preferred ? 1 : 0, next.gain)
            }
            let isBetter = rank.0 != bestRank.0 ? rank.0 > bestRank.0 : rank.1 > bestRank.1
            let isTieBefore =
                rank == bestRank && (next.need, track.id) < (bestNeed, best < 0 ? 0 : self.tracks[best].id)
            guard best < 0 || isBetter || isTieBefore else { continue }
            best = index
            bestNeed = next.need
            bestRank = rank
        }
        return ProbeGoal(
            bitrate: Bitrate(bitsPerSecond: bestNeed * UpThreshold.proof / 1_000),
            wanted: Bitrate(bitsPerSecond: wanted),
            isUrgent: best >= 0 && self.tracks[best].current < 0
        )
    }

    /// The cheapest better level whose need is above what is known to be carried, and its gain per bit.
    private func next(of index: Int, total: Int64, above bandwidth: Int64) -> (need: Int64, gain: Float)? {
        let track = self.tracks[index]
        let utility = track.current >= 0 ? self.level(index, track.current).utility : 0
        var candidate = track.current + 1
        while candidate < track.count {
            let level = self.level(index, candidate)
            let cost = level.rate - track.currentRate
            let need = track.step.need(total: total + cost, rate: level.rate)
            if level.utility > utility, need > bandwidth, track.proven & 1 << (level.spatial & 7) != 0 {
                return (need, (level.utility - utility) / Float(max(cost, 1)))
            }
            candidate += 1
        }
        return nil
    }
}
