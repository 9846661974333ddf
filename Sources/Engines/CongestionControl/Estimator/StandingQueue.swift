/// How long every packet has had to wait of late: the least delay of what was *sent* in the last 200 ms, above the least
/// delay of the last 12 s (rule V).
///
/// A queue that stands is congestion; a delay that some packets had and others had not is the radio. The window is in
/// send time: a pause of 100 ms holds back everything that was sent in it, but never 200 ms of packets.
struct StandingQueue: Sendable {
    /// Below this no queue stands, whatever the slope says: one millisecond of the receiver's clock, two of pacing, and
    /// the time that a packet needs on a slow link.
    static let negligible = 6.0
    /// The same while packets leave two by two: one of them waits for the other.
    static let negligibleInPairs = 10.0

    /// The same while a probe of our own is on its way: it may leave a queue.
    static let disturbed = 40.0

    private static let windowBuckets: Int64 = 8
    private static let bucketMicroseconds: Int64 = 25_000
    private static let baseBuckets: Int64 = 12
    private static let baseMicroseconds: Int64 = 1_000_000

    private var meanSize = 0.0
    private var recent = InlineArray<8, Int64>(repeating: .max)
    private var recentIndex: Int64?
    private var base = InlineArray<16, Int64>(repeating: .max)
    private var baseIndex: Int64?
    /// Where the newest bucket of either ends, in microseconds of our clock.
    private var recentEnd = Int64.min
    private var baseEnd = Int64.min
    /// The least of `recent`, and of the last twelve of `base`.
    private var recentLow = Int64.max
    private var baseLow = Int64.max

    /// - Parameters:
    ///   - send: microseconds of our clock.
    ///   - arrival: microseconds of the receiver's.
    ///   - byteCount: small packets take less time on a slow link, and are compared with nothing.
    @inline(__always) mutating func add(send: Int64, arrival: Int64, byteCount: Int) {
        self.meanSize += (Double(byteCount) - self.meanSize) / 32
        guard Double(byteCount) > self.meanSize / 2 else { return }
        let delay = arrival &- send
        if send >= self.recentEnd { self.beginRecent(send) }
        if send >= self.recentEnd &- Self.windowBuckets * Self.bucketMicroseconds {
            let slot = Int(send / Self.bucketMicroseconds & 7)
            if delay < self.recent[slot] { self.recent[slot] = delay }
            if delay < self.recentLow { self.recentLow = delay }
        }
        if send >= self.baseEnd { self.beginBase(send) }
        if send >= self.baseEnd &- Self.baseBuckets * Self.baseMicroseconds {
            let slot = Int(send / Self.baseMicroseconds & 15)
            if delay < self.base[slot] { self.base[slot] = delay }
            if delay < self.baseLow { self.baseLow = delay }
        }
    }

    private mutating func beginRecent(_ send: Int64) {
        let index = send / Self.bucketMicroseconds
        let last = self.recentIndex ?? index - Self.windowBuckets
        for passed in max(last + 1, index - Self.windowBuckets + 1)...index { self.recent[Int(passed & 7)] = .max }
        self.recentIndex = index
        self.recentEnd = (index + 1) * Self.bucketMicroseconds
        self.recentLow = self.leastRecent(Self.windowBuckets)
    }

    private mutating func beginBase(_ send: Int64) {
        let second = send / Self.baseMicroseconds
        let last = self.baseIndex ?? second - Self.baseBuckets
        for passed in max(last + 1, second - Self.baseBuckets)...second { self.base[Int(passed & 15)] = .max }
        self.baseIndex = second
        self.baseEnd = (second + 1) * Self.baseMicroseconds
        self.baseLow = self.leastBase()
    }

    /// The delay of now is the delay of an empty path: the way has become longer.
    mutating func rebase() {
        for index in self.base.indices { self.base[index] = self.recentLow }
        self.baseLow = self.recentLow
    }

    /// In milliseconds; `nil` before the first packet.
    @inline(__always) var milliseconds: Double? { self.excess(self.recentLow) }

    /// The same for what was sent in the last 75 ms: enough when the queue is long and nothing has stalled.
    @inline(__always) var shortMilliseconds: Double? { self.excess(self.leastRecent(3)) }

    /// How long packets with such a delay had to wait.
    @inline(__always) func excess(_ low: Int64) -> Double? {
        guard low < .max, self.baseLow < .max else { return nil }
        return Double(max(low &- self.baseLow, 0)) / 1_000
    }

    /// - Parameter buckets: the newest: 1...8.
    @inline(__always) private func leastRecent(_ buckets: Int64) -> Int64 {
        guard let index = self.recentIndex else { return .max }
        let recent = self.recent.span
        var low = Int64.max
        for passed in 0..<buckets { low = min(low, recent[Int((index - passed) & 7)]) }
        return low
    }

    private func leastBase() -> Int64 {
        guard let index = self.baseIndex else { return .max }
        let base = self.base.span
        var low = Int64.max
        for passed in 0..<Self.baseBuckets { low = min(low, base[Int((index - passed) & 15)]) }
        return low
    }
}
