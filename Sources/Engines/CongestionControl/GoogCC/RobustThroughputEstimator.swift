/// What arrives, in bit/s: the lower of the send and receive rates over a second of packets or more (libwebrtc,
/// robust_throughput_estimator). One gap, the largest, is taken out, so that a pause of the radio does not count.
///
/// Memory: 12 KiB, made with the first packet.
struct RobustThroughputEstimator: ~Copyable, Sendable {
    private static let capacity = 512
    private static let maximumPackets = 500
    private static let minimumPackets = 20
    private static let requiredPackets = 10
    private static let minimumDuration: Int64 = 1_000_000
    private static let maximumDuration: Int64 = 5_000_000
    private static let maximumReordering: Int64 = 1_000_000

    struct Packet: Sendable, BitwiseCopyable {
        var send: Int64 = 0
        var arrival: Int64 = 0
        /// Untracked ones before it included.
        var byteCount: Int64 = 0
    }

    private var packets = FixedStorage<Packet>(repeating: Packet(), count: 0)
    private var head = 0
    private var count = 0
    /// The newest send time of the packets that left the window.
    private var discardedSend = Int64.min

    init() {}

    private subscript(_ index: Int) -> Packet {
        get { self.packets[(self.head &+ index) & (Self.capacity - 1)] }
        set { self.packets[(self.head &+ index) & (Self.capacity - 1)] = newValue }
    }

    mutating func reset() {
        self.count = 0
        self.discardedSend = Int64.min
    }

    /// - Parameters:
    ///   - send: microseconds of our clock.
    ///   - arrival: microseconds of the receiver's.
    mutating func add(send: Int64, arrival: Int64, byteCount: Int) {
        if self.packets.count == 0 { self.packets = FixedStorage(repeating: Packet(), count: Self.capacity) }
        self[self.count] = Packet(send: send, arrival: arrival, byteCount: Int64(byteCount))
        self.count += 1
        var index = self.count - 1
        while index > 0, self[index].arrival < self[index - 1].arrival {
            let packet = self[index]
            self[index] = self[index - 1]
            self[index - 1] = packet
            index -= 1
        }
        // The receiver's clock was set back, or it lies.
        if self[self.count - 1].arrival &- arrival > Self.maximumReordering { return self.reset() }
        while self.isFirstOutside {
            self.discardedSend = max(self.discardedSend, self[0].send)
            self.head = (self.head &+ 1) & (Self.capacity - 1)
            self.count -= 1
        }
    }

    private var isFirstOutside: Bool {
        guard self.count > 0 else { return false }
        let duration = self[self.count - 1].arrival &- self[0].arrival
        return self.count > Self.maximumPackets || duration > Self.maximumDuration
            || (self.count > Self.minimumPackets && duration > Self.minimumDuration)
    }

    /// bit/s; `nil` before ten packets.
    var bitrate: Double? {
        guard self.count >= Self.requiredPackets else { return nil }
        var largestGap: Int64 = 0
        var secondGap: Int64 = 0
        var received: Int64 = 0
        var sent: Int64 = 0
        var sentCount = 0
        var firstSend = Int64.max
        var lastSend = Int64.min
        var lastSentBytes: Int64 = 0
        var before = self[0].arrival
        for index in 0..<self.count {
            let packet = self[index]
            let gap = packet.arrival &- before
            before = packet.arrival
            if gap > largestGap {
                secondGap = largestGap
                largestGap = gap
            } else {
                secondGap = max(secondGap, gap)
            }
            received += packet.byteCount
            guard packet.send >= self.discardedSend else { continue }
            if packet.send > lastSend {
                lastSend = packet.send
                lastSentBytes = packet.byteCount
            }
            firstSend = min(firstSend, packet.send)
            sent += packet.byteCount
            sentCount += 1
        }
        // N packets are N - 1 intervals: one packet is left out at either end.
        let duration = self[self.count - 1].arrival &- self[0].arrival &- largestGap &+ secondGap
        let receiveRate = Self.rate(received - self[0].byteCount, over: duration)
        guard sentCount >= Self.requiredPackets else { return receiveRate }
        return min(receiveRate, Self.rate(sent - lastSentBytes, over: lastSend &- firstSend))
    }

    private static func rate(_ bytes: Int64, over microseconds: Int64) -> Double {
        Double(bytes) * 8e6 / Double(max(microseconds, 1_000))
    }
}
