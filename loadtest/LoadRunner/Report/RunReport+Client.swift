import LoadClient

extension RunReport {
    /// Packets that left later than this are no longer the load that the scenario asks for, in milliseconds.
    private static let largestLateness = 10.0

    /// Why this client, and not the server, may be what a run was short of; empty when it had enough of everything.
    package var doubts: [String] {
        var shortages: [String] = []
        if self.client.isTooHigh {
            shortages.append(
                "this client was busy \(Self.percent(self.client.share)) of the time (\(self.clientText)): what is late "
                    + "or lost may be its doing; give it more threads, cores of its own, or another machine"
            )
        }
        if self.clientDrops > 0 {
            shortages.append(
                "\(Self.count(self.clientDrops)) datagrams were dropped at full buffers of this machine's client sockets"
            )
        }
        if self.clientFailures > 0 {
            shortages.append(
                "this machine had no socket for \(self.clientFailures) sessions: raise ulimit -n, or use more machines"
            )
        }
        if self.rateLimited > 0 {
            shortages.append(
                "\(self.rateLimited) sessions were refused because they came too fast for the server's limit, not for what "
                    + "it can do: lower the join rate, or raise the limit (Sluice: limits.joinsPerSecondPerAddress)"
            )
        }
        return shortages
    }

    /// Whether a limit that was not kept says nothing of the server.
    package var isInconclusive: Bool { !self.doubts.isEmpty }

    /// What makes the figures doubtful.
    package var warnings: [String] {
        var warnings = self.doubts
        if let figuresSource, self.server == nil {
            warnings.append("nothing is known of the server's CPU and memory: \(figuresSource) did not tell to the end")
        }
        let late = self.lateness.milliseconds(at: 0.99)
        if late > Self.largestLateness {
            warnings.append(
                "publishers' packets left up to \(Decimal.text(late, digits: 1)) ms late (p99): latency does not count it, "
                    + "but the load was not as even as the scenario's"
            )
        }
        if self.clientRefusals > 0 {
            warnings.append(
                "the kernel refused \(Self.count(self.clientRefusals)) datagrams of this client: nobody listens at the "
                    + "other end, or there is no way to it"
            )
        }
        return warnings
    }

    /// How busy this client was, in words.
    var clientText: String {
        "busiest thread \(Self.percent(self.client.running)), \(Self.percent(self.client.waiting)) waiting for a core; "
            + "process \(Self.percent(self.client.process)) of its cores"
    }

    static func percent(_ share: Double) -> String { "\(Decimal.text(share * 100, digits: 0)) %" }
}
