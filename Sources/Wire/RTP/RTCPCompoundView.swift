package import Basics

/// What an RTCP packet is, once its type, format and shortest length have been checked.
@usableFromInline package enum RTCPPacketKind: UInt8, Hashable, Sendable, CaseIterable, BitwiseCopyable {
    /// RFC 3550 §6.4.1.
    case senderReport
    /// RFC 3550 §6.4.2.
    case receiverReport
    /// RFC 3550 §6.5.
    case sourceDescription
    /// RFC 3550 §6.6.
    case goodbye
    /// Generic NACK (RFC 4585 §6.2.1).
    case nack
    /// Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).
    case transportFeedback
    /// RFC 8888 §3.1.
    case congestionControlFeedback
    /// RFC 4585 §6.3.1.
    case pictureLossIndication
    /// RFC 5104 §4.3.1.
    case fullIntraRequest
    /// draft-alvestrand-rmcat-remb-03 §2.2.
    case receiverEstimatedMaximumBitrate
    /// RFC 3611 §2.
    case extendedReport
    /// APP and everything else: skipped.
    case other
    /// A known type too short for its own counts: skipped and counted.
    case malformed
}

/// One RTCP packet inside a compound packet. Borrows the datagram.
///
/// The typed accessors live in extensions by packet type. Each checks `kind`, so that asking the wrong one gives
/// `nil` or zero.
@usableFromInline package struct RTCPPacketView: ~Escapable {
    /// The packet from its header to its end, without padding: at least 4 bytes.
    package let bytes: RawSpan
    package let kind: RTCPPacketKind

    /// - Parameter bytes: one packet without padding; the compound has checked its version and length.
    @_lifetime(copy bytes)
    init(_ bytes: RawSpan) {
        self.bytes = bytes
        self.kind = Self.classify(bytes)
    }

    /// The 5 bits of the first byte: a count of blocks, chunks or sources, or the format of a feedback packet.
    package var count: Int { Int(self.bytes.uint8(at: 0) & 0x1F) }
    /// 192...223.
    package var packetType: UInt8 { self.bytes.uint8(at: 1) }

    /// Who sent the packet; `nil` for source descriptions, BYE and what is not understood.
    package var senderSSRC: SSRC? {
        switch self.kind {
        case .sourceDescription, .goodbye, .other, .malformed: nil
        default: SSRC(self.bytes.uint32(at: 4))
        }
    }

    /// Which source feedback is about; 0 in FIR and REMB, which name theirs in entries (RFC 4585 §6.1).
    package var mediaSSRC: SSRC? {
        switch self.kind {
        case .nack, .transportFeedback, .pictureLossIndication, .fullIntraRequest, .receiverEstimatedMaximumBitrate:
            SSRC(self.bytes.uint32(at: 8))
        default: nil
        }
    }

    private static func classify(_ bytes: RawSpan) -> RTCPPacketKind {
        guard bytes.byteCount >= 4 else { return .malformed }
        let count = Int(bytes.uint8(at: 0) & 0x1F)
        let kind: RTCPPacketKind
        let shortest: Int
        switch (bytes.uint8(at: 1), count) {
        case (200, _): (kind, shortest) = (.senderReport, 28 + count * 24)
        case (201, _): (kind, shortest) = (.receiverReport, 8 + count * 24)
        // A chunk has an SSRC, and an item list that ends with a zero byte and is aligned to 4.
        case (202, _): (kind, shortest) = (.sourceDescription, 4 + count * 8)
        case (203, _): (kind, shortest) = (.goodbye, 4 + count * 4)
        case (205, 1): (kind, shortest) = (.nack, 16)
        case (205, 11): (kind, shortest) = (.congestionControlFeedback, 12)
        case (205, 15): (kind, shortest) = (.transportFeedback, 20)
        case (206, 1): (kind, shortest) = (.pictureLossIndication, 12)
        case (206, 4): (kind, shortest) = (.fullIntraRequest, 20)
        case (206, 15):
            // Application layer feedback is REMB only with REMB's own identifier (draft §2.2).
            guard bytes.byteCount >= 12 else { return .malformed }
            guard bytes.byteCount >= 16, bytes.uint32(at: 12) == 0x5245_4D42 else { return .other }
            (kind, shortest) = (
                .receiverEstimatedMaximumBitrate, bytes.byteCount >= 20 ? 20 + Int(bytes.uint8(at: 16)) * 4 : 20
            )
        case (207, _): (kind, shortest) = (.extendedReport, 8)
        default: return .other
        }
        return bytes.byteCount >= shortest ? kind : .malformed
    }
}

/// A compound RTCP packet, or a single one where reduced size was negotiated (RFC 3550 §6.1, RFC 5506).
///
/// The chain of headers is checked as a whole before any packet is handed out (RFC 3550 appendix A.2): version 2,
/// lengths that add up to the datagram, padding that stays behind its packet's header. Work is one step per packet, and
/// a packet has at least 4 bytes (ATTACKS A-51).
///
/// The standard wants padding on the last packet only and in words. libwebrtc pads every transport-wide feedback by 1
/// to 3 bytes and sends several in one datagram, so neither is asked for.
@usableFromInline package struct RTCPCompoundView: ~Escapable {
    private let bytes: RawSpan
    private var offset = 0

    /// - Parameter bytes: the datagram after decryption, without SRTCP index and tag.
    /// - Returns: `nil` when the chain is broken or empty.
    @_lifetime(copy bytes)
    package init?(_ bytes: RawSpan) {
        guard bytes.byteCount >= 4 else { return nil }
        var offset = 0
        while offset < bytes.byteCount {
            guard bytes.byteCount - offset >= 4, bytes.uint8(at: offset) >> 6 == 2 else { return nil }
            let length = 4 + 4 * Int(bytes.uint16(at: offset + 2))
            guard length <= bytes.byteCount - offset,
                let padding = Self.paddingLength(in: bytes, at: offset, length: length), padding <= length - 4
            else { return nil }
            offset += length
        }
        self.bytes = bytes
    }

    /// The next packet in wire order; `nil` after the last.
    @_lifetime(copy self)
    package mutating func next() -> RTCPPacketView? {
        guard self.offset < self.bytes.byteCount else { return nil }
        let start = self.offset
        let length = 4 + 4 * Int(self.bytes.uint16(at: start + 2))
        self.offset = start + length
        let padding = Self.paddingLength(in: self.bytes, at: start, length: length) ?? 0
        return RTCPPacketView(self.bytes.extracting(start..<(start + length - padding)))
    }

    /// - Returns: 0 without the padding bit; `nil` when it is set and the count is 0.
    private static func paddingLength(in bytes: RawSpan, at offset: Int, length: Int) -> Int? {
        guard bytes.uint8(at: offset) & 0x20 != 0 else { return 0 }
        let padding = Int(bytes.uint8(at: offset + length - 1))
        return padding > 0 ? padding : nil
    }
}

/// Calls `body` once per packet of a compound, in wire order. Allocates nothing.
///
/// - Returns: `false`, without a call, when the compound is malformed: drop and count it.
package func forEachRTCPPacket(in bytes: RawSpan, _ body: (borrowing RTCPPacketView) -> Void) -> Bool {
    guard var compound = RTCPCompoundView(bytes) else { return false }
    while let packet = compound.next() { body(packet) }
    return true
}
