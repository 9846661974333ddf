package import Basics

/// A packet under way. It carries no bytes but what endpoints have to know of it; feedback is real RTCP, kept by the
/// simulation as `payload`.
package struct SimulatedPacket: BitwiseCopyable, Sendable {
    package enum Kind: UInt8, Sendable, BitwiseCopyable {
        case audio, video, retransmission, padding
        /// RTCP towards the sender: real bytes in `payload`.
        case feedback
        /// Fraction lost in `media.reference`, of 256; packets in `media.frame`; forward time in `media.sequence`, us.
        case receiverReport
        /// A negative acknowledgement for `media`.
        case repairRequest
        /// A picture loss indication for `media.track`.
        case keyFrameRequest
        /// TCP: `sequence` is the segment, or what is acknowledged.
        case segment, acknowledgement
        case crossTraffic
    }

    /// IP and UDP headers, without options.
    package static let headerBytes = 28
    /// The largest packet that endpoints make, on the wire.
    package static let maximumBytes = 1_240

    package var kind: Kind
    /// Whose `receive` is called.
    package var destination: Int32
    /// On the wire, IP and UDP headers included.
    package var wireBytes: Int32
    /// The transport-wide number; only media has one.
    package var transportSequence = SequenceNumber(0)
    package var sentAt: Microseconds = 0
    /// On the link: queue, service, pauses, jitter.
    package var delay: Microseconds = 0
    package var isMarked = false
    /// Which bytes the simulation keeps for it; -1 = none.
    package var payload: Int32 = -1
    package var sequence: Int64 = 0
    package var media = MediaPart()

    package init(_ kind: Kind, to destination: Int, wireBytes: Int) {
        self.kind = kind
        self.destination = Int32(destination)
        self.wireBytes = Int32(wireBytes)
    }

    /// Of the UDP payload.
    package var payloadBytes: Int { Int(self.wireBytes) - Self.headerBytes }
}

/// Which part of which frame a packet carries.
package struct MediaPart: BitwiseCopyable, Sendable {
    package var track: Int16 = 0
    package var spatial: Int8 = 0
    package var temporal: Int8 = 0
    package var isKey = false
    /// The number of the picture.
    package var frame: Int32 = 0
    /// The picture whose frame of this layer must have been decoded; -1 = none.
    package var reference: Int32 = -1
    /// The frame of the next lower spatial layer, of the same picture, must have been decoded.
    package var needsLower = false
    package var part: UInt16 = 0
    package var partCount: UInt16 = 1
    /// Of the stream as the subscriber gets it: without gaps.
    package var sequence: Int32 = 0

    package init() {}
}

extension Instant {
    /// Virtual time as engines are told it: they shall not depend on a start at zero.
    package init(simulated time: Microseconds) { self.init(nanoseconds: (time + 500_000_000) * 1_000) }

    /// The microsecond at or after this instant; `.max` when there is none.
    package var simulated: Microseconds {
        self == .distantFuture ? .max : (self.nanoseconds + 999) / 1_000 - 500_000_000
    }
}
