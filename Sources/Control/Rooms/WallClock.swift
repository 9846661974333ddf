import FoundationEssentials

/// The time of day, for tokens and deadlines that clients read.
package enum WallClock {
    package static var secondsSince1970: Int64 { Int64(Date().timeIntervalSince1970) }

    /// As in RFC 3339: `2026-11-21T06:00:00Z`.
    package static func text(secondsSince1970 seconds: Int64) -> String {
        Date(timeIntervalSince1970: Double(seconds)).ISO8601Format()
    }
}
