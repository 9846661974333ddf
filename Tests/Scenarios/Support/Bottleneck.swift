import Basics

/// A link of limited capacity with a drop-tail queue, on the way to one client.
struct Bottleneck {
    /// What IP and UDP add.
    private static let overhead = 28

    /// Changes are for what comes from now on.
    var rate: Bitrate
    /// What would wait longer is dropped.
    var longestQueue = Nanoseconds.milliseconds(300)
    private var freeAt = Instant.zero
    private(set) var droppedCount = 0
    private(set) var deliveredBytes = 0

    init(rate: Bitrate) { self.rate = rate }

    /// When a datagram has passed; `nil` = it is dropped.
    mutating func pass(byteCount: Int, at now: Instant) -> Instant? {
        let start = max(now, self.freeAt)
        guard start - now <= self.longestQueue else {
            self.droppedCount += 1
            return nil
        }
        let bits = Int64(byteCount + Self.overhead) * 8
        self.freeAt = start + Nanoseconds(bits * 1_000_000_000 / max(self.rate.bitsPerSecond, 1))
        self.deliveredBytes += byteCount
        return self.freeAt
    }
}
