import Basics

/// The payload formats that Sluice looks into; the rest is forwarded as it is.
@usableFromInline package enum PayloadFormat: UInt8, Hashable, Sendable, CaseIterable, BitwiseCopyable {
    case opus
    case red
    case vp8
    case vp9
    case h264
    case h265
    case av1
    case other
}

/// The first packet of a key frame, with the picture's size where the packet tells it.
@usableFromInline package struct KeyFrameInfo: Hashable, Sendable, BitwiseCopyable {
    /// In pixels; 0 = not told. With spatial layers, of the largest.
    package let width: UInt16
    package let height: UInt16

    package init(width: UInt16 = 0, height: UInt16 = 0) {
        self.width = width
        self.height = height
    }

    package var hasSize: Bool { self.width != 0 && self.height != 0 }
}

/// Tells whether a packet starts a key frame: where a switch to this stream may begin.
///
/// - Parameters:
///   - payload: decrypted, without padding.
///   - format: of the payload type.
/// - Returns: `nil` for all other packets, for malformed ones and for audio.
package func keyFrameStart(in payload: RawSpan, format: PayloadFormat) -> KeyFrameInfo? {
    switch format {
    case .opus, .red, .other: nil
    case .vp8: VP8Descriptor(payload)?.keyFrame
    case .vp9: VP9Descriptor(payload)?.keyFrame(in: payload)
    case .h264: h264KeyFrameStart(in: payload)
    case .h265: h265KeyFrameStart(in: payload)
    case .av1: av1KeyFrameStart(in: payload)
    }
}
