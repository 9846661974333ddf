package import Basics
package import Logging
package import MediaControl
import Metrics

/// All rooms of the process: makes them on the first join, and takes them away when they have been empty for long.
package actor RoomDirectory {
    private let workers: any MediaWorkers
    private let sessions = SessionIndex()
    private let pulses = PulseList()
    private let logger: Logger
    private let now: @Sendable () -> Instant
    private var settings: RoomSettings
    private var rooms: [RoomID: Room] = [:]
    /// How many were made since the start, by the index of their worker.
    private var madeCounts: [Int: Int] = [:]
    /// Seconds since 1970; `nil` while the server takes joins.
    package private(set) var drainDeadline: Int64?

    /// - Parameter now: monotonic time.
    package init(
        workers: any MediaWorkers,
        settings: RoomSettings = RoomSettings(),
        logger: Logger,
        now: @escaping @Sendable () -> Instant = RoomDirectory.monotonicNow
    ) {
        self.workers = workers
        self.settings = settings
        self.logger = logger
        self.now = now
    }

    private static let start = ContinuousClock.now

    package static let monotonicNow: @Sendable () -> Instant = {
        let (seconds, attoseconds) = (ContinuousClock.now - RoomDirectory.start).components
        return Instant(nanoseconds: seconds &* 1_000_000_000 &+ attoseconds / 1_000_000_000)
    }

    package func update(_ settings: RoomSettings) async {
        self.settings = settings
        for room in self.rooms.values { await room.update(settings) }
    }

    // MARK: Joining

    /// - Throws: `draining`, `roomFull`, `forbidden`.
    package func join(
        _ id: RoomID,
        _ request: JoinRequest,
        sink: @escaping EventSink
    ) async throws(RoomError) -> JoinedRoom {
        while true {
            let room = try self.roomForJoin(id)
            if let joined = try await room.join(request, sink: sink) { return joined }
            // Closed between the look-up and the join.
            self.forget(room)
        }
    }

    /// Joins with an offer (WHIP, WHEP); nobody hears of a participant whose offer is refused.
    ///
    /// - Throws: `draining`, `roomFull`, and what `Room.offer` throws.
    package func join(
        _ id: RoomID,
        _ request: JoinRequest,
        offer sdp: String,
        sink: @escaping EventSink
    ) async throws(RoomError) -> (joined: JoinedRoom, answer: AnsweredOffer) {
        while true {
            let room = try self.roomForJoin(id)
            if let result = try await room.join(request, offer: sdp, sink: sink) { return result }
            self.forget(room)
        }
    }

    private func forget(_ room: Room) { if self.rooms[room.id] === room { self.rooms[room.id] = nil } }

    /// `nil` when nothing waits for this token. A server that drains lets its own participants come back.
    package func resume(
        _ id: RoomID,
        token: String,
        sink: @escaping EventSink
    ) async -> JoinedRoom? {
        await self.rooms[id]?.resume(token: token, sink: sink)
    }

    private func roomForJoin(_ id: RoomID) throws(RoomError) -> Room {
        guard self.drainDeadline == nil else { throw RoomError(.draining, "the server is shutting down") }
        if let room = self.rooms[id] { return room }
        guard self.rooms.count < self.settings.maxRooms else {
            throw RoomError(.roomFull, "the server has its \(self.settings.maxRooms) rooms")
        }
        let worker = self.workers.workerForNewRoom()
        let madeCount = self.madeCounts[worker.index, default: 0]
        self.madeCounts[worker.index] = madeCount &+ 1
        let room = Room(
            id: id,
            worker: worker,
            settings: self.settings,
            sessions: self.sessions,
            pulses: self.pulses,
            tenth: madeCount % Self.tenths,
            logger: self.logger,
            now: self.now
        )
        self.rooms[id] = room
        return room
    }

    // MARK: Looking, making and ending

    /// The room of this name, made if there is none. - Throws: `draining`, `roomFull`.
    package func make(_ id: RoomID) throws(RoomError) -> (room: Room, isNew: Bool) {
        let isNew = self.rooms[id] == nil
        return (try self.roomForJoin(id), isNew)
    }

    package func room(_ id: RoomID) -> Room? { self.rooms[id] }

    /// In the order of their names.
    package var all: [Room] { self.rooms.values.sorted { $0.id.value < $1.id.value } }

    package nonisolated var allWorkers: [any MediaWorkerControl] { self.workers.all }

    package func close(_ id: RoomID) async -> Bool {
        guard let room = self.rooms.removeValue(forKey: id) else { return false }
        await room.close()
        return true
    }

    /// Ends what a drain has left, because the process stops. Unlike a closed room, that ends no meeting: clients are to
    /// come back.
    package func stop() async {
        for room in self.all {
            self.forget(room)
            await room.close(reason: .serverStopped)
        }
    }

    /// Takes no more joins, and tells everybody. - Parameter deadline: seconds since 1970.
    package func drain(deadline: Int64) async {
        guard self.drainDeadline == nil else { return }
        self.drainDeadline = deadline
        for room in self.rooms.values { await room.announceDraining(deadline: deadline) }
    }

    package var participantCount: Int {
        get async {
            var count = 0
            for room in self.rooms.values { count += await room.participantCount }
            return count
        }
    }

    // MARK: Time and media

    /// The part of a worker's event that each room is to take.
    nonisolated func shares(of event: MediaEvent) -> [(room: Room, event: MediaEvent)] {
        let session: SessionID
        switch event {
        case .connected(let of), .ended(let of, _), .firstMedia(let of, _): session = of
        case .layersChanged(let track, _, _), .layersWanted(let track, _): session = track.session
        case .selectionChanged(let section, _): session = section.session
        case .audioActivity(let activities):
            // A worker has many rooms, and says in one how loud all of them are.
            var shares: [(room: Room, activities: [AudioActivity])] = []
            for activity in activities {
                guard let room = self.sessions.room(of: activity.track.session) else { continue }
                if let index = shares.firstIndex(where: { $0.room === room }) {
                    shares[index].activities.append(activity)
                } else {
                    shares.append((room, [activity]))
                }
            }
            return shares.map { ($0.room, .audioActivity($0.activities)) }
        }
        return self.sessions.room(of: session).map { [($0, event)] } ?? []
    }

    /// Takes an event of a worker, and returns when the rooms have dealt with it. `run` does the same without having
    /// one room wait for another.
    package nonisolated func handle(_ event: MediaEvent) async {
        for share in self.shares(of: event) { await share.room.handle(share.event) }
    }

    /// Of a second.
    private static let tenths = 10

    /// What is to be done in this tenth of a second, of all since the start. The rooms of a worker have their second in
    /// different ones: what it tells of each session then, and what is made of it, holds up packets.
    func due(inTenth count: Int) -> [(room: Room, tick: Tick)] {
        let tenth = count % Self.tenths
        return self.pulses.takeAll().map { ($0, .pulse) }
            + self.rooms.values.filter { $0.tenth == tenth }.map { ($0, .second) }
    }

    /// Once a second for each room: ends what was lost or empty for too long, and reports everybody's quality.
    private func tick(_ room: Room) async {
        if await room.tick(at: self.now(), closesWhenEmpty: self.drainDeadline != nil) {
            self.forget(room)
        } else {
            await room.reportQuality()
        }
    }

    /// One second's work for all rooms; returns when all have done it.
    package func tick() async {
        await self.pulse()
        for room in self.all { await self.tick(room) }
    }

    /// Lets the rooms that asked for it say what they could not say at once; within 100 ms of their asking.
    package func pulse() async {
        for room in self.pulses.takeAll() { await room.pulse(at: self.now()) }
    }

    /// Brings the gauges up to date, as before each scrape.
    package func recordGauges() async { (await self.counts).record() }

    package var counts: RoomCounts {
        get async {
            var sum = RoomCounts()
            for room in self.rooms.values { sum = sum + (await room.counts) }
            return sum
        }
    }

    /// Runs until it is cancelled: the events of the workers, and the clock. Each room works through what is its own;
    /// one that waits for its worker delays no other.
    package func run(events: AsyncStream<MediaEvent>) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.distribute(events) }
            group.addTask { await self.runClock() }
            await group.next()
            group.cancelAll()
        }
    }

    private nonisolated func distribute(_ events: AsyncStream<MediaEvent>) async {
        let inboxes = RoomInboxes<MediaEvent>()
        await withDiscardingTaskGroup { group in
            for await event in events {
                for (room, share) in self.shares(of: event) where inboxes.post(share, to: room) {
                    group.addTask { while let event = inboxes.next(for: room) { await room.handle(event) } }
                }
            }
        }
    }

    private nonisolated func runClock() async {
        let inboxes = RoomInboxes<Tick>()
        await withDiscardingTaskGroup { group in
            var next = ContinuousClock.now
            for count in 1... {
                // By the clock: on a busy core each step is late, and ten times that would make seconds longer.
                next = max(next + .milliseconds(100), .now)
                do { try await Task.sleep(until: next, clock: .continuous) } catch { return }
                for (room, tick) in await self.due(inTenth: count) where inboxes.post(tick, to: room) {
                    group.addTask { while let tick = inboxes.next(for: room) { await self.perform(tick, in: room) } }
                }
            }
        }
    }

    enum Tick: RoomInboxItem {
        case pulse, second

        /// A room that is late has nothing to make up for.
        var supersedes: Tick? { self }
    }

    private func perform(_ tick: Tick, in room: Room) async {
        switch tick {
        case .pulse: await room.pulse(at: self.now())
        case .second: await self.tick(room)
        }
    }
}
