package import Basics
import CLinux

/// Datagrams that wait for the end of a receive batch, to leave together in one `sendmmsg`.
///
/// Those of one destination stay in order and leave as one message where their sizes allow it (`UDP_SEGMENT`): the
/// kernel's work is per message. The memory is made once; sealing writes straight into a slot.
@safe
package struct EgressQueue: ~Copyable {
    /// Room for one datagram. Larger than any path's MTU that WebRTC uses; what does not fit is never sent.
    package static let slotByteCount = 1_536
    /// Enough for 16 packets of a frame to 128 subscribers: messages form only of what waits together. Untouched slots
    /// take no memory.
    private static let slotCount = 2_048

    /// Takes datagrams instead of the kernel: the simulated network of the tests.
    package typealias Sink = (_ bytes: UnsafeRawBufferPointer, _ to: TransportAddress, _ socket: Int) -> Void

    private let batch: OpaquePointer
    private var count = 0
    /// File descriptors by socket index; empty when there is a sink.
    private let descriptors: [CInt]
    private let sink: Sink?
    private var destinations: [(address: TransportAddress, socket: Int, length: Int)]

    package private(set) var sentCount: UInt64 = 0
    package private(set) var sentByteCount: UInt64 = 0
    package private(set) var noRoomCount: UInt64 = 0
    package private(set) var refusedCount: UInt64 = 0
    /// Messages that the kernel took: `sentCount` less what was saved by segmentation.
    package private(set) var messageCount: UInt64 = 0
    /// Messages of several datagrams that had to be sent one by one.
    package private(set) var apartCount: UInt64 = 0

    /// - Parameters:
    ///   - descriptors: the sockets of a worker; they stay owned by the caller and outlive the queue.
    ///   - sink: where datagrams go instead, in tests.
    package init?(descriptors: [CInt], sink: Sink? = nil) {
        guard let batch = unsafe cl_send_batch_make(CInt(Self.slotCount), CInt(Self.slotByteCount)) else { return nil }
        unsafe self.batch = batch
        self.descriptors = descriptors
        unsafe self.sink = sink
        self.destinations = []
        if unsafe sink != nil { self.destinations.reserveCapacity(Self.slotCount) }
    }

    deinit { unsafe cl_send_batch_free(self.batch) }

    /// The memory of the next slot. Nothing is queued until `commit`.
    package mutating func nextSlot() -> UnsafeMutableRawBufferPointer {
        if self.count == Self.slotCount { self.flush() }
        return unsafe UnsafeMutableRawBufferPointer(
            start: cl_send_bytes(self.batch, CInt(truncatingIfNeeded: self.count)),
            count: Self.slotByteCount
        )
    }

    /// Queues the first `length` bytes of the slot that `nextSlot` gave.
    package mutating func commit(length: Int, to address: TransportAddress, socket: Int) {
        guard length > 0, length <= Self.slotByteCount else { return }
        if unsafe self.sink != nil {
            self.destinations.append((address, socket, length))
        } else {
            guard socket >= 0, socket < self.descriptors.count else { return }
            var destination = cl_address(high: address.high, low: address.low, scope: address.scope, port: address.port)
            unsafe cl_send_set(
                self.batch,
                CInt(truncatingIfNeeded: self.count),
                self.descriptors[socket],
                &destination,
                CInt(truncatingIfNeeded: length)
            )
        }
        self.count += 1
        self.sentByteCount &+= UInt64(length)
    }

    /// Queues a copy: for STUN and DTLS, which are no media.
    package mutating func send(_ bytes: [UInt8], to address: TransportAddress, socket: Int) {
        guard bytes.count <= Self.slotByteCount else { return }
        let slot = unsafe self.nextSlot()
        unsafe slot.copyBytes(from: bytes)
        self.commit(length: bytes.count, to: address, socket: socket)
    }

    /// Hands everything to the kernel. What it does not take is dropped and counted: a queue here would only add delay
    /// to a network that is full already.
    package mutating func flush() {
        guard self.count > 0 else { return }
        if let sink = unsafe self.sink {
            for (index, destination) in self.destinations.enumerated() {
                unsafe sink(
                    UnsafeRawBufferPointer(
                        start: cl_send_bytes(self.batch, CInt(truncatingIfNeeded: index)),
                        count: destination.length
                    ),
                    destination.address,
                    destination.socket
                )
            }
            self.sentCount &+= UInt64(self.count)
            self.messageCount &+= UInt64(self.count)
            self.destinations.removeAll(keepingCapacity: true)
        } else {
            var result = cl_send_result()
            unsafe cl_send(self.batch, CInt(truncatingIfNeeded: self.count), &result)
            self.sentCount &+= UInt64(result.sent)
            self.noRoomCount &+= UInt64(result.no_room)
            self.refusedCount &+= UInt64(result.refused)
            self.messageCount &+= UInt64(result.messages)
            self.apartCount &+= UInt64(result.apart)
        }
        self.count = 0
    }
}
