import Basics
import CongestionControl
import Forwarding
import MediaControl

/// Which layers a subscriber is sent.
extension MediaRouter {
    /// Whether anything has changed that the last decision rested on.
    func isAllocationDue(_ session: SessionPointer, _ bandwidth: BandwidthPointer, at now: Instant) -> Bool {
        if unsafe bandwidth.pointee.needsAllocation || now >= bandwidth.pointee.allocator.nextDeadline { return true }
        return unsafe !bandwidth.pointee.basis.holds(
            self.bounded(bandwidth.pointee.estimator.estimate, for: session),
            audio: bandwidth.pointee.audio.bitrate(at: now) ?? .zero,
            offers: self.offersVersion(of: session, at: now),
            at: now
        )
    }

    private func offersVersion(of session: SessionPointer, at now: Instant) -> UInt32 {
        var version: UInt32 = 0
        for leg in unsafe Each(session.pointee.legs) {
            guard unsafe leg.pointee.takesPartInAllocation, let track = unsafe leg.pointee.track else { continue }
            unsafe version &+= track.pointee.offersVersion(at: now)
        }
        return version
    }

    /// Decides about all video legs of a session.
    mutating func allocate(_ session: SessionPointer, _ bandwidth: BandwidthPointer, at now: Instant) {
        // To clear the memory for all that there may be costs more than to decide about the few that most have.
        if unsafe session.pointee.legs.count <= 6 {
            var requests = InlineArray<6, AllocationRequest>(repeating: AllocationRequest(id: 0))
            var decisions = InlineArray<6, AllocationDecision>(repeating: .nothing(.nothingOffered))
            var memory = requests.mutableSpan
            var results = decisions.mutableSpan
            unsafe self.allocate(session, bandwidth, with: &memory, &results, at: now)
        } else {
            var requests = InlineArray<64, AllocationRequest>(repeating: AllocationRequest(id: 0))
            var decisions = InlineArray<64, AllocationDecision>(repeating: .nothing(.nothingOffered))
            var memory = requests.mutableSpan
            var results = decisions.mutableSpan
            unsafe self.allocate(session, bandwidth, with: &memory, &results, at: now)
        }
    }

    /// - Parameters:
    ///   - requests: room for those of all legs that take part.
    ///   - decisions: the same.
    private mutating func allocate(
        _ session: SessionPointer,
        _ bandwidth: BandwidthPointer,
        with requests: inout MutableSpan<AllocationRequest>,
        _ decisions: inout MutableSpan<AllocationDecision>,
        at now: Instant
    ) {
        let limit = min(requests.count, SubscriberBandwidth.maximumTracks)
        var count = 0
        for leg in unsafe Each(session.pointee.legs) {
            guard count < limit, unsafe leg.pointee.takesPartInAllocation else { continue }
            requests[count] = unsafe leg.pointee.allocationRequest(at: now)
            count += 1
        }
        let estimate = unsafe self.bounded(bandwidth.pointee.estimator.estimate, for: session)
        let audio = unsafe bandwidth.pointee.audio.bitrate(at: now) ?? .zero
        let raised = unsafe bandwidth.pointee.trusting(
            estimate,
            requests: requests.span.extracting(first: count),
            audio: audio,
            at: now
        )
        let summary = unsafe bandwidth.pointee.allocator.allocate(
            requests.span.extracting(first: count),
            estimate: raised,
            audio: audio,
            at: now,
            into: &decisions
        )
        let reason = unsafe bandwidth.pointee.allocationReason
        unsafe bandwidth.pointee.allocationReason = .bandwidth
        unsafe bandwidth.pointee.summary = summary
        unsafe bandwidth.pointee.allocatedFor = summary.allocated
        unsafe bandwidth.pointee.estimator.videoIs(sent: summary.allocated > .zero)
        var goal = unsafe bandwidth.pointee.goal(summary, raised: raised.bitrate, over: estimate.bitrate)
        var index = 0
        for leg in unsafe Each(session.pointee.legs) {
            guard index < count, unsafe leg.pointee.takesPartInAllocation else { continue }
            let others = summary.allocated.bitsPerSecond - decisions[index].bitrate.bitsPerSecond
            unsafe self.raise(&goal, for: leg, besides: audio.bitsPerSecond + max(others, 0))
            unsafe self.carryOut(decisions[index], leg: leg, estimate: estimate, reason: reason, at: now)
            index += 1
        }
        unsafe self.setGoal(goal, session, bandwidth, at: now)
        unsafe bandwidth.pointee.basis.note(
            estimate,
            audio: audio,
            offers: self.offersVersion(of: session, at: now),
            allocated: summary.allocated,
            wanted: summary.wanted,
            goal: goal,
            isProvisional: raised.bitrate != estimate.bitrate || summary.changed || summary.isOversending,
            at: now
        )
    }

    private mutating func setGoal(
        _ goal: ProbeGoal,
        _ session: SessionPointer,
        _ bandwidth: BandwidthPointer,
        at now: Instant
    ) {
        var goal = goal
        if let cap = unsafe session.pointee.configuration.maxBitrate {
            goal.bitrate = min(goal.bitrate, cap)
            goal.wanted = min(goal.wanted, cap)
        }
        guard unsafe goal != bandwidth.pointee.goal else { return }
        unsafe bandwidth.pointee.goal = goal
        unsafe bandwidth.pointee.estimator.setGoal(goal, at: now)
    }

    private mutating func carryOut(
        _ decision: AllocationDecision,
        leg: LegPointer,
        estimate: BandwidthEstimate,
        reason: LayerSwitchReason,
        at now: Instant
    ) {
        let before = unsafe leg.pointee.decision
        unsafe leg.pointee.decision = decision
        unsafe leg.pointee.estimate = estimate.bitrate
        if decision.isPausedForBandwidth != (before?.isPausedForBandwidth ?? false) {
            if decision.isPausedForBandwidth {
                self.counters.tracksPausedForBandwidth &+= 1
            } else {
                self.counters.tracksPausedForBandwidth &-= 1
            }
        }
        let isOtherLayer = decision.spatial != before?.spatial || decision.temporal != before?.temporal
        if isOtherLayer || decision.isPausedForBandwidth != before?.isPausedForBandwidth {
            unsafe leg.pointee.hasSelectionNews = true
        } else if decision.reason != before?.reason {
            unsafe leg.pointee.hasReasonNews = true
        }
        guard isOtherLayer, let track = unsafe leg.pointee.track else { return }
        unsafe leg.pointee.switchReason = reason
        unsafe leg.pointee.setTarget(decision, estimate: estimate, at: now)
        unsafe self.reportSwitch(leg)
        if let rank = unsafe leg.pointee.selector.tick(at: now) {
            unsafe self.getPicture(for: leg, layer: track.pointee.layer(rank: rank), at: now)
        }
        // So that the watch over the track looks at its legs soon.
        unsafe self.wake(track, by: now + .milliseconds(20))
    }
}
