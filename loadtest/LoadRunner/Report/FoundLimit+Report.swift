import Foundation
import LoadClient

extension FoundLimit {
    private static let header = [
        "load", "participants", "outcome", "packets/s", "loss", "latency p99", "join p95", "server CPU", "client",
    ]

    private var rows: [[String]] {
        self.steps.map { step in
            let report = step.report
            let totals = report.total.totals
            return [
                "\(step.load) \(self.raised.rawValue)", Decimal.grouped(Int64(report.scenario.participants)),
                step.outcome.rawValue,
                Decimal.text(report.seconds > 0 ? Double(totals.packetsReceived) / report.seconds : 0, digits: 0),
                Limit.text(report.total.loss, of: .loss),
                report.measured(.latencyP99).map { Limit.text($0, of: .latencyP99) } ?? "-",
                report.measured(.joinP95).map { Limit.text($0, of: .joinP95) } ?? "-",
                report.server.map { RunReport.percent($0.cpu) } ?? "-", RunReport.percent(report.client.share),
            ]
        }
    }

    /// For a terminal.
    package var text: String {
        let limits = self.scenario.limits.map { "\($0.kind.rawValue) \(Limit.text($0.most, of: $0.kind))" }
        return
            (["", "\(self.scenario.name), until one of these breaks: \(limits.joined(separator: ", "))"]
            + RunReport.table(Self.header, self.rows) + ["", "This server \(self.verdict)"])
            .joined(separator: "\n")
    }

    /// A page that is one file: the steps, and the run that was decisive.
    package var html: String {
        var body = "<h1>\(HTML.escaped(self.scenario.name))</h1>\n"
        body += "<p class=\"lead\">This server \(HTML.escaped(self.verdict)).</p>\n<h2>Steps</h2>\n"
        body += HTML.table(Self.header, self.rows)
        body += "<div class=\"plots\">\n" + self.plots.filter { !$0.isEmpty }.map(\.html).joined() + "</div>\n"
        if let report = self.decisive {
            let load = self.raised.load(of: report.scenario)
            body += "<h1>\(load) \(self.raised.rawValue) \(HTML.verdict(report.passed))</h1>\n" + report.sections
        }
        return HTML.page(title: "\(self.scenario.name): how much it holds", body: body)
    }

    private var plots: [Plot] {
        let steps = self.steps.sorted { $0.load < $1.load }
        func plot(_ title: String, _ unit: String, _ value: (RunReport) -> Double?) -> Plot {
            Plot(
                title,
                unit: unit,
                axis: "",
                series: [
                    Plot.Series(
                        title,
                        colour: "s0",
                        points: steps.compactMap { step in value(step.report).map { (x: Double(step.load), y: $0) } }
                    )
                ]
            )
        }
        let by = "by \(self.raised.rawValue)"
        return [
            plot("Latency p99", "ms, \(by)") { $0.measured(.latencyP99).map { $0 * 1_000 } },
            plot("This client's business", "%, \(by)") { $0.client.share * 100 },
            plot("Server CPU", "% of a core, \(by)") { $0.server.map { $0.cpu * 100 } },
        ]
    }

    package func json() throws -> String {
        var steps: [String] = []
        for step in self.steps { steps.append("{\"load\": \(step.load), \"report\": \(try step.report.json())}") }
        let encoder = JSONEncoder()
        func quoted(_ text: String) throws -> String { String(decoding: try encoder.encode(text), as: UTF8.self) }
        let participants = self.holds > 0 ? self.raised.setting(self.holds, in: self.scenario).participants : 0
        return """
            {"scenario": \(try quoted(self.scenario.name)), "raised": \(try quoted(self.raised.rawValue)), \
            "holds": \(self.holds), "participants": \(participants), \
            "breaks": \(self.breaks.map { "\($0)" } ?? "null"), "clientIsShort": \(self.isInconclusive), \
            "serverIsGone": \(self.serverIsGone), "verdict": \(try quoted(self.verdict)),
            "steps": [\(steps.joined(separator: ",\n"))]}
            """
    }
}

extension FoundLimit.Step {
    /// One line, for the progress of a search.
    package func text(_ raised: RaisedLoad) -> String {
        let broken = self.report.broken
        let server = self.report.server.map { ", server \(RunReport.percent($0.cpu)) of a core" } ?? ""
        return "\(self.load) \(raised.rawValue): \(([self.outcome.rawValue] + broken).joined(separator: "; "))"
            + "\(server), this client \(RunReport.percent(self.report.client.share)) busy"
    }
}
