import Basics
import Forwarding
import RTP
import SRTP

/// Published packets of one receive batch, by layer: all of a run are forwarded to one subscriber before the next
/// subscriber's turn, so that its state and its keys are in the cache, and its packets leave as one message.
///
/// The packets stay where they were received. The memory is made once.
@safe
struct ForwardingBatch: ~Copyable {
    static let packetCount = 256
    static let runCount = 32

    /// A packet as its subscribers see it, in one cache line: `SourcePacket` has many.
    @safe
    struct Entry {
        let payload: UnsafeMutableRawPointer?
        let payloadLength: Int
        let timestamp: UInt32
        let paddingRoom: Int32
        /// Bytes of RTP padding that it gets at least, so that the run's packets are of few sizes.
        var padding: Int32 = 0
        /// The next one of its run, -1 = none.
        var next: Int32 = -1
        /// How many packets from this one on go the same way to every subscriber; 0 = it has a way of its own.
        var together: Int32 = 0
        let headerValue: UInt8
        let marker: Bool
        /// It has numbers that each leg writes its own over.
        let hasNumbers: Bool
        /// Of its dependency descriptor, if that was read: its bytes, and how far before the payload it lies.
        let descriptorLength: UInt8
        let descriptorDistance: UInt16
        let flags: FrameInfo.Flags
        /// Those of the packets behind it that go with it, all together.
        var flagsBehind: FrameInfo.Flags = []

        init(_ packet: borrowing SourcePacket) {
            unsafe self.payload = packet.payload.baseAddress
            self.payloadLength = packet.payloadLength
            self.timestamp = packet.header.timestamp
            self.paddingRoom = Int32(truncatingIfNeeded: packet.paddingRoom)
            self.headerValue = packet.headerValue ?? 0
            self.marker = packet.header.marker
            if case .none = packet.payloadDescriptor { self.hasNumbers = false } else { self.hasNumbers = true }
            self.flags = packet.frame.flags
            var range = 0..<0
            if packet.frame.flags.contains(.descriptor) {
                range = packet.header.range(of: .dependencyDescriptor) ?? range
            }
            self.descriptorLength = UInt8(truncatingIfNeeded: range.count)
            self.descriptorDistance = UInt16(truncatingIfNeeded: packet.header.headerLength - range.lowerBound)
        }

        /// The publisher's dependency descriptor; empty = none was read.
        @inline(__always)
        var descriptor: UnsafeRawBufferPointer {
            // Both are of one packet, where the descriptor lies in front of the payload.
            guard let payload = unsafe self.payload else { return unsafe UnsafeRawBufferPointer(start: nil, count: 0) }
            let start = unsafe UnsafeRawPointer(payload) - Int(self.descriptorDistance)
            return unsafe UnsafeRawBufferPointer(start: start, count: Int(self.descriptorLength))
        }
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
    /// Off: every packet is forwarded by itself.
    var goesTogether = true
    /// Packets that went to a subscriber with others.
    var sentTogether: UInt64 = 0
    var sentAlone: UInt64 = 0
    /// For one subscriber: what `MediaRouter.forwardTogether` has written headers of.
    let unsealed: UnsafeMutablePointer<UnsealedPacket>

    init() {
        unsafe self.unsealed = .allocate(capacity: Self.packetCount)
        unsafe self.packets = .allocate(capacity: Self.packetCount)
        unsafe self.entries = .allocate(capacity: Self.packetCount)
        unsafe self.runs = .allocate(capacity: Self.runCount)
    }

    deinit {
        // All are of trivial types.
        unsafe self.packets.deallocate()
        unsafe self.entries.deallocate()
        unsafe self.runs.deallocate()
        unsafe self.unsealed.deallocate()
    }

    /// Keeps a packet until the batch ends. Returns whether there was room.
    mutating func append(_ packet: SourcePacket, track: TrackPointer, layer: Int) -> Bool {
        guard self.count < Self.packetCount else { return false }
        let index = self.count
        for number in 0..<self.openRuns {
            let run = unsafe self.runs + number
            guard unsafe run.pointee.track == track, unsafe run.pointee.layer == layer else { continue }
            unsafe self.entries[run.pointee.last].next = Int32(truncatingIfNeeded: index)
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
        unsafe (self.entries + index).initialize(to: Entry(packet))
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
    ///
    /// The layers of one track stay in the order that they came: who goes over to a layer with its key frame is not sent
    /// first what came of the former layer behind it.
    mutating func sortRuns() {
        for number in 1..<max(1, self.openRuns) {
            var place = number
            while place > 0, unsafe self.runs[place - 1].track != self.runs[place].track,
                unsafe self.runs[place - 1].payloadLength < self.runs[place].payloadLength
            {
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
        var end = unsafe Int(self.entries[first].next)
        while end >= 0 {
            let packet = unsafe self.packets[end]
            let low = min(smallest, packet.payloadLength)
            let high = max(largest, packet.payloadLength)
            let least = min(room, packet.paddingRoom)
            // Of a packet that is alone with its size, no more than its message is worth.
            guard high - low <= min(least, low / 16) else { break }
            (smallest, largest, room) = (low, high, least)
            end = unsafe Int(self.entries[end].next)
        }
        guard largest > smallest else { return end }
        var index = first
        while index != end, index >= 0 {
            let entry = unsafe self.entries + index
            unsafe entry.pointee.padding = Int32(truncatingIfNeeded: largest - self.packets[index].payloadLength)
            index = unsafe Int(entry.pointee.next)
        }
        return end
    }

    // MARK: What goes together

    /// Finds the packets of a run that go the same way to every subscriber: of one frame, or of audio, one behind the
    /// other, alike in all that a leg asks of a packet but its size, its timestamp and its bytes.
    func planTogether(of run: Run) {
        guard self.goesTogether else { return }
        var first = run.first
        while first >= 0 {
            var last = first
            var count: Int32 = 1
            var next = unsafe Int(self.entries[first].next)
            while next >= 0, self.goes(next, with: last) {
                count += 1
                last = next
                next = unsafe Int(self.entries[next].next)
            }
            self.note(count, from: first)
            first = next
        }
    }

    private func note(_ count: Int32, from first: Int) {
        var flags: FrameInfo.Flags = []
        var index = first
        for _ in 1..<count {
            index = unsafe Int(self.entries[index].next)
            unsafe flags.formUnion(self.entries[index].flags)
        }
        index = first
        for place in 0..<count {
            let entry = unsafe self.entries + index
            unsafe entry.pointee.together = Self.fits(entry.pointee) ? count - place : 0
            unsafe entry.pointee.flagsBehind = flags
            index = unsafe Int(entry.pointee.next)
        }
    }

    /// Whether what a leg says differently in the dependency descriptor of one is what it says in that of the other.
    private static func isDescribedAlike(
        _ one: UnsafePointer<SourcePacket>,
        _ other: UnsafePointer<SourcePacket>
    ) -> Bool {
        let (flags, others) = unsafe (one.pointee.frame.flags, other.pointee.frame.flags)
        guard flags.union(others).contains(.descriptor) else { return true }
        return unsafe flags.intersection(others).contains(.descriptor)
            && flags.union(others).isDisjoint(with: [.structure, .targetMask])
            && one.pointee.frame.frameNumber == other.pointee.frame.frameNumber
    }

    /// With any header and padding that `forwardTogether` gives it, it fits a slot.
    private static func fits(_ entry: Entry) -> Bool {
        unsafe entry.payload != nil && entry.payloadLength <= EgressQueue.slotByteCount - Self.largestOverhead
    }

    private static let largestOverhead = RTPHeaderTemplate.capacity + SourcePacket.largestPadding + 16

    private func goes(_ index: Int, with before: Int) -> Bool {
        let one = unsafe self.packets + before
        let other = unsafe self.packets + index
        // Below 2^31 for as many as there may be.
        let step = unsafe other.pointee.header.timestamp &- one.pointee.header.timestamp
        return unsafe other.pointee.sequence == one.pointee.sequence &+ 1 && step < 1 << 20
            && other.pointee.header.payloadType == one.pointee.header.payloadType
            && (other.pointee.headerValue == nil) == (one.pointee.headerValue == nil)
            && other.pointee.frame.frame == one.pointee.frame.frame
            && !other.pointee.frame.flags.contains(.keyStart)
            && Self.isDescribedAlike(one, other)
            && self.entries[before].descriptorLength == self.entries[index].descriptorLength
            && other.pointee.payloadDescriptor.hasNumbers(of: one.pointee.payloadDescriptor)
            && Self.fits(self.entries[before]) && Self.fits(self.entries[index])
    }
}

extension PayloadDescriptor {
    /// Whether it has the same fields as another, with the same values.
    fileprivate func hasNumbers(of other: PayloadDescriptor) -> Bool {
        switch (self, other) {
        case (.none, .none): true
        case (.vp8(let one), .vp8(let other)):
            one.pictureIDOffset == other.pictureIDOffset && one.isPictureIDLong == other.isPictureIDLong
                && one.pictureID == other.pictureID && one.tl0PicIdxOffset == other.tl0PicIdxOffset
                && one.tl0PicIdx == other.tl0PicIdx && one.keyIndexOffset == other.keyIndexOffset
                && one.keyIndex == other.keyIndex
        case (.vp9(let one), .vp9(let other)):
            one.pictureIDOffset == other.pictureIDOffset && one.isPictureIDLong == other.isPictureIDLong
                && one.pictureID == other.pictureID && one.tl0PicIdxOffset == other.tl0PicIdxOffset
                && one.tl0PicIdx == other.tl0PicIdx
        default: false
        }
    }
}
