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

    /// - Parameters:
    ///   - send: microseconds of our clock.
    ///   - arrival: microseconds of the receiver's.
    ///   - byteCount: small packets take less time on a slow link, and are compared with nothing.
    mutating func add(send: Int64, arrival: Int64, byteCount: Int) {
        self.meanSize += (Double(byteCount) - self.meanSize) / 32
        guard Double(byteCount) > self.meanSize / 2 else { return }
        let delay = arrival &- send
        let index = send / Self.bucketMicroseconds
        let last = self.recentIndex ?? index - Self.windowBuckets
        if index > last {
            for passed in max(last + 1, index - Self.windowBuckets + 1)...index { self.recent[Int(passed & 7)] = .max }
            self.recentIndex = index
        }
        if index > (self.recentIndex ?? index) - Self.windowBuckets {
            self.recent[Int(index & 7)] = min(self.recent[Int(index & 7)], delay)
        }
        let second = send / Self.baseMicroseconds
        let lastSecond = self.baseIndex ?? second - Self.baseBuckets
        if second > lastSecond {
            for passed in max(lastSecond + 1, second - Self.baseBuckets)...second { self.base[Int(passed & 15)] = .max }
            self.baseIndex = second
        }
        if second > (self.baseIndex ?? second) - Self.baseBuckets {
            self.base[Int(second & 15)] = min(self.base[Int(second & 15)], delay)
        }
    }

    /// The delay of now is the delay of an empty path: the way has become longer.
    mutating func rebase() {
        var low = Int64.max
        for index in self.recent.indices { low = min(low, self.recent[index]) }
        for index in self.base.indices { self.base[index] = low }
    }

    /// In milliseconds; `nil` before the first packet.
    var milliseconds: Double? { self.least(Self.windowBuckets) }

    /// The same for what was sent in the last 75 ms: enough when the queue is long and nothing has stalled.
    var shortMilliseconds: Double? { self.least(3) }

    private func least(_ buckets: Int64) -> Double? {
        guard let index = self.recentIndex else { return nil }
        var low = Int64.max
        for passed in 0..<buckets { low = min(low, self.recent[Int((index - passed) & 7)]) }
        var base = Int64.max
        for passed in 0..<Self.baseBuckets { base = min(base, self.base[Int(((self.baseIndex ?? 0) - passed) & 15)]) }
        guard low < .max, base < .max else { return nil }
        return Double(max(low &- base, 0)) / 1_000
    }
}
