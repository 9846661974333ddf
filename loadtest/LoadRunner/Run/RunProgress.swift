import Synchronization

/// How far a run is.
package struct RunProgress: Sendable {
    package var scenario: String
    package var point: TimelinePoint
    /// Participants that have joined, and how many there will be.
    package var joined: Int
    package var participants: Int
    /// What went wrong first, and how often something did.
    package var failure: String?
    package var failures = 0
    /// Seconds of this phase that are left.
    package var remaining: Double?

    package init(
        scenario: String,
        point: TimelinePoint,
        joined: Int,
        participants: Int,
        remaining: Double? = nil
    ) {
        self.scenario = scenario
        self.point = point
        self.joined = joined
        self.participants = participants
        self.remaining = remaining
    }

    /// One line.
    package var text: String {
        let point = self.point
        var words = ["\(self.scenario): \(point.phase.rawValue)"]
        if point.phase == .joining {
            words.append("\(self.joined)/\(self.participants) joined")
        } else if let remaining {
            words.append("\(Int(remaining.rounded())) s left")
        }
        if let failure { words.append("\(self.failures) FAILED, the first: \(failure.prefix(120))") }
        words.append("\(point.connected) connected")
        words.append("\(Decimal.text(point.packetsPerSecond, digits: 0)) packets/s")
        words.append("\(Decimal.text(point.bitsPerSecond / 1e6, digits: 1)) Mbit/s")
        words.append("loss \(Decimal.text(point.loss * 100, digits: 2)) %")
        words.append("p99 \(Decimal.text(point.latency[2], digits: 1)) ms")
        if let cpu = point.serverCPU { words.append("server \(Decimal.text(cpu * 100, digits: 0)) % of a core") }
        if point.clientCPU + point.clientWait > ClientLoad.most {
            words.append("this client \(Decimal.text((point.clientCPU + point.clientWait) * 100, digits: 0)) % busy")
        }
        return words.joined(separator: "  ")
    }
}

/// Shows progress: on a terminal one line that is drawn over and over, elsewhere a line every five seconds.
package final class ProgressDisplay: Sendable {
    private static let plainInterval = Duration.seconds(5)

    private let isTerminal: Bool
    private let write: @Sendable (String) -> Void
    private let lastLine = Mutex<ContinuousClock.Instant?>(nil)

    /// - Parameter write: gets text as it is to be printed, ends of lines and all.
    package init(isTerminal: Bool, write: @escaping @Sendable (String) -> Void) {
        self.isTerminal = isTerminal
        self.write = write
    }

    package func show(_ progress: RunProgress, at now: ContinuousClock.Instant = .now) {
        // Back to the start of the line, clear what stands there, and let a narrow terminal cut rather than wrap.
        if self.isTerminal { return self.write("\r\u{1B}[K\u{1B}[?7l\(progress.text)\u{1B}[?7h") }
        let isDue = self.lastLine.withLock { last in
            if let last, now - last < Self.plainInterval { return false }
            last = now
            return true
        }
        if isDue { self.write(progress.text + "\n") }
    }

    /// A line that stays.
    package func note(_ line: String) {
        self.end()
        self.write(line + "\n")
    }

    /// Makes room for what is printed next.
    package func end() { if self.isTerminal { self.write("\r\u{1B}[K") } }
}
