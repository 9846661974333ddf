/// The RTP header extensions that Sluice understands; all others are left out of answers and never forwarded.
@usableFromInline package enum HeaderExtension: UInt8, CaseIterable, Sendable, BitwiseCopyable {
    case mid
    case rid
    case repairedRID
    case audioLevel
    case transportSequenceNumber
    case absoluteSendTime
    case videoOrientation
    case dependencyDescriptor

    /// The identifier in `a=extmap` (RFC 8285 §5).
    package var uri: String {
        switch self {
        case .mid: "urn:ietf:params:rtp-hdrext:sdes:mid"
        case .rid: "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
        case .repairedRID: "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
        case .audioLevel: "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
        case .transportSequenceNumber:
            "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
        case .absoluteSendTime: "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
        case .videoOrientation: "urn:3gpp:video-orientation"
        case .dependencyDescriptor:
            "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
        }
    }

    package init?(uri: some StringProtocol) {
        guard let match = Self.allCases.first(where: { $0.uri == uri }) else { return nil }
        self = match
    }
}

/// Which id each header extension has on one leg: 1 to 255, 0 = not negotiated (RFC 8285 §4).
///
/// A vector of bytes rather than a dictionary: the packet path asks it several times a packet.
@usableFromInline package struct HeaderExtensionMap: Hashable, Sendable, BitwiseCopyable {
    @usableFromInline package var ids: SIMD8<UInt8>

    @inlinable package init() { self.ids = .zero }

    @inlinable package subscript(_ kind: HeaderExtension) -> UInt8 {
        get { self.ids[Int(kind.rawValue)] }
        set { self.ids[Int(kind.rawValue)] = newValue }
    }

    /// The extension that `id` stands for on this leg; `nil` when it was not negotiated. `id` 0 is padding.
    @inlinable package func kind(ofID id: UInt8) -> HeaderExtension? {
        guard id != 0 else { return nil }
        for index in 0..<8 where self.ids[index] == id { return HeaderExtension(rawValue: UInt8(index)) }
        return nil
    }

    package var isEmpty: Bool { self.ids == .zero }
}
