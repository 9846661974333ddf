package import Basics
import Logging
import MediaControl
import Negotiation

/// One room: who is in it, what they publish, and who is sent what.
///
/// Requests are taken one after the other, from start to end, although each awaits the media worker in between: that
/// keeps the order "the worker knows an m-line before a track is bound to it" without any further state.
package actor Room {
    package nonisolated let id: RoomID
    nonisolated let worker: any MediaWorkerControl
    let sessions: SessionIndex
    let logger: Logger
    var settings: RoomSettings
    var participants: [ParticipantID: Participant] = [:]
    /// In order of joining.
    var order: [ParticipantID] = []
    var tracks: [TrackID: Track] = [:]
    /// In order of publication.
    var trackOrder: [TrackID] = []
    private var emptySince: Instant?
    private(set) var isClosed = false

    private var isBusy = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(
        id: RoomID,
        worker: any MediaWorkerControl,
        settings: RoomSettings,
        sessions: SessionIndex,
        logger: Logger,
        now: Instant
    ) {
        self.id = id
        self.worker = worker
        self.settings = settings
        self.sessions = sessions
        self.logger = logger
        self.emptySince = now
    }

    // MARK: One request at a time

    func enter() async {
        guard self.isBusy else {
            self.isBusy = true
            return
        }
        // One entry per connection and event, so bounded by them.
        await withCheckedContinuation { self.waiting.append($0) }
    }

    func leaveTurn() {
        if self.waiting.isEmpty { self.isBusy = false } else { self.waiting.removeFirst().resume() }
    }

    // MARK: Coming and going

    /// - Throws: `roomFull`. `nil` when the room was closed in the meantime: the caller makes a new one.
    func join(
        _ request: JoinRequest,
        sink: @escaping @Sendable (RoomEvent) -> Void
    ) async throws(RoomError) -> JoinedRoom? {
        await self.enter()
        defer { self.leaveTurn() }
        guard !self.isClosed else { return nil }
        let isTakeover: (Participant) -> Bool = {
            !$0.isHidden && request.kind != .whep && $0.identity == request.identity
        }
        let previous = self.participants.values.first(where: isTakeover)
        if self.settings.maxParticipants > 0, previous == nil, self.participants.count >= self.settings.maxParticipants
        {
            throw RoomError(.roomFull, "the room has its \(self.settings.maxParticipants) participants")
        }
        if let previous { await self.drop(previous, reason: .duplicateIdentity) }

        let participant = Participant(request, sink: sink)
        self.participants[participant.id] = participant
        self.order.append(participant.id)
        self.emptySince = nil
        if !participant.isHidden {
            self.broadcast(.participantJoined(self.info(of: participant)), except: participant.id)
        }
        return self.joined(participant)
    }

    /// A WebSocket that came back for the media of a lost one. The token is good once.
    func resume(token: String, sink: @escaping @Sendable (RoomEvent) -> Void) async -> JoinedRoom? {
        await self.enter()
        defer { self.leaveTurn() }
        let isResumed: (Participant) -> Bool = {
            $0.kind == .websocket && constantTimeEqual(Array($0.resumeToken.utf8), Array(token.utf8))
        }
        guard let participant = self.participants.values.first(where: isResumed) else { return nil }
        // The old connection may not have noticed yet that it is dead.
        if participant.detachedAt == nil { participant.sink(.resumedElsewhere) }
        participant.sink = sink
        participant.detachedAt = nil
        participant.resumeToken = RandomIdentifiers.token()
        return self.joined(participant)
    }

    private func joined(_ participant: Participant) -> JoinedRoom {
        JoinedRoom(
            room: self,
            participant: participant.id,
            identity: participant.identity,
            resumeToken: participant.resumeToken,
            participants: self.visibleParticipants.filter { $0.id != participant.id }
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
        participant.sink = { _ in }
    }

    /// Takes a participant out, for the operator.
    package func remove(_ id: ParticipantID, reason: LeaveReason = .removed) async throws(RoomError) {
        await self.enter()
        defer { self.leaveTurn() }
        await self.drop(try self.participant(id), reason: reason)
    }

    /// Ends the room for everybody.
    package func close() async {
        await self.enter()
        defer { self.leaveTurn() }
        self.isClosed = true
        for id in self.order {
            if let participant = self.participants[id] { await self.drop(participant, reason: .roomClosed) }
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
        for track in self.tracks(of: participant.id) { await self.unpublish(track) }
        if let negotiation = participant.negotiation { await self.end(negotiation, isClosed: false) }
        participant.negotiation = nil
        if reason == .removed { participant.onRemoved() }
        participant.sink(.removed(reason))
        if !participant.isHidden { self.broadcast(.participantLeft(participant.id, reason)) }
    }

    // MARK: What others see

    package func update(_ settings: RoomSettings) { self.settings = settings }

    package func setMetadata(_ metadata: JSONValue, of id: ParticipantID) async throws(RoomError) {
        guard metadata.bytes.count <= JoinRequest.maxMetadataBytes else {
            throw RoomError(.badMessage, "metadata is larger than \(JoinRequest.maxMetadataBytes) bytes")
        }
        await self.enter()
        defer { self.leaveTurn() }
        let participant = try self.participant(id)
        participant.metadata = metadata
        self.broadcastChange(of: participant)
    }

    /// Passes a message of one participant on to another.
    package func relay(type: String, payload: JSONValue, from sender: ParticipantID, to receiver: String)
        throws(RoomError)
    {
        _ = try self.participant(sender)
        guard let target = self.participants[ParticipantID(receiver)], !target.isHidden else {
            throw RoomError(.noSuchParticipant, "no participant '\(receiver.prefix(64))' in this room")
        }
        target.sink(.relayed(type: type, from: sender, payload: payload))
    }

    func broadcast(_ event: RoomEvent, except excluded: ParticipantID? = nil) {
        for id in self.order where id != excluded { self.participants[id]?.sink(event) }
    }

    func broadcastChange(of participant: Participant) {
        guard !participant.isHidden else { return }
        self.broadcast(.participantChanged(self.info(of: participant)))
    }

    package func announceDraining(deadline: Int64) { self.broadcast(.draining(deadline: deadline)) }

    func participant(_ id: ParticipantID) throws(RoomError) -> Participant {
        guard let participant = self.participants[id] else {
            throw RoomError(.noSuchParticipant, "no participant '\(id.value.prefix(64))' in this room")
        }
        return participant
    }

    func info(of participant: Participant) -> ParticipantInfo {
        ParticipantInfo(
            id: participant.id,
            identity: participant.identity,
            name: participant.name,
            metadata: participant.metadata,
            tracks: self.tracks(of: participant.id).map(\.info)
        )
    }

    func tracks(of publisher: ParticipantID) -> [Track] {
        self.trackOrder.compactMap { self.tracks[$0] }.filter { $0.publisher == publisher }
    }

    package var visibleParticipants: [ParticipantInfo] {
        self.order.compactMap { self.participants[$0] }.filter { !$0.isHidden }.map(self.info(of:))
    }

    package var participantCount: Int { self.participants.count }

    /// Whether the participant's WebSocket is there, or it needs none.
    package func isConnected(_ id: ParticipantID) -> Bool {
        self.participants[id].map { $0.detachedAt == nil } ?? false
    }

    /// Position of the worker that this room lives on.
    package nonisolated var workerIndex: Int { self.worker.index }

    /// A participant by id, or by identity where exactly one has it.
    package func find(_ name: String) -> ParticipantID? {
        if self.participants[ParticipantID(name)] != nil { return ParticipantID(name) }
        let matches = self.participants.values.filter { $0.identity == name }
        return matches.count == 1 ? matches.first?.id : nil
    }
}

/// What a participant is told on joining.
package struct JoinedRoom: Sendable {
    package let room: Room
    package let participant: ParticipantID
    package let identity: String
    package let resumeToken: String
    /// The others, in order of joining.
    package let participants: [ParticipantInfo]
}
