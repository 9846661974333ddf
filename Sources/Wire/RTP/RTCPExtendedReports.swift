package import Basics

/// When a receiver sent its reference time and how long ago that came: from it, the receiver learns the round trip time
/// without sending media (RFC 3611 §4.5).
package struct ReceiverReferenceEcho: Hashable, Sendable, BitwiseCopyable {
    /// Who had sent the reference time.
    package var receiver: SSRC
    /// The middle 32 bits of that time.
    package var lastReport: UInt32
    /// From its arrival to this echo, in 1/65536 s.
    package var delay: UInt32

    package init(receiver: SSRC, lastReport: UInt32, delay: UInt32) {
        self.receiver = receiver
        self.lastReport = lastReport
        self.delay = delay
    }
}

extension RTCPPacketView {
    /// The Receiver Reference Time of an extended report (RFC 3611 §4.4); `nil` when there is none, or when the blocks
    /// before it do not fit into the packet.
    package var receiverReferenceTime: NTPTime? {
        guard self.kind == .extendedReport else { return nil }
        var offset = 8
        // A block has at least its header of one word, so this ends.
        while self.bytes.byteCount - offset >= 4 {
            let length = 4 + 4 * Int(self.bytes.uint16(at: offset + 2))
            guard length <= self.bytes.byteCount - offset else { return nil }
            if self.bytes.uint8(at: offset) == 4, length == 12 {
                return NTPTime(rawValue: self.bytes.uint64(at: offset + 4))
            }
            offset += length
        }
        return nil
    }

    /// The first echo in an extended report (RFC 3611 §4.5), for a receiver that sent its reference time.
    package var receiverReferenceEcho: ReceiverReferenceEcho? {
        guard self.kind == .extendedReport else { return nil }
        var offset = 8
        while self.bytes.byteCount - offset >= 4 {
            let length = 4 + 4 * Int(self.bytes.uint16(at: offset + 2))
            guard length <= self.bytes.byteCount - offset else { return nil }
            if self.bytes.uint8(at: offset) == 5, length >= 16 {
                return ReceiverReferenceEcho(
                    receiver: SSRC(self.bytes.uint32(at: offset + 4)),
                    lastReport: self.bytes.uint32(at: offset + 8),
                    delay: self.bytes.uint32(at: offset + 12)
                )
            }
            offset += length
        }
        return nil
    }
}

extension RTCPWriter {
    /// An extended report with one DLRR block (RFC 3611 §4.5).
    @_lifetime(self: copy self)
    package mutating func append(_ echo: ReceiverReferenceEcho, from sender: SSRC) -> Bool {
        guard self.begin(207, count: 0, length: 24) else { return false }
        self.put(sender.value)
        self.put(5 << 24 | 3 as UInt32)
        self.put(echo.receiver.value)
        self.put(echo.lastReport)
        self.put(echo.delay)
        return true
    }

    /// An extended report with a Receiver Reference Time block (RFC 3611 §4.4): what a receiver without media of its own
    /// sends to learn the round trip time.
    @_lifetime(self: copy self)
    package mutating func appendReceiverReferenceTime(_ time: NTPTime, from sender: SSRC) -> Bool {
        guard self.begin(207, count: 0, length: 20) else { return false }
        self.put(sender.value)
        self.put(4 << 24 | 2 as UInt32)
        self.put(UInt32(truncatingIfNeeded: time.rawValue >> 32))
        self.put(UInt32(truncatingIfNeeded: time.rawValue))
        return true
    }
}
