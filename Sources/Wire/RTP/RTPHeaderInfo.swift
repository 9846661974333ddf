public import Basics

/// The facts of an RTP header as plain integers, with the place of every negotiated header extension: what is noted
/// of a packet once and asked for once per subscriber (RFC 3550 §5.1, RFC 8285).
@usableFromInline package struct RTPHeaderInfo: Hashable, Sendable, BitwiseCopyable {
    @usableFromInline package let sequenceNumber: SequenceNumber
    @usableFromInline package let timestamp: UInt32
    @usableFromInline package let ssrc: SSRC
    @usableFromInline let first: UInt8
    @usableFromInline let second: UInt8
    @usableFromInline let headerByteCount: UInt16
    /// By `HeaderExtension.rawValue`; offset 0 = absent.
    @usableFromInline let offsets: SIMD8<UInt16>
    @usableFromInline let lengths: SIMD8<UInt8>

    @inlinable package var marker: Bool { self.second & 0x80 != 0 }
    @inlinable package var payloadType: UInt8 { self.second & 0x7F }
    @inlinable package var hasPadding: Bool { self.first & 0x20 != 0 }
    @inlinable package var csrcCount: Int { Int(self.first & 0x0F) }
    /// Where the payload starts.
    @inlinable package var headerLength: Int { Int(self.headerByteCount) }

    /// Reads the header, which SRTP leaves in the clear; the payload is not looked at, so that the packet may still
    /// be encrypted. After decryption ask `paddingLength(ofPlaintext:)`.
    ///
    /// Elements follow RFC 8285 §4: id 0 is padding, id 15 ends the one-byte form, an element that overruns its block
    /// ends the walk, the first of two elements with one id counts, and ids that were not negotiated are skipped.
    ///
    /// - Parameter extensions: the ids of the leg that the packet came on.
    /// - Returns: `nil` for a wrong version, when the CSRC list or the extension block overruns, and above 65,535 bytes
    ///   of header.
    @inlinable package init?(_ bytes: RawSpan, extensions: HeaderExtensionMap) {
        guard let headerLength = RTPPacketView.headerLength(of: bytes), headerLength <= 0xFFFF else { return nil }
        self.first = bytes.uint8(at: 0)
        self.second = bytes.uint8(at: 1)
        self.sequenceNumber = SequenceNumber(bytes.uint16(at: 2))
        self.timestamp = bytes.uint32(at: 4)
        self.ssrc = SSRC(bytes.uint32(at: 8))
        self.headerByteCount = UInt16(truncatingIfNeeded: headerLength)
        var places = ExtensionPlaces()
        if self.first & 0x10 != 0 {
            let block = 12 &+ Int(self.first & 0x0F) &* 4
            let profile = bytes.uint16(at: block)
            if profile == 0xBEDE {
                places.walkOneByte(bytes, from: block &+ 4, to: headerLength, extensions)
            } else if profile & 0xFFF0 == 0x1000 {
                places.walkTwoByte(bytes, from: block &+ 4, to: headerLength, extensions)
            }
        }
        self.offsets = places.offsets
        self.lengths = places.lengths
    }

    /// The bytes of an extension's value in the packet; `nil` when it is absent. May be empty in the two-byte form.
    @inlinable package func range(of kind: HeaderExtension) -> Range<Int>? {
        let offset = Int(self.offsets[Int(kind.rawValue)])
        guard offset != 0 else { return nil }
        return offset..<(offset &+ Int(self.lengths[Int(kind.rawValue)]))
    }

    /// The number of padding bytes at the end of the packet, once it is decrypted and its tag is cut off.
    ///
    /// - Returns: 0 without padding; `nil` when the count is not in 1...payload length: drop the packet.
    @inlinable package func paddingLength(ofPlaintext bytes: RawSpan) -> Int? {
        RTPPacketView.paddingLength(of: bytes, headerLength: self.headerLength)
    }
}

/// Collects where the extension elements lie. Every step moves on by at least one byte, so a walk ends.
@usableFromInline package struct ExtensionPlaces {
    @usableFromInline var offsets = SIMD8<UInt16>.zero
    @usableFromInline var lengths = SIMD8<UInt8>.zero

    @inlinable init() {}

    @inlinable mutating func walkOneByte(
        _ bytes: RawSpan,
        from start: Int,
        to end: Int,
        _ extensions: HeaderExtensionMap
    ) {
        var offset = start
        while offset < end {
            let head = bytes.uint8(at: offset)
            offset &+= 1
            if head == 0 { continue }
            let id = head >> 4
            let length = Int(head & 0x0F) &+ 1
            // Id 0 with a length is not padding, and there is no telling what follows it.
            guard id != 15, id != 0, length <= end &- offset else { return }
            self.note(id, offset, length, extensions)
            offset &+= length
        }
    }

    @inlinable mutating func walkTwoByte(
        _ bytes: RawSpan,
        from start: Int,
        to end: Int,
        _ extensions: HeaderExtensionMap
    ) {
        var offset = start
        while offset < end {
            let id = bytes.uint8(at: offset)
            offset &+= 1
            if id == 0 { continue }
            guard offset < end else { return }
            let length = Int(bytes.uint8(at: offset))
            offset &+= 1
            guard length <= end &- offset else { return }
            self.note(id, offset, length, extensions)
            offset &+= length
        }
    }

    @inlinable mutating func note(_ id: UInt8, _ offset: Int, _ length: Int, _ extensions: HeaderExtensionMap) {
        guard let kind = extensions.kind(ofID: id) else { return }
        let index = Int(kind.rawValue)
        guard self.offsets[index] == 0 else { return }
        self.offsets[index] = UInt16(truncatingIfNeeded: offset)
        self.lengths[index] = UInt8(truncatingIfNeeded: length)
    }
}
