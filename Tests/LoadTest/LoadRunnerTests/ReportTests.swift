import Basics
import Foundation
import FoundationXML
import LoadClient
import LoadRunner
import TestSupport
import Testing

@Suite struct ReportTests {
    private static let nasty = "<script>alert(\"1\")</script> & 'you' \u{7}"

    private func report() -> RunReport {
        var report = LimitTests.report([Limit(.loss, most: 0.001), Limit(.latencyP99, most: 1)])
        report.scenario.name = Self.nasty
        report.scenario.description = Self.nasty
        report.seconds = 10
        for name in ["one", Self.nasty] {
            var group = RunReport.Group(name: name)
            group.linkName = Self.nasty
            group.totals.packetsReceived = 5
            report.groups.append(group)
        }
        report.failures = [Self.nasty]
        report.joins = [.init(at: 0, took: 0.1), .init(at: 1, took: 0.2)]
        for second in 0..<30 {
            var point = TimelinePoint()
            point.seconds = Double(second)
            point.phase = second > 10 ? .measuring : .joining
            point.packetsPerSecond = 100
            point.latency = [1, 2, 3]
            point.pictures = second > 5 ? [0: 1, 180: 3, 720: 5] : [0: 9]
            point.serverCPU = 0.5
            point.cpuPerPacket = 4e-6
            report.points.append(point)
        }
        report.evaluate()
        return report
    }

    private final class Elements: NSObject, XMLParserDelegate {
        var names: [String] = []
        func parser(
            _ parser: XMLParser,
            didStartElement name: String,
            namespaceURI: String?,
            qualifiedName: String?,
            attributes: [String: String]
        ) { self.names.append(name) }
    }

    /// The names of the elements of a page; fails where it is not well-formed.
    private func elements(_ page: String) -> [String] {
        let parser = XMLParser(data: Data(page.utf8))
        let delegate = Elements()
        parser.delegate = delegate
        #expect(parser.parse(), "\(parser.parserError.map { "\($0)" } ?? "") in line \(parser.lineNumber)")
        return delegate.names
    }

    @Test func `the page is well-formed, has its plots, and lets no name be more than text`() {
        let page = self.report().html
        let elements = self.elements(page)
        #expect(elements.filter { $0 == "svg" }.count == 8)
        #expect(!elements.contains("script"))
        #expect(!page.contains("http://") && !page.contains("https://") && !page.contains("url("))
        #expect(page.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;you&#39;"))
    }

    @Test func `a run that ended early is no pass, whatever its limits say`() throws {
        var report = RunReport(scenario: Scenario(name: "short"))
        report.evaluate()
        #expect(report.passed)
        report.endedEarly = Self.nasty
        #expect(!report.passed)
        #expect(report.text.contains(Self.nasty) && report.text.hasSuffix("FAILED"))
        #expect(!self.elements(report.html).contains("script"))
        let json = try JSONSerialization.jsonObject(with: Data(report.json().utf8)) as? [String: Any]
        #expect(json?["endedEarly"] as? String == Self.nasty)
    }

    @Test func `who lost its session is disconnected though it left later, rejected m-lines are silent, others wait`() {
        func peer(_ change: (inout PeerReport) -> Void) -> PeerReport {
            var peer = PeerReport()
            peer.connectedAfter = .milliseconds(100)
            change(&peer)
            return peer
        }
        var unbound = StreamReport(mid: "1", kind: .video)
        unbound.state = .unbound
        var report = RunReport(scenario: Scenario(name: "s"))
        report.seconds = 10
        report.add(
            [
                peer { $0.hasLostSignalling = true },
                peer {
                    $0.hasLostSignalling = true
                    $0.end = "consent"
                },
                peer {
                    $0.hasLostSignalling = true
                    $0.hasLeft = true
                }, peer { $0.rejectedSections = ["0", "1"] }, peer { $0.streams = [unbound] },
            ],
            failed: 0
        )
        #expect(report.disconnected == 3)
        #expect(report.silentStreams == 2 && report.streams == 2)
        #expect(report.unboundStreams == 1)
        #expect(report.failures.contains { $0.contains("rejected m-lines of 1 sessions") })
    }

    @Test func `who left counts as it was until then`() {
        func peer(_ change: (inout PeerReport) -> Void) -> PeerReport {
            var peer = PeerReport()
            peer.hasLeft = true
            peer.isAnswered = true
            change(&peer)
            return peer
        }
        var silent = StreamReport(mid: "0", kind: .audio)
        silent.silence = .seconds(6)
        var report = RunReport(scenario: Scenario(name: "churn"))
        report.seconds = 10
        report.add(
            [
                // Answered, and never connected for 6 s: not joined. After 1 s nothing is known, without an answer it has
                // failed before.
                peer { $0.age = .seconds(6) }, peer { $0.age = .seconds(1) },
                peer {
                    $0.age = .seconds(6)
                    $0.isAnswered = false
                }, peer { $0.end = "handshake" },
                peer {
                    $0.connectedAfter = .milliseconds(100)
                    $0.streams = [silent, StreamReport(mid: "1", kind: .video)]
                },
            ],
            failed: 1
        )
        #expect(report.notJoined == 3)
        #expect(report.disconnected == 0)
        #expect(report.silentStreams == 1 && report.streams == 1)
    }

    @Test func `figures that were wanted and not had, and joins that a limit refused, are told`() {
        var report = LimitTests.report([])
        #expect(report.warnings.isEmpty && !report.isInconclusive)
        report.figuresSource = "http://server/metrics"
        #expect(report.warnings.first?.contains("http://server/metrics did not tell") == true, "\(report.warnings)")
        report.rateLimited = 19
        #expect(report.isInconclusive)
        #expect(report.doubts.first?.contains("19 sessions were refused because they came too fast") == true)
    }

    @Test func `a long plot draws each dot as it is, and stacks what belongs together`() {
        let points = (0..<10_000).map { (x: Double($0), y: Double($0 % 7)) }
        let dots = Plot("d", unit: "ms", style: .dots, series: [.init("a", colour: "s0", points: points)])
        // Of 0 to 6, no more of the largest than of others.
        #expect(dots.html.components(separatedBy: "<circle").count - 1 == 2_000)
        #expect(Set(dots.series[0].points.map(\.y)).count == 7)
        let halves = points.map { (x: $0.x, y: 6 - $0.y) }
        let stack = Plot(
            "s",
            unit: "streams",
            style: .stacked,
            series: [.init("a", colour: "r0", points: points), .init("b", colour: "r1", points: halves)]
        )
        #expect(zip(stack.series[0].points, stack.series[1].points).allSatisfy { $0.y + $1.y == 6 })
    }

    @Test func `an empty run has a page too`() {
        var report = RunReport(scenario: Scenario(name: "empty"))
        report.evaluate()
        #expect(!self.elements(report.html).contains("svg"))
        #expect(report.text.contains("PASSED"))
    }

    @Test func `the page of a search is well-formed`() {
        var found = FoundLimit(.rooms, scenario: Scenario(name: Self.nasty))
        found.steps = [.init(load: 1, report: self.report()), .init(load: 2, report: self.report())]
        #expect(self.elements(found.html).contains("svg"))
        #expect(throws: Never.self) {
            try JSONSerialization.jsonObject(with: Data(found.json().utf8))
        }
    }

    @Test func `JSON has what the text has`() throws {
        let json = try JSONSerialization.jsonObject(with: Data(self.report().json().utf8)) as? [String: Any]
        #expect(json?["scenario"] as? String == Self.nasty)
        #expect(json?["passed"] as? Bool == false)
        #expect((json?["limits"] as? [Any])?.count == 2)
        #expect((json?["timeline"] as? [Any])?.count == 30)
        #expect((json?["groups"] as? [Any])?.count == 2)
    }

    @Test func `the text names each limit with what was measured`() {
        let text = self.report().text
        #expect(text.contains("FAIL  loss: 1 %, over 0.1 %"))
        #expect(text.contains("ok    latencyP99: "))
        #expect(text.hasSuffix("FAILED"))
    }

    @Test func `a long run is thinned to its peaks`() {
        let points = (0..<10_000).map { (x: Double($0), y: $0 == 5_000 ? 99.0 : 1.0) }
        let plot = Plot("long", unit: "ms", series: [.init("a", colour: "s0", points: points)])
        #expect(plot.html.utf8.count < 100_000)
        #expect(plot.html.contains("a 99 ms"))
    }

    @Test func `progress says at once what goes wrong`() {
        var progress = RunProgress(scenario: "s", point: TimelinePoint(), joined: 1, participants: 20)
        #expect(!progress.text.contains("FAILED"))
        (progress.failures, progress.failure) = (3, "HTTP 401")
        #expect(progress.text.contains("1/20 joined  3 FAILED, the first: HTTP 401"))
    }

    @Test func `progress is one line on a terminal, and a line every five seconds elsewhere`() {
        let progress = RunProgress(scenario: "s", point: TimelinePoint(), joined: 1, participants: 2)
        for (isTerminal, count) in [(true, 12), (false, 3)] {
            let lines = Lines()
            let display = ProgressDisplay(isTerminal: isTerminal) { lines.add($0) }
            let start = ContinuousClock.now
            for second in 0..<12 { display.show(progress, at: start + .seconds(second)) }
            #expect(lines.all.count == count)
            #expect(lines.all.allSatisfy { $0.hasSuffix("\n") != isTerminal })
        }
    }

    private final class Lines: @unchecked Sendable {
        // `@unchecked`: the display writes on the test's own thread.
        private(set) var all: [String] = []
        func add(_ line: String) { self.all.append(line) }
    }
}
