package import Basics
import MediaControl
import Negotiation

extension Room {
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
            if let changed = self.tracks[track.id] { await self.describe(changed, previous: track.info.source) }
        }
        guard isChanged else { return }
        self.broadcastChange(of: participant)
        await self.applyLastN()
    }

    private func check(_ source: TrackSource, grants: Grants) throws(RoomError) {
        guard grants.publish else { throw RoomError(.forbidden, "the token does not allow publishing") }
        if let allowed = grants.publishSources, !allowed.contains(source) {
            throw RoomError(.forbidden, "the token does not allow publishing '\(source.rawValue)'")
        }
    }

    func checkPublishing(of participant: Participant, _ negotiation: PeerNegotiation) throws(RoomError) {
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
    func updatePublished(of participant: Participant, replacing isNewSession: Bool) async {
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
        guard let id = self.sources[source] else { return }
        self.tracks[id]?.codecs = section.codecs.map(\.codec)
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
        self.published[track.publisher, default: []].append(track.id)
        self.sources[track.source] = track.id
        await self.describe(track)
        self.broadcast(.trackPublished(participant.id, info, mid: nil), except: participant.id)
        participant.tell(.trackPublished(participant.id, info, mid: section.mid))
        for id in self.order {
            if let other = self.participants[id], other !== participant { await self.fillFreeSections(of: other) }
        }
    }

    /// Ends a track: its m-lines become free, and take the next track that waits for one.
    func unpublish(_ track: Track) async {
        guard self.tracks.removeValue(forKey: track.id) != nil else { return }
        self.trackOrder.removeAll { $0 == track.id }
        let others = self.published[track.publisher]?.filter { $0 != track.id } ?? []
        self.published[track.publisher] = others.isEmpty ? nil : others
        self.sources[track.source] = nil
        if track.info.kind == .video { self.countCameras(of: track.publisher) }
        self.participants[track.publisher]?.audioAdvice[track.id] = nil
        self.broadcast(.trackUnpublished(track.id))
        for id in self.order {
            guard let subscriber = self.participants[id] else { continue }
            await self.unbind(track.id, from: subscriber)
            await self.fillFreeSections(of: subscriber)
        }
        // Its place among the last N is free.
        if track.info.kind == .video { await self.applyLastN() }
    }
}
