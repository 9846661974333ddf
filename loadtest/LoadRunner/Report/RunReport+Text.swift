import LoadClient

extension RunReport {
    /// For a terminal.
    package var text: String {
        var lines: [String] = [
            "",
            "\(self.scenario.name)\(self.scenario.description.isEmpty ? "" : ": ")"
                + self.scenario.description.split(separator: "\n").joined(separator: " "),
        ]
        lines += self.facts.map { name, value in "  \(Self.padded(name, 16))\(value)" }
        if self.groups.count > 1 { lines += [""] + Self.table(Self.groupHeader, self.groups.map(\.cells)) }
        lines.append("")
        lines += self.limits.map { "  \($0.isKept ? "ok  " : "FAIL")  \($0.text)" }
        lines += self.warnings.map { "  note  \($0)" }
        lines += self.failures.prefix(5).map { "  failed  \($0)" }
        if self.failures.count > 5 { lines.append("  failed  and \(self.failures.count - 5) more") }
        if let endedEarly { lines.append("  failed  \(endedEarly)") }
        lines.append(self.passed ? "PASSED" : "FAILED")
        return lines.joined(separator: "\n")
    }

    /// What a reader wants to know first, in order.
    package var facts: [(name: String, value: String)] {
        let totals = self.total.totals
        let rate = self.seconds > 0 ? Double(totals.packetsReceived) / self.seconds : 0
        let bits = self.seconds > 0 ? Double(totals.bytesReceived) * 8 / self.seconds : 0
        var facts: [(name: String, value: String)] = [
            (
                "run",
                "\(self.startedAt.isEmpty ? "" : "\(self.startedAt), ")\(self.serverAddress), "
                    + "\(self.scenario.transport.rawValue), \(self.scenario.rooms) rooms of "
                    + "\(self.scenario.publishersPerRoom) publishers and \(self.scenario.subscribersPerRoom) subscribers, "
                    + "\(Decimal.text(self.scenario.joinRate, digits: 1)) joins a second"
            ),
            (
                "sessions",
                "\(self.sessions) planned, \(totals.connected) connected, \(self.notJoined) not joined, "
                    + "\(self.disconnected) disconnected" + (self.left > 0 ? ", \(self.left) left and came anew" : "")
            ),
            (
                "streams",
                "\(self.streams), \(self.silentStreams) silent, \(self.pausedStreams) paused"
                    + (self.unboundStreams > 0 ? "; \(self.unboundStreams) m-lines without a track" : "")
            ),
            (
                "packets",
                "\(Self.count(totals.packetsReceived)) in \(Decimal.text(self.seconds, digits: 1)) s "
                    + "(\(Decimal.text(rate, digits: 0))/s, \(Decimal.text(bits / 1e6, digits: 1)) Mbit/s of payload)"
            ),
            (
                "loss",
                "\(Limit.text(self.total.loss, of: .loss)) (\(Decimal.grouped(totals.packetsLost)) packets), "
                    + "\(Self.count(totals.packetsRecovered)) recovered, "
                    + "\(Self.count(totals.packetsAbandoned)) never came, "
                    + "\(Self.count(totals.packetsOutOfOrder)) out of order, "
                    + "\(Self.count(totals.packetsDuplicated)) twice"
                    + (totals.packetsUnreadable > 0 ? ", \(Self.count(totals.packetsUnreadable)) unreadable" : "")
            ),
            ("latency", self.total.latencyText),
            ("join", self.total.joinText + ", in \(Decimal.text(self.joinSeconds, digits: 1)) s all together"),
        ]
        if let half = self.firstPicture.quantile(0.5), let most = self.firstPicture.quantile(0.95) {
            facts.append(
                ("first picture", "p50 \(Self.milliseconds(half)), p95 \(Self.milliseconds(most))")
            )
        }
        if let half = self.roundTrip.quantile(0.5), let most = self.roundTrip.quantile(0.95) {
            facts.append(("round trip", "p50 \(Self.milliseconds(half)), p95 \(Self.milliseconds(most))"))
        }
        if let server {
            let each = server.cpuPerPacket.map { "\(Limit.text($0, of: .cpuPerPacket)) per forwarded packet, " } ?? ""
            facts.append(
                (
                    "server",
                    "\(Decimal.text(server.cpu * 100, digits: 1)) % of a core, \(each)"
                        + "\(Decimal.text(server.residentBytes / 1e6, digits: 0)) MB"
                )
            )
        }
        if let drops = self.server?.drops, !drops.isEmpty {
            let all = drops.map { "\($0.reason) \(Decimal.text($0.count, digits: 0))" }
            facts.append(("server dropped", all.joined(separator: ", ")))
        }
        facts.append(
            (
                "this client",
                "\(self.clientText); packets left \(Decimal.text(self.lateness.milliseconds(at: 0.99), digits: 1)) ms "
                    + "late (p99); \(Decimal.text(Double(self.clientBytes) / 1e6, digits: 0)) MB more than before"
            )
        )
        return facts
    }

    static let groupHeader = [
        "group", "link", "sessions", "packets/s", "loss", "not recovered", "latency p50", "p99", "join p95",
    ]

    static func count(_ value: UInt64) -> String { Decimal.grouped(Int64(clamping: value)) }
    static func milliseconds(_ seconds: Double?) -> String {
        seconds.map { "\(Decimal.text($0 * 1_000, digits: 1)) ms" } ?? "-"
    }

    /// Columns as wide as they need to be, the first to the left, the others to the right.
    static func table(_ header: [String], _ rows: [[String]]) -> [String] {
        let all = [header] + rows
        let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            "  "
                + row.enumerated()
                .map { column, cell in
                    column < 2
                        ? self.padded(cell, widths[column])
                        : String(repeating: " ", count: widths[column] - cell.count) + cell
                }
                .joined(separator: "  ")
        }
    }

    static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}

extension RunReport.Group {
    var latencyText: String {
        guard self.latency.count > 0 else { return "not measured" }
        return [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)]
            .map { name, share in "\(name) \(Decimal.text(self.latency.milliseconds(at: share), digits: 2)) ms" }
            .joined(separator: ", ")
    }

    var joinText: String {
        guard self.join.count > 0 else { return "nobody" }
        return [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)]
            .map { name, share in "\(name) \(RunReport.milliseconds(self.join.quantile(share)))" }
            .joined(separator: ", ")
    }

    /// As `RunReport.groupHeader` says.
    var cells: [String] {
        [
            self.name, self.linkName ?? "-", "\(self.totals.connected)/\(self.totals.peers)",
            self.packetsPerSecond > 0 ? Decimal.text(self.packetsPerSecond, digits: 0) : "-",
            self.totals.packetsReceived > 0 ? Limit.text(self.loss, of: .loss) : "-",
            self.totals.packetsReceived > 0 ? Limit.text(self.lossAfterRecovery, of: .loss) : "-",
            self.latency.count > 0 ? "\(Decimal.text(self.latency.milliseconds(at: 0.5), digits: 2)) ms" : "-",
            self.latency.count > 0 ? "\(Decimal.text(self.latency.milliseconds(at: 0.99), digits: 2)) ms" : "-",
            RunReport.milliseconds(self.join.quantile(0.95)),
        ]
    }
}
