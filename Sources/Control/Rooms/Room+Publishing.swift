package import Basics
import MediaControl
import Negotiation

extension Room {
    /// Says what m-lines are, before or after the offer that brings them.
    package func declare(_ intents: [PublishIntent], by id: ParticipantID) async throws(RoomError) {
        await self.enter()
        defer { self.leaveTurn() }
        let participant = try self.participant(id)
        do {
            for intent in intents { try self.check(intent.source, grants: participant.grants) }
        } catch {
            self.remember(refused: intents, of: participant)
            throw error
        }
        guard let declared = self.intents(of: participant, with: intents) else {
            throw RoomError(.forbidden, "more than \(self.settings.maxTracksPerParticipant) tracks")
        }
        let changed = self.tracks(of: id).filter { track in
            guard let intent = declared[track.source.mid] else { return false }
            return track.info.source != intent.source || track.info.name != intent.name
        }
        try self.countTrackChanges(changed.count, of: participant)
        participant.intents = declared
        for track in changed {
            guard let intent = declared[track.source.mid] else { continue }
            self.tracks[track.id]?.info.source = intent.source
            self.tracks[track.id]?.info.name = intent.name
            if let described = self.tracks[track.id] { await self.describe(described, previous: track.info.source) }
        }
        guard !changed.isEmpty else { return }
        self.changed(participant)
        await self.applyLastN()
    }

    /// Else the m-line that the client said is a screen would be taken for a camera when it comes.
    private func remember(refused intents: [PublishIntent], of participant: Participant) {
        let used = Set(self.tracks(of: participant.id).map(\.source.mid))
        let fresh = intents.filter { !used.contains($0.mid) }
        if let declared = self.intents(of: participant, with: fresh) { participant.intents = declared }
    }

    /// What a participant has said of its m-lines, with what it says now; `nil` when that is too much.
    private func intents(of participant: Participant, with fresh: [PublishIntent]) -> [String: PublishIntent]? {
        var declared = participant.intents
        for intent in fresh { declared[intent.mid] = intent }
        if declared.count > self.settings.maxTracksPerParticipant {
            // M-lines that have gone: a client that shares its screen again and again uses up mids, not tracks.
            let present = Set(participant.negotiation?.negotiated?.sections.map(\.mid) ?? [])
            let named = Set(fresh.map(\.mid))
            declared = declared.filter { present.contains($0.key) || named.contains($0.key) }
        }
        return declared.count <= max(self.settings.maxTracksPerParticipant, 1) ? declared : nil
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

    /// Each second; a page's changes come a handful at a time.
    private static let trackChangesPerSecond = 10.0

    /// At once everything may be published and taken back again, on a new peer connection too.
    var fullTrackChanges: TokenBucket {
        TokenBucket(
            perSecond: Self.trackChangesPerSecond,
            burst: Double(max(self.settings.maxTracksPerParticipant, 16)) * 4,
            at: self.now()
        )
    }

    /// - Throws: `rateLimited`. Each track that begins or ends is told to everybody, and must not be left out: without a
    ///   bound one participant could fill the queues of all who read slowly, and hold the room's turn.
    func countTrackChanges(of participant: Participant, to negotiation: PeerNegotiation) throws(RoomError) {
        let current = Set(self.tracks(of: participant.id).map(\.source))
        let next = negotiation.published.map { PublishedTrack(session: negotiation.session, mid: $0.mid) }
        try self.countTrackChanges(current.symmetricDifference(next).count, of: participant)
    }

    private func countTrackChanges(_ count: Int, of participant: Participant) throws(RoomError) {
        guard count > 0 else { return }
        guard participant.trackChanges.take(count, at: self.now()) else {
            throw RoomError(.rateLimited, "too many tracks were changed in a short time: wait a moment and try again")
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
