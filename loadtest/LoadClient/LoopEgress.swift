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
    private(set) var refusedCount: UInt64 = 0
    /// The wall clock of sender reports.
    let clock: NTPAnchor

    init?(clock: NTPAnchor) {
        guard let batch = unsafe cl_send_batch_make(CInt(Self.slotCount), CInt(Self.slotByteCount)) else { return nil }
        unsafe self.batch = batch
        self.clock = clock
    }

    deinit { unsafe cl_send_batch_free(self.batch) }

    mutating func nextSlot() -> UnsafeMutableRawBufferPointer {
        if self.count == Self.slotCount { self.flush() }
        return unsafe UnsafeMutableRawBufferPointer(
            start: cl_send_bytes(self.batch, CInt(self.count)),
            count: Self.slotByteCount
        )
    }

    mutating func commit(_ length: Int, from descriptor: CInt, to address: TransportAddress) {
        guard length > 0, length <= Self.slotByteCount else { return }
        var native = cl_address(high: address.high, low: address.low, scope: address.scope, port: address.port)
        unsafe cl_send_set(self.batch, CInt(self.count), descriptor, &native, CInt(length))
        self.count += 1
    }

    mutating func send(_ bytes: [UInt8], from descriptor: CInt, to address: TransportAddress) {
        guard bytes.count <= Self.slotByteCount else { return }
        let slot = unsafe self.nextSlot()
        unsafe slot.copyBytes(from: bytes)
        self.commit(bytes.count, from: descriptor, to: address)
    }

    mutating func flush() {
        guard self.count > 0 else { return }
        var result = cl_send_result()
        unsafe cl_send(self.batch, CInt(self.count), &result)
        self.refusedCount += UInt64(result.refused) + UInt64(result.no_room)
        self.count = 0
    }
}
