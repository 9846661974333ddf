import Basics
import LoadClient
import LoadRunner
import TestSupport
import Testing

@Suite struct LimitSearchTests {
    /// Searches a system that holds `capacity`.
    private func search(_ capacity: Int, from start: Int, to largest: Int = 100_000, steps: Int = 40) -> LimitSearch {
        var search = LimitSearch(from: start, to: largest, steps: steps)
        while let load = search.next { search.record(passed: load <= capacity) }
        return search
    }

    @Test(arguments: [1, 2, 3, 10, 199, 200, 201, 1_000, 4_097, 65_000], [1, 10, 200, 5_000])
    func `it finds what a system holds to a twentieth`(capacity: Int, start: Int) {
        let search = self.search(capacity, from: start)
        #expect(search.holds <= capacity)
        #expect(search.breaks.map { $0 > capacity } == true)
        #expect((search.breaks ?? 0) - search.holds <= max(1, search.holds / 20))
        #expect(search.steps.count <= 24)
    }

    @Test func `a system that holds nothing is found to`() {
        let search = self.search(0, from: 100)
        #expect(search.holds == 0)
        #expect(search.breaks == 1)
    }

    @Test func `it stops at the largest load, and at the last step`() {
        let whole = self.search(.max, from: 10, to: 70)
        #expect(whole.steps.map(\.load) == [10, 20, 40, 70])
        #expect(whole.reachedEnd)
        let short = self.search(1_000, from: 1, steps: 3)
        #expect(short.steps.map(\.load) == [1, 2, 4])
        #expect(!short.reachedEnd)
        #expect(short.breaks == nil)
    }

    @Test func `a search with a fake system says how many participants it holds`() async throws {
        var scenario = Scenario(name: "fake")
        var publisher = ParticipantGroup(name: "publishers")
        publisher.publishes = true
        scenario.publishers = [publisher]
        var (near, far) = (ParticipantGroup(name: "near"), ParticipantGroup(name: "far"))
        (near.count, far.count) = (3, 1)
        scenario.subscribers = [near, far]
        let found = try await FoundLimit.find(scenario, raising: .natural(for: scenario), to: 5_000, steps: 30) {
            var report = Self.goodReport($0)
            report.notJoined = $0.subscribersPerRoom > 100 ? 1 : 0
            report.evaluate()
            return report
        }
        #expect((96...100).contains(found.holds))
        #expect(found.verdict.hasPrefix("holds \(found.holds) subscribers, \(found.holds + 1) participants; breaks at"))
        #expect(found.verdict.contains("notJoined: 1, over 0"))
        #expect(!found.isInconclusive)
        #expect(found.decisive?.passed == false)
        for step in found.steps {
            #expect(step.report.scenario.subscribersPerRoom == step.load)
            let far = step.report.scenario.subscribers[1].count
            #expect(abs(Double(far) - Double(step.load) / 4) <= 1)
        }
    }

    private static let listeners: Scenario = {
        var scenario = Scenario(name: "fake")
        var (publisher, subscriber) = (ParticipantGroup(name: "publishers"), ParticipantGroup(name: "subscribers"))
        publisher.publishes = true
        subscriber.count = 10
        (scenario.publishers, scenario.subscribers) = ([publisher], [subscriber])
        return scenario
    }()

    /// That breaks none of the usual limits.
    private static func goodReport(_ scenario: Scenario) -> RunReport {
        var report = RunReport(scenario: scenario)
        report.total.totals.packetsReceived = 1
        report.total.latency.record(nanoseconds: 1_000_000)
        report.total.join = Distribution([0.1])
        return report
    }

    /// Above 100 subscribers people are thrown out.
    private func search(_ change: (inout RunReport) -> Void) async throws -> FoundLimit {
        try await FoundLimit.find(Self.listeners, raising: .subscribers, to: 5_000, steps: 30) {
            var report = Self.goodReport($0)
            report.server = RunReport.Server()
            report.server?.cpu = 0.42
            if $0.subscribersPerRoom > 100 {
                report.disconnected = 3
                change(&report)
            }
            report.evaluate()
            return report
        }
    }

    @Test func `where the client was too busy, nothing is said of the server's limit`() async throws {
        let found = try await self.search { $0.client.running = 0.97 }
        #expect(found.isInconclusive)
        #expect(found.verdict.hasPrefix("holds at least \(found.holds) subscribers, "))
        #expect(found.verdict.contains("it was not the server that could not keep up: "))
        #expect(found.verdict.contains("busy 97 % of the time"))
        #expect(found.verdict.contains("server 42 % of a core"))
        #expect(found.steps.contains { $0.outcome == .inconclusive })
        #expect(try found.json().contains("\"clientIsShort\": true"))
    }

    @Test func `where the server broke, it is said what and at which load`() async throws {
        let found = try await self.search { _ in }
        let breaks = try #require(found.breaks)
        #expect(found.verdict.contains("breaks at \(breaks) subscribers, \(breaks + 1) participants ("))
        #expect(found.verdict.contains("disconnected: 3, over 0; server 42 % of a core"))
        #expect(found.text.contains("until one of these breaks: "))
    }

    @Test func `a server that is gone after a run is not tried with less, and no number is its limit`() async throws {
        var asked = 0
        let found = try await FoundLimit.find(
            Self.listeners,
            raising: .subscribers,
            to: 5_000,
            steps: 30,
            isThere: {
                asked += 1
                return false
            },
            run: { scenario in
                var report = Self.goodReport(scenario)
                report.disconnected = scenario.subscribersPerRoom > 100 ? 3 : 0
                report.evaluate()
                return report
            }
        )
        #expect(asked == 1)
        #expect(found.steps.map(\.load) == [10, 20, 40, 80, 160])
        #expect(found.serverIsGone && found.holds == 80)
        #expect(
            found.verdict.hasPrefix(
                "holds at least 80 subscribers, 81 participants, and was gone after the run with 160"
            )
        )
        #expect(try found.json().contains("\"serverIsGone\": true"))
    }

    @Test func `a scenario without limits of quality gets some, one with keeps its own`() {
        let usual = FoundLimit.limiting(Self.listeners)
        #expect(usual.limits == Limit.always + FoundLimit.usualLimits)
        var own = Self.listeners
        own.limits = [Limit(.serverCPU, most: 0.8)]
        #expect(FoundLimit.limiting(own).limits == own.limits)
        // What nobody receives has neither loss nor latency.
        var deaf = Self.listeners
        deaf.subscribers[0].count = 0
        #expect(FoundLimit.limiting(deaf).limits.map(\.kind) == Limit.always.map(\.kind) + [.joinP95])
    }

    @Test func `what this machine has no sockets for is not tried, and it is said why`() async throws {
        // Three sessions for each subscriber, by WHEP from three publishers.
        var scenario = Self.listeners
        scenario.publishers[0].count = 3
        let largest = RaisedLoad.subscribers.largest(100_000, in: scenario, files: 2_000)
        #expect(RaisedLoad.subscribers.setting(largest, in: scenario).openFiles <= 2_000)
        #expect(RaisedLoad.subscribers.setting(largest + 1, in: scenario).openFiles > 2_000)
        #expect(RaisedLoad.subscribers.largest(7, in: scenario, files: 2_000) == 7)
        let found = try await FoundLimit.find(
            scenario,
            raising: .subscribers,
            to: 20,
            bound: "2000 open files allow no more here",
            steps: 9
        ) {
            var report = Self.goodReport($0)
            report.evaluate()
            return report
        }
        #expect(
            found.verdict == "holds at least 20 subscribers, 23 participants: no larger load was to be tried, "
                + "2000 open files allow no more here"
        )
    }

    @Test func `rooms and publishers are raised where that is asked for`() {
        var scenario = Scenario(name: "fake")
        var publisher = ParticipantGroup(name: "publishers")
        publisher.count = 10
        scenario.publishers = [publisher]
        scenario.rooms = 2
        #expect(RaisedLoad.natural(for: scenario) == .rooms)
        #expect(RaisedLoad.rooms.setting(5, in: scenario).participants == 50)
        #expect(RaisedLoad.publishers.setting(3, in: scenario).participants == 6)
        #expect(RaisedLoad.rooms.load(of: scenario) == 2)
    }
}
