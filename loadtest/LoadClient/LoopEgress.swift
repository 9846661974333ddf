import Basics
import CLinux
import Forwarding

/// Datagrams of all peers of a loop, on their way to the kernel together.
@safe
struct LoopEgress: ~Copyable {
    private static let slotCount = 2_048
    private static let slotByteCount = 1_536

    private let batch: OpaquePointer
    private var count = 0
    /// Of the newest slot: what a peer sends at a time leaves together.
    private var lastDescriptor: CInt = -1
    private var lastAddress = TransportAddress(high: 0, low: 0, port: 0)
    /// Datagrams for which the socket had no room.
    private(set) var overflownCount: UInt64 = 0
    /// Datagrams that the kernel would not send: the port at the other end is closed, or there is no way to it.
    private(set) var refusedCount: UInt64 = 0
    /// The wall clock of sender reports.
    let clock: NTPAnchor

    init?(clock: NTPAnchor) {
        guard let batch = unsafe cl_send_batch_make(CInt(Self.slotCount), CInt(Self.slotByteCount)) else { return nil }
        unsafe self.batch = batch
        self.clock = clock
    }

    deinit { unsafe cl_send_batch_free(self.batch) }

    /// The time, now and not at the beginning of the loop's turn.
    var now: Instant { Instant(nanoseconds: cl_monotonic_nanoseconds()) }

    mutating func nextSlot() -> UnsafeMutableRawBufferPointer {
        if self.count == Self.slotCount { self.flush() }
        return unsafe UnsafeMutableRawBufferPointer(
            start: cl_send_bytes(self.batch, CInt(self.count)),
            count: Self.slotByteCount
        )
    }

    mutating func commit(_ length: Int, from descriptor: CInt, to address: TransportAddress) {
        guard length > 0, length <= Self.slotByteCount else { return }
        let index = CInt(self.count)
        if self.count > 0, descriptor == self.lastDescriptor, address == self.lastAddress {
            unsafe cl_send_append(self.batch, index, index - 1, CInt(length))
        } else {
            var native = cl_address(high: address.high, low: address.low, scope: address.scope, port: address.port)
            unsafe cl_send_begin(self.batch, index, descriptor, &native, CInt(length))
            (self.lastDescriptor, self.lastAddress) = (descriptor, address)
        }
        self.count += 1
    }

    mutating func send(_ bytes: UnsafeRawBufferPointer, from descriptor: CInt, to address: TransportAddress) {
        guard bytes.count <= Self.slotByteCount else { return }
        let slot = unsafe self.nextSlot()
        unsafe slot.copyMemory(from: bytes)
        self.commit(bytes.count, from: descriptor, to: address)
    }

    mutating func flush() {
        guard self.count > 0 else { return }
        var result = cl_send_result()
        unsafe cl_send(self.batch, &result)
        self.overflownCount += UInt64(result.no_room)
        self.refusedCount += UInt64(result.refused)
        self.count = 0
    }
}
