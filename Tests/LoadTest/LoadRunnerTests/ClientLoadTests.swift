import LoadClient
import LoadRunner
import Testing

@Suite struct ClientLoadTests {
    private func use(_ threads: [(Double, Double)], process: Double) -> ClientUse {
        var use = ClientUse()
        use.threads = threads.map { (running: $0, waiting: $1) }
        use.process = process
        return use
    }

    @Test func `the busiest thread is the one that ran and waited most`() {
        let before = self.use([(1, 0), (1, 0)], process: 2)
        let after = self.use([(4, 0), (3, 5)], process: 9)
        let load = ClientLoad(from: before, to: after, seconds: 10, cores: 2)
        #expect(load.running == 0.2)
        #expect(load.waiting == 0.5)
        #expect(load.process == 0.35)
        #expect(load.share == 0.7)
        #expect(!load.isTooHigh)
    }

    @Test func `signalling that takes all cores makes a client busy although its loops are not`() {
        let load = ClientLoad(
            from: ClientUse(),
            to: self.use([(1, 0)], process: 19),
            seconds: 10,
            cores: 2
        )
        #expect(load.share == 0.95)
        #expect(load.isTooHigh)
    }

    @Test func `a client that was busy, dropped datagrams or had no sockets is short of something, and says so`() {
        #expect(!RunReport(scenario: Scenario(name: "test")).isInconclusive)
        let changes: [(String, (inout RunReport) -> Void)] = [
            ("busy 90 % of the time", { $0.client.running = 0.9 }),
            ("busy 85 % of the time", { ($0.client.running, $0.client.waiting) = (0.5, 0.35) }),
            ("7 datagrams were dropped", { $0.clientDrops = 7 }),
            ("no socket for 3 sessions", { $0.clientFailures = 3 }),
        ]
        for (text, change) in changes {
            var report = RunReport(scenario: Scenario(name: "test"))
            change(&report)
            #expect(report.isInconclusive)
            #expect(report.doubts.first?.contains(text) == true, "\(report.doubts)")
            #expect(report.warnings == report.doubts)
        }
        // These make figures doubtful, but say nothing of what the client could do.
        var report = RunReport(scenario: Scenario(name: "test"))
        report.clientRefusals = 5
        for _ in 0..<100 { report.lateness.record(nanoseconds: 30_000_000) }
        #expect(!report.isInconclusive)
        #expect(report.warnings.count == 2)
    }
}
