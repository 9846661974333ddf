/// One row of the table.
struct Scenario: Sendable {
    let id: String
    let title: String
    /// Why its goals are not met, with a figure; printed only while they are not.
    let reason: String?
    /// Which systems it compares; ours is always one of them.
    let baselines: [System]
    /// Virtual time, for the order of work.
    let seconds: Double
    let run: @Sendable (Trial) -> [Figure]

    init(
        _ id: String,
        _ title: String,
        seconds: Double,
        baselines: [System] = [.googCC],
        reason: String? = nil,
        run: @escaping @Sendable (Trial) -> [Figure]
    ) {
        self.id = id
        self.title = title
        self.reason = reason
        self.seconds = seconds
        self.baselines = baselines
        self.run = run
    }

    /// `E8` selects `E8` and all of `E8/...`.
    func isSelected(by names: [String]) -> Bool {
        names.isEmpty || names.contains { self.id == $0 || self.id.hasPrefix($0 + "/") }
    }

    static let all: [Scenario] =
        estimatorScenarios + coexistenceScenarios + subscriberScenarios
        + roomScenarios + thresholdScenarios
}
