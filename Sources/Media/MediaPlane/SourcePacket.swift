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
    /// The audio level of audio, the orientation of video.
    private(set) var headerValue: UInt8?
    /// What stands in the payload descriptor now; `nil` = what the publisher wrote.
    private(set) var applied: VP8Patch?

    init(bytes: UnsafeMutableRawBufferPointer, header: RTPHeaderInfo, payloadLength: Int) {
        unsafe self.bytes = unsafe bytes
        self.header = header
        self.payloadLength = payloadLength
    }

    /// Reads the one value of its header that is passed on.
    mutating func readHeaderValue(_ kind: MediaKind) {
        let packet = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(self.bytes))
        self.headerValue =
            kind == .audio
            ? self.header.audioLevel(in: packet)?.rawValue : self.header.videoOrientation(in: packet)
    }

    /// Writes a leg's numbers over those that the leg before wrote, where they differ.
    @inline(__always)
    mutating func apply(_ patch: VP8Patch) {
        guard self.applied != patch else { return }
        self.applied = patch
        unsafe self.payloadDescriptor.apply(patch, in: self.payload)
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
