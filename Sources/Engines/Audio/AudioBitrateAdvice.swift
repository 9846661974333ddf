package import Basics

/// What bitrate a publisher of audio should use, by what its receivers or its uplink lose.
///
/// Down by a fifth above 5 % of loss: fewer bits get through more often. Up by a fifth below 1 % of loss and under
/// 100 ms of round trip. Feed it once a second.
package struct AudioBitrateAdvice: Sendable, Equatable {
    package static let range = Bitrate.kbps(32)...Bitrate.kbps(256)

    /// The bitrate that was advised last.
    package private(set) var bitrate: Bitrate

    /// - Parameter start: what the publisher uses by itself; brought into `range`.
    package init(start: Bitrate) { self.bitrate = Self.clamped(start.bitsPerSecond) }

    /// - Parameters:
    ///   - lossFraction: 0...1, of the last second; anything else is not taken.
    ///   - roundTripTime: `nil` = unknown: no advice upwards.
    /// - Returns: a new bitrate to tell the publisher; `nil` when the old one stands.
    package mutating func update(lossFraction: Double, roundTripTime: Nanoseconds?) -> Bitrate? {
        guard lossFraction >= 0, lossFraction <= 1 else { return nil }
        let previous = self.bitrate
        if lossFraction > 0.05 {
            self.bitrate = Self.clamped(previous.bitsPerSecond * 4 / 5)
        } else if lossFraction < 0.01, let roundTripTime, roundTripTime < .milliseconds(100) {
            self.bitrate = Self.clamped(previous.bitsPerSecond * 6 / 5)
        }
        return self.bitrate == previous ? nil : self.bitrate
    }

    private static func clamped(_ bitsPerSecond: Int64) -> Bitrate {
        let value = min(max(bitsPerSecond, Self.range.lowerBound.bitsPerSecond), Self.range.upperBound.bitsPerSecond)
        return Bitrate(bitsPerSecond: value)
    }
}
