package import Basics

/// What the estimator does beyond GCC as libwebrtc ships it. Each rule can be switched off, so that a simulation can
/// show what it is worth; with none of them the estimator *is* GCC.
@usableFromInline package struct EstimatorRules: OptionSet, Sendable {
    @usableFromInline package let rawValue: UInt8

    @usableFromInline package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// V: a growing delay without a standing queue is jitter, no congestion (`StandingQueue`).
    package static let standingQueueVeto = Self(rawValue: 1 << 0)
    /// S: with a standing queue, a decrease starts from what the link delivers now (`ServiceRate`).
    package static let serviceRateDecrease = Self(rawValue: 1 << 1)
    /// D: a decrease goes below the link's rate by as much as empties the queue (`QueueDrain`).
    package static let drain = Self(rawValue: 1 << 2)
    /// P: probes up to the allocator's goal (`GoalProber`).
    package static let goalProbing = Self(rawValue: 1 << 3)
    /// R: back to the proven rate as soon as the queue is empty (`CapacityRestore`).
    package static let restore = Self(rawValue: 1 << 4)
    /// L: loss that does not depend on the rate is not a reason to send less (`InherentLoss`).
    package static let inherentLoss = Self(rawValue: 1 << 5)
    /// F: no feedback for longer than 400 ms and two round trips means that nothing gets through (`FeedbackSilence`).
    package static let feedbackSilence = Self(rawValue: 1 << 6)

    /// M: marks of a short queue lower the rate by half of their share (`MarkResponse`).
    package static let marks = Self(rawValue: 1 << 7)

    package static let googCC: Self = []
    package static let sluice: Self = [
        .standingQueueVeto, .serviceRateDecrease, .drain, .goalProbing, .restore, .inherentLoss, .feedbackSilence,
        .marks,
    ]
}

/// Where an estimator starts and how far it may go.
@usableFromInline package struct EstimatorConfiguration: Sendable {
    package var start: Bitrate
    /// Of receivers that tell nothing but loss: growth would take half a minute to reach what nearly every path carries, so
    /// all is sent until they report loss, as other servers do.
    package var startWithoutFeedback = Bitrate.kbps(4_000)
    package var minimum: Bitrate
    package var maximum: Bitrate
    package var rules: EstimatorRules
    package var firstSequence: UInt16

    /// - Parameters:
    ///   - start: the estimate before anything is known; the first probes ask for three and six times as much.
    ///   - minimum: never estimated lower; libwebrtc's own floor is 5 kbit/s.
    ///   - firstSequence: the first transport-wide sequence number.
    package init(
        start: Bitrate = .kbps(300),
        minimum: Bitrate = .kbps(30),
        maximum: Bitrate = .kbps(30_000),
        rules: EstimatorRules = .sluice,
        firstSequence: UInt16 = 1
    ) {
        self.minimum = max(minimum, .kbps(5))
        self.maximum = max(maximum, self.minimum)
        self.start = min(max(start, self.minimum), self.maximum)
        self.rules = rules
        self.firstSequence = firstSequence
    }
}
