package import Basics
import CLinux
import RTP

/// Datagrams that wait for the end of a receive batch, to leave together in one `sendmmsg`.
///
/// Those of one destination stay in order and leave as one message where their sizes allow it (`UDP_SEGMENT`): the
/// kernel's work is per message. The memory is made once; sealing writes straight into a slot, and slots lie one behind
/// the other, so that what leaves as one message is mostly one piece.
@safe
package struct EgressQueue: ~Copyable {
    /// Room for one datagram. Larger than any path's MTU that WebRTC uses; what does not fit is never sent.
    package static let slotByteCount = 1_536
    /// Enough for 16 packets of a frame to 128 subscribers: messages form only of what waits together. Untouched memory
    /// takes none.
    private static let slotCount = 2_048
    /// What is best queued at a time: more does not stay in a core's own cache.
    package static let preferredCount = 1_024
    private static let preferredByteCount = 256 << 10
    /// A datagram that is sealed anyway costs about so much more for each byte, and a message so much by itself, in
    /// nanoseconds: padding to a group's size pays long before it would take this share of a datagram.
    private static let largestPaddingShare = 8

    /// The datagrams that wait for one destination. Its owner keeps it and hands it to each `commit`; it is of no
    /// meaning once they have left.
    package struct Chain: BitwiseCopyable, Sendable {
        fileprivate var batch: UInt64 = .max
        fileprivate var last: Int32 = 0
        /// Of the datagrams that its last message begins with; 0 = the message is complete.
        fileprivate var size: Int32 = 0
        /// They leave with ECT(1) in their IP headers (RFC 3168, RFC 9331).
        package let isMarked: Bool

        package init(isMarked: Bool = false) { self.isMarked = isMarked }
    }

    /// Takes datagrams instead of the kernel: the simulated network of the tests.
    package typealias Sink = (
        _ bytes: UnsafeRawBufferPointer, _ to: TransportAddress, _ socket: Int, _ isMarked: Bool
    ) -> Void

    /// What was queued when; see `takeBack`.
    package struct Mark {
        fileprivate let count: Int
        fileprivate let byteCount: Int
        fileprivate let chain: Chain
    }

    private let batch: OpaquePointer
    private let memory: cl_send_memory
    private var count = 0
    private var byteCount = 0
    /// Counts the flushes: a chain of an earlier batch has left.
    private var batchNumber: UInt64 = 0
    /// File descriptors by socket index; empty when there is a sink.
    private let descriptors: [CInt]
    private let sink: Sink?
    /// What time it is when the sink has taken everything.
    private let sinkClock: (() -> Instant?)?
    private var destinations: [(address: TransportAddress, socket: Int, length: Int, isMarked: Bool)]

    package private(set) var sentCount: UInt64 = 0
    package private(set) var sentByteCount: UInt64 = 0
    package private(set) var noRoomCount: UInt64 = 0
    package private(set) var refusedCount: UInt64 = 0
    package private(set) var errors = SocketErrors()
    /// Messages that the kernel took: `sentCount` less what was saved by segmentation.
    package private(set) var messageCount: UInt64 = 0
    /// Messages of several datagrams that had to be sent one by one.
    package private(set) var apartCount: UInt64 = 0

    /// - Parameters:
    ///   - descriptors: the sockets of a worker; they stay owned by the caller and outlive the queue.
    ///   - sink: where datagrams go instead, in tests.
    ///   - sinkClock: the time that `flushIfLarge` tells then; without it none passes.
    package init?(descriptors: [CInt], sink: Sink? = nil, sinkClock: (() -> Instant?)? = nil) {
        guard let batch = unsafe cl_send_batch_make(CInt(Self.slotCount), CInt(Self.slotByteCount)) else { return nil }
        unsafe self.batch = batch
        unsafe self.memory = unsafe cl_send_memory_of(batch)
        self.descriptors = descriptors
        unsafe self.sink = sink
        self.sinkClock = sinkClock
        self.destinations = []
        if unsafe sink != nil { self.destinations.reserveCapacity(Self.slotCount) }
        if !descriptors.allSatisfy({ cl_can_segment($0) != 0 }) { unsafe cl_send_use_segmentation(batch, 0) }
    }

    deinit { unsafe cl_send_batch_free(self.batch) }

    /// The memory of the next slot. Nothing is queued until `commit`.
    @inline(__always)
    package mutating func nextSlot() -> UnsafeMutableRawBufferPointer {
        if self.count == Self.slotCount { self.flush() }
        return unsafe UnsafeMutableRawBufferPointer(
            start: cl_send_memory_bytes(self.memory, CInt(truncatingIfNeeded: self.count)),
            count: Self.slotByteCount
        )
    }

    /// Makes room for so many datagrams, so that their slots stay where they are until all are committed.
    @inline(__always)
    package mutating func reserve(_ count: Int) { if Self.slotCount - self.count < count { self.flush() } }

    /// What is queued now, for `takeBack`.
    ///
    /// - Parameter chain: of the destination of all that is queued between the two.
    @inline(__always)
    package func mark(_ chain: Chain) -> Mark { Mark(count: self.count, byteCount: self.byteCount, chain: chain) }

    /// Forgets what was committed since `mark`, all of it to one destination and nothing flushed.
    package mutating func takeBack(to mark: Mark, chain: inout Chain) {
        guard self.count > mark.count else { return }
        let isNew = mark.chain.batch != self.batchNumber
        unsafe cl_send_take_back(self.batch, isNew ? -1 : mark.chain.last)
        if unsafe self.sink != nil { self.destinations.removeLast(self.count - mark.count) }
        self.sentByteCount &-= UInt64(self.byteCount - mark.byteCount)
        self.count = mark.count
        self.byteCount = mark.byteCount
        chain = mark.chain
    }

    /// Queues the first `length` bytes of the slot that `nextSlot` gave.
    ///
    /// - Parameter chain: of this destination and socket: a new one when either is another.
    @inline(__always)
    package mutating func commit(length: Int, to address: TransportAddress, socket: Int, chain: inout Chain) {
        guard length > 0, length <= Self.slotByteCount else { return }
        let index = CInt(truncatingIfNeeded: self.count)
        let size = Int32(truncatingIfNeeded: length)
        if unsafe self.sink != nil { self.destinations.append((address, socket, length, chain.isMarked)) }
        if chain.batch == self.batchNumber {
            unsafe cl_send_memory_append(self.memory, index, chain.last, size)
            if size > chain.size { chain.size = size } else if size < chain.size { chain.size = 0 }
        } else {
            guard self.begin(index, to: address, socket: socket, length: size, isMarked: chain.isMarked) else { return }
            chain.batch = self.batchNumber
            chain.size = size
        }
        chain.last = index
        self.count += 1
        self.byteCount += length
        self.sentByteCount &+= UInt64(length)
    }

    private func begin(
        _ index: CInt,
        to address: TransportAddress,
        socket: Int,
        length: Int32,
        isMarked: Bool
    ) -> Bool {
        guard socket >= 0, socket < self.descriptors.count || self.descriptors.isEmpty else { return false }
        var destination = cl_address(high: address.high, low: address.low, scope: address.scope, port: address.port)
        let descriptor = self.descriptors.isEmpty ? 0 : self.descriptors[socket]
        unsafe cl_send_begin(self.batch, index, descriptor, &destination, length)
        if isMarked { unsafe cl_send_mark(self.batch, CInt(ECNMark.capable1.rawValue)) }
        return true
    }

    /// How many bytes of RTP padding make a datagram the size of those that its message begins with: 0 when it has that
    /// size, would be larger, begins a message itself, or padding would be too large a part of it.
    ///
    /// A message costs the kernel what a thousand bytes and more cost the cipher, so a few bytes of padding that save one
    /// are cheap; they are bounded because they take from the subscriber's path as well.
    @inline(__always)
    package func padding(for length: Int, in chain: Chain) -> Int {
        guard chain.batch == self.batchNumber else { return 0 }
        let missing = Int(chain.size) - length
        return missing > 0 && missing <= length / Self.largestPaddingShare ? missing : 0
    }

    /// Queues a copy: for STUN and DTLS, which are no media.
    package mutating func send(_ bytes: [UInt8], to address: TransportAddress, socket: Int) {
        guard bytes.count <= Self.slotByteCount else { return }
        let slot = unsafe self.nextSlot()
        unsafe slot.copyBytes(from: bytes)
        var chain = Chain()
        self.commit(length: bytes.count, to: address, socket: socket, chain: &chain)
    }

    /// Hands everything to the kernel when it outgrows the cache. Only between destinations: what comes
    /// later for one that has datagrams here leaves in a message of its own.
    ///
    /// - Returns: what time it was when the kernel had taken everything; `nil` when nothing was sent, or no time passes.
    @inline(__always)
    package mutating func flushIfLarge() -> Instant? {
        guard self.byteCount >= Self.preferredByteCount || self.count >= Self.preferredCount else { return nil }
        self.flush()
        return unsafe self.sink == nil
            ? Instant(nanoseconds: cl_monotonic_nanoseconds()) : self.sinkClock.flatMap { $0() }
    }

    /// Hands everything to the kernel. What it does not take is dropped and counted: a queue here would only add delay
    /// to a network that is full already.
    package mutating func flush() {
        guard self.count > 0 else { return }
        if let sink = unsafe self.sink {
            for (index, destination) in self.destinations.enumerated() {
                unsafe sink(
                    UnsafeRawBufferPointer(
                        start: cl_send_memory_bytes(self.memory, CInt(truncatingIfNeeded: index)),
                        count: destination.length
                    ),
                    destination.address,
                    destination.socket,
                    destination.isMarked
                )
            }
            self.sentCount &+= UInt64(self.count)
            self.messageCount &+= UInt64(self.count)
            self.destinations.removeAll(keepingCapacity: true)
            unsafe cl_send_clear(self.batch)
        } else {
            var result = cl_send_result()
            unsafe cl_send(self.batch, &result)
            self.sentCount &+= UInt64(result.sent)
            self.noRoomCount &+= UInt64(result.no_room)
            self.refusedCount &+= UInt64(result.refused)
            self.errors.add(result.errors)
            self.messageCount &+= UInt64(result.messages)
            self.apartCount &+= UInt64(result.apart)
        }
        self.count = 0
        self.byteCount = 0
        self.batchNumber &+= 1
    }
}
