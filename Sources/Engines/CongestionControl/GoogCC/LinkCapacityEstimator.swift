/// What the link carried when it was overused, with its spread: an exponential mean over the overuses (libwebrtc,
/// link_capacity_estimator). Near it the rate grows slowly; a rate outside three deviations shows that the link is not
/// the one that it was.
struct LinkCapacityEstimator: Sendable, BitwiseCopyable {
    private static let weight = 0.05
    private static let deviationRange = 0.4...2.5

    /// In kbit/s, as the deviation is normalized by it.
    private var kilobits: Double?
    private(set) var deviation = 0.4

    /// In bit/s.
    var estimate: Double? { self.kilobits.map { $0 * 1_000 } }
    var upperBound: Double { self.kilobits.map { ($0 + 3 * self.spread($0)) * 1_000 } ?? .infinity }
    var lowerBound: Double { self.kilobits.map { max($0 - 3 * self.spread($0), 0) * 1_000 } ?? 0 }

    /// Keeps the deviation, as libwebrtc does: the noise belongs to the way of measuring.
    mutating func reset() { self.kilobits = nil }

    /// - Parameter throughput: acknowledged bit/s at an overuse.
    mutating func overused(throughput: Double) {
        let sample = throughput / 1_000
        let estimate = self.kilobits.map { (1 - Self.weight) * $0 + Self.weight * sample } ?? sample
        self.kilobits = estimate
        let error = estimate - sample
        let deviation =
            (1 - Self.weight) * self.deviation + Self.weight * error * error / max(estimate, 1)
        self.deviation = min(max(deviation, Self.deviationRange.lowerBound), Self.deviationRange.upperBound)
    }

    private func spread(_ estimate: Double) -> Double { (self.deviation * estimate).squareRoot() }
}
