package import Basics
package import CongestionControl

/// Decides which layers a subscriber gets: our allocator, or the rule of another system.
package protocol LayerPolicy: AnyObject {
    var nextDeadline: Instant { get }

    /// - Returns: decisions in the order of `requests`, and what the estimator is to prove.
    func decide(
        _ requests: [AllocationRequest],
        estimate: BandwidthEstimate,
        audio: Bitrate,
        at now: Instant
    ) -> (decisions: [AllocationDecision], goal: ProbeGoal)
}

/// Ours.
package final class AllocatorPolicy: LayerPolicy {
    private var allocator: BandwidthAllocator
    /// Runs in which more was allocated than the estimate, and the summary did not say so.
    package private(set) var violationCount = 0

    package init(maximumTracks: Int, at now: Instant) {
        self.allocator = BandwidthAllocator(maximumTracks: maximumTracks, at: now)
    }

    package var nextDeadline: Instant { self.allocator.nextDeadline }

    package func decide(
        _ requests: [AllocationRequest],
        estimate: BandwidthEstimate,
        audio: Bitrate,
        at now: Instant
    ) -> (decisions: [AllocationDecision], goal: ProbeGoal) {
        var decisions = [AllocationDecision](repeating: .nothing(.nothingOffered), count: requests.count)
        var output = decisions.mutableSpan
        let summary = self.allocator.allocate(
            requests.span,
            estimate: estimate,
            audio: audio,
            at: now,
            into: &output
        )
        let total = summary.allocated.bitsPerSecond + audio.bitsPerSecond
        if total > max(estimate.bitrate, audio).bitsPerSecond, !summary.isOversending { self.violationCount += 1 }
        return (decisions, summary.goal)
    }
}
