package import Basics
import RTP
import SDP

/// An answer of the server as the client sees it.
package struct ClientAnswer: Sendable, Equatable {
    /// From the client's point of view: `send` is what it publishes, `receive` what it takes, with the server's SSRCs
    /// in `remoteSSRCs` and the client's own in `localSSRC`.
    package var session: NegotiatedSession
    /// The server's UDP candidates with literal addresses, in its order.
    package var candidates: [TransportAddress]
    /// The mids of m-lines that the server rejected.
    package var rejected: [String]
    /// By mid: the names that the server gave what it sends.
    package var labels: [String: SectionLabel]
}

extension ClientOffer {
    /// Reads the answer to the last offer.
    package func read(answer text: String) throws(NegotiationError) -> ClientAnswer {
        let answer = try SessionDescription(negotiating: text)
        guard answer.media.count == self.sections.count else {
            throw .invalid("the answer has \(answer.media.count) m-lines, the offer \(self.sections.count)")
        }
        let bundle = answer.bundle ?? []
        var sections: [NegotiatedSection] = []
        var rejected: [String] = []
        var labels: [String: SectionLabel] = [:]
        var carrier: MediaDescription?
        for (own, media) in zip(self.sections, answer.media) {
            guard media.media == own.kind.name, media.mid == own.mid else {
                throw .invalid("m-line \(own.mid) came back as \((media.mid ?? "").quotedForError)")
            }
            guard media.port != 0 else {
                if !own.isStopped { rejected.append(own.mid) }
                continue
            }
            guard media.hasRTCPMux, bundle.contains(own.mid) else {
                throw .invalid("m-line \(own.mid) was accepted without BUNDLE or rtcp-mux")
            }
            if bundle.first == own.mid { carrier = media }
            let section = Self.section(media, own: own, answer: answer)
            if section.direction == .receive, let id = SectionReader.mediaStreamID(media) {
                labels[own.mid] = SectionLabel(
                    streamID: id.stream,
                    trackID: id.track ?? "",
                    cname: section.cname ?? ""
                )
            }
            sections.append(section)
        }
        guard let carrier else { throw .invalid("the answer accepts no m-line") }
        let setup = carrier.first(SDPAttribute.Setup.self) ?? answer.first(SDPAttribute.Setup.self)
        let isServerPassive = setup != .active
        guard isServerPassive == (self.setup != .passive) else {
            throw .unsupported(
                isServerPassive
                    ? "the answer has no a=setup:active: server and client would both wait for the DTLS handshake"
                    : "the answer has a=setup:active: server and client would both begin the DTLS handshake"
            )
        }
        return ClientAnswer(
            session: NegotiatedSession(
                transport: try TransportReader.transport(carrier, of: answer, isPassive: isServerPassive),
                sections: sections
            ),
            candidates: carrier.all(SDPAttribute.Candidate.self).compactMap { candidate in
                guard candidate.transport == "udp", candidate.component == 1 else { return nil }
                return TransportAddress(candidate.address, port: candidate.port)
            },
            rejected: rejected,
            labels: labels
        )
    }

    private static func section(
        _ media: MediaDescription,
        own: Section,
        answer: SessionDescription
    ) -> NegotiatedSection {
        let direction: NegotiatedSection.Direction =
            switch media.direction ?? answer.direction ?? .sendReceive {
            case .sendReceive: own.direction
            case .receiveOnly: own.direction == .send ? .send : .inactive
            case .sendOnly: own.direction == .receive ? .receive : .inactive
            case .inactive: .inactive
            }
        var extensions = HeaderExtensionMap()
        for mapping in media.all(SDPAttribute.ExtensionMapping.self) {
            guard let kind = HeaderExtension(uri: mapping.uri), let id = UInt8(exactly: mapping.id) else { continue }
            extensions[kind] = id
        }
        var section = NegotiatedSection(
            mid: own.mid,
            kind: own.kind,
            direction: direction,
            codecs: CodecReader(media, kind: own.kind).codecs(
                allowed: Set(Codec.allCases),
                purpose: .reading,
                hasTransportWide: extensions[.transportSequenceNumber] != 0
            ),
            extensions: extensions,
            reducedSizeRTCP: media.hasReducedSizeRTCP,
            localSSRC: own.ssrc,
            localRTXSSRC: own.rtxSSRC
        )
        section.usesCongestionControlFeedback = media.offersCongestionControlFeedback
        switch direction {
        case .send:
            let streams = media.first(SDPAttribute.Simulcast.self)?.receive ?? []
            let allowed = Set(streams.flatMap { stream in stream.map { $0.rid } })
            section.rids = own.rids.filter { allowed.contains($0) }
        case .receive: (section.remoteSSRCs, section.cname) = SectionReader.sources(media)
        case .inactive: break
        }
        return section
    }
}
