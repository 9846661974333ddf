import ControlTestSupport
import Testing

@Suite struct QualityRequestsTests {
    @Test func `a room asks its worker for everybody's statistics at once`() async throws {
        let scenario = Scenario()
        for name in ["alice", "bob", "carol", "dave", "erin"] {
            try await scenario.join(name).offer(Offer().publishing("audio"))
        }
        let before = scenario.worker.statisticsRequestCount
        await scenario.wait(seconds: 1)
        #expect(scenario.worker.statisticsRequestCount == before + 1)
    }
}
