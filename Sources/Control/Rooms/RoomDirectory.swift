package import Basics
package import Logging
package import MediaControl
import Metrics

/// All rooms of the process: makes them on the first join, and takes them away when they have been empty for long.
package actor RoomDirectory {
    private let workers: any MediaWorkers
    private let sessions = SessionIndex()
    private let logger: Logger
    private let now: @Sendable () -> Instant
    private var settings: RoomSettings
    private var rooms: [RoomID: Room] = [:]
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

    /// - Throws: `draining`, `roomFull`.
    package func join(
        _ id: RoomID,
        _ request: JoinRequest,
        sink: @escaping @Sendable (RoomEvent) -> Void
    ) async throws(RoomError) -> JoinedRoom {
        while true {
            guard self.drainDeadline == nil else { throw RoomError(.draining, "the server is shutting down") }
            let room = try self.roomForJoin(id)
            if let joined = try await room.join(request, sink: sink) { return joined }
            // Closed between the look-up and the join.
            if self.rooms[id] === room { self.rooms[id] = nil }
        }
    }

    /// `nil` when nothing waits for this token. A server that drains lets its own participants come back.
    package func resume(
        _ id: RoomID,
        token: String,
        sink: @escaping @Sendable (RoomEvent) -> Void
    ) async -> JoinedRoom? {
        await self.rooms[id]?.resume(token: token, sink: sink)
    }

    private func roomForJoin(_ id: RoomID) throws(RoomError) -> Room {
        if let room = self.rooms[id] { return room }
        guard self.rooms.count < self.settings.maxRooms else {
            throw RoomError(.roomFull, "the server has its \(self.settings.maxRooms) rooms")
        }
        let room = Room(
            id: id,
            worker: self.workers.workerForNewRoom(),
            settings: self.settings,
            sessions: self.sessions,
            logger: self.logger,
            now: self.now()
        )
        self.rooms[id] = room
        return room
    }

    // MARK: Looking and ending

    package func room(_ id: RoomID) -> Room? { self.rooms[id] }

    /// In the order of their names.
    package var all: [Room] { self.rooms.values.sorted { $0.id.value < $1.id.value } }

    package nonisolated var allWorkers: [any MediaWorkerControl] { self.workers.all }

    package func close(_ id: RoomID) async -> Bool {
        guard let room = self.rooms.removeValue(forKey: id) else { return false }
        await room.close()
        return true
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

    /// Takes the events of the workers. Await one before handing over the next: their order matters.
    package nonisolated func handle(_ event: MediaEvent) async {
        let room: Room? =
            switch event {
            case .connected(let session), .ended(let session, _), .firstMedia(let session, _):
                self.sessions.room(of: session)
            case .layersChanged(let track, _, _): self.sessions.room(of: track.session)
            case .selectionChanged(let section, _): self.sessions.room(of: section.session)
            case .layersWanted(let track, _): self.sessions.room(of: track.session)
            case .audioActivity: nil
            }
        await room?.handle(event)
    }

    /// Once a second: ends what was lost or empty for too long, and reports everybody's quality.
    package func tick() async {
        let now = self.now()
        for (id, room) in self.rooms {
            if await room.tick(at: now, closesWhenEmpty: self.drainDeadline != nil) {
                if self.rooms[id] === room { self.rooms[id] = nil }
            } else {
                await room.reportQuality()
            }
        }
        await self.recordGauges()
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

    /// Runs until it is cancelled: the events of the workers, and the clock.
    package func run(events: AsyncStream<MediaEvent>) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await event in events { await self.handle(event) } }
            group.addTask {
                while !Task.isCancelled {
                    do { try await Task.sleep(for: .seconds(1)) } catch { return }
                    await self.tick()
                }
            }
            await group.next()
            group.cancelAll()
        }
    }
}
