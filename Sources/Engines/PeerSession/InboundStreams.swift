package import Basics
import SRTP

/// The RTP streams that a peer sends, with the replay state of each: at most 32 (ATTACKS A-53).
///
/// A stream is entered only by a packet that passed authentication. When the table is full, the stream that has been
/// silent longest makes room if it has been silent for 10 s; otherwise the newcomer is refused, so that a flood of new
/// SSRCs cannot push out those that carry media. What made room is remembered by its packet index: a track that was
/// muted for minutes comes back in the middle of its numbers, and nobody tells us its roll-over counter (RFC 3711
/// §3.3.1).
@safe
package struct InboundStreams: ~Copyable {
    package static let capacity = 32
    private static let idleLimit = Nanoseconds.seconds(10)

    /// Streams that made room, the longest ago first.
    package static let retiredCapacity = 64

    private struct Retired {
        let ssrc: UInt32
        let highestIndex: UInt64
    }

    private struct Stream {
        var replay = SRTPStreamState()
        var lastPacket = Instant.zero
    }

    /// Scanned for each packet: 128 bytes, two cache lines.
    private var ssrcs = InlineArray<32, UInt32>(repeating: 0)
    package private(set) var count = 0
    /// Made with the first packet, for as many as there are: most peers of a large room only listen.
    private var storage: UnsafeMutablePointer<Stream>?
    private var storageCapacity = 0
    private var retired: [Retired] = []

    package init() { unsafe self.storage = nil }

    deinit { unsafe self.storage?.deallocate() }

    package func index(of ssrc: SSRC) -> Int? {
        for index in 0..<self.count where self.ssrcs[index] == ssrc.value { return index }
        return nil
    }

    package func ssrc(at index: Int) -> SSRC? {
        index >= 0 && index < self.count ? SSRC(self.ssrcs[index]) : nil
    }

    /// Opens a packet of a known stream with its state, which changes only when the packet is authentic.
    mutating func withReplayState(at index: Int, now: Instant, _ open: (inout SRTPStreamState) -> Int) -> Int {
        guard index >= 0, index < self.count, let storage = unsafe self.storage else { return -1 }
        let length = unsafe open(&storage[index].replay)
        if length >= 0 { unsafe storage[index].lastPacket = now }
        return length
    }

    /// The extended sequence number of the last packet that was accepted on a stream.
    package func lastPacketIndex(at index: Int) -> UInt64 {
        guard index >= 0, index < self.count, let storage = unsafe self.storage else { return 0 }
        return unsafe storage[index].replay.lastIndex
    }

    /// What is known of a stream that is not in the table: all of its packets so far, if it was there before.
    func initialState(of ssrc: SSRC) -> SRTPStreamState {
        for entry in self.retired where entry.ssrc == ssrc.value {
            return SRTPStreamState(resumingAfter: entry.highestIndex)
        }
        return SRTPStreamState()
    }

    /// Enters a stream whose first packet was authenticated. Returns its index; `nil` when there is no room.
    mutating func add(_ replay: SRTPStreamState, ssrc: SSRC, now: Instant) -> Int? {
        if self.count == self.storageCapacity, self.count < Self.capacity { self.growStorage() }
        guard let storage = unsafe self.storage, let free = self.freeIndex(now: now) else { return nil }
        self.retired.removeAll { $0.ssrc == ssrc.value }
        self.ssrcs[free] = ssrc.value
        unsafe storage[free] = Stream(replay: replay, lastPacket: now)
        return free
    }

    private mutating func growStorage() {
        let capacity = min(max(4, self.storageCapacity * 2), Self.capacity)
        let larger = UnsafeMutablePointer<Stream>.allocate(capacity: capacity)
        unsafe larger.initialize(repeating: Stream(), count: capacity)
        if let storage = unsafe self.storage {
            unsafe larger.update(from: storage, count: self.count)
            unsafe storage.deallocate()
        }
        unsafe self.storage = larger
        self.storageCapacity = capacity
    }

    private mutating func freeIndex(now: Instant) -> Int? {
        if self.count < Self.capacity {
            self.count += 1
            return self.count - 1
        }
        guard let storage = unsafe self.storage else { return nil }
        var oldest = 0
        for index in 1..<Self.capacity where unsafe storage[index].lastPacket < storage[oldest].lastPacket {
            oldest = index
        }
        guard unsafe now - storage[oldest].lastPacket > Self.idleLimit else { return nil }
        self.retire(ssrc: self.ssrcs[oldest], highestIndex: unsafe storage[oldest].replay.highestIndex)
        return oldest
    }

    private mutating func retire(ssrc: UInt32, highestIndex: UInt64) {
        if self.retired.count == Self.retiredCapacity {
            // One that never wrapped would come back with the right counter anyway: those go first, and with them what
            // a flood of SSRCs left behind.
            let position = self.retired.firstIndex { $0.highestIndex < 1 << 16 } ?? 0
            self.retired.remove(at: position)
        } else if self.retired.isEmpty {
            self.retired.reserveCapacity(Self.retiredCapacity)
        }
        self.retired.append(Retired(ssrc: ssrc, highestIndex: highestIndex))
    }
}
