import Basics
import Forwarding

/// Published packets of one receive batch, by layer: all of a run are forwarded to one subscriber before the next
/// subscriber's turn, so that its state and its keys are in the cache, and its packets leave as one message.
///
/// The packets stay where they were received. The memory is made once.
@safe
struct ForwardingBatch: ~Copyable {
    static let packetCount = 256
    static let runCount = 32

    struct Entry {
        /// Bytes of RTP padding that it gets at least, so that the run's packets are of few sizes.
        var padding = 0
        /// The next one of its run, -1 = none.
        var next = -1
    }

    /// What came of one layer, in order of arrival.
    @safe
    struct Run {
        let track: TrackPointer
        let layer: Int
        var first: Int
        var last: Int
        /// The largest payload of all.
        var payloadLength: Int
    }

    private let packets: UnsafeMutablePointer<SourcePacket>
    private let entries: UnsafeMutablePointer<Entry>
    private let runs: UnsafeMutablePointer<Run>
    private(set) var count = 0
    private(set) var openRuns = 0

    init() {
        unsafe self.packets = .allocate(capacity: Self.packetCount)
        unsafe self.entries = .allocate(capacity: Self.packetCount)
        unsafe self.runs = .allocate(capacity: Self.runCount)
    }

    deinit {
        // All are of trivial types.
        unsafe self.packets.deallocate()
        unsafe self.entries.deallocate()
        unsafe self.runs.deallocate()
    }

    /// Keeps a packet until the batch ends. Returns whether there was room.
    mutating func append(_ packet: SourcePacket, track: TrackPointer, layer: Int) -> Bool {
        guard self.count < Self.packetCount else { return false }
        let index = self.count
        for number in 0..<self.openRuns {
            let run = unsafe self.runs + number
            guard unsafe run.pointee.track == track, unsafe run.pointee.layer == layer else { continue }
            unsafe self.entries[run.pointee.last].next = index
            unsafe run.pointee.last = index
            unsafe run.pointee.payloadLength = max(run.pointee.payloadLength, packet.payloadLength)
            return self.keep(packet, at: index)
        }
        guard self.openRuns < Self.runCount else { return false }
        let run = unsafe Run(
            track: track,
            layer: layer,
            first: index,
            last: index,
            payloadLength: packet.payloadLength
        )
        unsafe (self.runs + self.openRuns).initialize(to: run)
        self.openRuns += 1
        return self.keep(packet, at: index)
    }

    private mutating func keep(_ packet: SourcePacket, at index: Int) -> Bool {
        unsafe (self.packets + index).initialize(to: packet)
        unsafe (self.entries + index).initialize(to: Entry())
        self.count += 1
        return true
    }

    mutating func removeAll() {
        self.count = 0
        self.openRuns = 0
    }

    @inline(__always)
    func run(_ number: Int) -> Run { unsafe self.runs[number] }

    @inline(__always)
    func entry(_ index: Int) -> UnsafeMutablePointer<Entry> { unsafe self.entries + index }

    @inline(__always)
    func packet(_ index: Int) -> UnsafeMutablePointer<SourcePacket> { unsafe self.packets + index }

    // MARK: Sizes

    /// Largest packets first: those of other tracks that follow to the same subscriber can be padded to their size, which
    /// the other way round they could not.
    mutating func sortRuns() {
        for number in 1..<max(1, self.openRuns) {
            var place = number
            while place > 0, unsafe self.runs[place - 1].payloadLength < self.runs[place].payloadLength {
                unsafe swap(&self.runs[place - 1], &self.runs[place])
                place -= 1
            }
        }
    }

    /// Makes sizes of a run equal where little is missing: encoders split a frame into packets of two sizes, the larger
    /// ones last, and a larger one cannot join the message of smaller ones.
    func planPadding(of run: Run) {
        var index = run.first
        while index >= 0 {
            index = self.equalize(from: index)
        }
    }

    /// Pads packets to the largest of those that follow each other and are about as large. Returns the first one that is
    /// not.
    private func equalize(from first: Int) -> Int {
        var smallest = unsafe self.packets[first].payloadLength
        var largest = smallest
        var room = unsafe self.packets[first].paddingRoom
        var end = unsafe self.entries[first].next
        while end >= 0 {
            let packet = unsafe self.packets[end]
            let low = min(smallest, packet.payloadLength)
            let high = max(largest, packet.payloadLength)
            let least = min(room, packet.paddingRoom)
            // Of a packet that is alone with its size, no more than its message is worth.
            guard high - low <= min(least, low / 16) else { break }
            (smallest, largest, room) = (low, high, least)
            end = unsafe self.entries[end].next
        }
        guard largest > smallest else { return end }
        var index = first
        while index != end, index >= 0 {
            let entry = unsafe self.entries + index
            unsafe entry.pointee.padding = largest - self.packets[index].payloadLength
            index = unsafe entry.pointee.next
        }
        return end
    }
}
