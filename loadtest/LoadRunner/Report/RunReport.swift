package import Basics
package import LoadClient

/// What a run amounts to. Counts are of the measurement, joins of the whole run.
package struct RunReport: Sendable {
    /// Nothing for so long on a stream that should flow makes it a silent one.
    package static let silence = Nanoseconds.seconds(5)

    package struct Group: Sendable {
        package var name: String
        package var linkName: String?
        package var totals = LoadTotals()
        package var latency = LatencyHistogram()
        package var packetsPerSecond = 0.0
        /// In seconds.
        package var join = Distribution([])

        package init(name: String) { self.name = name }
        package var loss: Double { RunReport.share(self.totals.packetsLost, of: self.totals.packetsReceived) }
        package var lossAfterRecovery: Double {
            let abandoned = Double(self.totals.packetsAbandoned)
            let expected = Double(self.totals.packetsReceived) + max(Double(self.totals.packetsLost), abandoned)
            return expected > 0 ? abandoned / expected : 0
        }
    }

    /// Packets that the server dropped, as it says itself.
    package struct Drop: Sendable, Equatable {
        /// As in `sluice_rtp_dropped_packets_total`, or `full socket`.
        package var reason: String
        package var count: Double

        package init(reason: String, count: Double) {
            self.reason = reason
            self.count = count
        }
    }

    package struct Server: Sendable, Equatable {
        /// Of one core.
        package var cpu = 0.0
        /// In seconds.
        package var cpuPerPacket: Double?
        package var packetsOut = 0.0
        package var residentBytes = 0.0
        package var drops: [Drop] = []

        package init() {}
    }

    /// A join: when, and how long it took, in seconds.
    package struct Join: Sendable, Equatable {
        package var at: Double
        package var took: Double

        package init(at: Double, took: Double) {
            self.at = at
            self.took = took
        }
    }

    package var scenario: Scenario
    /// When it began, as ISO 8601 has it, and at which server.
    package var startedAt = ""
    package var serverAddress = ""
    package var seconds = 0.0
    /// That the joins took all together.
    package var joinSeconds = 0.0
    package var groups: [Group] = []
    package var total = Group(name: "all")
    /// Sessions planned, and those that were ever connected.
    package var sessions = 0
    package var notJoined = 0
    package var disconnected = 0
    package var streams = 0
    package var silentStreams = 0
    package var pausedStreams = 0
    /// m-lines to receive on that no track was bound to at the end.
    package var unboundStreams = 0
    /// Why it was not the run that the scenario asks for; `nil` when it was.
    package var endedEarly: String?
    package var left = 0
    package var firstPicture = Distribution([])
    /// Of each peer to the server and back, in seconds.
    package var roundTrip = Distribution([])
    package var joins: [Join] = []
    package var server: Server?
    package var failures: [String] = []
    package var points: [TimelinePoint] = []
    /// How busy this client was.
    package var client = ClientLoad()
    package var clientBytes = 0
    /// Datagrams that found a socket of this client full, coming or going.
    package var clientDrops: UInt64 = 0
    /// Datagrams that the kernel would not send.
    package var clientRefusals: UInt64 = 0
    /// Sessions for which this machine had no socket.
    package var clientFailures = 0
    /// Sessions that the server's own limit of joins refused.
    package var rateLimited = 0
    /// Where figures of the server were to come from, in words; `nil` when none were wanted.
    package var figuresSource: String?
    /// How late this client's packets left.
    package var lateness = LatencyHistogram()
    package var limits: [LimitResult] = []

    package init(scenario: Scenario) { self.scenario = scenario }

    /// Why it did not pass, in words.
    package var broken: [String] {
        self.limits.filter { !$0.isKept }.map(\.text) + (self.endedEarly.map { [$0] } ?? [])
    }

    package var passed: Bool { self.endedEarly == nil && self.limits.allSatisfy(\.isKept) }

    /// Of what should have come.
    package static func share(_ lost: Int64, of received: UInt64) -> Double {
        let lost = Double(max(lost, 0))
        let expected = Double(received) + lost
        return expected > 0 ? lost / expected : 0
    }

    /// What was measured of a limit's kind; `nil` when nothing was.
    package func measured(_ kind: Limit.Kind) -> Double? {
        switch kind {
        case .loss: self.total.totals.packetsReceived > 0 ? self.total.loss : nil
        case .lossAfterRecovery: self.total.totals.packetsReceived > 0 ? self.total.lossAfterRecovery : nil
        case .latencyP50: self.latency(0.5)
        case .latencyP95: self.latency(0.95)
        case .latencyP99: self.latency(0.99)
        case .joinP50: self.total.join.quantile(0.5)
        case .joinP95: self.total.join.quantile(0.95)
        case .joinP99: self.total.join.quantile(0.99)
        case .firstPictureP95: self.firstPicture.quantile(0.95)
        case .notJoined: Double(self.notJoined)
        case .disconnected: Double(self.disconnected)
        case .silentStreams: Double(self.silentStreams)
        case .cpuPerPacket: self.server?.cpuPerPacket
        case .serverCPU: self.server?.cpu
        }
    }

    private func latency(_ quantile: Double) -> Double? {
        self.total.latency.count > 0 ? self.total.latency.milliseconds(at: quantile) / 1_000 : nil
    }

    package mutating func evaluate() {
        self.limits = self.scenario.limits.map { LimitResult($0, measured: self.measured($0.kind)) }
    }
}
