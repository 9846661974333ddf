import Basics
import CongestionControl
import MediaControl
import RTP

/// What one subscriber's path carries, and what is made of it: one estimator, one pacer, one allocator.
///
/// Made with the session's first video leg: audio alone is too little to steer.
@safe
struct SubscriberBandwidth: ~Copyable {
    /// Of each of the pacer's queues, in packets: two seconds of 5 Mbit/s.
    private static let pacerCapacity = 1_024
    /// Subscribed videos beyond these are not sent.
    static let maximumTracks = 64

    // What the packet path touches of every packet comes first: see `Leg`.
    /// When the pacer has something to do.
    var pacerDeadline = Instant.distantFuture
    /// `pacerDeadline` is the time of something that waits.
    var isPacing = false
    var pacer: Pacer<PacedPacket>
    var estimator: BandwidthEstimator
    var allocator: BandwidthAllocator

    /// A subscription, a preference, a speaker or a layer is another.
    var needsAllocation = true
    var allocationReason = LayerSwitchReason.bandwidth
    /// Until then base layers are sent whatever is thought of the path: a picture first.
    var graceUntil: Instant
    private var lastCongestion: Instant?
    /// What the pacer is to let pass at least: what is sent on trust must not queue up with us.
    private(set) var pacingFloor = Bitrate.zero
    var nextAllocation = Instant.zero
    /// What the last allocation came to, and what it rested on.
    var allocatedFor = Bitrate.zero
    var basis = AllocationBasis()
    var summary: AllocationSummary?
    /// What the estimator was told to prove.
    var goal = ProbeGoal.none
    /// What all audio to this subscriber takes.
    var audio = LayerRateMeter()

    /// Of subscribers that tell of packets by their own numbers (RFC 8888): how many were sent, modulo 2^32, and whether
    /// they leave marked.
    var sentOrder: UInt32 = 0
    var path = MarkedPath(isWanted: false)

    /// Once a second, for the metrics.
    var nextSample: Instant
    var sampledBytes: UInt64 = 0
    /// Of the last second.
    var used = Bitrate.zero

    init(configuration: EstimatorConfiguration, at now: Instant) {
        self.estimator = BandwidthEstimator(configuration: configuration, at: now)
        self.pacer = Pacer(capacity: Self.pacerCapacity, at: now)
        self.allocator = BandwidthAllocator(maximumTracks: Self.maximumTracks, at: now)
        self.nextSample = TimerGrid.last(before: now + .seconds(1))
        self.graceUntil = now
    }

    /// When `MediaRouter.runBandwidth` is to be called.
    var nextDeadline: Instant {
        min(min(self.estimator.nextDeadline, self.pacerDeadline), min(self.allocationDeadline, self.nextSample))
    }

    var allocationDeadline: Instant { self.needsAllocation ? .zero : self.nextAllocation }

    /// The bytes of IP and UDP headers: all figures are of what a link carries.
    mutating func setFamily(isIPv4: Bool) {
        self.estimator.overhead = isIPv4 ? 28 : 48
        self.pacer.overhead = isIPv4 ? 28 : 48
    }

    // MARK: Trust

    /// For so long after congestion, an estimate is a finding and not just the lack of one.
    private static let congestionMemory = Nanoseconds.seconds(60)

    /// In a second or so; more than that is congestion even where no queue is seen, less may be chance or a radio.
    private static let ordinaryLoss = 0.1

    /// Whether the estimate is low because the path is full. The loss model alone is no finding: of the few packets of a
    /// few small videos one or two lost ones make it take for the path's rate what happens to arrive.
    private static func isFull(_ estimate: BandwidthEstimate) -> Bool {
        guard estimate.isCongested else { return false }
        return estimate.usage == .overusing || estimate.isDraining || estimate.lossFraction > Self.ordinaryLoss
    }

    /// An estimate that no probe has yet raised is no reason to hold base layers back: they are sent on a path that has
    /// shown no congestion, and for a moment after a track was bound or began on any that is not congested now. Probes
    /// find out meanwhile, or congestion does.
    mutating func trusting(
        _ estimate: BandwidthEstimate,
        requests: Span<AllocationRequest>,
        audio: Bitrate,
        at now: Instant
    ) -> BandwidthEstimate {
        self.pacingFloor = .zero
        guard !Self.isFull(estimate) else {
            self.lastCongestion = now
            return estimate
        }
        var total = audio.bitsPerSecond
        for index in 0..<requests.count where requests[index].weight > 0 {
            var lowest = Int64.max
            for offer in 0..<requests[index].offerCount {
                lowest = min(lowest, requests[index].offers[offer].bitrate.bitsPerSecond)
            }
            if lowest < .max { total += lowest }
        }
        // With the margin that the allocator wants for what is new.
        let needed = Bitrate(bitsPerSecond: total * 11 / 10)
        guard needed > estimate.bitrate else {
            // Under congestion the allocator begins nothing that is not well below the estimate.
            var calm = estimate
            let isTight = needed.bitsPerSecond > estimate.bitrate.bitsPerSecond * 7 / 10
            calm.isCongested = estimate.isCongested && !isTight
            return calm
        }
        if now >= self.graceUntil {
            let isCalm = self.lastCongestion.map { now - $0 >= Self.congestionMemory } ?? true
            guard isCalm else { return estimate }
        }
        var raised = estimate
        raised.bitrate = needed
        raised.isCongested = false
        // Where only reports come, as far above it as the pacing rate is above the estimate.
        let factor = estimate.source == .receiverReports ? BandwidthEstimate.pacingFactorUnmeasured : 1
        self.pacingFloor = Bitrate(bitsPerSecond: Int64(Double(needed.bitsPerSecond) * 1.1 * factor))
        return raised
    }

    /// What to have proven: what the allocator wants, and what is sent on trust.
    func goal(_ summary: AllocationSummary, raised: Bitrate, over estimate: Bitrate) -> ProbeGoal {
        var goal = summary.goal
        guard raised > estimate else { return goal }
        goal.bitrate = max(goal.bitrate, Bitrate(bitsPerSecond: raised.bitsPerSecond * 12 / 10))
        goal.wanted = max(goal.wanted, goal.bitrate)
        return goal
    }
}
