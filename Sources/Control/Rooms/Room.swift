package import Basics
import Logging
import MediaControl

/// One room: who is in it, what they publish, and who is sent what.
///
/// Requests are taken one after the other, from start to end, although each awaits the media worker in between: that
/// keeps the order "the worker knows an m-line before a track is bound to it" without any further state.
package actor Room {
    package nonisolated let id: RoomID
    nonisolated let worker: any MediaWorkerControl
    let sessions: SessionIndex
    let pulses: PulseList
    /// Which tenth of each second its work of once a second begins in.
    nonisolated let tenth: Int
    let logger: Logger
    /// Monotonic time.
    let now: @Sendable () -> Instant
    var settings: RoomSettings
    var participants: [ParticipantID: Participant] = [:]
    /// In order of joining.
    var order: [ParticipantID] = []
    var tracks: [TrackID: Track] = [:]
    /// In order of publication.
    var trackOrder: [TrackID] = []
    /// The same of each participant that publishes.
    var published: [ParticipantID: [TrackID]] = [:]
    /// The tracks by where they come from.
    var sources: [PublishedTrack: TrackID] = [:]
    var conversation = Conversation()
    /// What somebody has changed waits to be told.
    var hasUntoldChanges = false
    /// What the operator has set for this room alone; outlives a reload.
    var ownLastN: Int??
    var emptySince: Instant?
    var isClosed = false

    private var isBusy = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(
        id: RoomID,
        worker: any MediaWorkerControl,
        settings: RoomSettings,
        sessions: SessionIndex,
        pulses: PulseList,
        tenth: Int,
        logger: Logger,
        now: @escaping @Sendable () -> Instant
    ) {
        self.id = id
        self.worker = worker
        self.settings = settings
        self.sessions = sessions
        self.pulses = pulses
        self.tenth = tenth
        self.logger = logger
        self.now = now
        self.emptySince = now()
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

    // MARK: What others see

    package func update(_ settings: RoomSettings) async {
        await self.enter()
        defer { self.leaveTurn() }
        self.settings = settings
        if let ownLastN = self.ownLastN { self.settings.lastN = ownLastN }
        await self.applyLastN()
    }

    /// Passes a message of one participant on to another, also to itself. There is no order between these and the
    /// room's own messages.
    ///
    /// - Throws: `noSuchParticipant`, also for one whose connection is lost at the moment; `rateLimited` when the other
    ///   does not keep up with what it is told.
    package func relay(type: String, payload: JSONValue, from sender: ParticipantID, to receiver: String)
        throws(RoomError)
    {
        _ = try self.participant(sender)
        guard let target = self.participants[ParticipantID(receiver)], !target.isHidden, target.detachedAt == nil else {
            throw RoomError(.noSuchParticipant, "no participant '\(receiver.prefix(64))' in this room")
        }
        guard target.sink(.relayed(type: type, from: sender, payload: payload)) else {
            throw RoomError(.rateLimited, "the other participant does not keep up with its messages")
        }
    }

    func broadcast(_ event: RoomEvent, except excluded: ParticipantID? = nil) {
        for id in self.order where id != excluded { self.participants[id]?.tell(event) }
    }

    func broadcastChange(of participant: Participant) {
        participant.hasUntoldChange = false
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
        (self.published[publisher] ?? []).compactMap { self.tracks[$0] }
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
