package import Basics

/// One request for a key frame (RFC 5104 §4.3.1.1).
@usableFromInline package struct FIREntry: Hashable, Sendable, BitwiseCopyable {
    /// The stream that is asked for.
    package let ssrc: SSRC
    /// Goes up by one with every new request; the same number again is a repetition.
    package let sequenceNumber: UInt8

    package init(ssrc: SSRC, sequenceNumber: UInt8) {
        self.ssrc = ssrc
        self.sequenceNumber = sequenceNumber
    }
}

extension RTCPPacketView {
    /// Calls `body` for every packet that a generic NACK asks for, in wire order: up to 17 per 4 bytes.
    ///
    /// The same number may come more than once: what a peer is sent for it is the caller's budget.
    package func forEachLostSequenceNumber(_ body: (SequenceNumber) -> Void) {
        guard self.kind == .nack else { return }
        var offset = 12
        while self.bytes.byteCount - offset >= 4 {
            let first = SequenceNumber(self.bytes.uint16(at: offset))
            var following = self.bytes.uint16(at: offset + 2)
            offset += 4
            body(first)
            while following != 0 {
                body(first.advanced(by: following.trailingZeroBitCount + 1))
                following &= following - 1
            }
        }
    }

    /// How many entries a FIR has.
    package var fullIntraRequestCount: Int {
        self.kind == .fullIntraRequest ? (self.bytes.byteCount - 12) / 8 : 0
    }

    /// - Returns: `nil` from `fullIntraRequestCount` on.
    package func fullIntraRequest(at index: Int) -> FIREntry? {
        guard index >= 0, index < self.fullIntraRequestCount else { return nil }
        let offset = 12 + index * 8
        return FIREntry(
            ssrc: SSRC(self.bytes.uint32(at: offset)),
            sequenceNumber: self.bytes.uint8(at: offset + 4)
        )
    }

    /// The bitrate of a REMB; what does not fit 63 bits becomes the largest value.
    package var maximumBitrate: Bitrate? {
        guard self.kind == .receiverEstimatedMaximumBitrate else { return nil }
        let field = self.bytes.uint24(at: 17)
        let exponent = Int64(field >> 18)
        let mantissa = Int64(field & 0x3_FFFF)
        let value = mantissa << exponent
        guard mantissa > 0 else { return .zero }
        guard exponent < 63, value >> exponent == mantissa else { return Bitrate(bitsPerSecond: .max) }
        return Bitrate(bitsPerSecond: value)
    }

    /// How many sources a REMB is about: 0...255, within the packet.
    package var maximumBitrateSSRCCount: Int {
        self.kind == .receiverEstimatedMaximumBitrate ? Int(self.bytes.uint8(at: 16)) : 0
    }

    /// - Returns: `nil` from `maximumBitrateSSRCCount` on.
    package func maximumBitrateSSRC(at index: Int) -> SSRC? {
        guard index >= 0, index < self.maximumBitrateSSRCCount else { return nil }
        return SSRC(self.bytes.uint32(at: 20 + index * 4))
    }
}
