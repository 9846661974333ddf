import Basics
import CongestionControl
import TestSupport

/// One operating point of the one track that these policies know.
private struct Point {
    let spatial: Int8
    let temporal: Int8
    let needs: Int64
}

extension AllocationRequest {
    /// From the cheapest to the dearest, audio included: a larger picture beats a higher frame rate.
    fileprivate func points(audio: Bitrate) -> [Point] {
        (0..<self.offerCount).map { self.offers[$0] }
            .map {
                Point(
                    spatial: Int8($0.spatial),
                    temporal: Int8($0.temporal),
                    needs: $0.bitrate.bitsPerSecond + audio.bitsPerSecond
                )
            }
            .sorted { $0.needs < $1.needs }
    }
}

/// Up when the estimate is a threshold above what the next layer needs, and asks the estimator to prove that and 5 %.
final class ThresholdPolicy: LayerPolicy {
    private let threshold: Double
    private var current: Point?

    init(threshold: Double) { self.threshold = threshold }

    var nextDeadline: Instant { .distantFuture }

    func decide(
        _ requests: [AllocationRequest],
        estimate: BandwidthEstimate,
        audio: Bitrate,
        at now: Instant
    ) -> (decisions: [AllocationDecision], goal: ProbeGoal) {
        guard let points = requests.first?.points(audio: audio), let top = points.last else {
            return (requests.map { _ in .nothing(.nothingOffered) }, .none)
        }
        let bitrate = Double(estimate.bitrate.bitsPerSecond)
        let fitting = points.last { Double($0.needs) <= bitrate }
        let proven = points.last { Double($0.needs) * self.threshold <= bitrate }
        if let current = self.current, let proven, proven.needs > current.needs { self.current = proven }
        if Double(self.current?.needs ?? .max) > bitrate { self.current = fitting ?? points.first }
        let next = points.first { $0.needs > self.current?.needs ?? 0 }
        let goal = next.map { Int64(Double($0.needs) * self.threshold * 1.05) } ?? 0
        let chosen = self.current ?? points[0]
        return (
            [AllocationDecision(spatial: chosen.spatial, temporal: chosen.temporal, reason: .best)],
            ProbeGoal(
                bitrate: Bitrate(bitsPerSecond: goal),
                wanted: Bitrate(bitsPerSecond: max(top.needs, goal))
            )
        )
    }
}

/// Jitsi Videobridge: decides when the estimate has moved by 15 % or 5 s have passed, and fills what is left of the
/// estimate with padding as long as there is something better to show.
final class JitsiPolicy: LayerPolicy {
    private static let interval = Nanoseconds.seconds(5)

    private let control: SimulatedSubscriber
    private var decision = AllocationDecision.nothing(.nothingOffered)
    private var decidedWith: Double = 0
    private var offerCount = 0
    private var needs: Int64 = 0

    private(set) var nextDeadline = Instant.distantFuture

    init(control: SimulatedSubscriber) { self.control = control }

    func decide(
        _ requests: [AllocationRequest],
        estimate: BandwidthEstimate,
        audio: Bitrate,
        at now: Instant
    ) -> (decisions: [AllocationDecision], goal: ProbeGoal) {
        guard let request = requests.first, let ideal = request.points(audio: audio).last else {
            return (requests.map { _ in .nothing(.nothingOffered) }, .none)
        }
        let bitrate = Double(estimate.bitrate.bitsPerSecond)
        let hasMoved = abs(bitrate - self.decidedWith) > 0.15 * self.decidedWith
        if hasMoved || now >= self.nextDeadline || self.offerCount != request.offerCount {
            self.decidedWith = bitrate
            self.nextDeadline = now + Self.interval
            self.offerCount = request.offerCount
            let chosen = request.points(audio: audio).last { Double($0.needs) <= bitrate }
            self.needs = chosen?.needs ?? audio.bitsPerSecond
            self.decision =
                chosen.map {
                    AllocationDecision(spatial: $0.spatial, temporal: $0.temporal, reason: .bandwidth)
                } ?? .nothing(.pausedForBandwidth)
        }
        // The pacer is told the total: what is sent and min(ideal - sent, estimate - sent).
        let isBelow = self.needs < ideal.needs && estimate.bitrate.bitsPerSecond < ideal.needs
        self.control.paddingOverride = isBelow ? estimate.bitrate : .zero
        let wanted = Bitrate(bitsPerSecond: ideal.needs)
        return ([self.decision], ProbeGoal(bitrate: wanted, wanted: wanted))
    }
}

/// LiveKit: the best that there is until its detector speaks of congestion, then what fits.
final class LiveKitPolicy: LayerPolicy {
    private let control: LiveKitControl

    init(control: LiveKitControl) { self.control = control }

    var nextDeadline: Instant { .distantFuture }

    func decide(
        _ requests: [AllocationRequest],
        estimate: BandwidthEstimate,
        audio: Bitrate,
        at now: Instant
    ) -> (decisions: [AllocationDecision], goal: ProbeGoal) {
        guard let points = requests.first?.points(audio: audio), let top = points.last else {
            return (requests.map { _ in .nothing(.nothingOffered) }, .none)
        }
        let capacity = estimate.bitrate.bitsPerSecond
        let chosen = points.last { $0.needs <= capacity } ?? points[0]
        let next = points.first { $0.needs > chosen.needs }
        self.control.allocated(chosen.needs, next: next?.needs)
        let decision = AllocationDecision(spatial: chosen.spatial, temporal: chosen.temporal, reason: .bandwidth)
        let wanted = Bitrate(bitsPerSecond: top.needs)
        return ([decision], ProbeGoal(bitrate: wanted, wanted: wanted))
    }
}
