/// What `--find-limit` raises.
package enum RaisedLoad: String, Sendable, CaseIterable {
    case subscribers, publishers, rooms

    /// What raising makes sense for, unless somebody says otherwise: listeners where there are some, else rooms.
    package static func natural(for scenario: Scenario) -> Self {
        scenario.subscribersPerRoom > 0 ? .subscribers : .rooms
    }

    /// In the scenario as it stands.
    package func load(of scenario: Scenario) -> Int {
        switch self {
        case .subscribers: scenario.subscribersPerRoom
        case .publishers: scenario.publishersPerRoom
        case .rooms: scenario.rooms
        }
    }

    /// The scenario with another load, its groups in the same proportion as far as whole people allow.
    package func setting(_ load: Int, in scenario: Scenario) -> Scenario {
        var scenario = scenario
        switch self {
        case .subscribers: scenario.subscribers = Self.spread(load, over: scenario.subscribers)
        case .publishers: scenario.publishers = Self.spread(load, over: scenario.publishers)
        case .rooms: scenario.rooms = max(load, 1)
        }
        return scenario
    }

    private static func spread(_ load: Int, over groups: [ParticipantGroup]) -> [ParticipantGroup] {
        let total = groups.reduce(0) { $0 + $1.count }
        var groups = groups
        guard total > 0 else {
            if !groups.isEmpty { groups[0].count = load }
            return groups
        }
        // The running sum is rounded, so that the parts add up.
        var (before, given) = (0, 0)
        for index in groups.indices {
            before += groups[index].count
            let upTo = load * before / total
            groups[index].count = upTo - given
            given = upTo
        }
        return groups
    }
}

/// What `--find-limit` found.
package struct FoundLimit: Sendable {
    package struct Step: Sendable {
        package var load: Int
        package var report: RunReport

        package init(load: Int, report: RunReport) {
            self.load = load
            self.report = report
        }
    }

    package var raised: RaisedLoad
    package var scenario: Scenario
    package var steps: [Step] = []
    /// The largest that passed; 0 = none did.
    package var holds = 0
    package var breaks: Int?
    /// It ended because no larger load was to be tried.
    package var reachedEnd = false

    package init(_ raised: RaisedLoad, scenario: Scenario) {
        self.raised = raised
        self.scenario = scenario
    }

    /// Runs the scenario with one load after the other.
    ///
    /// - Parameter run: runs a scenario once.
    package static func find(
        _ scenario: Scenario,
        raising raised: RaisedLoad,
        to largest: Int,
        steps: Int,
        run: (Scenario) async throws -> RunReport
    ) async throws -> FoundLimit {
        var found = FoundLimit(raised, scenario: scenario)
        var search = LimitSearch(from: raised.load(of: scenario), to: largest, steps: steps)
        while let load = search.next {
            let report = try await run(raised.setting(load, in: scenario))
            search.record(passed: report.passed)
            found.steps.append(Step(load: load, report: report))
            try Task.checkCancellation()
        }
        found.holds = search.holds
        found.breaks = search.breaks
        found.reachedEnd = search.reachedEnd
        return found
    }

    /// The run that broke with the smallest load; else the last.
    package var decisive: RunReport? {
        (self.steps.filter { !$0.report.passed }.min { $0.load < $1.load } ?? self.steps.last)?.report
    }

    /// One sentence.
    package var verdict: String {
        let unit = self.raised.rawValue
        func people(_ load: Int) -> String {
            Decimal.grouped(Int64(self.raised.setting(load, in: self.scenario).participants))
        }
        guard self.holds > 0 else {
            let load = self.breaks.map { "\($0)" } ?? "any"
            return "not even \(load) \(unit) hold"
        }
        let held = "holds \(Decimal.grouped(Int64(self.holds))) \(unit), \(people(self.holds)) participants"
        guard let breaks else {
            return held + (self.reachedEnd ? ": no larger load was to be tried" : ": no limit broke")
        }
        let over = self.steps.first { $0.load == breaks }?.report.limits.filter { !$0.isKept }.map(\.text) ?? []
        return "\(held); breaks at \(Decimal.grouped(Int64(breaks))) (\(over.joined(separator: "; ")))"
    }
}
