/// A point in monotonic time, in nanoseconds since an arbitrary start.
///
/// Engines never read a clock: they are handed an `Instant` with every input, which is what lets a test run hours of
/// virtual time in milliseconds. A plain 64-bit count, because the packet path compares instants on every packet and
/// `ContinuousClock.Instant` is 128 bits wide.
@usableFromInline package struct Instant: Hashable, Comparable, Sendable, BitwiseCopyable {
    @usableFromInline package var nanoseconds: Int64

    @inlinable package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    @inlinable package static var zero: Self { Instant(nanoseconds: 0) }
    /// Later than every deadline anybody sets.
    @inlinable package static var distantFuture: Self { Instant(nanoseconds: .max) }

    @inlinable package static func < (lhs: Self, rhs: Self) -> Bool { lhs.nanoseconds < rhs.nanoseconds }

    @inlinable package static func + (lhs: Self, rhs: Nanoseconds) -> Self {
        Self(nanoseconds: lhs.nanoseconds &+ rhs.count)
    }

    /// The time from `rhs` to `lhs`; negative when `lhs` is earlier.
    @inlinable package static func - (lhs: Self, rhs: Self) -> Nanoseconds {
        Nanoseconds(lhs.nanoseconds &- rhs.nanoseconds)
    }
}

/// A length of time, in nanoseconds. 64 bits hold 292 years.
@usableFromInline package struct Nanoseconds: Hashable, Comparable, Sendable, BitwiseCopyable {
    @usableFromInline package var count: Int64

    @inlinable package init(_ count: Int64) { self.count = count }

    @inlinable package static var zero: Self { Nanoseconds(0) }

    @inlinable package static func microseconds(_ count: Int64) -> Self { Self(count &* 1_000) }
    @inlinable package static func milliseconds(_ count: Int64) -> Self { Self(count &* 1_000_000) }
    @inlinable package static func seconds(_ count: Int64) -> Self { Self(count &* 1_000_000_000) }
    @inlinable package static func fractionalSeconds(_ count: Double) -> Self { Self(Int64(count * 1e9)) }

    @inlinable package var inSeconds: Double { Double(self.count) / 1e9 }
    @inlinable package var inMilliseconds: Double { Double(self.count) / 1e6 }

    @inlinable package static func < (lhs: Self, rhs: Self) -> Bool { lhs.count < rhs.count }
    @inlinable package static func + (lhs: Self, rhs: Self) -> Self { Self(lhs.count &+ rhs.count) }
    @inlinable package static func - (lhs: Self, rhs: Self) -> Self { Self(lhs.count &- rhs.count) }
    @inlinable package static func * (lhs: Self, rhs: Int64) -> Self { Self(lhs.count &* rhs) }
    @inlinable package static func / (lhs: Self, rhs: Int64) -> Self { Self(lhs.count / rhs) }
}

/// Wall-clock time as NTP counts it: seconds since 1900 in the upper 32 bits, fractions in the lower (RFC 5905 §6).
///
/// Only sender reports need it; it is an input like every other reading of a clock.
@usableFromInline package struct NTPTime: Hashable, Sendable, BitwiseCopyable {
    @usableFromInline package var rawValue: UInt64

    @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }

    /// - Parameter unixNanoseconds: nanoseconds since 1970-01-01 00:00 UTC.
    package init(unixNanoseconds: Int64) {
        let seconds = UInt64(bitPattern: unixNanoseconds / 1_000_000_000) &+ 2_208_988_800
        let fraction = (UInt64(bitPattern: unixNanoseconds % 1_000_000_000) << 32) / 1_000_000_000
        self.rawValue = seconds << 32 | fraction
    }

    /// The middle 32 bits, as report blocks carry them (RFC 3550 §6.4.1, LSR).
    @inlinable package var middle32: UInt32 { UInt32(truncatingIfNeeded: self.rawValue >> 16) }

    /// Seconds from `other` to `self`, exact to about 0.2 ns.
    @inlinable package func seconds(since other: Self) -> Double {
        Double(Int64(bitPattern: self.rawValue &- other.rawValue)) / 4_294_967_296.0
    }

    @inlinable package func advanced(by duration: Nanoseconds) -> Self {
        let fraction = Int64(Double(duration.count) * 4.294967296)
        return Self(rawValue: self.rawValue &+ UInt64(bitPattern: fraction))
    }
}
