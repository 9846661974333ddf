import Basics
import Rooms
import Synchronization

/// The open WHIP and WHEP sessions by the random part of their URL. One for each participant, so as bounded as these.
///
/// The last few that ended by themselves are remembered: a client that closes its peer connection first and says DELETE
/// then has done nothing wrong, and is told so.
final class StreamResources: Sendable {
    struct Resource: Sendable {
        let kind: SessionKind
        let room: Room
        let participant: ParticipantID
        /// Whose token opened it; only that subject may touch it.
        let subject: Access.Subject?
        var entityTag: String
        /// Its media session is over; only DELETE finds it.
        var hasEnded = false
    }

    private struct State {
        var resources: [String: Resource] = [:]
        /// The oldest first.
        var ended: [String] = []
    }

    private static let largestEndedCount = 256
    private let state = Mutex(State())

    /// Enters a session, unless it ended while its answer was made.
    func insert(_ resource: Resource, id: String) {
        self.state.withLock { state in
            var resource = resource
            resource.hasEnded = state.ended.contains(id)
            state.resources[id] = resource
        }
    }

    func remove(_ id: String) {
        self.state.withLock { state in
            state.resources[id] = nil
            state.ended.removeAll { $0 == id }
        }
    }

    /// The participant has gone without a DELETE.
    func end(_ id: String) {
        self.state.withLock { state in
            state.resources[id]?.hasEnded = true
            state.ended.append(id)
            if state.ended.count > Self.largestEndedCount { state.resources[state.ended.removeFirst()] = nil }
        }
    }

    func find(_ id: String, kind: SessionKind) -> Resource? {
        self.state.withLock { $0.resources[id] }.flatMap { $0.kind == kind ? $0 : nil }
    }

    /// Gives the resource a new entity tag, as each ICE restart does.
    func renew(_ id: String) -> String {
        let tag = Self.newEntityTag()
        self.state.withLock { $0.resources[id]?.entityTag = tag }
        return tag
    }

    static func newEntityTag() -> String { "\"\(RandomIdentifiers.token(16))\"" }
}
