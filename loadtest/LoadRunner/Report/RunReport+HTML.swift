import LoadClient

extension RunReport {
    /// A page that is one file.
    package var html: String {
        let verdict = HTML.verdict(self.passed)
        var body = "<h1>\(HTML.escaped(self.scenario.name)) \(verdict)</h1>\n"
        if !self.scenario.description.isEmpty {
            body += "<p class=\"lead\">\(HTML.escaped(self.scenario.description))</p>\n"
        }
        return HTML.page(title: "\(self.scenario.name): load test", body: body + self.sections)
    }

    /// What a page says of one run.
    var sections: String {
        var text = "<h2>Limits</h2>\n"
        text += HTML.table(
            ["limit", "measured", "at most", "verdict"],
            self.limits.map { result in
                let kind = result.limit.kind
                return [
                    kind.rawValue, result.measured.map { Limit.text($0, of: kind) } ?? "not measured",
                    Limit.text(result.limit.most, of: kind), result.isKept ? "within" : "over",
                ]
            },
            classes: self.limits.map { $0.isKept ? "pass" : "fail" }
        )
        text += "<h2>Figures</h2>\n"
        text += HTML.table(["", ""], self.facts.map { [$0.name, $0.value] })
        if self.groups.count > 1 {
            text += "<h2>Groups</h2>\n" + HTML.table(Self.groupHeader, self.groups.map(\.cells))
        }
        text += "<h2>Over time</h2>\n<div class=\"plots\">\n"
        text += self.plots.filter { !$0.isEmpty }.map(\.html).joined() + "</div>\n"
        let notes =
            (self.endedEarly.map { [$0] } ?? []) + self.warnings + self.failures.prefix(50).map { "failed: \($0)" }
        if !notes.isEmpty {
            text += "<h2>Notes</h2>\n<ul class=\"notes\">"
            text += notes.map { "<li>\(HTML.escaped($0))</li>" }.joined() + "</ul>\n"
        }
        text += "<footer>Latency is from the sending of a packet to its arrival at this machine's kernel, without what "
        text += "the scenario's links do to it, and without retransmissions. The dashed line is the start of the "
        text += "measurement."
        return text + "</footer>\n"
    }

    private var plots: [Plot] {
        // A point is the end of its second.
        let mark = self.points.last { $0.phase != .measuring }?.seconds
        func series(_ name: String, _ colour: String, _ value: (TimelinePoint) -> Double?) -> Plot.Series {
            Plot.Series(
                name,
                colour: colour,
                points: self.points.compactMap { point in value(point).map { (x: point.seconds, y: $0) } }
            )
        }
        let latencies = [("p50", "s0"), ("p95", "s1"), ("p99", "s2")].enumerated().map { index, style in
            series(style.0, style.1) { $0.packetsPerSecond > 0 ? $0.latency[index] : nil }
        }
        return [
            Plot(
                "Connected",
                unit: "sessions",
                mark: mark,
                series: [series("sessions", "s0") { Double($0.connected) }]
            ),
            Plot(
                "Packets received",
                unit: "packets/s",
                mark: mark,
                series: [series("packets/s", "s0") { $0.packetsPerSecond }]
            ),
            Plot("Forwarding latency", unit: "ms", mark: mark, series: latencies),
            Plot("Loss before recovery", unit: "%", mark: mark, series: [series("loss", "s0") { $0.loss * 100 }]),
            Plot(
                "Join time",
                unit: "ms, by the time of joining",
                style: .dots,
                series: [
                    Plot.Series("joins", colour: "s0", points: self.joins.map { (x: $0.at, y: $0.took * 1_000) })
                ]
            ),
            Plot("Layers", unit: "video streams by height", style: .stacked, mark: mark, series: self.layerSeries),
            Plot(
                "Server CPU for each forwarded packet",
                unit: "µs",
                mark: mark,
                series: [series("CPU", "s0") { $0.cpuPerPacket.map { $0 * 1e6 } }]
            ),
            Plot(
                "CPU",
                unit: "% of a core",
                mark: mark,
                series: [
                    series("server", "s0") { $0.serverCPU.map { $0 * 100 } },
                    series("busiest client thread", "s1") { $0.clientCPU * 100 },
                    series("that thread, waiting for a core", "s2") { $0.clientWait * 100 },
                ]
            ),
        ]
    }

    private var layerSeries: [Plot.Series] {
        let heights = Set(self.points.flatMap(\.pictures.keys)).sorted()
        return heights.enumerated().map { index, height in
            Plot.Series(
                height == 0 ? "nothing" : "\(height)p",
                colour: height == 0 ? "r0" : "r\(min(index + (heights.first == 0 ? 0 : 1) + 1, 5))",
                points: self.points.map { (x: $0.seconds, y: Double($0.pictures[height] ?? 0)) }
            )
        }
    }
}

extension HTML {
    static func verdict(_ passed: Bool) -> String {
        "<span class=\"verdict \(passed ? "pass" : "fail")\">\(passed ? "passed" : "failed")</span>"
    }
}
