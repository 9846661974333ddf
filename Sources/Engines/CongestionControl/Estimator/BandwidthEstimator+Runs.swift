public import Basics

/// Packets that leave one behind the other at one time, none of them for a probe: each takes its number, and what the
/// estimate rests on is told of all at once.
extension BandwidthEstimator {
    /// `sent` for one of several packets, but for what `noteSent` does for all of them.
    @inlinable @inline(__always) package mutating func takeNumber(byteCount: Int, at now: Instant) -> SequenceNumber {
        self.history.send(byteCount: byteCount &+ self.overhead, at: now)
    }

    /// The packets that took their numbers since the last call leave.
    ///
    /// - Parameters:
    ///   - first: bytes of UDP payload of the first one.
    ///   - byteCount: of all.
    package mutating func noteSent(_ count: Int, first: Int, byteCount: Int, at now: Instant) {
        self.noteSent(byteCount: first &+ self.overhead, at: now)
        guard count > 1 else { return }
        // At the same time as the first, so that only the sum counts.
        let rest = (byteCount &- first) &+ (count &- 1) &* self.overhead
        self.core.limited.sent(byteCount: rest, at: now)
    }

    /// Such packets leave without transport-wide numbers.
    package mutating func sentUntracked(_ count: Int, first: Int, byteCount: Int, at now: Instant) {
        self.noteSent(count, first: first, byteCount: byteCount, at: now)
        self.history.sendUntracked(byteCount: byteCount &+ count &* self.overhead)
    }
}
