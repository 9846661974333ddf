import Basics

/// Unwraps the reference times of transport-wide feedback: 24 bits of 64 ms wrap every 12.4 days.
struct ArrivalClock: Sendable, BitwiseCopyable {
    private static let tick: Int64 = 64_000_000
    /// In microseconds, 142 years. Beyond this a peer has made its clock run in circles: it begins again at zero, as if it had
    /// been set.
    private static let furthest = UInt64(1) << 52

    private var last: Int32?
    /// In microseconds; only differences mean anything.
    private var unwrapped: Int64 = 0

    /// - Returns: microseconds of the receiver's clock.
    mutating func unwrap(_ reference: Nanoseconds) -> Int64 {
        let ticks = Int32(truncatingIfNeeded: reference.count / Self.tick)
        let difference = ((ticks &- (self.last ?? ticks)) << 8) >> 8
        self.last = ticks
        self.unwrapped &+= Int64(difference) * 64_000
        if self.unwrapped.magnitude > Self.furthest { self.unwrapped = 0 }
        return self.unwrapped
    }
}
