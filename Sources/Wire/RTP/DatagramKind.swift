import Basics

/// What a datagram on the shared media port carries (RFC 7983 §7, RFC 5761 §4).
@usableFromInline package enum DatagramKind: UInt8, Hashable, Sendable, CaseIterable, BitwiseCopyable {
    case stun
    case dtls
    case turnChannel
    case rtp
    case rtcp
    /// ZRTP, QUIC, anything else, and datagrams too short to tell: dropped and counted.
    case unknown
}

/// Tells the protocols on one port apart by the first byte, and RTCP from RTP by the second.
///
/// Looks at two bytes only: each protocol's own parser checks the rest.
package func classifyDatagram(_ bytes: RawSpan) -> DatagramKind {
    guard bytes.byteCount > 0 else { return .unknown }
    switch bytes.uint8(at: 0) {
    case 0...3: return .stun
    case 20...63: return .dtls
    case 64...79: return .turnChannel
    case 128...191:
        guard bytes.byteCount > 1 else { return .unknown }
        // Payload types 64 to 95 with the marker bit would look the same, which is why nobody may offer them.
        return (192...223).contains(bytes.uint8(at: 1)) ? .rtcp : .rtp
    default: return .unknown
    }
}
