import Glibc

/// How a TCP sender's window grows and shrinks, in segments.
package struct CongestionWindow: Sendable {
    package enum Algorithm: Sendable {
        /// RFC 5681 and 6582.
        case newReno
        /// RFC 9438.
        case cubic
    }

    private static let cubicScale = 0.4
    private static let cubicDecrease = 0.7

    private let algorithm: Algorithm
    package private(set) var segments = 10.0
    private var slowStartThreshold = Double.infinity
    /// CUBIC: the window before the last decrease, and when that was.
    private var lastMaximum = 0.0
    private var epoch: Microseconds?

    package init(_ algorithm: Algorithm) { self.algorithm = algorithm }

    package mutating func acknowledged(roundTripTime: Microseconds, at now: Microseconds) {
        guard self.segments >= self.slowStartThreshold else {
            self.segments += 1
            return
        }
        switch self.algorithm {
        case .newReno: self.segments += 1 / self.segments
        case .cubic: self.growCubic(roundTripTime: roundTripTime, at: now)
        }
    }

    private mutating func growCubic(roundTripTime: Microseconds, at now: Microseconds) {
        let epoch = self.epoch ?? now
        self.epoch = epoch
        let roundTrip = max(Double(roundTripTime) / 1e6, 0.001)
        let elapsed = Double(now - epoch) / 1e6
        let decrease = Self.cubicDecrease
        let inflection = cbrt(self.lastMaximum * (1 - decrease) / Self.cubicScale)
        let distance = elapsed + roundTrip - inflection
        let target = Self.cubicScale * distance * distance * distance + self.lastMaximum
        let friendly = self.lastMaximum * decrease + 3 * (1 - decrease) / (1 + decrease) * elapsed / roundTrip
        self.segments += max((min(target, 1.5 * self.segments) - self.segments) / self.segments, 0.01 / self.segments)
        self.segments = max(self.segments, friendly)
    }

    /// Once per window in which something was lost.
    package mutating func lost() {
        let decrease = self.algorithm == .cubic ? Self.cubicDecrease : 0.5
        // Fast convergence: a window that did not reach the last one leaves room.
        self.lastMaximum = self.segments < self.lastMaximum ? self.segments * (1 + decrease) / 2 : self.segments
        self.segments = max(self.segments * decrease, 2)
        self.slowStartThreshold = self.segments
        self.epoch = nil
    }

    package mutating func timedOut() {
        self.lastMaximum = self.segments
        self.slowStartThreshold = max(self.segments / 2, 2)
        self.segments = 1
        self.epoch = nil
    }
}

extension SeededRandom {
    /// Exponentially distributed with mean 1.
    package mutating func exponential() -> Double { -log(1 - Double.random(in: 0..<1, using: &self)) }
}
