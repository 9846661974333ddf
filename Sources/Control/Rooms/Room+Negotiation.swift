package import Basics
import Logging
import MediaControl
import Negotiation

/// An answer, with what was bound to the client's recvonly m-lines.
package struct AnsweredOffer: Sendable, Equatable {
    package struct Binding: Sendable, Equatable {
        package var mid: String
        package var track: TrackID
    }

    package var sdp: String
    /// In the order of the m-lines.
    package var bindings: [Binding]
}

extension Room {
    /// The one negotiation of WebSocket, WHIP and WHEP: the client offers, the server answers.
    ///
    /// The media worker knows the session before the answer is returned, so the client's first check finds it.
    package func offer(_ sdp: String, from id: ParticipantID) async throws(RoomError) -> AnsweredOffer {
        await self.enter()
        defer { self.leaveTurn() }
        let participant = try self.participant(id)
        let prepared = try await self.prepare(sdp, from: participant)
        return await self.commit(prepared, for: participant)
    }

    /// An offer that the media worker has agreed to and the room does not know of yet.
    struct PreparedOffer {
        var negotiation: PeerNegotiation
        var newBindings: [String: TrackID]
        var answer: String
    }

    func prepare(_ sdp: String, from participant: Participant) async throws(RoomError) -> PreparedOffer {
        var negotiation = try await self.receive(sdp, from: participant)
        try self.checkPublishing(of: participant, negotiation)
        try self.countTrackChanges(of: participant, to: negotiation)
        let newBindings = self.chooseTracks(for: participant, in: &negotiation)
        let answer = negotiation.answer(labels: self.labels(for: negotiation))
        try await self.apply(negotiation)
        return PreparedOffer(negotiation: negotiation, newBindings: newBindings, answer: answer)
    }

    func commit(_ prepared: PreparedOffer, for participant: Participant) async -> AnsweredOffer {
        var negotiation = prepared.negotiation
        // A track may have gone with whom this participant has replaced.
        negotiation.bindings = negotiation.bindings.filter { self.tracks[$0.value] != nil }
        let isNew = participant.negotiation?.session != negotiation.session
        if isNew {
            if let previous = participant.negotiation { await self.end(previous, isClosed: false) }
            self.sessions.insert(negotiation.session, room: self)
        }
        participant.negotiation = negotiation
        participant.heldBack = participant.heldBack.filter { negotiation.bindings[$0.key] == $0.value && !isNew }
        let failed = await self.bind(prepared.newBindings, for: participant)
        await self.updatePublished(of: participant, replacing: isNew)

        let bindings = negotiation.negotiated?.sections.compactMap { section in
            negotiation.bindings[section.mid].map { AnsweredOffer.Binding(mid: section.mid, track: $0) }
        }
        return AnsweredOffer(sdp: prepared.answer, bindings: bindings?.filter { !failed.contains($0.mid) } ?? [])
    }

    private func receive(_ sdp: String, from participant: Participant) async throws(RoomError) -> PeerNegotiation {
        // Who may not publish is told so by `checkPublishing`; a viewer by WHEP may have a player that offers to send.
        let canPublish = participant.kind != .whep
        let canSubscribe = participant.grants.subscribe
        var fresh = PeerNegotiation(codecs: self.settings.codecs, endpoint: self.worker.endpointForNewSession())
        guard let current = participant.negotiation else {
            try fresh.receive(offer: sdp, canPublish: canPublish, canSubscribe: canSubscribe)
            return fresh
        }
        var next = current
        let refusal: RoomError?
        do throws(RoomError) {
            try next.receive(offer: sdp, canPublish: canPublish, canSubscribe: canSubscribe)
            refusal = nil
        } catch { refusal = error }
        if refusal == nil, !next.isOtherPeer(than: current) { return next }
        // A page that starts again comes with another peer connection: another certificate, and m-lines from zero.
        do throws(RoomError) {
            try fresh.receive(offer: sdp, canPublish: canPublish, canSubscribe: canSubscribe)
        } catch { throw refusal ?? error }
        if let refusal, !fresh.isOtherPeer(than: current) { throw refusal }
        return fresh
    }

    private func apply(_ negotiation: PeerNegotiation) async throws(RoomError) {
        let maxBitrate = self.settings.maxBitratePerParticipant
        guard let configuration = negotiation.configuration(maxBitrate: maxBitrate) else {
            throw RoomError(.internal, "there is nothing negotiated")
        }
        do throws(MediaError) {
            try await self.worker.apply(configuration, to: negotiation.session)
        } catch {
            self.logger.warning("the media worker refused an offer", metadata: ["reason": "\(error)"])
            switch error {
            case .tooManySessions: throw RoomError(.internal, "the server has no room for another session")
            case .transportChanged:
                throw RoomError(.sdpUnsupported, "a=fingerprint changed; a new certificate needs a new session")
            case .noSuchSession, .noSuchSection, .noSuchTrack, .noCommonCodec:
                throw RoomError(.internal, "the media session is not there")
            }
        }
    }

    /// Ends a peer connection that the media plane may still have.
    func end(_ negotiation: PeerNegotiation, isClosed: Bool) async {
        guard self.sessions.remove(negotiation.session) else { return }
        if !isClosed { await self.worker.close(negotiation.session) }
    }

    private func labels(for negotiation: PeerNegotiation) -> [String: SectionLabel] {
        negotiation.bindings.compactMapValues { id in
            self.tracks[id].map {
                SectionLabel(streamID: $0.publisher.value, trackID: $0.id.value, cname: $0.publisher.value)
            }
        }
    }

    // MARK: WHIP and WHEP

    /// Takes a PATCH's body (RFC 8840 §9). Returns the reply to an ICE restart; `nil` when there is nothing to say.
    package func receive(
        fragment: String,
        from id: ParticipantID
    ) async throws(RoomError) -> String? {
        await self.enter()
        defer { self.leaveTurn() }
        let participant = try self.participant(id)
        guard var negotiation = participant.negotiation else { throw RoomError(.badMessage, "there was no offer yet") }
        guard let reply = try negotiation.receive(fragment: fragment) else { return nil }
        try await self.apply(negotiation)
        participant.negotiation = negotiation
        return reply
    }
}
