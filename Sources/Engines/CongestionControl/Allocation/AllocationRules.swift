import Basics

/// How much more than a layer needs the connection must carry before the layer is let in, in thousandths.
@usableFromInline package enum UpThreshold {
    /// The estimate stays about 5 % below what the link carries, so this leaves a tenth for key frames. More (1.15) was
    /// tried: it keeps a viewer whose link carries 1.1 times the next layer from it for ever, and does not lessen the
    /// falls (S2, S14 of the simulation).
    package static let usual: Int64 = 1_050
    /// After flapping, and for a while after a fall that was not the first.
    package static let cautious: Int64 = 1_300
    /// Of the base layer of a paused track, on top of what the others take.
    package static let resume: Int64 = 1_300
    /// A probe must show more than the threshold, or its own noise and that of measured bitrates (5 % from one tenth of a
    /// second to the next) keep the layer out for long.
    package static let proof: Int64 = 1_100
}

/// What one run of the planner has to keep to, in bits per second.
struct AllocationRules: BitwiseCopyable, Sendable {
    enum Mode: UInt8, BitwiseCopyable, Sendable {
        /// Only down from what there is.
        case down
        /// Only up from what there is.
        case up
        /// Only what has nothing yet goes up.
        case upFromNothing
        /// Anew; what there is has a small bonus.
        case anew
    }

    var mode: Mode
    var estimate: Int64
    var audio: Int64
    /// For levels up to the current one.
    var keep: Int64
    /// What was sent until now may be moved from one track to another without new proof.
    var proven: Int64
    /// How far above the estimate the base layer of what is on stage may go; zero = not at all.
    var oversend: Int64
    private let usual: Int64
    private let cautious: Int64

    init(mode: Mode, estimate: Int64, audio: Int64, keep: Int64, proven: Int64, oversend: Int64) {
        self.mode = mode
        self.estimate = estimate
        self.audio = audio
        self.keep = keep
        self.proven = proven
        self.oversend = oversend
        self.usual = estimate * 1_000 / UpThreshold.usual
        self.cautious = estimate * 1_000 / UpThreshold.cautious
    }

    /// What the total may be when `track` has `level`.
    func limit(_ track: AllocationTrack, level index: Int, _ level: AllocationLevel) -> Int64 {
        if index <= track.current { return self.keep }
        if self.mode == .upFromNothing, track.current >= 0 { return self.proven }
        switch track.step {
        case .none: return self.proven
        case .usual: return max(self.proven, self.usual)
        case .cautious: return max(self.proven, self.cautious)
        case .resume: return self.estimate - level.rate * (UpThreshold.resume - 1_000) / 1_000
        }
    }
}

/// What a rise of a track takes at present.
enum AllocationStep: UInt8, BitwiseCopyable, Sendable {
    /// Not now: the track is held.
    case none
    case usual, cautious, resume

    /// What the connection as a whole must carry for a `total` with `rate` as the new level.
    func need(total: Int64, rate: Int64) -> Int64 {
        switch self {
        case .none, .usual: total * UpThreshold.usual / 1_000
        case .cautious: total * UpThreshold.cautious / 1_000
        case .resume: total + rate * (UpThreshold.resume - 1_000) / 1_000
        }
    }
}

/// One track in the planner: a row of its work table.
struct AllocationTrack: BitwiseCopyable, Sendable {
    var id: UInt32 = 0
    var slot = 0
    var weight: Float = 0
    var isOnStage = false
    var isFresh = false
    var isHeld = false
    /// It fell more than once lately.
    var isDoubted = false
    var isCautious = false
    var isPaused = false
    /// The level in use has fewer frames than a smaller picture would have.
    var isReduced = false
    /// It keeps what it has for the moment.
    var isSilent = false
    var isLimitedByRequest = false
    var isLimitedByTile = false
    /// Bit *i*: spatial layer *i* may be gone up to.
    var proven: UInt8 = 0
    /// Levels, of which the first is the base.
    var count = 0
    /// On stage: up to here before anybody else rises.
    var preferred = 0
    /// The level in use; -1 = nothing.
    var current = -1
    var currentRate: Int64 = 0
    var currentSpatial: UInt8 = 0
    var plan = -1
    /// The next level of the plan; -1 = none that fits.
    var candidate = -1

    var step: AllocationStep {
        if self.isHeld { return .none }
        if self.isPaused { return .resume }
        if self.isDoubted { return .cautious }
        return self.isCautious && !self.isFresh ? .cautious : .usual
    }
}
