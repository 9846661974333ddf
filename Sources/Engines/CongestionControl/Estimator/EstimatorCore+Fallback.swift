import Basics

/// Receivers without transport-wide feedback: REMB, or reception reports alone.
extension EstimatorCore {
    /// Beyond its estimate there has to be something to estimate: receivers let theirs grow to 1.5 times what arrives.
    private static let padding = 1.25
    private static let harmless = 0.02

    mutating func handleREMB(_ bitrate: Bitrate, at now: Instant) {
        guard bitrate > .zero else { return }
        self.absence.heardFeedback()
        self.receiver.received(bitrate, at: now)
        if self.source != .transportFeedback {
            self.source = .receiverEstimate
            // REMB looks at delay alone; while little is lost it is all there is to know.
            if self.reports.lossFraction <= Self.harmless { self.reports.set(Double(bitrate.bitsPerSecond)) }
        }
        self.settle(at: now)
    }

    /// Up to the goal, while something is wanted and little is lost.
    @inline(__always) var receiverPadding: Bitrate {
        guard let goal = self.prober.goal, goal.bitrate > .zero, self.reports.lossFraction < 0.1 else { return .zero }
        let wanted = Double(goal.bitrate.bitsPerSecond)
        guard wanted > self.target else { return .zero }
        return Self.bitrate(min(wanted, self.target * Self.padding))
    }

    mutating func handleReceiverReport(
        fractionLost: Double,
        packetCount: Int,
        roundTripTime: Nanoseconds?,
        at now: Instant
    ) {
        if let roundTripTime, roundTripTime >= .zero, roundTripTime < .seconds(60) {
            if self.source != .transportFeedback { self.roundTripTime = roundTripTime }
        }
        self.reports.report(
            fractionLost: fractionLost,
            packetCount: packetCount,
            roundTripTime: self.roundTripTime ?? .milliseconds(200),
            at: now
        )
        self.absence.heardReport(at: now)
        if self.source == .none { self.source = .receiverReports }
        self.settle(at: now)
    }

    /// What was promised does not come: the rate goes where it would have begun without the promise, unless much is lost.
    mutating func goOnWithoutFeedback() {
        self.source = .receiverReports
        let start = Double(self.configuration.startWithoutFeedback.bitsPerSecond)
        guard self.reports.lossFraction <= Self.harmless, start > self.reports.bitrate else { return }
        self.reports.set(start)
    }
}
