package import Basics

/// What the delay says about the path.
package enum NetworkUsage: UInt8, Sendable, BitwiseCopyable {
    case normal, overusing, underusing
}

/// What an estimate rests on.
package enum EstimateSource: UInt8, Sendable, BitwiseCopyable {
    /// Nothing has been heard from the receiver.
    case none
    /// Transport-wide feedback: delay, loss and probes.
    case transportFeedback
    /// REMB: the receiver estimates, we follow.
    case receiverEstimate
    /// Reception reports only: loss.
    case receiverReports
}

/// A snapshot of what a subscriber's path can carry. All bitrates include IP and UDP headers.
package struct BandwidthEstimate: Sendable, BitwiseCopyable, Equatable {
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
        source: EstimateSource = .none
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
    }
}

/// What the allocator would like to be shown.
package struct ProbeGoal: Sendable, BitwiseCopyable, Equatable {
    /// Prove this much; zero = nothing is wanted: no probe, no padding.
    package var bitrate: Bitrate
    /// The total of everything wanted; no probe goes beyond 1.25 times this.
    package var wanted: Bitrate

    package init(bitrate: Bitrate, wanted: Bitrate) {
        self.bitrate = bitrate
        self.wanted = wanted
    }

    package static let none = ProbeGoal(bitrate: .zero, wanted: .zero)
}

/// A short run of packets to be sent at `bitrate`, whose arrival shows whether the path carries that much.
package struct ProbeCluster: Sendable, BitwiseCopyable, Equatable {
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
