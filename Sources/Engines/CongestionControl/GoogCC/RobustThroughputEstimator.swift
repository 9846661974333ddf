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
    /// The first and the last to arrive of the window.
    private var oldest = Packet()
    private var newest = Packet()
    /// The newest send time of the packets that left the window.
    private var discardedSend = Int64.min

    // Kept with each packet that comes and goes, so that asking for the rate costs next to nothing.
    /// Bytes of all packets.
    private var byteCount: Int64 = 0
    /// Neighbours of which the second was sent first.
    private var overtakenCount = 0
    private var gaps = LargestGaps()

    init() {}

    private subscript(_ index: Int) -> Packet {
        get { self.packets[(self.head &+ index) & (Self.capacity - 1)] }
        set { self.packets[(self.head &+ index) & (Self.capacity - 1)] = newValue }
    }

    mutating func reset() {
        self.count = 0
        self.discardedSend = Int64.min
        self.byteCount = 0
        self.overtakenCount = 0
        self.gaps.removeAll()
    }

    /// - Parameters:
    ///   - send: microseconds of our clock.
    ///   - arrival: microseconds of the receiver's.
    mutating func add(send: Int64, arrival: Int64, byteCount: Int) {
        self.add(Packet(send: send, arrival: arrival, byteCount: Int64(byteCount)))
    }

    /// - Parameter packets: in any order.
    mutating func add(_ packets: Span<ReceivedPacket>) {
        for index in 0..<packets.count {
            let packet = packets[index]
            self.add(
                Packet(send: packet.send, arrival: packet.arrival, byteCount: Int64(packet.wholeByteCount))
            )
        }
    }

    @inline(__always) private mutating func add(_ packet: Packet) {
        let arrival = packet.arrival
        if self.packets.count == 0 { self.packets = FixedStorage(repeating: Packet(), count: Self.capacity) }
        // The receiver's clock was set back, or it lies.
        if self.count > 0, self.newest.arrival &- arrival > Self.maximumReordering { return self.reset() }
        self.byteCount += packet.byteCount
        if self.count == 0 || arrival >= self.newest.arrival { self.append(packet) } else { self.insert(packet) }
        while self.isFirstOutside { self.removeFirst() }
        if self.gaps.isIncomplete { self.findGaps() }
    }

    @inline(__always) private mutating func append(_ packet: Packet) {
        if self.count == 0 { self.oldest = packet } else { self.link(self.newest, packet) }
        self[self.count] = packet
        self.count += 1
        self.newest = packet
    }

    /// Where it belongs by its arrival: before the newest.
    @inline(never) private mutating func insert(_ packet: Packet) {
        var index = self.count
        while index > 0, packet.arrival < self[index - 1].arrival {
            self[index] = self[index - 1]
            index -= 1
        }
        self[index] = packet
        self.count += 1
        if index > 0 {
            self.unlink(self[index - 1], self[index + 1])
            self.link(self[index - 1], packet)
        } else {
            self.oldest = packet
        }
        self.link(packet, self[index + 1])
    }

    @inline(__always) private mutating func removeFirst() {
        let first = self.oldest
        self.discardedSend = max(self.discardedSend, first.send)
        self.byteCount -= first.byteCount
        self.head = (self.head &+ 1) & (Self.capacity - 1)
        self.count -= 1
        guard self.count > 0 else { return }
        self.oldest = self[0]
        self.unlink(first, self.oldest)
    }

    /// Two packets have become neighbours.
    @inline(__always) private mutating func link(_ first: Packet, _ second: Packet) {
        self.gaps.insert(second.arrival &- first.arrival)
        if second.send < first.send { self.overtakenCount += 1 }
    }

    @inline(__always) private mutating func unlink(_ first: Packet, _ second: Packet) {
        self.gaps.remove(second.arrival &- first.arrival)
        if second.send < first.send { self.overtakenCount -= 1 }
    }

    @inline(never) private mutating func findGaps() {
        self.gaps.removeAll()
        for index in 1..<max(self.count, 1) { self.gaps.insert(self[index].arrival &- self[index - 1].arrival) }
    }

    @inline(__always) private var isFirstOutside: Bool {
        guard self.count > 0 else { return false }
        let duration = self.newest.arrival &- self.oldest.arrival
        return self.count > Self.maximumPackets || duration > Self.maximumDuration
            || (self.count > Self.minimumPackets && duration > Self.minimumDuration)
    }

    /// bit/s; `nil` before ten packets.
    var bitrate: Double? {
        guard self.count >= Self.requiredPackets else { return nil }
        let first = self.oldest
        // N packets are N - 1 intervals: one packet is left out at either end.
        let duration = self.newest.arrival &- first.arrival &- self.gaps.largest &+ self.gaps.second
        let receiveRate = Self.rate(self.byteCount - first.byteCount, over: duration)
        let sent = self.overtakenCount == 0 && first.send >= self.discardedSend ? self.sentInOrder : self.sent
        guard sent.count >= Self.requiredPackets else { return receiveRate }
        return min(receiveRate, Self.rate(sent.byteCount, over: sent.duration))
    }

    /// What was sent, without the packet that was sent last, and in what time.
    private struct Sent {
        var count: Int
        var byteCount: Int64
        var duration: Int64
    }

    /// They arrived in the order in which they were sent.
    private var sentInOrder: Sent {
        let last = self.newest.send
        // Of those that left together the first stands for the last.
        var index = self.count - 1
        while index > 0, self[index - 1].send == last { index -= 1 }
        return Sent(
            count: self.count,
            byteCount: self.byteCount - self[index].byteCount,
            duration: last &- self.oldest.send
        )
    }

    private var sent: Sent {
        var sent = Sent(count: 0, byteCount: 0, duration: 0)
        var first = Int64.max
        var last = Int64.min
        var lastByteCount: Int64 = 0
        for index in 0..<self.count {
            let packet = self[index]
            guard packet.send >= self.discardedSend else { continue }
            if packet.send > last {
                last = packet.send
                lastByteCount = packet.byteCount
            }
            first = min(first, packet.send)
            sent.byteCount += packet.byteCount
            sent.count += 1
        }
        sent.byteCount -= lastByteCount
        sent.duration = last &- first
        return sent
    }

    private static func rate(_ bytes: Int64, over microseconds: Int64) -> Double {
        Double(bytes) * 8e6 / Double(max(microseconds, 1_000))
    }
}
