import Basics
import SDP

/// What becomes of one offered m-line. There is one for each, so that the answer has the same lines in the same order.
struct AnswerSection: Sendable, Equatable {
    /// What an accepted m-line says in the answer, besides what the session's section knows.
    struct Accepted: Sendable, Equatable {
        var section: NegotiatedSection
        var extensions: [SDPAttribute.ExtensionMapping]
        var allowsMixedExtensions: Bool
        var rids: [SDPAttribute.RID]
        var streams: [SDPAttribute.Simulcast.Alternative]
        var mediaStreamID: SDPAttribute.MediaStreamID?
    }

    var media: String
    var transport: String
    var formats: [String]
    /// Generated from the index where the offer has none.
    var mid: String
    var hasMID: Bool
    /// `nil` for an m-line that the client stopped or that the server rejects.
    var accepted: Accepted?

    init(_ offered: MediaDescription, mid: String, accepted: Accepted?) {
        self.media = offered.media
        self.transport = offered.transport
        self.formats = offered.formats
        self.mid = mid
        self.hasMID = offered.mid != nil
        self.accepted = accepted
    }
}

/// Prints answers.
struct AnswerWriter {
    let local: LocalTransport
    let labels: [String: SectionLabel]
    /// The server's role in the DTLS handshake.
    let setup: SDPAttribute.Setup
    /// For m-lines that are not bound.
    let defaultCNAME: String
    /// The m-line that carries the bundle's transport: the candidates stand in it alone (RFC 9143 §7.3.1).
    let taggedMID: String?

    func description(of answer: AnswerSection) -> MediaDescription {
        guard let accepted = answer.accepted else {
            let attributes = [SDPAttribute("inactive")]
            return MediaDescription(
                media: answer.media,
                port: 0,
                transport: answer.transport,
                formats: answer.formats,
                attributes: answer.hasMID ? [SDPAttribute("mid", answer.mid)] + attributes : attributes
            )
        }
        var attributes = answer.mid == self.taggedMID ? self.candidates() : []
        attributes += self.transport()
        if answer.hasMID { attributes.append(SDPAttribute("mid", answer.mid)) }
        if accepted.allowsMixedExtensions { attributes.append(SDPAttribute("extmap-allow-mixed")) }
        attributes += accepted.extensions.map { SDPAttribute($0) }
        attributes += self.media(accepted)
        return MediaDescription(
            media: answer.media,
            port: 9,
            transport: answer.transport,
            formats: accepted.section.codecs.flatMap { codec in
                ["\(codec.payloadType)"] + (codec.rtxPayloadType.map { ["\($0)"] } ?? [])
            },
            attributes: attributes
        )
    }

    private func candidates() -> [SDPAttribute] {
        self.local.candidates.sdpAttributes + [SDPAttribute("end-of-candidates")]
    }

    private func transport() -> [SDPAttribute] {
        let fingerprint = self.local.fingerprint
        return [
            SDPAttribute("ice-ufrag", self.local.usernameFragment),
            SDPAttribute("ice-pwd", self.local.password.value),
            SDPAttribute(
                SDPAttribute.CertificateFingerprint(hash: fingerprint.hash.rawValue, digest: fingerprint.digest)
            ),
            SDPAttribute(self.setup),
        ]
    }

    private func media(_ accepted: AnswerSection.Accepted) -> [SDPAttribute] {
        let section = accepted.section
        let label = self.label(section.mid)
        let id = SDPAttribute.MediaStreamID(stream: label.streamID, track: label.trackID)
        var attributes: [SDPAttribute] = []
        switch section.direction {
        case .receive: attributes.append(SDPAttribute("recvonly"))
        case .send: attributes += [SDPAttribute("sendonly"), SDPAttribute(id)]
        case .inactive: attributes.append(SDPAttribute("inactive"))
        }
        attributes.append(SDPAttribute("rtcp-mux"))
        if section.reducedSizeRTCP { attributes.append(SDPAttribute("rtcp-rsize")) }
        if section.echoesReferenceTimes { attributes.append(SDPAttribute("rtcp-xr", "rcvr-rtt=all")) }
        for codec in section.codecs { attributes += codec.sdpAttributes }
        if section.usesCongestionControlFeedback {
            attributes.append(SDPAttribute(SDPAttribute.RTCPFeedback.congestionControlFeedback))
        }
        if section.direction == .receive, !accepted.streams.isEmpty {
            attributes += accepted.rids.map { SDPAttribute($0) }
            attributes.append(SDPAttribute(SDPAttribute.Simulcast(receive: accepted.streams.map { [$0] })))
        }
        if section.direction == .send { attributes += section.sourceAttributes(cname: label.cname, mediaStreamID: id) }
        return attributes
    }

    /// Every m-line that is not bound has a stream of its own: a browser would hold the audio of one participant back
    /// for the video of another if they stood in one.
    private func label(_ mid: String) -> SectionLabel {
        let label =
            self.labels[mid]
            ?? SectionLabel(streamID: "sluice-\(mid)", trackID: "track-\(mid)", cname: self.defaultCNAME)
        return SectionLabel(
            streamID: label.streamID.tokenForSDP,
            trackID: label.trackID.tokenForSDP,
            cname: label.cname.tokenForSDP
        )
    }
}

extension [TransportAddress] {
    /// Host candidates of component 1, best first (RFC 8839 §5.1, priorities by RFC 8445 §5.1.2.1).
    var sdpAttributes: [SDPAttribute] {
        self.prefix(SDPLimits.candidates).enumerated().map { index, address in
            let localPreference = UInt32(65_535 - index)
            return SDPAttribute(
                SDPAttribute.Candidate(
                    foundation: "\(index + 1)",
                    priority: 126 << 24 | localPreference << 8 | 255,
                    address: address.ip,
                    port: address.port
                )
            )
        }
    }
}

extension NegotiatedCodec {
    /// The `a=rtpmap`, `a=rtcp-fb` and `a=fmtp` lines of a format and of the one that repairs it.
    var sdpAttributes: [SDPAttribute] {
        var attributes = [
            SDPAttribute(
                SDPAttribute.RTPMap(
                    payloadType: self.payloadType,
                    encoding: self.codec.encodingName,
                    clockRate: self.clockRate,
                    channels: self.channels > 1 ? self.channels : nil
                )
            )
        ]
        for (flag, name) in Feedback.sdpNames where self.feedback.contains(flag) {
            attributes.append(SDPAttribute(SDPAttribute.RTCPFeedback(payloadType: self.payloadType, kind: name)))
        }
        if !self.formatParameters.isEmpty {
            attributes.append(
                SDPAttribute(
                    SDPAttribute.FormatParameters(payloadType: self.payloadType, text: self.formatParameters)
                )
            )
        }
        if let rtx = self.rtxPayloadType {
            attributes += [
                SDPAttribute(SDPAttribute.RTPMap(payloadType: rtx, encoding: "rtx", clockRate: self.clockRate)),
                SDPAttribute(SDPAttribute.FormatParameters(payloadType: rtx, text: "apt=\(self.payloadType)")),
            ]
        }
        return attributes
    }
}

extension NegotiatedSection {
    /// The `a=ssrc` lines of what this side sends, with the FID group where a format has retransmission.
    func sourceAttributes(cname: String, mediaStreamID: SDPAttribute.MediaStreamID) -> [SDPAttribute] {
        let hasRetransmission = self.codecs.contains { $0.rtxPayloadType != nil }
        let ssrcs = hasRetransmission ? [self.localSSRC.value, self.localRTXSSRC.value] : [self.localSSRC.value]
        var attributes: [SDPAttribute] = []
        if hasRetransmission {
            attributes.append(SDPAttribute(SDPAttribute.SourceGroup(semantics: "FID", ssrcs: ssrcs)))
        }
        for ssrc in ssrcs {
            attributes += [
                SDPAttribute(SDPAttribute.SourceAttribute(ssrc: ssrc, name: "cname", value: cname)),
                // GStreamer reads the msid here.
                SDPAttribute(
                    SDPAttribute.SourceAttribute(ssrc: ssrc, name: "msid", value: mediaStreamID.attributeValue)
                ),
            ]
        }
        return attributes
    }
}

extension String {
    /// Fit for `a=msid` and a CNAME: at most 64 letters, digits and a few marks, anything else replaced by `_`.
    fileprivate var tokenForSDP: String {
        let clean = self.utf8.prefix(64).map { byte -> Character in
            switch byte {
            case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x30...0x39, 0x41...0x5A, 0x5E...0x7E:
                Character(UnicodeScalar(byte))
            default: "_"
            }
        }
        return clean.isEmpty ? "-" : String(clean)
    }
}
