import Foundation
import Glibc
package import Logging

/// The handler behind every `Logger`: adds metadata up, makes it safe, and passes it to the one output.
package struct SluiceLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?

    private let label: String
    private let output: LogOutput
    private var ownLevel: Logger.Level?

    package init(label: String, output: LogOutput) {
        self.label = label
        self.output = output
    }

    /// The process's level, unless this logger was given one of its own.
    package var logLevel: Logger.Level {
        get { self.ownLevel ?? self.output.level }
        set { self.ownLevel = newValue }
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { self.metadata[key] }
        set { self.metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var all = self.metadata
        if let provided = self.metadataProvider?.get() { all.merge(provided) { $1 } }
        if let own = event.metadata { all.merge(own) { $1 } }
        if let error = event.error { all["error"] = "\(error)" }
        let pairs = all.sorted { $0.key < $1.key }
            .map { (key: logSafe($0.key), value: isSecret($0.key) ? "[redacted]" : logSafe($0.value.description)) }
        let now = wallClock()
        self.output.emit(
            LogLine(
                seconds: now.seconds,
                timestamp: now.text,
                level: event.level,
                label: self.label,
                message: logSafe(event.message.description),
                metadata: pairs,
                place: LogRateLimiter.Place(file: event.file, line: event.line)
            )
        )
    }
}

/// Names that no value may be printed under, whoever logs it.
private func isSecret(_ key: String) -> Bool {
    let key = key.lowercased()
    return ["token", "secret", "password", "authorization", "credential", "privatekey", "cookie"].contains {
        key.contains($0)
    }
}

/// RFC 3339 in UTC with milliseconds.
private func wallClock() -> (seconds: Int64, text: String) {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return (Int64(time.tv_sec), utcText(seconds: Int64(time.tv_sec), milliseconds: Int64(time.tv_nsec) / 1_000_000))
}

/// - Parameter seconds: since 1970-01-01 00:00 UTC, not negative.
func utcText(seconds: Int64, milliseconds: Int64) -> String {
    func padded(_ value: Int64, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    // Years that begin in March put the leap day at the end; 146,097 days are 400 such years.
    let days = seconds / 86_400 + 719_468
    let dayOfEra = days % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shifted = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * shifted + 2) / 5 + 1
    let month = shifted < 10 ? shifted + 3 : shifted - 9
    let year = days / 146_097 * 400 + yearOfEra + (month <= 2 ? 1 : 0)
    let time = seconds % 86_400
    return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
        + "T\(padded(time / 3_600, 2)):\(padded(time / 60 % 60, 2)):\(padded(time % 60, 2)).\(padded(milliseconds, 3))Z"
}
