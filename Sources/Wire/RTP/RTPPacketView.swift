public import Basics

/// An RTP packet whose lengths have all been checked once (RFC 3550 §5.1). Borrows the datagram.
@usableFromInline package struct RTPPacketView: ~Escapable {
    @usableFromInline let bytes: RawSpan
    /// Where the payload starts: 12 and up, with the CSRC list and the extension block.
    @usableFromInline package let headerLength: Int
    /// 0 without padding, and always 0 for a view of an encrypted packet.
    @usableFromInline package let paddingLength: Int

    /// A plaintext packet.
    ///
    /// - Returns: `nil` for a wrong version, and when the CSRC list, the extension block or the padding overrun.
    @inlinable @_lifetime(copy bytes) package init?(_ bytes: RawSpan) {
        guard let headerLength = Self.headerLength(of: bytes),
            let paddingLength = Self.paddingLength(of: bytes, headerLength: headerLength)
        else { return nil }
        self.bytes = bytes
        self.headerLength = headerLength
        self.paddingLength = paddingLength
    }

    /// A packet that is still encrypted: the padding count is part of what is encrypted, so it is not looked at, and
    /// `payloadLength` counts the authentication tag.
    @inlinable @_lifetime(copy bytes) package init?(headerOnly bytes: RawSpan) {
        guard let headerLength = Self.headerLength(of: bytes) else { return nil }
        self.bytes = bytes
        self.headerLength = headerLength
        self.paddingLength = 0
    }

    @inlinable package var hasPadding: Bool { self.bytes.uint8(at: 0) & 0x20 != 0 }
    @inlinable package var hasExtension: Bool { self.bytes.uint8(at: 0) & 0x10 != 0 }
    @inlinable package var csrcCount: Int { Int(self.bytes.uint8(at: 0) & 0x0F) }
    @inlinable package var marker: Bool { self.bytes.uint8(at: 1) & 0x80 != 0 }
    @inlinable package var payloadType: UInt8 { self.bytes.uint8(at: 1) & 0x7F }
    @inlinable package var sequenceNumber: SequenceNumber { SequenceNumber(self.bytes.uint16(at: 2)) }
    @inlinable package var timestamp: UInt32 { self.bytes.uint32(at: 4) }
    @inlinable package var ssrc: SSRC { SSRC(self.bytes.uint32(at: 8)) }

    /// A contributing source; `nil` from `csrcCount` on.
    @inlinable package func csrc(at index: Int) -> SSRC? {
        guard index >= 0, index < self.csrcCount else { return nil }
        return SSRC(self.bytes.uint32(at: 12 &+ index &* 4))
    }

    /// The "defined by profile" field: 0xBEDE and 0x1000...0x100F are RFC 8285; 0 without an extension block.
    @inlinable package var extensionProfile: UInt16 {
        self.hasExtension ? self.bytes.uint16(at: 12 &+ self.csrcCount &* 4) : 0
    }

    /// Bytes between header and padding.
    @inlinable package var payloadLength: Int { self.bytes.byteCount &- self.headerLength &- self.paddingLength }

    @inlinable package var payload: RawSpan {
        @_lifetime(copy self) get {
            self.bytes.extracting(self.headerLength..<(self.bytes.byteCount &- self.paddingLength))
        }
    }

    /// The length of an RTP header with its CSRC list and extension block, when all of it is there (RFC 3550 §5.1).
    ///
    /// - Returns: `nil` when the version is not 2 or the packet ends inside its header; otherwise 12...`byteCount`.
    @inlinable package static func headerLength(of bytes: RawSpan) -> Int? {
        guard bytes.byteCount >= 12 else { return nil }
        let first = bytes.uint8(at: 0)
        guard first >> 6 == 2 else { return nil }
        var length = 12 &+ Int(first & 0x0F) &* 4
        if first & 0x10 != 0 {
            guard bytes.byteCount >= length &+ 4 else { return nil }
            length &+= 4 &+ Int(bytes.uint16(at: length &+ 2)) &* 4
        }
        return length <= bytes.byteCount ? length : nil
    }

    /// The number of padding bytes at the end of a plaintext RTP packet (RFC 3550 §5.1, ATTACKS A-50).
    ///
    /// - Parameters:
    ///   - bytes: the packet after decryption, without an authentication tag.
    ///   - headerLength: as `headerLength(of:)` gave it.
    /// - Returns: 0 without padding; `nil` when the last byte is not in 1...payload length, also for an empty payload.
    @inlinable package static func paddingLength(of bytes: RawSpan, headerLength: Int) -> Int? {
        guard bytes.byteCount >= 12, headerLength <= bytes.byteCount else { return nil }
        guard bytes.uint8(at: 0) & 0x20 != 0 else { return 0 }
        let padding = Int(bytes.uint8(at: bytes.byteCount &- 1))
        return padding >= 1 && padding <= bytes.byteCount &- headerLength ? padding : nil
    }
}
