/// What the link delivers now: the bytes that arrived in the last 300 ms, or less (rule S), and the least delay that
/// they had.
///
/// While a queue stands this is the link's rate. The acknowledged rate looks back a second: after a drop it still holds
/// most of what arrived before, and the first decrease is too small; when little was sent before, it is too large.
struct ServiceRate: Sendable {
    private static let buckets: Int64 = 30
    private static let bucketMicroseconds: Int64 = 10_000
    private static let never = Int64.max - Self.bucketMicroseconds

    /// Bytes of a bucket in which the link was busy with more than sound.
    private static let busy: Int64 = 400

    /// How far back is looked, and what is a pause of the link.
    struct Window: Sendable, BitwiseCopyable {
        /// Of 10 ms.
        fileprivate let buckets: Int64
        /// Buckets in a row with less than a packet of video: a link that is busy has fewer, unless it is slower.
        fileprivate let pause: Int

        /// 60 ms.
        static let short = Window(buckets: 6, pause: 2)
        /// 100 ms, for links that take up to 40 ms for a packet.
        static let long = Window(buckets: 10, pause: 4)
    }

    /// What arrived last, while the link did not pause.
    struct Latest: Sendable, BitwiseCopyable {
        /// bit/s.
        var bitrate: Double
        /// The least of arrival less send, in microseconds, of two clocks.
        var leastTransit: Int64
        /// By how much that has risen from the first 10 ms of them to the last.
        var rise: Int64
    }

    private var bytes = InlineArray<32, Int64>(repeating: 0)
    private var leastTransits = InlineArray<32, Int64>(repeating: .max)
    private var index: Int64?
    /// The bucket that the last packet went into, and the arrival that it begins with.
    private var slot = 0
    private var start = Self.never

    /// - Parameters:
    ///   - send: microseconds of our clock.
    ///   - arrival: microseconds of the receiver's.
    @inline(__always) mutating func add(send: Int64, arrival: Int64, byteCount: Int) {
        // Most come next to the one before.
        if arrival < self.start || arrival &- self.start >= Self.bucketMicroseconds { self.begin(arrival) }
        self.bytes[self.slot] += Int64(byteCount)
        let transit = arrival &- send
        if transit < self.leastTransits[self.slot] { self.leastTransits[self.slot] = transit }
    }

    private mutating func begin(_ arrival: Int64) {
        let index = arrival / Self.bucketMicroseconds
        // Around zero a bucket is twice as long.
        if index > 0 { self.start = index * Self.bucketMicroseconds } else { self.start = Self.never }
        self.slot = Int(index & 31)
        guard let last = self.index, index > last - Self.buckets, index < last + 1_000_000 else {
            self.bytes = InlineArray(repeating: 0)
            self.leastTransits = InlineArray(repeating: .max)
            self.index = index
            return
        }
        guard index > last else { return }
        for passed in max(last + 1, index - 31)...index {
            self.bytes[Int(passed & 31)] = 0
            self.leastTransits[Int(passed & 31)] = .max
        }
        self.index = index
    }

    /// bit/s over the last 300 ms: frames of 30 a second spread by a tenth.
    @inline(__always) var bitrate: Double? { self.bitrate(Self.buckets) }

    /// bit/s over the last 140 ms: exact while a queue stands, for then the link never pauses.
    @inline(__always) var shortBitrate: Double? { self.bitrate(14) }

    /// What arrived last; `nil` when the link paused meanwhile: frames come in bursts, and what is between them says nothing
    /// of the link. While a queue stands it never pauses.
    /// - Parameter arrival: the latest of those that are looked at; what has arrived by a clock that went back is none.
    @inline(__always) func latest(_ window: Window, until arrival: Int64) -> Latest? {
        guard let last = self.index, arrival / Self.bucketMicroseconds >= last else { return nil }
        let bytes = self.bytes.span
        let transits = self.leastTransits.span
        var sum: Int64 = 0
        var least = transits[Int(last & 31)]
        var newest: Int64?
        var oldest = Int64.max
        var idle = 0
        for passed in 1...window.buckets {
            let slot = Int((last - passed) & 31)
            idle = bytes[slot] < Self.busy ? idle + 1 : 0
            guard idle < window.pause else { return nil }
            sum += bytes[slot]
            guard bytes[slot] > 0 else { continue }
            least = min(least, transits[slot])
            if newest == nil { newest = transits[slot] }
            oldest = transits[slot]
        }
        guard let newest else { return nil }
        return Latest(
            bitrate: Double(sum) * 8e6 / Double(window.buckets * Self.bucketMicroseconds),
            leastTransit: least,
            rise: newest &- oldest
        )
    }

    /// The bucket that is being filled is left out.
    @inline(__always) private func bitrate(_ buckets: Int64) -> Double? {
        guard let last = self.index else { return nil }
        let bytes = self.bytes.span
        var sum: Int64 = 0
        for passed in 1...buckets { sum += bytes[Int((last - passed) & 31)] }
        return Double(sum) * 8e6 / Double(buckets * Self.bucketMicroseconds)
    }
}
