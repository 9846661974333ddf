import Basics
import RTP
import SDP

/// Reads which codecs an m-line lists, with their retransmission formats and feedback.
struct CodecReader {
    /// Whose description it is, and so what becomes of the format parameters.
    enum Purpose {
        /// An offer: parameters are turned into those of the answer.
        case answering(NegotiatedSection.Direction)
        /// An answer: parameters are kept as they are.
        case reading
    }

    private let media: MediaDescription
    private let kind: MediaKind
    private var maps: [UInt8: SDPAttribute.RTPMap] = [:]
    private var parameters: [UInt8: String] = [:]
    private var feedback: [UInt8: NegotiatedCodec.Feedback] = [:]
    private var feedbackOfAll: NegotiatedCodec.Feedback = []

    init(_ media: MediaDescription, kind: MediaKind) {
        self.media = media
        self.kind = kind
        for map in media.all(SDPAttribute.RTPMap.self) where self.maps[map.payloadType] == nil {
            self.maps[map.payloadType] = map
        }
        for line in media.all(SDPAttribute.FormatParameters.self) where self.parameters[line.payloadType] == nil {
            self.parameters[line.payloadType] = line.text
        }
        for line in media.all(SDPAttribute.RTCPFeedback.self) {
            guard let flag = NegotiatedCodec.Feedback(sdp: line.kind) else { continue }
            if let payloadType = line.payloadType {
                self.feedback[payloadType, default: []].insert(flag)
            } else {
                self.feedbackOfAll.insert(flag)
            }
        }
    }

    /// The codecs in the m-line's own order of preference, only those of `allowed`; at most 128.
    ///
    /// - Parameter hasTransportWide: whether the extension that transport-wide feedback needs is negotiated.
    func codecs(allowed: Set<Codec>, purpose: Purpose, hasTransportWide: Bool) -> [NegotiatedCodec] {
        var available: NegotiatedCodec.Feedback =
            self.kind == .audio
            ? [.nack, .transportWide]
            : [.nack, .pictureLossIndication, .fullIntraRequest, .transportWide, .receiverEstimate]
        // GStreamer offers the feedback without the extension, and then nothing can be fed back.
        if !hasTransportWide { available.remove(.transportWide) }

        let payloadTypes = self.usablePayloadTypes
        var codecs: [NegotiatedCodec] = []
        for payloadType in payloadTypes {
            guard let map = self.maps[payloadType], let codec = Codec(map, kind: self.kind), allowed.contains(codec)
            else { continue }
            let offered = self.parameters[payloadType] ?? ""
            codecs.append(
                NegotiatedCodec(
                    codec: codec,
                    payloadType: payloadType,
                    rtxPayloadType: nil,
                    clockRate: map.clockRate,
                    channels: self.kind == .audio ? map.channels ?? 1 : 1,
                    formatParameters: Self.parameters(offered, of: codec, purpose: purpose),
                    feedback: self.feedbackOfAll.union(self.feedback[payloadType] ?? []).intersection(available)
                )
            )
        }
        self.removeRedundancyOfNothing(from: &codecs)
        self.addRetransmission(payloadTypes, to: &codecs)
        return codecs
    }

    /// Without 64 to 95, which would look like RTCP on a multiplexed port (RFC 5761 §4).
    private var usablePayloadTypes: [UInt8] {
        var seen: Set<UInt8> = []
        return self.media.payloadTypes.filter { !(64...95).contains($0) && seen.insert($0).inserted }
    }

    /// RED names the formats that it carries (RFC 2198 §5): each must be accepted too.
    private func removeRedundancyOfNothing(from codecs: inout [NegotiatedCodec]) {
        let carried = Set(codecs.lazy.filter { $0.codec != .red }.map { String($0.payloadType) })
        codecs.removeAll { codec in
            guard codec.codec == .red else { return false }
            let formats = (self.parameters[codec.payloadType] ?? "").utf8.split(separator: UInt8(ascii: "/"))
            return formats.isEmpty || !formats.allSatisfy { carried.contains(String(Substring($0))) }
        }
    }

    private func addRetransmission(_ payloadTypes: [UInt8], to codecs: inout [NegotiatedCodec]) {
        var repairs: [UInt8: UInt8] = [:]
        for payloadType in payloadTypes {
            guard let map = self.maps[payloadType], map.encoding.lowercased() == "rtx",
                let text = self.parameters[payloadType],
                let pair = SDPAttribute.FormatParameters.pairs(of: text).first(where: { $0.key == "apt" }),
                let repaired = UInt8(pair.value), repairs[repaired] == nil,
                self.maps[repaired]?.clockRate == map.clockRate
            else { continue }
            repairs[repaired] = payloadType
        }
        for index in codecs.indices { codecs[index].rtxPayloadType = repairs[codecs[index].payloadType] }
    }

    /// What the answer says of a format.
    ///
    /// Parameters are echoed, the unknown ones too: they describe a stream that the server hands on as it is. Left out
    /// are `sprop-*`, which describe what the offerer sends, and, where the client publishes, the limits of its own
    /// VP8 and VP9 decoder (Firefox's `max-fs`), which would come back to it as limits of its encoder.
    private static func parameters(_ offered: String, of codec: Codec, purpose: Purpose) -> String {
        guard case .answering(let direction) = purpose, codec != .red else { return offered }
        let pairs = SDPAttribute.FormatParameters.pairs(of: offered)
        var kept = pairs.filter { pair in
            if pair.key.hasPrefix("sprop-") { return false }
            let isDecoderLimit = pair.key == "max-fs" || pair.key == "max-fr"
            return !(isDecoderLimit && direction != .send && (codec == .vp8 || codec == .vp9))
        }
        // A publisher that announces stereo sends it only when it reads that the receiver wants it (RFC 7587 §7.1).
        if codec == .opus, direction != .send, pairs.contains(where: { $0 == ("sprop-stereo", "1") }),
            !kept.contains(where: { $0.key == "stereo" })
        {
            kept.append(("stereo", "1"))
        }
        return kept.map { $0.value.isEmpty ? $0.key : "\($0.key)=\($0.value)" }.joined(separator: ";")
    }
}

extension NegotiatedCodec.Feedback {
    /// In the order in which an answer lists them.
    static let sdpNames: [(Self, String)] = [
        (.receiverEstimate, "goog-remb"), (.transportWide, "transport-cc"), (.fullIntraRequest, "ccm fir"),
        (.nack, "nack"), (.pictureLossIndication, "nack pli"),
    ]

    init?(sdp kind: String) {
        guard let match = Self.sdpNames.first(where: { $0.1 == kind }) else { return nil }
        self = match.0
    }
}

extension Codec {
    /// The name in `a=rtpmap`, compared without regard to case.
    var encodingName: String {
        switch self {
        case .opus: "opus"
        case .red: "red"
        case .vp8: "VP8"
        case .vp9: "VP9"
        case .h264: "H264"
        case .h265: "H265"
        case .av1: "AV1"
        }
    }

    init?(_ map: SDPAttribute.RTPMap, kind: MediaKind) {
        let name = map.encoding.lowercased()
        guard let codec = Self.allCases.first(where: { $0.kind == kind && $0.encodingName.lowercased() == name }),
            map.clockRate == (kind == .audio ? 48_000 : 90_000), kind == .video || map.channels == 2
        else { return nil }
        self = codec
    }
}
