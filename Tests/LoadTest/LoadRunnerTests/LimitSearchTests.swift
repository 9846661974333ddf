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
            var report = RunReport(scenario: $0)
            report.notJoined = $0.subscribersPerRoom > 100 ? 1 : 0
            report.evaluate()
            return report
        }
        #expect((96...100).contains(found.holds))
        #expect(found.verdict.hasPrefix("holds \(found.holds) subscribers, \(found.holds + 1) participants; breaks at"))
        #expect(found.verdict.contains("notJoined: 1, over 0"))
        #expect(found.decisive?.passed == false)
        for step in found.steps {
            #expect(step.report.scenario.subscribersPerRoom == step.load)
            let far = step.report.scenario.subscribers[1].count
            #expect(abs(Double(far) - Double(step.load) / 4) <= 1)
        }
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
