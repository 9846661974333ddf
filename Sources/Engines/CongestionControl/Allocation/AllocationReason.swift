package import Basics

/// Why a track has the layer that it has.
@usableFromInline package enum AllocationReason: UInt8, Sendable, BitwiseCopyable, CaseIterable {
    /// The best that the publisher sends.
    case best
    /// More would not be seen in a tile of this size.
    case fillsTile
    /// The subscriber wants no more (layer or frame-rate limit).
    case limitedByRequest
    /// The next layer does not fit.
    case bandwidth
    /// The next layer fits; it must have fitted for a moment.
    case settling
    /// The next layer would fit, but a moment ago the connection carried less.
    case recovering
    /// What is on stage is not served yet.
    case stageFirst
    /// Not even the base layer fits.
    case pausedForBandwidth
    /// On stage, and sent although it does not fit.
    case oversending
    case notVisible
    /// The publisher sends nothing of this track.
    case nothingOffered
    /// More tracks than one subscriber may have.
    case tooManyTracks

    /// In words for the viewer, without figures.
    package var sentence: StaticString {
        switch self {
        case .best: "this is the best picture that is sent"
        case .fillsTile: "a larger picture would not be seen at this size"
        case .limitedByRequest: "no better picture was asked for"
        case .bandwidth: "your connection does not carry the next layer"
        case .settling: "your connection seems to carry the next layer; it comes in a moment"
        case .recovering: "your connection carried too little a moment ago; a better picture comes when it stays good"
        case .stageFirst: "what is on stage goes first"
        case .pausedForBandwidth: "paused: your connection does not carry this video"
        case .oversending: "your connection hardly carries this video; it is sent because it is on stage"
        case .notVisible: "not visible, so it is not sent"
        case .nothingOffered: "the sender sends no picture at the moment"
        case .tooManyTracks: "too many videos at once"
        }
    }
}

/// What one track gets.
@usableFromInline package struct AllocationDecision: BitwiseCopyable, Sendable, Equatable {
    /// -1 = nothing.
    package var spatial: Int8
    package var temporal: Int8
    package var bitrate: Bitrate
    /// The viewer is to be told: it would be sent if the connection carried it.
    package var isPausedForBandwidth: Bool
    /// What the connection as a whole must carry for the next layer of this track; zero = it has its best.
    package var nextNeeds: Bitrate
    package var reason: AllocationReason

    package init(
        spatial: Int8,
        temporal: Int8,
        bitrate: Bitrate = .zero,
        isPausedForBandwidth: Bool = false,
        nextNeeds: Bitrate = .zero,
        reason: AllocationReason
    ) {
        self.spatial = spatial
        self.temporal = temporal
        self.bitrate = bitrate
        self.isPausedForBandwidth = isPausedForBandwidth
        self.nextNeeds = nextNeeds
        self.reason = reason
    }

    package static func nothing(_ reason: AllocationReason) -> Self { Self(spatial: -1, temporal: -1, reason: reason) }

    /// What a viewer may read on the tile, such as "your connection carries 820 kbit/s; the next layer needs 1,750".
    /// Allocates: not for the packet path.
    package func sentence(estimate: Bitrate) -> String {
        let carried = Self.kilobits(estimate)
        let needed = Self.kilobits(self.nextNeeds)
        switch self.reason {
        case .bandwidth: return "your connection carries \(carried) kbit/s; the next layer needs \(needed)"
        case .pausedForBandwidth: return "paused: your connection carries \(carried) kbit/s; this video needs \(needed)"
        default: return self.reason.sentence.description
        }
    }

    /// Thousands of bits, with a comma between the thousands of those.
    private static func kilobits(_ bitrate: Bitrate) -> String {
        let value = max(bitrate.bitsPerSecond, 0) / 1_000
        guard value >= 1_000 else { return "\(value)" }
        let rest = "\(value % 1_000)"
        return "\(value / 1_000)," + String(repeating: "0", count: 3 - rest.count) + rest
    }
}

/// What one run of the allocator came to.
@usableFromInline package struct AllocationSummary: BitwiseCopyable, Sendable, Equatable {
    /// Of all videos; audio is not in it.
    package var allocated: Bitrate
    /// Audio and every visible track at its best.
    package var wanted: Bitrate
    /// For the estimator.
    package var goal: ProbeGoal
    /// A layer is another than in the last run.
    package var changed: Bool
    /// Audio and video together are more than the estimate: within the hysteresis, or on purpose for the stage.
    package var isOversending: Bool
}
