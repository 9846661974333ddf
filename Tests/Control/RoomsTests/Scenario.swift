import Basics
import ControlTestSupport
import Logging
import MediaControl
import Synchronization

@testable import Rooms

/// A directory with one recording worker and a clock that stands still until it is moved.
struct Scenario {
    let worker = RecordingWorker()
    let directory: RoomDirectory
    let clock: ManualClock

    final class ManualClock: Sendable {
        private let nanoseconds = Atomic<Int64>(0)
        var now: Instant { Instant(nanoseconds: self.nanoseconds.load(ordering: .relaxed)) }
        func advance(seconds: Int64) { self.advance(milliseconds: seconds * 1_000) }
        func advance(milliseconds: Int64) {
            self.nanoseconds.wrappingAdd(milliseconds * 1_000_000, ordering: .relaxed)
        }
    }

    /// - Parameter workers: `nil` = one that records.
    init(_ settings: RoomSettings = RoomSettings(), workers: (any MediaWorkers)? = nil) {
        let clock = ManualClock()
        self.clock = clock
        self.directory = RoomDirectory(
            workers: workers ?? OneWorker(worker: self.worker),
            settings: settings,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            now: { clock.now }
        )
    }

    func join(_ identity: String, room: String = "r", change: (inout JoinRequest) -> Void = { _ in }) async throws
        -> Member
    {
        var request = JoinRequest(kind: .websocket, identity: identity)
        change(&request)
        let events = Events()
        let joined = try await self.directory.join(RoomID(room), request) { events.append($0) }
        return Member(joined: joined, events: events)
    }

    func wait(milliseconds: Int64) async {
        self.clock.advance(milliseconds: milliseconds)
        await self.directory.pulse()
    }

    func wait(seconds: Int64) async {
        self.clock.advance(seconds: seconds)
        await self.directory.tick()
    }
}

/// What a participant was told.
final class Events: Sendable {
    private let list = Mutex<[RoomEvent]>([])
    private let refusesRelayed = Atomic<Bool>(false)

    /// As a client that does not keep up.
    func refuseRelayed() { self.refusesRelayed.store(true, ordering: .relaxed) }

    func append(_ event: RoomEvent) -> Bool {
        if case .relayed = event, self.refusesRelayed.load(ordering: .relaxed) { return false }
        self.list.withLock { $0.append(event) }
        return true
    }
    var all: [RoomEvent] { self.list.withLock { $0 } }

    /// Takes everything out, in words.
    func take() -> [String] {
        self.list.withLock { list in
            defer { list = [] }
            return list.map { event in
                switch event {
                case .participantJoined(let info): "joined \(info.identity)"
                case .participantLeft(_, let reason): "left \(reason.rawValue)"
                case .participantChanged(let info): "changed \(info.identity)"
                case .trackPublished(_, let track, _): "published \(track.kind.name) \(track.source.rawValue)"
                case .trackUnpublished: "unpublished"
                case .subscribed(_, let mid): "subscribed \(mid)"
                case .layer(_, let selection): "layer \(selection.spatial)"
                case .quality: "quality"
                case .activeSpeakers(let speakers): "speakers \(speakers.count)"
                case .bitrateHint(_, let bitrate): "bitrate \(bitrate.bitsPerSecond)"
                case .layersWanted(_, let rids): "wanted \(rids.joined(separator: ","))"
                case .relayed(let type, _, _): "relayed \(type)"
                case .draining(let deadline): "draining \(deadline)"
                case .removed(let reason): "removed \(reason.rawValue)"
                case .resumedElsewhere: "resumed elsewhere"
                }
            }
        }
    }
}

struct Member {
    let joined: JoinedRoom
    let events: Events

    var room: Room { self.joined.room }
    var id: ParticipantID { self.joined.participant }

    @discardableResult
    func offer(_ offer: Offer) async throws -> AnsweredOffer { try await self.room.offer(offer.sdp, from: self.id) }

    func leave() async { await self.room.leave(self.id) }

    var tracks: [TrackInfo] {
        get async { await self.room.visibleParticipants.first { $0.id == self.id }?.tracks ?? [] }
    }

    var bindings: [String: TrackID] {
        get async throws { try await self.room.report(of: self.id).bindings }
    }
}
