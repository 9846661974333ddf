import CoreMetrics
import Foundation
import Observability
import Testing

@Suite("Metrics")
struct MetricExpositionTests {
    private let registry = MetricRegistry()
    private var factory: SluiceMetricsFactory { SluiceMetricsFactory(self.registry) }

    @Test("A counter with fixed labels stands at 0 before anything happened")
    func zeros() {
        let text = self.registry.text(.prometheus)
        #expect(text.contains("\n# TYPE sluice_rtp_packets_total counter\n"))
        #expect(text.contains("\nsluice_rtp_packets_total{direction=\"in\",kind=\"audio\"} 0\n"))
        #expect(text.contains("\nsluice_rooms 0\n"))
        #expect(!text.contains("sluice_turn_"), "what has no samples has no lines")
    }

    @Test("swift-metrics writes to the series of its name and labels, whatever their order")
    func handlers() {
        let labels = [("kind", "video"), ("direction", "out")]
        Counter(label: "sluice_rtp_packets_total", dimensions: labels, factory: self.factory).increment(by: 3)
        Counter(label: "sluice_rtp_packets_total", dimensions: labels.reversed(), factory: self.factory).increment()
        Gauge(label: "sluice_rooms", factory: self.factory).record(2)
        Meter(label: "sluice_participants", factory: self.factory).set(5)
        let text = self.registry.text(.prometheus)
        #expect(text.contains("\nsluice_rtp_packets_total{direction=\"out\",kind=\"video\"} 4\n"))
        #expect(text.contains("\nsluice_rooms 2\n"))
        #expect(text.contains("\nsluice_participants 5\n"))
    }

    @Test("A timer observes seconds, in cumulative buckets")
    func timer() {
        let timer = Timer(label: "sluice_join_duration_seconds", factory: self.factory)
        timer.recordMilliseconds(3)
        timer.recordMilliseconds(300)
        timer.recordSeconds(60)
        let text = self.registry.text(.prometheus)
        #expect(text.contains("\nsluice_join_duration_seconds_bucket{le=\"0.0025\"} 0\n"))
        #expect(text.contains("\nsluice_join_duration_seconds_bucket{le=\"0.005\"} 1\n"))
        #expect(text.contains("\nsluice_join_duration_seconds_bucket{le=\"10\"} 2\n"))
        #expect(text.contains("\nsluice_join_duration_seconds_bucket{le=\"+Inf\"} 3\n"))
        #expect(text.contains("\nsluice_join_duration_seconds_sum 60.303\n"))
        #expect(text.contains("\nsluice_join_duration_seconds_count 3\n"))
    }

    @Test("Samples of several collectors and of swift-metrics add up")
    func collectors() {
        let labels = [MetricLabel("direction", "in"), MetricLabel("kind", "audio")]
        for count in [5, 7] as [UInt64] {
            var histogram = HistogramSnapshot(bounds: [1, 2])
            histogram.observe(Double(count))
            self.registry.addCollector { [histogram] in
                [
                    MetricFamily("sluice_rtp_packets_total", [MetricSample(labels, .count(count))]),
                    MetricFamily("sluice_forward_duration_seconds", [MetricSample([], .histogram(histogram))]),
                    MetricFamily("sluice_no_such_name", [MetricSample([], .count(1))]),
                ]
            }
        }
        let dimensions = labels.map { ($0.name, $0.value) }
        Counter(label: "sluice_rtp_packets_total", dimensions: dimensions, factory: self.factory).increment()
        let text = self.registry.text(.prometheus)
        #expect(text.contains("\nsluice_rtp_packets_total{direction=\"in\",kind=\"audio\"} 13\n"))
        #expect(text.contains("\nsluice_forward_duration_seconds_sum 12\n"))
        #expect(text.contains("\nsluice_forward_duration_seconds_bucket{le=\"+Inf\"} 2\n"))
        #expect(!text.contains("sluice_no_such_name"))
    }

    @Test("Labels that clients could choose do not make the set of series grow without end")
    func cardinality() {
        for index in 0..<5_000 {
            let dimensions = [("route", "/\(index)")]
            Counter(label: "sluice_http_requests_total", dimensions: dimensions, factory: self.factory).increment()
            Counter(label: "library.metric.\(index)", factory: self.factory).increment()
        }
        let lines = self.registry.text(.prometheus).split(separator: "\n")
        #expect(lines.count { $0.hasPrefix("sluice_http_requests_total{") } == 501)
        #expect(lines.contains("sluice_http_requests_total{route=\"other\"} 4500"))
        #expect(lines.count { $0.hasPrefix("library_metric_") } == 100)
    }

    @Test("Label values are escaped")
    func escaping() {
        let dimensions = [("route", "a\"b\\c\nd")]
        Counter(label: "sluice_http_requests_total", dimensions: dimensions, factory: self.factory).increment()
        #expect(self.registry.text(.prometheus).contains(#"sluice_http_requests_total{route="a\"b\\c\nd"} 1"#))
    }

    @Test("OpenMetrics names a counter's family without _total and ends with # EOF")
    func openMetrics() {
        let text = self.registry.text(.openMetrics)
        #expect(text.contains("\n# TYPE sluice_rtp_packets counter\n"))
        #expect(text.contains("\nsluice_rtp_packets_total{direction=\"in\",kind=\"audio\"} 0\n"))
        #expect(text.contains("_bucket{le=\"1.0\"}"))
        #expect(text.hasSuffix("\n# EOF\n"))
    }

    @Test(
        "Accept chooses the format",
        arguments: [
            (nil, MetricExposition.prometheus), ("*/*", .prometheus), ("application/openmetrics-text", .openMetrics),
            ("text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.8", .prometheus),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.9,*/*;q=0.1",
                .openMetrics
            ),
            ("application/openmetrics-text; version=0.0.1, text/plain; q=0.2", .prometheus), ("image/png", .prometheus),
        ] as [(String?, MetricExposition)]
    )
    func accept(field: String?, expected: MetricExposition) {
        #expect(MetricExposition(accepting: field) == expected)
    }

    @Test("The process is measured")
    func process() throws {
        self.registry.addProcessMetrics()
        self.registry.addBuildInfo(version: "1.2.3", swift: "6.3")
        let lines = self.registry.text(.prometheus).split(separator: "\n")
        for name in ["resident_memory_bytes", "virtual_memory_bytes", "open_fds", "max_fds", "start_time_seconds"] {
            let line = try #require(lines.first { $0.hasPrefix("process_\(name) ") })
            #expect(try #require(Double(line.split(separator: " ")[1])) > 0)
        }
        #expect(lines.contains { $0.hasPrefix("process_cpu_seconds_total ") })
        #expect(lines.contains("sluice_build_info{version=\"1.2.3\",swift=\"6.3\"} 1"))
    }

    private static let promtoolPath = "/usr/bin/promtool"

    @Test("promtool has no complaint", .enabled(if: FileManager.default.isExecutableFile(atPath: promtoolPath)))
    func promtool() throws {
        self.registry.addProcessMetrics()
        self.registry.addBuildInfo(version: "1.2.3", swift: "6.3")
        // One sample for each name of the table, so that the check sees them all.
        for definition in MetricDefinitions.all {
            switch definition.kind {
            case .counter: Counter(label: definition.name, factory: self.factory).increment()
            case .gauge: Gauge(label: definition.name, factory: self.factory).record(1)
            case .histogram: Recorder(label: definition.name, factory: self.factory).record(1)
            }
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Self.promtoolPath)
        process.arguments = ["check", "metrics"]
        let input = Pipe()
        let output = Pipe()
        process.standardInput = input
        process.standardOutput = output
        process.standardError = output
        try process.run()
        try input.fileHandleForWriting.write(contentsOf: Data(self.registry.text(.prometheus).utf8))
        try input.fileHandleForWriting.close()
        let complaints = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        #expect(complaints == "")
    }
}
