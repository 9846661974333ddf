/// What `--find-limit` found.
package struct FoundLimit: Sendable {
    package struct Step: Sendable {
        package enum Outcome: String, Sendable {
            case held
            case broke
            /// A limit broke, but this client was short of something, or came too fast for the server's limit of joins:
            /// nothing is known of what the server can do.
            case inconclusive = "not the server"
        }

        package var load: Int
        package var report: RunReport

        package init(load: Int, report: RunReport) {
            self.load = load
            self.report = report
        }

        package var outcome: Outcome {
            if self.report.passed { return .held }
            return self.report.isInconclusive ? .inconclusive : .broke
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
    /// Why no larger load was to be tried.
    package var bound = ""
    /// The server answered nobody after the last run: smaller loads could not be tried.
    package var serverIsGone = false

    package init(_ raised: RaisedLoad, scenario: Scenario) {
        self.raised = raised
        self.scenario = scenario
    }

    /// What a search goes by where a scenario says nothing of losses, times or CPU: without, nothing would break before
    /// people are thrown out.
    package static let usualLimits = [
        Limit(.loss, most: 0.005), Limit(.latencyP99, most: 0.05), Limit(.joinP95, most: 3),
    ]

    /// The scenario with limits that tell when a server has had enough.
    package static func limiting(_ scenario: Scenario) -> Scenario {
        var scenario = scenario
        let always = Set(Limit.always.map(\.kind))
        if scenario.limits.allSatisfy({ always.contains($0.kind) }) {
            // What nobody receives is neither late nor lost.
            scenario.limits += Self.usualLimits.filter { scenario.receives || $0.kind == .joinP95 }
        }
        return scenario
    }

    /// Runs the scenario with one load after the other.
    ///
    /// - Parameters:
    ///   - bound: why no load is larger than `largest`, in words.
    ///   - onStep: gets each step once it is done.
    ///   - isThere: whether the server still answers; asked after each run that broke.
    ///   - run: runs a scenario once.
    package static func find(
        _ scenario: Scenario,
        raising raised: RaisedLoad,
        to largest: Int,
        bound: String = "",
        steps: Int,
        onStep: (Step) -> Void = { _ in },
        isThere: () async -> Bool = { true },
        run: (Scenario) async throws -> RunReport
    ) async throws -> FoundLimit {
        let scenario = self.limiting(scenario)
        var found = FoundLimit(raised, scenario: scenario)
        found.bound = bound
        var search = LimitSearch(from: raised.load(of: scenario), to: largest, steps: steps)
        while let load = search.next, !Task.isCancelled {
            let report = try await run(raised.setting(load, in: scenario))
            // What was interrupted says nothing.
            if Task.isCancelled { break }
            search.record(passed: report.passed)
            let step = Step(load: load, report: report)
            found.steps.append(step)
            onStep(step)
            if !report.passed, await !isThere() {
                found.serverIsGone = true
                break
            }
        }
        found.holds = search.holds
        found.breaks = search.breaks
        found.reachedEnd = search.reachedEnd
        return found
    }

    /// The run that broke with the smallest load; else the last.
    package var decisive: RunReport? { (self.breaking ?? self.steps.last)?.report }

    private var breaking: Step? { self.steps.filter { !$0.report.passed }.min { $0.load < $1.load } }

    /// Whether the answer is this client's, not the server's: the server may hold more.
    package var isInconclusive: Bool { self.breaking?.outcome == .inconclusive }

    /// What it holds, and what broke at which load.
    package var verdict: String {
        let unit = self.raised.rawValue
        func amount(_ load: Int) -> String {
            let people = self.raised.setting(load, in: self.scenario).participants
            return "\(Decimal.grouped(Int64(load))) \(unit), \(Decimal.grouped(Int64(people))) participants"
        }
        let broken = self.breaking.map { step in
            let over = step.report.broken.joined(separator: "; ")
            let server = step.report.server.map { "; server \(Limit.text($0.cpu, of: .serverCPU)) of a core" } ?? ""
            return "(\(over)\(server))"
        }
        guard let broken, let breaks else {
            guard self.holds > 0 else { return "nothing is known: no run was finished" }
            let end = self.reachedEnd ? "no larger load was to be tried" : "no limit broke in \(self.steps.count) runs"
            return "holds at least \(amount(self.holds)): \(end)" + (self.bound.isEmpty ? "" : ", \(self.bound)")
        }
        if let shortages = self.breaking?.report.doubts, !shortages.isEmpty {
            let held = self.holds > 0 ? "holds at least \(amount(self.holds))" : "may hold any number of \(unit)"
            return
                "\(held); what more it holds is not known, because at \(amount(breaks)), it was not the server that could "
                + "not keep up: \(shortages.joined(separator: "; ")) \(broken)"
        }
        if self.serverIsGone {
            let held = self.holds > 0 ? "holds at least \(amount(self.holds))" : "was not seen to hold anything"
            return
                "\(held), and was gone after the run with \(amount(breaks)) \(broken): see its log; nothing else was tried"
        }
        guard self.holds > 0 else { return "does not even hold \(amount(breaks)) \(broken)" }
        return "holds \(amount(self.holds)); breaks at \(amount(breaks)) \(broken)"
    }
}
