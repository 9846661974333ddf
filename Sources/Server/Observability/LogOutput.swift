import Glibc
package import Logging
import Synchronization

/// Where all log lines of the process go, with what may change while it runs.
package final class LogOutput: Sendable {
    package enum Format: Sendable {
        case text, json
    }

    private struct State {
        var level: Logger.Level
        var format: Format
        var limiter = LogRateLimiter()
    }

    private let state: Mutex<State>
    private let write: @Sendable (String) -> Void
    private let suppressed = Atomic<UInt64>(0)

    /// - Parameter write: takes whole lines, one call at a time.
    package init(
        level: Logger.Level = .info,
        format: Format = .text,
        write: @escaping @Sendable (String) -> Void = LogOutput.standardError
    ) {
        self.state = Mutex(State(level: level, format: format))
        self.write = write
    }

    /// Makes this the output of every `Logger` of the process. Once, at start-up.
    package func bootstrap() {
        LoggingSystem.bootstrap { label in SluiceLogHandler(label: label, output: self) }
    }

    package var level: Logger.Level { self.state.withLock { $0.level } }

    /// Takes effect at once, for loggers that exist already too.
    package func configure(level: Logger.Level, format: Format) {
        self.state.withLock { state in
            state.level = level
            state.format = format
        }
    }

    func emit(_ line: LogLine) {
        self.state.withLock { state in
            guard let missed = state.limiter.admit(line.place, at: line.seconds, level: line.level) else {
                self.suppressed.add(1, ordering: .relaxed)
                return
            }
            var line = line
            if missed > 0 { line.metadata.append(("suppressed", "\(missed)")) }
            // Inside the lock, so that lines neither mix nor change their order.
            self.write(state.format == .json ? line.json : line.text)
        }
    }

    /// Adds `sluice_log_suppressed_lines_total`.
    package func register(in registry: MetricRegistry) {
        registry.addCollector { [self] in
            let count = self.suppressed.load(ordering: .relaxed)
            return [MetricFamily("sluice_log_suppressed_lines_total", [MetricSample([], .count(count))])]
        }
    }

    package static let standardError: @Sendable (String) -> Void = { line in
        var bytes = Array(line.utf8)
        bytes.append(10)
        unsafe bytes.withUnsafeBytes { buffer in
            // A log that can't be written must not stop the server.
            _ = unsafe Glibc.write(STDERR_FILENO, buffer.baseAddress, buffer.count)
        }
    }
}

/// Keeps one place in the code from filling the disk: 20 lines a second each, errors included (ATTACKS A-78).
struct LogRateLimiter {
    /// A line of source code, so there are only as many as the program has.
    struct Place: Hashable {
        let file: String
        let line: UInt
    }

    private struct Window {
        var second: Int64
        var count: Int
        var missed: Int
    }

    static let linesPerSecond = 20
    private var windows: [Place: Window] = [:]

    /// How many lines of this place were left out since the last one that was not; `nil` to leave this one out.
    mutating func admit(_ place: Place, at second: Int64, level: Logger.Level) -> Int? {
        // Whoever asks for debug lines wants to see them all.
        guard level >= .info else { return 0 }
        var window = self.windows[place] ?? Window(second: second, count: 0, missed: 0)
        defer { self.windows[place] = window }
        if window.second != second {
            window.second = second
            window.count = 0
        }
        guard window.count < Self.linesPerSecond else {
            window.missed += 1
            return nil
        }
        window.count += 1
        defer { window.missed = 0 }
        return window.missed
    }
}
