package import Basics

/// What the delay says about the path.
@usableFromInline package enum NetworkUsage: UInt8, Sendable, BitwiseCopyable {
    case normal, overusing, underusing
}

/// What an estimate rests on.
@usableFromInline package enum EstimateSource: UInt8, Sendable, BitwiseCopyable {
    /// Nothing has been heard from the receiver.
    case none
    /// Transport-wide feedback: delay, loss and probes.
    case transportFeedback
    /// REMB: the receiver estimates, we follow.
    case receiverEstimate
    /// Reception reports only: loss.
    case receiverReports
}

/// How packets that have to wait in the pacer leave, at whatever rate.
@usableFromInline package enum PacketSpacing: UInt8, Sendable, BitwiseCopyable {
    /// One by one, and a frame in one go when nothing waits.
    case single
    /// The same, two by two: how far apart two packets that left together arrive tells how fast the path is
    /// (`BurstRate`). One by one they would show nothing but our own spacing.
    case pairs
    /// Always one by one: on a path that marks short queues a frame in one go would be marked as one.
    case smooth
}

/// A snapshot of what a subscriber's path can carry. All bitrates include IP and UDP headers.
@usableFromInline package struct BandwidthEstimate: Sendable, BitwiseCopyable, Equatable {
    /// How much faster the pacer sends than the estimate is, before anything has come back, so that nothing waits for it, and
    /// where nothing but reports does: the rate is what loss has not forbidden, not what the path was found to carry.
    package static let pacingFactorUnmeasured = 2.5

    package var bitrate: Bitrate
    /// How fast the pacer may send: above `bitrate`, so that a large frame does not wait.
    package var pacingRate: Bitrate
    /// What the total may be filled up to with padding; zero when nothing is to be proven.
    package var paddingRate: Bitrate
    /// What arrives, over the last second or so; `nil` without transport-wide feedback.
    package var acknowledged: Bitrate?
    /// Without the receiver's wait before it reports.
    package var roundTripTime: Nanoseconds?
    /// The queue that every packet of the last 200 ms has met.
    package var standingQueue: Nanoseconds?
    package var usage: NetworkUsage
    /// A queue was found and is being emptied: the bitrate is below what the link carries.
    package var isDraining: Bool
    /// Overusing, draining, or decreasing because of loss.
    package var isCongested: Bool
    /// Of the last second or so, by bytes: 0...1.
    package var lossFraction: Double
    /// Much less is sent than was estimated.
    package var isApplicationLimited: Bool
    package var source: EstimateSource
    package var spacing: PacketSpacing

    package init(
        bitrate: Bitrate,
        pacingRate: Bitrate,
        paddingRate: Bitrate = .zero,
        acknowledged: Bitrate? = nil,
        roundTripTime: Nanoseconds? = nil,
        standingQueue: Nanoseconds? = nil,
        usage: NetworkUsage = .normal,
        isDraining: Bool = false,
        isCongested: Bool = false,
        lossFraction: Double = 0,
        isApplicationLimited: Bool = false,
        source: EstimateSource = .none,
        spacing: PacketSpacing = .single
    ) {
        self.bitrate = bitrate
        self.pacingRate = pacingRate
        self.paddingRate = paddingRate
        self.acknowledged = acknowledged
        self.roundTripTime = roundTripTime
        self.standingQueue = standingQueue
        self.usage = usage
        self.isDraining = isDraining
        self.isCongested = isCongested
        self.lossFraction = lossFraction
        self.isApplicationLimited = isApplicationLimited
        self.source = source
        self.spacing = spacing
    }
}

/// What the allocator would like to be shown.
@usableFromInline package struct ProbeGoal: Sendable, BitwiseCopyable, Equatable {
    /// Prove this much; zero = nothing is wanted: no probe, no padding.
    package var bitrate: Bitrate
    /// The total of everything wanted; no probe goes beyond 1.25 times this.
    package var wanted: Bitrate
    /// Somebody sees nothing at all for want of it.
    package var isUrgent: Bool

    package init(bitrate: Bitrate, wanted: Bitrate, isUrgent: Bool = false) {
        self.bitrate = bitrate
        self.wanted = wanted
        self.isUrgent = isUrgent
    }

    package static let none = ProbeGoal(bitrate: .zero, wanted: .zero)
}

/// A short run of packets to be sent at `bitrate`, whose arrival shows whether the path carries that much.
@usableFromInline package struct ProbeCluster: Sendable, BitwiseCopyable, Equatable {
    /// 1...65,535: what `BandwidthEstimator.sent` is told for each packet of it.
    package var id: UInt16
    package var bitrate: Bitrate
    package var minimumBytes: Int
    package var minimumPackets: Int

    package init(id: UInt16, bitrate: Bitrate, minimumBytes: Int, minimumPackets: Int) {
        self.id = id
        self.bitrate = bitrate
        self.minimumBytes = minimumBytes
        self.minimumPackets = minimumPackets
    }
}
