import SDP

/// Which payload type of `sink` takes what `source` sends with each of its own.
///
/// Media formats only: the retransmission format is found through `rtxPayloadType` of the two codecs. A format that the
/// sink has no match for is left out. VP9 and H.265 must agree in profile-id (RFC 7798 §7.2.2), AV1 in profile. H.264
/// prefers the same profile (RFC 6184 §8.1), then takes any with the same packetization mode, and last modes 0 and 1 for
/// each other: the packets of mode 0 are a subset of mode 1's, and who leaves the parameter out means 0 but takes
/// fragments nearly always.
package func payloadTypeMap(from source: NegotiatedSection, to sink: NegotiatedSection) -> [UInt8: UInt8] {
    let candidates = sink.codecs.map { Format($0) }
    var map: [UInt8: UInt8] = [:]
    for codec in source.codecs {
        if let match = Format(codec).bestMatch(among: candidates) { map[codec.payloadType] = match.payloadType }
    }
    return map
}

/// What of a codec decides whether a decoder can take it, read once.
private struct Format {
    let payloadType: UInt8
    private let codec: Codec
    private let channels: UInt8
    /// Of VP9, AV1 and H.265; their default where it is not written.
    private let profile: String
    private let packetizationMode: String
    private let h264Profile: H264Profile?

    init(_ codec: NegotiatedCodec) {
        self.payloadType = codec.payloadType
        self.codec = codec.codec
        self.channels = codec.channels
        self.packetizationMode = codec.parameter("packetization-mode") ?? "0"
        self.h264Profile = codec.codec == .h264 ? H264Profile(of: codec) : nil
        self.profile =
            switch codec.codec {
            case .vp9: codec.parameter("profile-id") ?? "0"
            case .av1: codec.parameter("profile") ?? "0"
            case .h265: codec.parameter("profile-id") ?? "1"
            case .opus, .red, .vp8, .h264: "0"
            }
    }

    func bestMatch(among candidates: [Self]) -> Self? {
        let same = candidates.filter {
            $0.codec == self.codec && $0.channels == self.channels && $0.profile == self.profile
        }
        guard self.codec == .h264 else { return same.first }
        let modes =
            switch self.packetizationMode {
            case "0": ["0", "1"]
            case "1": ["1", "0"]
            // Mode 2 is interleaved: nobody else can read it.
            default: [self.packetizationMode]
            }
        for mode in modes {
            let sameMode = same.filter { $0.packetizationMode == mode }
            if let match = sameMode.first(where: { $0.h264Profile == self.h264Profile }) ?? sameMode.first {
                return match
            }
        }
        return nil
    }
}

extension NegotiatedCodec {
    /// The value of one of `formatParameters`; `nil` when it is not there.
    package func parameter(_ key: String) -> String? {
        SDPAttribute.FormatParameters.pairs(of: self.formatParameters).first { $0.key == key }?.value
    }
}

/// The profiles that `profile-level-id` may spell in several ways (RFC 6184 §8.1, table 5).
package enum H264Profile: Sendable, Hashable {
    case constrainedBaseline, baseline, main, extended
    case constrainedHigh, high
    case other(profile: UInt8, constraints: UInt8)

    package init(of codec: NegotiatedCodec) {
        // Baseline at level 1 is what the parameter means when it is not there.
        self.init(profileLevelID: codec.parameter("profile-level-id") ?? "42000a")
    }

    package init(profileLevelID: String) {
        guard profileLevelID.utf8.count == 6, let value = UInt32(profileLevelID, radix: 16) else {
            self = .baseline
            return
        }
        let profile = UInt8(truncatingIfNeeded: value >> 16)
        let constraints = UInt8(truncatingIfNeeded: value >> 8)
        let set1 = constraints & 0x40 != 0
        switch profile {
        case 0x42: self = set1 ? .constrainedBaseline : .baseline
        case 0x4D: self = constraints & 0x80 != 0 ? .constrainedBaseline : .main
        case 0x58 where constraints & 0x80 != 0: self = set1 ? .constrainedBaseline : .baseline
        case 0x58: self = .extended
        case 0x64: self = constraints & 0x0C == 0x0C ? .constrainedHigh : .high
        default: self = .other(profile: profile, constraints: constraints)
        }
    }
}
