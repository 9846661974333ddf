/// How fast the packets of one frame arrive behind each other. They leave in one burst, so this is near the link's rate;
/// when it jumps, the link has become another, and a probe is worth its cost (rule P).
///
/// It is a hint and nothing more: radios deliver bursts of their own making.
struct BurstRate: Sendable, BitwiseCopyable {
    private static let burst: Int64 = 3_000
    private static let weight = 0.15
    private static let jump = 1.35

    private var firstSend: Int64?
    private var firstArrival: Int64 = 0
    private var lastArrival: Int64 = 0
    private var bits = 0.0
    private var count = 0
    private var mean: Double?
    private var reference: Double?

    @inline(__always) mutating func add(send: Int64, arrival: Int64, byteCount: Int) {
        if let first = self.firstSend, send &- first <= Self.burst, send >= first {
            self.lastArrival = arrival
            self.bits += Double(byteCount) * 8
            self.count += 1
            return
        }
        let span = self.lastArrival &- self.firstArrival
        if self.count >= 1, span > 0 {
            let rate = self.bits * 1e6 / Double(span)
            self.mean = self.mean.map { $0 + (rate - $0) * Self.weight } ?? rate
        }
        self.firstSend = send
        self.firstArrival = arrival
        self.lastArrival = arrival
        self.bits = 0
        self.count = 0
    }

    /// The link is full as it is: later bursts are compared with those of now.
    mutating func mark() { self.reference = self.mean }

    /// Whether the link has become faster since.
    mutating func hasJumped() -> Bool {
        guard let mean = self.mean, let reference = self.reference else { return false }
        // It may have become slower since; what counts is the way up from there.
        guard mean > reference * Self.jump else {
            self.reference = min(reference, mean)
            return false
        }
        return true
    }
}
