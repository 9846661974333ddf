package import Basics
package import MediaControl

/// The workers of one room, which the room sees as one: its home worker, and others where it has grown too large for one.
///
/// Commands go to the worker that has the session. Where a subscriber is bound to a track of another worker, its own
/// worker makes a mirror of the track (`MediaRouter.bind(_:from:to:at:)`); all else that workers have to say of it to
/// each other goes between them, without the room.
package final class RoomWorkers: MediaWorkerControl {
    private let home: MediaWorker
    private let workers: [MediaWorker]
    private let places: SessionPlaces
    /// This room's number in `places`.
    private let room: Int
    private let placement = WorkerPlacement()
    /// Sessions whose statistics are made in one turn of a worker: media waits for them for some 100 µs.
    private static let largestRequest = 64

    init(home: MediaWorker, workers: [MediaWorker], places: SessionPlaces) {
        self.home = home
        self.workers = workers
        self.places = places
        self.room = places.makeRoom()
    }

    package var index: Int { self.home.index }
    package var endpoint: MediaEndpoint { self.home.endpoint }

    /// The endpoint of the worker that the room's next session is to be on.
    package func endpointForNewSession() -> MediaEndpoint {
        let (sessions, present) = self.places.counts(for: self.room)
        let loads = MediaPlane.loads(of: self.workers, sessions: sessions)
        let worker = self.placement.workerForSession(home: self.home.index, present: present, loads: loads)
        return self.workers[worker].endpoint
    }

    private func worker(of session: SessionID) -> MediaWorker {
        self.places.worker(of: session).map { self.workers[$0] } ?? self.home
    }

    // MARK: Sessions

    package func apply(_ configuration: SessionConfiguration, to session: SessionID) async throws(MediaError) {
        let asked = configuration.worker ?? self.home.index
        guard self.workers.indices.contains(asked) else { throw .noSuchSession }
        // Entered first: the session may be over before its worker's answer is here.
        let isNew = self.places.insert(session, worker: asked, room: self.room)
        do throws(MediaError) {
            try await self.worker(of: session).apply(configuration, to: session)
        } catch {
            if isNew { self.places.remove(session) }
            throw error
        }
    }

    package func close(_ session: SessionID) async {
        await self.worker(of: session).close(session)
        self.places.remove(session)
    }

    package func statistics(of session: SessionID) async -> SessionStatistics? {
        await self.worker(of: session).statistics(of: session)
    }

    package func statistics(of sessions: [SessionID]) async -> [SessionID: SessionStatistics] {
        var all: [SessionID: SessionStatistics] = [:]
        for (index, sessions) in Dictionary(grouping: sessions, by: { self.worker(of: $0).index }) {
            var rest = sessions[...]
            while !rest.isEmpty {
                let part = Array(rest.prefix(Self.largestRequest))
                rest = rest.dropFirst(part.count)
                all.merge(await self.workers[index].statistics(of: part)) { _, new in new }
            }
        }
        return all
    }

    // MARK: Subscribers

    package func bind(_ track: PublishedTrack, to section: SectionReference) async throws(MediaError) {
        let source = self.worker(of: track.session)
        let target = self.worker(of: section.session)
        guard source !== target else { return try await target.bind(track, to: section) }
        guard let description = await source.describe(track) else { throw .noSuchTrack }
        try await target.bind(description, from: source.index, to: section)
    }

    package func unbind(_ section: SectionReference) async { await self.worker(of: section.session).unbind(section) }

    package func setPaused(_ paused: Bool, because reason: PauseReason, for section: SectionReference) async {
        await self.worker(of: section.session).setPaused(paused, because: reason, for: section)
    }

    package func setPreference(_ preference: SubscriberPreference, for section: SectionReference) async {
        await self.worker(of: section.session).setPreference(preference, for: section)
    }

    // MARK: Tracks

    package func setPurpose(_ purpose: TrackPurpose, for track: PublishedTrack) async {
        await self.worker(of: track.session).setPurpose(purpose, for: track)
    }

    package func setSpeechRole(_ role: SpeechRole, for track: PublishedTrack) async {
        await self.worker(of: track.session).setSpeechRole(role, for: track)
    }

    package func setMuted(_ muted: Bool, for track: PublishedTrack) async {
        await self.worker(of: track.session).setMuted(muted, for: track)
    }
}
