import Basics
import RTP
package import SDP

/// The server's half of offer and answer for one session (RFC 8829, the answerer's part).
///
/// A value: an offer that throws leaves it as it was. `receive` reads an offer, then `answer` prints what belongs to
/// it, so that the caller can bind tracks to the `send` sections in between.
///
/// Rights decide the direction, not the acceptance: an m-line that the client may not use is answered `inactive` and
/// keeps its place, so that a later offer can open it. `sendrecv` counts as publishing only and is answered `recvonly`:
/// tracks come down on m-lines of their own.
package struct Negotiator: Sendable {
    /// One m-line through the life of the session.
    private struct Slot: Sendable {
        var media: String
        /// `nil` where the client gives none.
        var mid: String?
        /// Stopped by the client or rejected by the server: the next offer may use the m-line for something else
        /// (RFC 8829 §5.2.2).
        var isFree: Bool
        /// Made when the m-line is accepted, and given up with it: whoever sends on an SSRC starts its numbers anew when
        /// the m-line comes back, and SRTP must never see one number twice under one key (RFC 3711 §9.1).
        var ssrcs: (media: SSRC, retransmission: SSRC)?
        /// The mid that `ssrcs` were made for; one is made up where the client gives none.
        var sectionMID: String?
    }

    private let codecs: Set<Codec>
    /// The `sess-id` of every answer.
    private let sessionID: UInt64
    private var version: UInt64 = 0
    /// At most `SDPLimits.mediaSections`; never shrinks.
    private var slots: [Slot] = []
    private var sections: [AnswerSection] = []
    private var bundle: [String]?
    private var allowsMixedExtensions = false

    /// What the last offer and its answer agreed on; `nil` before the first.
    package private(set) var session: NegotiatedSession?
    /// Whether the last offer, or the last fragment, changed the client's ICE credentials (RFC 8839 §4.4.1.1.1). The
    /// answer then needs new local ones. False for the first offer.
    package private(set) var isICERestart = false

    /// - Parameter codecs: those that the room allows; the client's own order decides between them.
    package init(codecs: [Codec], using generator: inout some RandomNumberGenerator) {
        self.codecs = Set(codecs)
        // 62 bits, as RFC 8829 §5.2.1 says, for readers that keep it in a signed integer.
        self.sessionID = UInt64.random(in: 1..<1 << 62, using: &generator)
    }

    /// Reads an offer, the first or a later one.
    ///
    /// - Parameters:
    ///   - canPublish: whether m-lines on which the client sends may become `receive`.
    ///   - canSubscribe: whether m-lines on which it only receives may become `send`.
    ///   - generator: for the SSRCs of new m-lines.
    package mutating func receive(
        offer text: String,
        canPublish: Bool = true,
        canSubscribe: Bool = true,
        using generator: inout some RandomNumberGenerator
    ) throws(NegotiationError) -> NegotiatedSession {
        let offer = try SessionDescription(negotiating: text)
        var next = self
        let session = try next.accept(offer, canPublish: canPublish, canSubscribe: canSubscribe, using: &generator)
        self = next
        return session
    }

    /// Prints the answer to the last offer: the same text for the same arguments until the next one.
    ///
    /// - Parameter labels: by mid, for the `send` sections that are bound. Empty text before the first offer.
    package func answer(local: LocalTransport, labels: [String: SectionLabel]) -> String {
        guard self.session != nil else { return "" }
        let accepted = Set(self.sections.lazy.filter { $0.accepted != nil }.map { $0.mid })
        let group = self.bundle.map { $0.filter { accepted.contains($0) } } ?? []
        let writer = AnswerWriter(
            local: local,
            labels: labels,
            setup: self.session?.transport.isPassive == true ? .active : .passive,
            defaultCNAME: "sluice-\(String(self.sessionID, radix: 36))",
            taggedMID: group.first ?? self.sections.first { $0.accepted != nil }?.mid
        )
        var attributes: [SDPAttribute] = []
        if !group.isEmpty {
            attributes.append(SDPAttribute(SDPAttribute.MediaGroup(semantics: "BUNDLE", mids: group)))
        }
        attributes += [SDPAttribute("ice-lite"), SDPAttribute("ice-options", "trickle ice2")]
        if self.allowsMixedExtensions { attributes.append(SDPAttribute("extmap-allow-mixed")) }
        attributes.append(SDPAttribute("msid-semantic", " WMS *"))
        let description = SessionDescription(
            origin: Origin(sessionID: "\(self.sessionID)", version: "\(self.version)"),
            attributes: attributes,
            media: self.sections.map { writer.description(of: $0) }
        )
        return description.description
    }

    /// What the client publishes: the `receive` sections, in the order of the m-lines.
    package var publications: [PublishedSection] {
        self.sections.compactMap { answer in
            guard let accepted = answer.accepted, accepted.section.direction == .receive else { return nil }
            return PublishedSection(
                mid: answer.mid,
                kind: accepted.section.kind,
                codecs: accepted.section.codecs,
                rids: accepted.section.rids,
                pausedRIDs: accepted.streams.filter { $0.isPaused }.map { $0.rid },
                streamID: accepted.mediaStreamID.flatMap { $0.stream == "-" ? nil : $0.stream },
                trackID: accepted.mediaStreamID?.track
            )
        }
    }
}

// MARK: - Restart by fragment

extension Negotiator {
    /// Takes the credentials of a WHIP PATCH. One that repeats the known ones, or has none, only trickles: nothing
    /// changes and `isICERestart` is false.
    package mutating func receive(fragment: TrickleFragment) throws(NegotiationError) -> NegotiatedSession {
        guard var session = self.session else { throw .invalid("there is no offer yet; send it first") }
        guard fragment.usernameFragment != nil || fragment.password != nil else {
            self.isICERestart = false
            return session
        }
        let (usernameFragment, password) = try TransportReader.credentials(
            fragment.usernameFragment,
            fragment.password
        )
        var transport = session.transport
        transport.usernameFragment = usernameFragment
        transport.password = password
        self.isICERestart = try Self.isRestart(from: session.transport, to: transport)
        session.transport = transport
        self.session = session
        return session
    }

    /// The reply to a fragment that restarted ICE: the server's new credentials and its candidates.
    package func restartFragment(local: LocalTransport) -> TrickleFragment {
        TrickleFragment(
            usernameFragment: local.usernameFragment,
            password: local.password.value,
            options: ["trickle", "ice2"],
            isICELite: true,
            mids: self.sections.filter { $0.accepted != nil }.map { $0.mid },
            candidates: local.candidates.sdpAttributes.map { "candidate:\($0.value ?? "")" },
            hasEndOfCandidates: true
        )
    }

    private static func isRestart(
        from old: RemoteTransport,
        to new: RemoteTransport
    ) throws(NegotiationError) -> Bool {
        let sameName = old.usernameFragment == new.usernameFragment
        guard sameName == (old.password == new.password) else {
            throw .invalid("an ICE restart changes a=ice-ufrag and a=ice-pwd together; only one of them is new")
        }
        return !sameName
    }
}

// MARK: - Reading an offer

extension Negotiator {
    private mutating func accept(
        _ offer: SessionDescription,
        canPublish: Bool,
        canSubscribe: Bool,
        using generator: inout some RandomNumberGenerator
    ) throws(NegotiationError) -> NegotiatedSession {
        guard !offer.isICELite else { throw .unsupported("a=ice-lite in the offer: two lite agents never connect") }
        guard offer.media.count >= self.slots.count else {
            throw .invalid(
                "the offer has \(offer.media.count) m-lines and the last one had \(self.slots.count); "
                    + "keep the stopped ones with port 0"
            )
        }
        let plan = try OfferPlan(offer)
        let usesCongestionControlFeedback = plan.usesCongestionControlFeedback(offer)
        var sections: [AnswerSection] = []
        for (index, media) in offer.media.enumerated() {
            let mid = plan.mids[index]
            try self.claimSlot(index, media, isActive: plan.isActive[index])
            var accepted: AnswerSection.Accepted?
            if plan.isActive[index], let kind = plan.kind(of: media) {
                let direction = Self.direction(media, offer, canPublish: canPublish, canSubscribe: canSubscribe)
                accepted = Self.read(
                    media,
                    of: offer,
                    mid: mid,
                    kind: kind,
                    direction: direction,
                    allowed: self.codecs,
                    usesCongestionControlFeedback: usesCongestionControlFeedback
                )
            }
            if let accepted { try self.checkKind(accepted.section.kind, of: mid) }
            if accepted == nil || self.slots[index].sectionMID != mid { self.slots[index].ssrcs = nil }
            self.slots[index].sectionMID = mid
            if accepted != nil {
                let ssrcs = self.slots[index].ssrcs ?? self.makeSSRCs(using: &generator)
                self.slots[index].ssrcs = ssrcs
                accepted?.section.localSSRC = ssrcs.media
                accepted?.section.localRTXSSRC = ssrcs.retransmission
            }
            self.slots[index].isFree = accepted == nil
            sections.append(AnswerSection(media, mid: mid, accepted: accepted))
        }
        let transport = try self.checkTransport(offer, plan, sections)
        try plan.checkBundle(sections, offer)

        self.sections = sections
        self.bundle = plan.bundle
        self.allowsMixedExtensions = offer.allowsMixedExtensions
        self.version &+= 1
        let session = NegotiatedSession(
            transport: transport,
            sections: sections.compactMap { $0.accepted?.section }
        )
        self.session = session
        return session
    }

    /// Checks that an m-line in use stays what it is, and gives a free one to its new user.
    private mutating func claimSlot(
        _ index: Int,
        _ media: MediaDescription,
        isActive: Bool
    ) throws(NegotiationError) {
        guard index < self.slots.count else {
            self.slots.append(Slot(media: media.media, mid: media.mid, isFree: true, ssrcs: nil))
            return
        }
        let slot = self.slots[index]
        if slot.mid == media.mid, slot.media == media.media { return }
        guard slot.isFree || !isActive && media.mid == nil else {
            let was = "a=mid:\((slot.mid ?? "").quotedForError) \(slot.media.quotedForError)"
            throw .invalid("m-line \(index + 1) was \(was) and is in use; stop it with port 0 before it is reused")
        }
        guard isActive else { return }
        self.slots[index] = Slot(media: media.media, mid: media.mid, isFree: true, ssrcs: nil)
    }

    /// What is published and bound is known by its mid, also by one that was made for an m-line without, and stays audio or
    /// video as long as it is in use.
    private func checkKind(_ kind: MediaKind, of mid: String) throws(NegotiationError) {
        guard let before = self.sections.first(where: { $0.mid == mid })?.accepted?.section.kind, before != kind else {
            return
        }
        throw .invalid(
            "a=mid:\(mid.quotedForError) was \(before.name.quotedForError) and is \(kind.name.quotedForError) now; "
                + "give a new m-line a new a=mid"
        )
    }

    private func makeSSRCs(using generator: inout some RandomNumberGenerator) -> (SSRC, SSRC) {
        let used = Set(self.slots.flatMap { slot in slot.ssrcs.map { [$0.media, $0.retransmission] } ?? [] })
        var fresh: [SSRC] = []
        while fresh.count < 2 {
            let ssrc = SSRC(UInt32.random(in: 1 ... .max, using: &generator))
            if !used.contains(ssrc), !fresh.contains(ssrc) { fresh.append(ssrc) }
        }
        return (fresh[0], fresh[1])
    }

    private static func direction(
        _ media: MediaDescription,
        _ offer: SessionDescription,
        canPublish: Bool,
        canSubscribe: Bool
    ) -> NegotiatedSection.Direction {
        switch media.direction ?? offer.direction ?? .sendReceive {
        // Who may only watch and offers both, as a transceiver does by default, is sent to.
        case .sendReceive: canPublish ? .receive : canSubscribe ? .send : .inactive
        case .sendOnly: canPublish ? .receive : .inactive
        case .receiveOnly: canSubscribe ? .send : .inactive
        case .inactive: .inactive
        }
    }

    /// `nil` when no codec is left.
    private static func read(
        _ media: MediaDescription,
        of offer: SessionDescription,
        mid: String,
        kind: MediaKind,
        direction: NegotiatedSection.Direction,
        allowed: Set<Codec>,
        usesCongestionControlFeedback: Bool
    ) -> AnswerSection.Accepted? {
        let allowsMixed = media.allowsMixedExtensions || offer.allowsMixedExtensions
        let extensions = SectionReader.extensions(
            media,
            direction: direction,
            allowsMixed: allowsMixed,
            // Of two kinds of feedback the answer takes one (RFC 8888 §6).
            leavingOut: usesCongestionControlFeedback ? .transportSequenceNumber : nil
        )
        let codecs = CodecReader(media, kind: kind).codecs(
            allowed: allowed,
            purpose: .answering(direction),
            hasTransportWide: extensions.map[.transportSequenceNumber] != 0
        )
        guard codecs.contains(where: { $0.codec != .red }) else { return nil }
        var section = NegotiatedSection(
            mid: mid,
            kind: kind,
            direction: direction,
            codecs: codecs,
            extensions: extensions.map,
            reducedSizeRTCP: media.hasReducedSizeRTCP
        )
        section.echoesReferenceTimes = media.hasReceiverRoundTrip
        section.usesCongestionControlFeedback = usesCongestionControlFeedback
        var simulcast: (rids: [SDPAttribute.RID], streams: [SDPAttribute.Simulcast.Alternative]) = ([], [])
        if direction == .receive {
            // Layers without the RID extension could not be told apart.
            if extensions.map[.rid] != 0 { simulcast = SectionReader.simulcast(media, codecs: codecs) }
            section.rids = simulcast.rids.map { $0.id }
            let sources = SectionReader.sources(media)
            section.remoteSSRCs = sources.ssrcs
            section.cname = sources.cname
        }
        return AnswerSection.Accepted(
            section: section,
            extensions: extensions.answered,
            allowsMixedExtensions: media.allowsMixedExtensions,
            rids: simulcast.rids,
            streams: simulcast.streams,
            mediaStreamID: direction == .receive ? SectionReader.mediaStreamID(media) : nil
        )
    }

    private mutating func checkTransport(
        _ offer: SessionDescription,
        _ plan: OfferPlan,
        _ sections: [AnswerSection]
    ) throws(NegotiationError) -> RemoteTransport {
        let accepted = sections.indices.filter { sections[$0].accepted != nil }
        var indexes: [String: Int] = [:]
        for index in accepted { indexes[plan.mids[index]] = index }
        let carrier = plan.bundle?.lazy.compactMap { indexes[$0] }.first
        guard let index = carrier ?? accepted.first else {
            self.isICERestart = false
            // A client that stopped or lost every m-line keeps its connection.
            if let transport = self.session?.transport { return transport }
            throw .unsupported(
                "no m-line can be used; offer audio or video over UDP/TLS/RTP/SAVPF with at least one of the codecs "
                    + self.codecs.map { $0.rawValue }.sorted().joined(separator: ", ")
            )
        }
        let before = self.session?.transport.isPassive
        let isPassive = try TransportReader.isPassive(offer.media[index], of: offer, before: before)
        // One association carries all of them; who says it once says it in the m-line that carries the bundle.
        for index in accepted where offer.media[index].has("setup") {
            _ = try TransportReader.isPassive(offer.media[index], of: offer, before: isPassive)
        }
        let transport = try TransportReader.transport(offer.media[index], of: offer, isPassive: isPassive)
        guard let old = self.session?.transport else {
            self.isICERestart = false
            return transport
        }
        self.isICERestart = try Self.isRestart(from: old, to: transport)
        guard !Set(old.fingerprints).isDisjoint(with: transport.fingerprints) else {
            throw .unsupported("a=fingerprint changed; a new certificate needs a new session")
        }
        return transport
    }
}
