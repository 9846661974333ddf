import Basics
import CLinux
import RTP

/// Buffers for one `recvmmsg`, made once at start-up.
@safe
struct ReceiveBatch: ~Copyable {
    static let messageCount = 64
    /// The largest that UDP has: the kernel may put several datagrams of one sender into one message. Memory that no
    /// message has filled is never touched.
    private static let byteCount = 65_536

    private let batch: OpaquePointer

    init?() {
        guard let batch = unsafe cl_receive_batch_make(CInt(Self.messageCount), CInt(Self.byteCount)) else {
            return nil
        }
        unsafe self.batch = batch
    }

    deinit { unsafe cl_receive_batch_free(self.batch) }

    /// Fills the buffers with what is there. Zero when there is nothing, or on an error of the socket, which on UDP is
    /// always an earlier datagram's (an ICMP message) and says nothing about this one.
    borrowing func read(_ descriptor: CInt) -> Int { Int(max(0, unsafe cl_receive(descriptor, self.batch))) }

    /// Fills what is left of the buffers with what is there now. Returns how many datagrams there are, with those that
    /// were read before: they stay where they are.
    borrowing func readMore(_ descriptor: CInt) -> Int { Int(max(0, unsafe cl_receive_more(descriptor, self.batch))) }

    /// The datagram's bytes, to be opened in place; `nil` when it was too long for the buffer.
    borrowing func bytes(_ index: Int) -> UnsafeMutableRawBufferPointer? {
        let length = unsafe cl_receive_length(self.batch, CInt(truncatingIfNeeded: index))
        guard length > 0 else { return nil }
        return unsafe UnsafeMutableRawBufferPointer(
            start: cl_receive_bytes(self.batch, CInt(truncatingIfNeeded: index)),
            count: Int(length)
        )
    }

    borrowing func source(_ index: Int) -> TransportAddress {
        var native = cl_address()
        unsafe cl_receive_source(self.batch, CInt(truncatingIfNeeded: index), &native)
        return TransportAddress(high: native.high, low: native.low, port: native.port, scope: native.scope)
    }

    /// When the kernel took the datagram in: at most `now`, and not long before it, whatever the kernel says.
    borrowing func arrival(_ index: Int, now: Instant) -> Instant {
        let time = Instant(nanoseconds: unsafe cl_receive_time(self.batch, CInt(truncatingIfNeeded: index)))
        return time <= now && now - time < .seconds(2) ? time : now
    }

    /// How long the first datagram had lain in the socket's buffer; 0 where the kernel does not say, at most 2 s.
    borrowing func wait(now: Instant) -> Nanoseconds {
        let time = unsafe cl_receive_time(self.batch, 0)
        return time > 0 ? min(max(now - Instant(nanoseconds: time), .zero), .seconds(2)) : .zero
    }

    /// The ECN bits that the datagram came with; `notCapable` until `UDPSocket.receiveMarks`.
    borrowing func mark(_ index: Int) -> ECNMark {
        let bits = unsafe cl_receive_mark(self.batch, CInt(truncatingIfNeeded: index))
        return ECNMark(rawValue: UInt8(truncatingIfNeeded: bits)) ?? .notCapable
    }

    /// What the kernel dropped so far on the socket that was read last.
    var overflow: UInt32 { unsafe cl_receive_overflow(self.batch) }
}
