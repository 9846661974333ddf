import Basics
import SDP

/// Which m-lines of an offer are in use, and whether they make one bundle.
struct OfferPlan {
    /// One for each m-line; generated from the index where the offer has none.
    let mids: [String]
    /// Neither stopped nor rejected by the client: a port, or `a=bundle-only` in its place (RFC 9143 §6).
    let isActive: [Bool]
    /// `nil` without a BUNDLE group, which a single m-line does not need.
    let bundle: [String]?

    init(_ offer: SessionDescription) throws(NegotiationError) {
        var seen: Set<String> = []
        for mid in offer.media.lazy.compactMap({ $0.mid }) where !seen.insert(mid).inserted {
            throw .invalid("a=mid:\(mid.quotedForError) stands in two m-lines; every m-line needs its own")
        }
        var mids: [String] = []
        for (index, media) in offer.media.enumerated() {
            if let mid = media.mid {
                guard mid.utf8.count <= 64 else { throw .invalid("a=mid must have at most 64 characters") }
                mids.append(mid)
            } else {
                var mid = String(index)
                while !seen.insert(mid).inserted { mid += "-" }
                mids.append(mid)
            }
        }
        var grouped: Set<String> = []
        let bundle = offer.bundle?.filter { grouped.insert($0).inserted }
        self.mids = mids
        self.bundle = bundle
        self.isActive = offer.media.indices.map { index in
            let media = offer.media[index]
            return media.port != 0 || media.isBundleOnly && media.mid.map { grouped.contains($0) } ?? false
        }

        let used = offer.media.indices.filter { self.isActive[$0] && self.kind(of: offer.media[$0]) != nil }
        for index in used {
            let media = offer.media[index]
            if used.count > 1 || bundle != nil {
                guard let mid = media.mid, grouped.contains(mid) else {
                    throw .unsupported(
                        "m-line \(index + 1) is in no bundle; list every mid in a=group:BUNDLE "
                            + "(bundlePolicy 'max-bundle' or 'balanced')"
                    )
                }
            }
            guard media.hasRTCPMux else {
                throw .unsupported("m-line \(index + 1) has no a=rtcp-mux; RTP and RTCP must share one port")
            }
        }
    }

    /// Whether feedback goes by SSRC and RTP sequence number: all m-lines in use have to offer it, because it is about the
    /// one transport of them all. Where a client offers transport-wide feedback too, this is taken, as libwebrtc answers.
    func usesCongestionControlFeedback(_ offer: SessionDescription) -> Bool {
        let used = offer.media.indices.filter { self.isActive[$0] && self.kind(of: offer.media[$0]) != nil }
        return !used.isEmpty && used.allSatisfy { offer.media[$0].offersCongestionControlFeedback }
    }

    /// What an m-line carries; `nil` for data channels, unknown media and unknown transports, which are rejected.
    func kind(of media: MediaDescription) -> MediaKind? {
        guard Self.profiles.contains(media.transport) else { return nil }
        return MediaKind.allCases.first { $0.name == media.media }
    }

    /// All mean DTLS-SRTP: the fingerprint says so (RFC 8829 §5.1.2). UDP or TCP is that of the default candidate only, and
    /// old clients leave out DTLS, or the F of the feedback that they offer all the same.
    private static let profiles: Set<String> = [
        "UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP",
        "TCP/TLS/RTP/SAVPF", "TCP/TLS/RTP/SAVP",
        "TCP/DTLS/RTP/SAVPF", "TCP/DTLS/RTP/SAVP",
        "RTP/SAVPF", "RTP/SAVP", "RTP/AVPF", "RTP/AVP",
    ]

    /// Within a bundle an extension id means one URI and a payload type one encoding (RFC 9143 §9.1, §9.4).
    func checkBundle(_ sections: [AnswerSection], _ offer: SessionDescription) throws(NegotiationError) {
        var uris: [UInt16: String] = [:]
        var formats: [UInt8: Codec] = [:]
        var repaired: [UInt8: UInt8] = [:]
        for (index, answer) in sections.enumerated() {
            guard let accepted = answer.accepted else { continue }
            for mapping in offer.media[index].all(SDPAttribute.ExtensionMapping.self) {
                if let other = uris.updateValue(mapping.uri, forKey: mapping.id), other != mapping.uri {
                    throw .invalid("a=extmap:\(mapping.id) stands for two extensions within the bundle; renumber one")
                }
            }
            for codec in accepted.section.codecs {
                let isTaken = formats.updateValue(codec.codec, forKey: codec.payloadType).map { $0 != codec.codec }
                let isRepair = repaired[codec.payloadType] != nil
                guard isTaken != true, !isRepair else { throw Self.ambiguous(codec.payloadType) }
                guard let rtx = codec.rtxPayloadType else { continue }
                let other = repaired.updateValue(codec.payloadType, forKey: rtx)
                guard other == nil || other == codec.payloadType, formats[rtx] == nil else {
                    throw Self.ambiguous(rtx)
                }
            }
        }
    }

    private static func ambiguous(_ payloadType: UInt8) -> NegotiationError {
        .invalid("payload type \(payloadType) stands for two codecs within the bundle; renumber one")
    }
}
