public import Basics

/// What a retransmission carries in front of the original payload (RFC 4588 §4).
@usableFromInline package struct RTXPayload: Hashable, Sendable, BitwiseCopyable {
    /// Bytes of the original sequence number (OSN).
    package static let headerLength = 2

    @usableFromInline package let originalSequenceNumber: SequenceNumber
    /// Where the original payload starts in the packet.
    @usableFromInline package let payloadOffset: Int
    /// Bytes of the original payload, without padding; may be 0.
    @usableFromInline package let payloadLength: Int

    /// Reads a retransmission that has been decrypted.
    ///
    /// - Parameters:
    ///   - packet: the whole packet, without an authentication tag.
    ///   - headerLength: of the RTP header with its extensions.
    ///   - paddingLength: as `RTPHeaderInfo.paddingLength(ofPlaintext:)` gave it.
    /// - Returns: `nil` without room for the OSN: probes send RTX packets that are padding only.
    @inlinable package init?(_ packet: RawSpan, headerLength: Int, paddingLength: Int) {
        guard headerLength >= 0, paddingLength >= 0, headerLength <= packet.byteCount else { return nil }
        let length = packet.byteCount &- headerLength &- paddingLength
        guard length >= 2 else { return nil }
        self.originalSequenceNumber = SequenceNumber(packet.uint16(at: headerLength))
        self.payloadOffset = headerLength &+ 2
        self.payloadLength = length &- 2
    }

    /// Writes the OSN in front of a payload.
    ///
    /// - Parameter offset: the length of the RTP header that was written.
    /// - Returns: the offset of the payload; `nil` when it does not fit.
    @inlinable package static func writeOriginalSequenceNumber(
        _ sequenceNumber: SequenceNumber,
        into packet: inout MutableRawSpan,
        at offset: Int
    ) -> Int? {
        guard offset >= 0, packet.byteCount >= 2, offset <= packet.byteCount &- 2 else { return nil }
        packet.store(sequenceNumber.value, at: offset)
        return offset &+ 2
    }
}
