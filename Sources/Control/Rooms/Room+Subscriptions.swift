package import Basics
import Logging
import MediaControl
import Negotiation

extension Room {
    // MARK: Requests

    /// Returns the m-line that the track is bound to; `nil` when it waits for the next offer.
    package func subscribe(
        _ id: ParticipantID,
        to trackID: String,
        mid: String?
    ) async throws(RoomError) -> String? {
        await self.enter()
        defer { self.leaveTurn() }
        let participant = try self.participant(id)
        guard participant.grants.subscribe else {
            throw RoomError(.forbidden, "the token does not allow subscribing")
        }
        let track = try self.track(trackID)
        guard track.publisher != id else { throw RoomError(.forbidden, "this track is the participant's own") }
        participant.unwanted.remove(track.id)
        if let bound = participant.negotiation?.mid(of: track.id), mid == nil || mid == bound { return bound }
        guard let target = try self.target(for: track, mid: mid, of: participant) else {
            if !participant.wanted.contains(track.id) {
                guard participant.wanted.count < 256 else { throw RoomError(.rateLimited, "256 tracks wait already") }
                participant.wanted.append(track.id)
            }
            return nil
        }
        // A track is sent once: asking for it on another m-line moves it.
        await self.unbind(track.id, from: participant)
        if let replaced = participant.negotiation?.bindings[target] { participant.unwanted.insert(replaced) }
        participant.negotiation?.bindings[target] = track.id
        guard await self.bind([target: track.id], for: participant).isEmpty else {
            throw RoomError(.sdpUnsupported, "no codec of the track is among those of m-line '\(target)'")
        }
        return target
    }

    /// The m-line for a track: the named one, or the first free one that fits.
    private func target(for track: Track, mid: String?, of participant: Participant) throws(RoomError) -> String? {
        guard let mid else {
            return participant.negotiation?.free.first { self.fits(track, $0) }?.mid
        }
        guard let section = participant.negotiation?.section(mid), section.direction == .send else {
            throw RoomError(.badMessage, "'\(mid.prefix(64))' is no recvonly m-line of the current description")
        }
        guard section.kind == track.info.kind else {
            throw RoomError(
                .badMessage,
                "m-line '\(mid)' is \(section.kind.name), the track is \(track.info.kind.name)"
            )
        }
        guard self.fits(track, section) else {
            throw RoomError(.sdpUnsupported, "no codec of the track is among those of m-line '\(mid)'")
        }
        return mid
    }

    package func unsubscribe(_ id: ParticipantID, from trackID: String) async throws(RoomError) {
        await self.enter()
        defer { self.leaveTurn() }
        let participant = try self.participant(id)
        let track = try self.track(trackID)
        participant.wanted.removeAll { $0 == track.id }
        participant.unwanted.insert(track.id)
        await self.unbind(track.id, from: participant)
        await self.fillFreeSections(of: participant)
    }

    package func prefer(_ preference: TrackPreference, for trackID: String, by id: ParticipantID)
        async throws(RoomError)
    {
        await self.enter()
        defer { self.leaveTurn() }
        let participant = try self.participant(id)
        let track = try self.track(trackID)
        let previous = participant.preferences[track.id] ?? TrackPreference()
        participant.preferences[track.id] = preference
        guard let negotiation = participant.negotiation, let mid = negotiation.mid(of: track.id) else { return }
        await self.tell(preference, insteadOf: previous, for: SectionReference(session: negotiation.session, mid: mid))
        if preference.priority != previous.priority { await self.applyLastN(to: participant) }
    }

    /// Tells the worker what has changed.
    private func tell(
        _ preference: TrackPreference,
        insteadOf previous: TrackPreference,
        for section: SectionReference
    ) async {
        if preference.forWorker != previous.forWorker {
            await self.worker.setPreference(preference.forWorker, for: section)
        }
        if preference.paused != previous.paused {
            await self.worker.setPaused(preference.paused, because: .subscriber, for: section)
        }
    }

    /// By the publisher itself, a participant with the admin grant, or the operator (`id` is `nil`).
    package func mute(_ trackID: String, muted: Bool, by id: ParticipantID?) async throws(RoomError) {
        await self.enter()
        defer { self.leaveTurn() }
        let track = try self.track(trackID)
        if let id {
            let participant = try self.participant(id)
            guard track.publisher == id || participant.grants.admin else {
                throw RoomError(.forbidden, "only its publisher or an admin may mute a track")
            }
        }
        guard track.info.muted != muted else { return }
        self.tracks[track.id]?.info.muted = muted
        await self.worker.setMuted(muted, for: track.source)
        if let publisher = self.participants[track.publisher] { self.changed(publisher) }
    }

    func track(_ id: String) throws(RoomError) -> Track {
        guard let track = self.tracks[TrackID(id)] else {
            throw RoomError(.noSuchTrack, "no track '\(id.prefix(64))' in this room")
        }
        return track
    }

    // MARK: Binding

    /// Chooses tracks for the free m-lines of an offer that is being answered; the worker is told later.
    func chooseTracks(for participant: Participant, in negotiation: inout PeerNegotiation) -> [String: TrackID] {
        var chosen: [String: TrackID] = [:]
        guard participant.grants.subscribe else { return chosen }
        negotiation.bindings = negotiation.bindings.filter { self.tracks[$0.value] != nil }
        var candidates = self.candidates(for: participant, besides: Set(negotiation.bindings.values))
        guard !candidates.isEmpty else { return chosen }
        for section in negotiation.free {
            guard let index = candidates.firstIndex(where: { self.fits($0, section) }) else { continue }
            let track = candidates.remove(at: index)
            negotiation.bindings[section.mid] = track.id
            chosen[section.mid] = track.id
            participant.wanted.removeAll { $0 == track.id }
        }
        return chosen
    }

    /// Tracks that the participant may be sent and is not: the longest-waiting wish first, then what nobody asked for.
    ///
    /// Made once for all m-lines: a large room has hundreds of both, and this is done for everybody in it whenever a
    /// track is published.
    private func candidates(for participant: Participant, besides sent: Set<TrackID>) -> [Track] {
        var seen = sent
        let order = participant.autoSubscribe ? participant.wanted + self.trackOrder : participant.wanted
        return order.compactMap { id in
            guard seen.insert(id).inserted, !participant.unwanted.contains(id), let track = self.tracks[id],
                track.publisher != participant.id, self.isAllowed(track, for: participant)
            else { return nil }
            return track
        }
    }

    private func isAllowed(_ track: Track, for participant: Participant) -> Bool {
        guard let identity = participant.publisherIdentity else { return true }
        return self.participants[track.publisher]?.identity == identity
    }

    private func fits(_ track: Track, _ section: NegotiatedSection) -> Bool {
        section.kind == track.info.kind && section.codecs.contains { track.codecs.contains($0.codec) }
    }

    /// Binds what has come since to the m-lines that are still free, without a new offer.
    func fillFreeSections(of participant: Participant) async {
        guard var negotiation = participant.negotiation, !negotiation.free.isEmpty else { return }
        let chosen = self.chooseTracks(for: participant, in: &negotiation)
        guard !chosen.isEmpty else { return }
        participant.negotiation = negotiation
        let failed = await self.bind(chosen, for: participant)
        for (mid, track) in chosen.sorted(by: { $0.key < $1.key }) where !failed.contains(mid) {
            participant.tell(.subscribed(track, mid: mid))
        }
    }

    /// Tells the worker. Returns the m-lines that could not be bound; they are free again.
    func bind(_ bindings: [String: TrackID], for participant: Participant) async -> Set<String> {
        guard let session = participant.negotiation?.session else { return [] }
        var failed: Set<String> = []
        for (mid, id) in bindings {
            guard let track = self.tracks[id] else { continue }
            let section = SectionReference(session: session, mid: mid)
            // A new binding starts with nothing that holds it back.
            participant.heldBack[mid] = nil
            do throws(MediaError) {
                try await self.worker.bind(track.source, to: section)
                if let preference = participant.preferences[id] {
                    await self.tell(preference, insteadOf: TrackPreference(), for: section)
                }
            } catch {
                self.logger.debug("a track could not be bound", metadata: ["reason": "\(error)"])
                failed.insert(mid)
                participant.negotiation?.bindings[mid] = nil
                // Not tried again at once on the same m-line, or this would never end.
                participant.unwanted.insert(id)
            }
        }
        await self.applyLastN(to: participant)
        return failed
    }

    func unbind(_ track: TrackID, from participant: Participant) async {
        participant.wanted.removeAll { $0 == track && self.tracks[track] == nil }
        if self.tracks[track] == nil {
            participant.unwanted.remove(track)
            participant.preferences[track] = nil
        }
        guard let negotiation = participant.negotiation, let mid = negotiation.mid(of: track) else { return }
        participant.negotiation?.bindings[mid] = nil
        participant.heldBack[mid] = nil
        await self.worker.unbind(SectionReference(session: negotiation.session, mid: mid))
    }
}
