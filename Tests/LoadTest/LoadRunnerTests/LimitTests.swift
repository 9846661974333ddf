import Basics
import LoadClient
import LoadRunner
import TestSupport
import Testing

@Suite struct LimitTests {
    static func report(_ limits: [Limit]) -> RunReport {
        var scenario = Scenario(name: "test")
        scenario.limits = limits
        var report = RunReport(scenario: scenario)
        report.total.totals.packetsReceived = 990
        report.total.totals.packetsLost = 10
        report.total.totals.packetsAbandoned = 1
        for milliseconds in 1...100 as ClosedRange<Int64> {
            report.total.latency.record(nanoseconds: milliseconds * 1_000_000)
        }
        report.total.join = Distribution([0.1, 0.2, 0.3])
        report.notJoined = 1
        return report
    }

    @Test(arguments: [
        (Limit.Kind.loss, 0.01, 0.0099), (.lossAfterRecovery, 0.0011, 0.0009), (.latencyP50, 0.052, 0.045),
        (.latencyP99, 0.103, 0.09), (.joinP50, 0.2, 0.19), (.joinP99, 0.3, 0.29), (.notJoined, 1, 0),
        (.disconnected, 0, -1), (.silentStreams, 0, -1),
    ])
    func `a limit is kept up to its value, and not beyond`(kind: Limit.Kind, kept: Double, broken: Double) {
        for (most, isKept) in [(kept, true), (broken, false)] {
            var report = Self.report([Limit(kind, most: most)])
            report.evaluate()
            #expect(report.passed == isKept, "\(kind) \(most): \(report.limits.first?.text ?? "")")
        }
    }

    @Test func `what never came is a share of all that should have come`() {
        var report = Self.report([])
        report.total.totals.packetsReceived = 511
        report.total.totals.packetsLost = 322
        report.total.totals.packetsAbandoned = 235
        #expect(report.total.lossAfterRecovery == 235.0 / 833)
    }

    @Test func `what could not be measured is not kept, and says so`() {
        var report = Self.report([Limit(.cpuPerPacket, most: 1)])
        report.evaluate()
        #expect(!report.passed)
        #expect(report.limits.first?.text == "cpuPerPacket: not measured, limit 1,000 ms")
        report.server = RunReport.Server()
        report.server?.cpuPerPacket = 4e-6
        report.evaluate()
        #expect(report.passed)
        #expect(report.limits.first?.text == "cpuPerPacket: 4 µs, within 1,000 ms")
    }

    @Test func `nothing received is no loss of nothing`() {
        var report = Self.report([Limit(.loss, most: 0.5)])
        report.total.totals = LoadTotals()
        report.evaluate()
        #expect(!report.passed)
        #expect(RunReport.share(0, of: 0) == 0)
        #expect(RunReport.share(-3, of: 10) == 0)
        #expect(RunReport.share(10, of: 0) == 1)
    }

    @Test func `what the kernel says of a server's process`() throws {
        // The name in parentheses may hold spaces and parentheses; fields 14 and 15 are user and system time.
        let stat = "42 (a (strange) name) S 1 42 42 0 -1 4194560 10 0 0 0 250 50 7 8 20 0 7 0 99 1 2 3"
        let metrics = try #require(
            ServerMetrics(stat: stat, statm: "900 300 20 1 0 50 0", ticksPerSecond: 100, pageSize: 4_096)
        )
        #expect(metrics.cpuSeconds == 3)
        #expect(metrics.residentBytes == 300 * 4_096)
        for (stat, statm) in [(stat, "900"), ("42 (x) S 1", "900 300"), ("", "900 300")] {
            #expect(ServerMetrics(stat: stat, statm: statm, ticksPerSecond: 100, pageSize: 4_096) == nil)
        }
    }

    @Test func `the metrics of a server`() {
        let page = """
            # HELP process_cpu_seconds_total x
            process_cpu_seconds_total 12.5
            process_resident_memory_bytes 1.5e8
            sluice_rtp_packets_total{direction="in",kind="audio"} 7
            sluice_rtp_packets_total{direction="out",kind="audio"} 100
            sluice_rtp_packets_total{direction="out",kind="video"} 900
            sluice_rtp_dropped_packets_total{direction="out",reason="queueFull"} 5
            sluice_rtp_dropped_packets_total{direction="out",reason="layer"} 70
            sluice_rtp_dropped_packets_total{direction="in",reason="auth"} 9
            sluice_socket_dropped_packets_total{worker="0"} 1
            sluice_socket_dropped_packets_total{worker="1"} 2
            broken
            """
        let metrics = ServerMetrics(page: page)
        #expect(metrics.cpuSeconds == 12.5)
        #expect(metrics.packetsOut == 1_000)
        #expect(metrics.residentBytes == 1.5e8)
        #expect(metrics.dropped == ["queueFull": 5, "layer": 70, "full socket": 3])
        var later = metrics
        #expect(later.dropped(since: metrics).isEmpty)
        later.dropped = ["queueFull": 7, "layer": 90, "full socket": 13, "sendError": 10]
        #expect(later.dropped(since: metrics).map(\.reason) == ["full socket", "sendError", "queueFull"])
        #expect(later.dropped(since: metrics).map(\.count) == [10, 10, 2])
        #expect(later.cpuPerPacket(since: metrics) == nil)
        later.packetsOut += 500
        later.cpuSeconds += 0.001
        #expect(abs((later.cpuPerPacket(since: metrics) ?? 0) - 2e-6) < 1e-12)
    }
}
