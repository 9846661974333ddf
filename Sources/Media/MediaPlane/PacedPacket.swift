import Forwarding

/// A packet that waits for its turn: not its bytes, which lie in its source's cache, but where they are and the numbers
/// that it was given when it came.
struct PacedPacket: BitwiseCopyable, Sendable {
    /// `Leg.binding` at the time: what waits for a track that is bound no more is not sent.
    var binding: UInt32
    /// The source layer by its rank, the publisher's sequence number, and ours.
    var position: SourcePosition
    var patch: PacketPatch
    /// Somebody asked for it: it goes out through RTX.
    var isRetransmission: Bool
}
