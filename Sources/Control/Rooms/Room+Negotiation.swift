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
        var negotiation = try await self.receive(sdp, from: participant)
        try self.checkPublishing(of: participant, negotiation)

        let newBindings = self.chooseTracks(for: participant, in: &negotiation)
        let answer = negotiation.answer(labels: self.labels(for: negotiation))
        try await self.apply(negotiation)

        let isNew = participant.negotiation?.session != negotiation.session
        if isNew {
            if let previous = participant.negotiation { await self.end(previous, isClosed: false) }
            self.sessions.insert(negotiation.session, room: self)
        }
        participant.negotiation = negotiation
        let failed = await self.bind(newBindings, for: participant)
        await self.updatePublished(of: participant, replacing: isNew)

        let bindings = negotiation.negotiated?.sections.compactMap { section in
            negotiation.bindings[section.mid].map { AnsweredOffer.Binding(mid: section.mid, track: $0) }
        }
        return AnsweredOffer(sdp: answer, bindings: bindings?.filter { !failed.contains($0.mid) } ?? [])
    }

    private func receive(_ sdp: String, from participant: Participant) async throws(RoomError) -> PeerNegotiation {
        var fresh = PeerNegotiation(codecs: self.settings.codecs, endpoint: self.worker.endpoint)
        guard let current = participant.negotiation else {
            try fresh.receive(offer: sdp, grants: participant.grants)
            return fresh
        }
        var next = current
        let refusal: RoomError?
        do throws(RoomError) {
            try next.receive(offer: sdp, grants: participant.grants)
            refusal = nil
        } catch { refusal = error }
        if refusal == nil, !next.isOtherPeer(than: current) { return next }
        // A page that starts again comes with another peer connection: another certificate, and m-lines from zero.
        do throws(RoomError) {
            try fresh.receive(offer: sdp, grants: participant.grants)
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
            case .transportChanged: throw RoomError(.sdpUnsupported, "fingerprint or DTLS role changed")
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

    /// The client's ICE user name fragment in use; `nil` before the first offer.
    package func remoteUsernameFragment(of id: ParticipantID) -> String? {
        self.participants[id]?.negotiation?.negotiated?.transport.usernameFragment
    }

    // MARK: Publishing

    /// Says what m-lines are, before or after the offer that brings them.
    package func declare(_ intents: [PublishIntent], by id: ParticipantID) async throws(RoomError) {
        await self.enter()
        defer { self.leaveTurn() }
        let participant = try self.participant(id)
        for intent in intents { try self.check(intent.source, grants: participant.grants) }
        var declared = participant.intents
        for intent in intents { declared[intent.mid] = intent }
        if declared.count > self.settings.maxTracksPerParticipant {
            // M-lines that have gone: a client that shares its screen again and again uses up mids, not tracks.
            let present = Set(participant.negotiation?.negotiated?.sections.map(\.mid) ?? [])
            let named = Set(intents.map(\.mid))
            declared = declared.filter { present.contains($0.key) || named.contains($0.key) }
        }
        guard declared.count <= max(self.settings.maxTracksPerParticipant, 1) else {
            throw RoomError(.forbidden, "more than \(self.settings.maxTracksPerParticipant) tracks")
        }
        participant.intents = declared
        var isChanged = false
        for track in self.tracks(of: id) {
            guard let intent = declared[track.source.mid] else { continue }
            isChanged = isChanged || track.info.source != intent.source || track.info.name != intent.name
            self.tracks[track.id]?.info.source = intent.source
            self.tracks[track.id]?.info.name = intent.name
        }
        if isChanged { self.broadcastChange(of: participant) }
    }

    private func check(_ source: TrackSource, grants: Grants) throws(RoomError) {
        guard grants.publish else { throw RoomError(.forbidden, "the token does not allow publishing") }
        if let allowed = grants.publishSources, !allowed.contains(source) {
            throw RoomError(.forbidden, "the token does not allow publishing '\(source.rawValue)'")
        }
    }

    private func checkPublishing(of participant: Participant, _ negotiation: PeerNegotiation) throws(RoomError) {
        let published = negotiation.published
        guard published.count <= self.settings.maxTracksPerParticipant else {
            throw RoomError(.forbidden, "more than \(self.settings.maxTracksPerParticipant) tracks")
        }
        for section in published {
            try self.check(self.intent(for: section, of: participant).source, grants: participant.grants)
        }
    }

    private func intent(for section: NegotiatedSection, of participant: Participant) -> PublishIntent {
        let source: TrackSource = section.kind == .audio ? .microphone : .camera
        return participant.intents[section.mid] ?? PublishIntent(mid: section.mid, source: source)
    }

    /// Makes the tracks of a participant those of its last offer.
    private func updatePublished(of participant: Participant, replacing isNewSession: Bool) async {
        guard let negotiation = participant.negotiation else { return }
        let published = negotiation.published
        let current = self.tracks(of: participant.id)
        let mids = Set(published.map(\.mid))
        for track in current where track.source.session != negotiation.session || !mids.contains(track.source.mid) {
            await self.unpublish(track)
        }
        let known = Set(current.filter { $0.source.session == negotiation.session }.map(\.source.mid))
        for section in published {
            if known.contains(section.mid) {
                self.renewCodecs(of: section, session: negotiation.session)
            } else {
                await self.publish(section, session: negotiation.session, by: participant)
            }
        }
    }

    private func renewCodecs(of section: NegotiatedSection, session: SessionID) {
        let source = PublishedTrack(session: session, mid: section.mid)
        guard let track = self.tracks.values.first(where: { $0.source == source }) else { return }
        self.tracks[track.id]?.codecs = section.codecs.map(\.codec)
    }

    private func publish(_ section: NegotiatedSection, session: SessionID, by participant: Participant) async {
        guard let codec = section.codecs.first?.codec else { return }
        let intent = self.intent(for: section, of: participant)
        let info = TrackInfo(
            id: RandomIdentifiers.track(),
            kind: section.kind,
            source: intent.source,
            name: intent.name,
            muted: false,
            codec: codec,
            layers: section.rids.map { LayerState(rid: $0, active: true) }
        )
        let track = Track(
            id: info.id,
            publisher: participant.id,
            source: PublishedTrack(session: session, mid: section.mid),
            info: info,
            codecs: section.codecs.map(\.codec)
        )
        self.tracks[track.id] = track
        self.trackOrder.append(track.id)
        self.broadcast(.trackPublished(participant.id, info, mid: nil), except: participant.id)
        participant.sink(.trackPublished(participant.id, info, mid: section.mid))
        for id in self.order {
            if let other = self.participants[id], other !== participant { await self.fillFreeSections(of: other) }
        }
    }

    /// Ends a track: its m-lines become free, and take the next track that waits for one.
    func unpublish(_ track: Track) async {
        guard self.tracks.removeValue(forKey: track.id) != nil else { return }
        self.trackOrder.removeAll { $0 == track.id }
        self.broadcast(.trackUnpublished(track.id))
        for id in self.order {
            guard let subscriber = self.participants[id] else { continue }
            await self.unbind(track.id, from: subscriber)
            await self.fillFreeSections(of: subscriber)
        }
    }
}
