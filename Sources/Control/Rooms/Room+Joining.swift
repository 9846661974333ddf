package import Basics
import MediaControl

extension Room {
    /// - Throws: `roomFull`, `forbidden`. `nil` when the room was closed in the meantime: the caller makes a new one.
    func join(_ request: JoinRequest, sink: @escaping EventSink) async throws(RoomError) -> JoinedRoom? {
        await self.enter()
        defer { self.leaveTurn() }
        guard !self.isClosed else { return nil }
        let participant = self.makeParticipant(request, sink: sink)
        try self.checkPlace(for: participant)
        await self.admit(participant)
        return self.joined(participant)
    }

    /// Joins with an offer, as WHIP and WHEP do: of one whose offer is refused nobody hears.
    func join(
        _ request: JoinRequest,
        offer sdp: String,
        sink: @escaping EventSink
    ) async throws(RoomError) -> (joined: JoinedRoom, answer: AnsweredOffer)? {
        await self.enter()
        defer { self.leaveTurn() }
        guard !self.isClosed else { return nil }
        let participant = self.makeParticipant(request, sink: sink)
        try self.checkPlace(for: participant)
        let prepared = try await self.prepare(sdp, from: participant)
        await self.admit(participant)
        let answer = await self.commit(prepared, for: participant)
        return (self.joined(participant), answer)
    }

    private func makeParticipant(_ request: JoinRequest, sink: @escaping EventSink) -> Participant {
        Participant(request, trackChanges: self.fullTrackChanges, sink: sink)
    }

    private func checkPlace(for participant: Participant) throws(RoomError) {
        if let predecessor = self.predecessor(of: participant) {
            // Else anybody who is let in without a name could put others out, and speak as them.
            guard participant.isIdentityAsserted || !predecessor.isIdentityAsserted else {
                throw RoomError(.forbidden, "this identity is another's by their token: choose another one")
            }
            return
        }
        let limit = self.settings.maxParticipants
        guard limit == 0 || self.participants.count < limit else {
            throw RoomError(.roomFull, "the room has its \(limit) participants")
        }
    }

    /// Whoever has the same identity: the newer one stays.
    private func predecessor(of participant: Participant) -> Participant? {
        guard !participant.isHidden else { return nil }
        return self.participants.values.first { !$0.isHidden && $0.identity == participant.identity }
    }

    private func admit(_ participant: Participant) async {
        if let predecessor = self.predecessor(of: participant) {
            await self.drop(predecessor, reason: .duplicateIdentity)
        }
        self.participants[participant.id] = participant
        self.order.append(participant.id)
        self.emptySince = nil
        guard !participant.isHidden else { return }
        self.broadcast(.participantJoined(self.info(of: participant)), except: participant.id)
    }

    /// A WebSocket that came back for the media of a lost one. The token is good once.
    func resume(token: String, sink: @escaping EventSink) async -> JoinedRoom? {
        await self.enter()
        defer { self.leaveTurn() }
        let isResumed: (Participant) -> Bool = {
            $0.kind == .websocket && constantTimeEqual(Array($0.resumeToken.utf8), Array(token.utf8))
        }
        guard let participant = self.participants.values.first(where: isResumed) else { return nil }
        // The old connection may not have noticed yet that it is dead.
        if participant.detachedAt == nil { participant.tell(.resumedElsewhere) }
        participant.sink = sink
        participant.detachedAt = nil
        participant.resumeToken = RandomIdentifiers.token()
        // The worker says it on change only, and what it said to the lost connection nobody heard: an encoding that
        // somebody has waited for since would stay off.
        for track in self.tracks(of: participant.id) {
            if let rids = track.layersWanted { participant.tell(.layersWanted(track.id, rids: rids)) }
        }
        // Somebody may have muted it meanwhile, and the list of `joined` is of the others.
        participant.tell(.participantChanged(self.info(of: participant)))
        return self.joined(participant)
    }

    private func joined(_ participant: Participant) -> JoinedRoom {
        JoinedRoom(
            room: self,
            participant: participant.id,
            identity: participant.identity,
            resumeToken: participant.resumeToken,
            participants: participant.isHidden ? [] : self.visibleParticipants.filter { $0.id != participant.id }
        )
    }

    /// The participant goes by its own wish.
    package func leave(_ id: ParticipantID) async {
        await self.enter()
        defer { self.leaveTurn() }
        guard let participant = self.participants[id] else { return }
        await self.drop(participant, reason: .left)
    }

    /// The WebSocket was lost: the media stays for `resume`. `token` is the one of the lost connection: after a
    /// resumption the loss of the old connection means nothing.
    package func detach(_ id: ParticipantID, resumeToken token: String, at now: Instant) async {
        await self.enter()
        defer { self.leaveTurn() }
        guard let participant = self.participants[id], participant.resumeToken == token else { return }
        participant.detachedAt = now
        participant.sink = { _ in true }
    }

    /// Takes a participant out, for the operator.
    package func remove(_ id: ParticipantID, reason: LeaveReason = .removed) async throws(RoomError) {
        await self.enter()
        defer { self.leaveTurn() }
        await self.drop(try self.participant(id), reason: reason)
    }

    /// Ends the room for everybody.
    package func close(reason: LeaveReason = .roomClosed) async {
        await self.enter()
        defer { self.leaveTurn() }
        self.isClosed = true
        for id in self.order {
            if let participant = self.participants[id] { await self.drop(participant, reason: reason) }
        }
    }

    /// Removes the participants whose time to resume is over. Returns whether the room has been empty for so long that
    /// it is over too; it is closed then.
    func tick(at now: Instant, closesWhenEmpty: Bool) async -> Bool {
        await self.enter()
        defer { self.leaveTurn() }
        for participant in self.participants.values {
            guard let detachedAt = participant.detachedAt, now - detachedAt >= self.settings.resumeTimeout else {
                continue
            }
            await self.drop(participant, reason: .connectionLost)
        }
        guard self.participants.isEmpty else {
            self.emptySince = nil
            return false
        }
        let emptySince = self.emptySince ?? now
        self.emptySince = emptySince
        if closesWhenEmpty || now - emptySince >= self.settings.emptyTimeout { self.isClosed = true }
        return self.isClosed
    }

    func drop(_ participant: Participant, reason: LeaveReason) async {
        guard self.participants.removeValue(forKey: participant.id) != nil else { return }
        self.order.removeAll { $0 == participant.id }
        self.conversation.remove(participant.id)
        for track in self.tracks(of: participant.id) { await self.unpublish(track) }
        if let negotiation = participant.negotiation { await self.end(negotiation, isClosed: false) }
        participant.negotiation = nil
        if reason == .removed { participant.onRemoved() }
        participant.tell(.removed(reason))
        if !participant.isHidden { self.broadcast(.participantLeft(participant.id, reason)) }
    }
}

/// What a participant is told on joining.
package struct JoinedRoom: Sendable {
    package let room: Room
    package let participant: ParticipantID
    package let identity: String
    package let resumeToken: String
    /// The others, in order of joining; empty for a subscriber by WHEP, who is not told.
    package let participants: [ParticipantInfo]
}
