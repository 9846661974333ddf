import Basics
import Foundation
import Logging
import Observability
import Synchronization
import Testing

@Suite("Logging")
struct LogOutputTests {
    /// Collects what would have gone to stderr.
    private final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { self.lines.withLock { $0 } }
        func append(_ line: String) { self.lines.withLock { $0.append(line) } }
    }

    private let lines = Lines()

    private func logger(_ format: LogOutput.Format, level: Logger.Level = .info) -> (Logger, LogOutput) {
        let output = LogOutput(level: level, format: format, write: self.lines.append)
        return (Logger(label: "sluice.test") { SluiceLogHandler(label: $0, output: output) }, output)
    }

    @Test("A text line has time, level, label, message and metadata in order")
    func text() throws {
        let (logger, _) = self.logger(.text)
        logger.warning("lost \"it\"", metadata: ["room": "a b", "count": "3"])
        let line = try #require(self.lines.all.first)
        #expect(line.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z .*/) != nil)
        #expect(line.hasSuffix("Z warning  sluice.test: lost \"it\" count=3 room=\"a b\""))
    }

    @Test("A JSON line is one object that parses back to what was logged")
    func json() throws {
        var (logger, _) = self.logger(.json)
        logger[metadataKey: "room"] = "r\"1\\"
        logger.info("tab\there", metadata: ["list": ["a", "b"]])
        let line = try #require(self.lines.all.first)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(object["level"] as? String == "info")
        #expect(object["label"] as? String == "sluice.test")
        #expect(object["message"] as? String == "tab\\there")
        #expect((object["metadata"] as? [String: String])?["room"] == "r\"1\\")
        #expect(Set(object.keys) == ["time", "level", "label", "message", "metadata"])
    }

    @Test(
        "Control characters of clients never reach the terminal or make a second line",
        arguments: [LogOutput.Format.text, .json]
    )
    func injection(format: LogOutput.Format) throws {
        let (logger, _) = self.logger(format)
        let evil = "a\r\n2026-01-01 forged\u{1B}[2J\u{0}\u{85}\u{2028}\u{202E}z"
        logger.info("\(evil)", metadata: ["name": "\(evil)", "\(evil)": "x"])
        let line = try #require(self.lines.all.first)
        let dangerous = line.unicodeScalars.filter {
            [.control, .format, .lineSeparator, .paragraphSeparator].contains($0.properties.generalCategory)
        }
        #expect(dangerous.isEmpty)
        #expect(line.contains("forged"))
    }

    @Test("Secrets are not printed, by name, by type or by form")
    func secrets() throws {
        let (logger, _) = self.logger(.json)
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJrIn0.c2lnbmF0dXJl"
        logger.info(
            "refused \(token) from eyJ",
            metadata: [
                "accessToken": "hunter2", "key": "\(Redacted("hunter2"))", "header": "Bearer \(token)",
                "url": "/x?t=\(token)&y=1",
            ]
        )
        let line = try #require(self.lines.all.first)
        #expect(!line.contains("hunter2"))
        #expect(!line.contains("c2lnbmF0dXJl"))
        #expect(line.contains("refused [redacted] from eyJ"))
        #expect(line.contains("/x?t=[redacted]&y=1"))
    }

    @Test("The level changes for loggers that exist, unless they have one of their own")
    func level() {
        let (logger, output) = self.logger(.text)
        var own = logger
        own.logLevel = .error
        logger.debug("hidden")
        output.configure(level: .debug, format: .json)
        logger.debug("shown")
        own.debug("hidden")
        #expect(self.lines.all.count == 1)
        #expect(self.lines.all.first?.hasPrefix("{") == true)
    }

    @Test("One place that logs without end is cut, and says so in the metrics")
    func flood() {
        let (logger, output) = self.logger(.text)
        let registry = MetricRegistry()
        output.register(in: registry)
        // Well above what a second may have, even when the clock's second turns on the way.
        for _ in 0..<10_000 { logger.info("again") }
        logger.info("another place")
        #expect(self.lines.all.count < 10_000)
        #expect(self.lines.all.last?.hasSuffix("another place") == true)
        let suppressed = 10_001 - self.lines.all.count
        #expect(registry.text(.prometheus).contains("\nsluice_log_suppressed_lines_total \(suppressed)\n"))
    }

    @Test("A message longer than 2,000 characters is cut")
    func length() throws {
        let (logger, _) = self.logger(.text)
        logger.info("\(String(repeating: "x", count: 100_000))")
        #expect(try #require(self.lines.all.first).utf8.count < 2_100)
    }
}
