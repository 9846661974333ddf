import Basics
package import Negotiation
import RTP

/// m-lines as a browser's offer makes them, ready negotiated.
extension NegotiatedSection {
    private static var browserExtensions: HeaderExtensionMap {
        var extensions = HeaderExtensionMap()
        for (index, kind) in HeaderExtension.allCases.enumerated() { extensions[kind] = UInt8(index + 1) }
        return extensions
    }

    /// Opus with payload type 111.
    package static func audio(_ mid: String, _ direction: Direction, ssrc: UInt32) -> Self {
        NegotiatedSection(
            mid: mid,
            kind: .audio,
            direction: direction,
            codecs: [
                NegotiatedCodec(
                    codec: .opus,
                    payloadType: 111,
                    rtxPayloadType: nil,
                    clockRate: 48_000,
                    channels: 2,
                    formatParameters: "",
                    feedback: [.transportWide]
                )
            ],
            extensions: Self.browserExtensions,
            remoteSSRCs: direction == .receive ? [RemoteSSRC(media: SSRC(ssrc))] : [],
            localSSRC: SSRC(ssrc)
        )
    }

    /// VP8, VP9, H.264 and AV1 with payload types 96, 98, 102 and 45, RTX one above.
    ///
    /// - Parameter rids: simulcast layers; without any, `ssrc` and the one above for RTX are announced.
    package static func video(_ mid: String, _ direction: Direction, ssrc: UInt32, rids: [String] = []) -> Self {
        let formats: [(Codec, UInt8)] = [(.vp8, 96), (.vp9, 98), (.h264, 102), (.av1, 45)]
        return NegotiatedSection(
            mid: mid,
            kind: .video,
            direction: direction,
            codecs: formats.map { codec, payloadType in
                NegotiatedCodec(
                    codec: codec,
                    payloadType: payloadType,
                    rtxPayloadType: payloadType + 1,
                    clockRate: 90_000,
                    channels: 1,
                    formatParameters: codec == .h264 ? "packetization-mode=1" : "",
                    feedback: [.nack, .pictureLossIndication, .fullIntraRequest, .transportWide]
                )
            },
            extensions: Self.browserExtensions,
            rids: rids,
            remoteSSRCs: direction == .receive && rids.isEmpty
                ? [RemoteSSRC(media: SSRC(ssrc), retransmission: SSRC(ssrc + 1))] : [],
            localSSRC: SSRC(ssrc),
            localRTXSSRC: SSRC(ssrc + 1)
        )
    }
}
