import Basics

/// What a codec's payload format says in front of the coded bytes, read once per packet for all who ask.
@usableFromInline package enum PayloadDescriptor: Sendable, BitwiseCopyable {
    /// The format has none, or it is cut short.
    case none
    case vp8(VP8Descriptor)
    case vp9(VP9Descriptor)

    /// - Parameter payload: decrypted, without padding.
    package init(_ payload: RawSpan, format: PayloadFormat) {
        switch format {
        case .vp8:
            if let descriptor = VP8Descriptor(payload) { self = .vp8(descriptor) } else { self = .none }
        case .vp9:
            if let descriptor = VP9Descriptor(payload) { self = .vp9(descriptor) } else { self = .none }
        case .opus, .red, .h264, .h265, .av1, .other: self = .none
        }
    }

    /// As `keyFrameStart(in:format:)`, without reading the descriptor again.
    package func keyFrame(in payload: RawSpan, format: PayloadFormat) -> KeyFrameInfo? {
        switch self {
        case .vp8(let descriptor): descriptor.keyFrame
        case .vp9(let descriptor): descriptor.keyFrame(in: payload)
        case .none: format == .vp8 || format == .vp9 ? nil : keyFrameStart(in: payload, format: format)
        }
    }
}
