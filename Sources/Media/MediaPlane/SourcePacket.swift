import Basics
import Forwarding
import RTP

/// A published packet in hand: opened, parsed, still in the receive buffer.
@safe
struct SourcePacket {
    /// Of what is added to make sizes equal: the length of AES-GCM's tag, whose place it takes.
    static let largestPadding = 16

    /// Header, payload and padding.
    let bytes: UnsafeMutableRawBufferPointer
    let header: RTPHeaderInfo
    /// Without padding.
    let payloadLength: Int
    /// Bytes behind the payload that padding may be written to.
    var paddingRoom = 0
    /// The publisher's, unwrapped.
    var sequence: Int64 = 0
    /// As the publisher wrote it: legs change the fields in place, one after the other.
    var payloadDescriptor = PayloadDescriptor.none
    /// What it is of its frame; of audio, nothing.
    var frame = FrameInfo()

    init(bytes: UnsafeMutableRawBufferPointer, header: RTPHeaderInfo, payloadLength: Int) {
        unsafe self.bytes = unsafe bytes
        self.header = header
        self.payloadLength = payloadLength
    }

    /// `init` is only reached with lengths that were checked against `bytes`.
    @inline(__always)
    var payload: UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(
            rebasing: self.bytes[self.header.headerLength..<(self.header.headerLength + self.payloadLength)]
        )
    }

    var withoutPadding: UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(
            rebasing: self.bytes[0..<(self.header.headerLength + self.payloadLength)]
        )
    }
}
