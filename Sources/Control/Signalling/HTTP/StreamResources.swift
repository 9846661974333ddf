import Basics
import Rooms
import Synchronization

/// The open WHIP and WHEP sessions by the random part of their URL. One for each participant, so as bounded as these.
final class StreamResources: Sendable {
    struct Resource: Sendable {
        let kind: SessionKind
        let room: Room
        let participant: ParticipantID
        /// Whose token opened it; only that subject may touch it.
        let subject: Access.Subject?
        var entityTag: String
    }

    private let resources = Mutex<[String: Resource]>([:])

    func insert(_ resource: Resource, id: String) { self.resources.withLock { $0[id] = resource } }

    func remove(_ id: String) { _ = self.resources.withLock { $0.removeValue(forKey: id) } }

    func find(_ id: String, kind: SessionKind) -> Resource? {
        self.resources.withLock { $0[id] }.flatMap { $0.kind == kind ? $0 : nil }
    }

    /// Gives the resource a new entity tag, as each ICE restart does.
    func renew(_ id: String) -> String {
        let tag = Self.newEntityTag()
        self.resources.withLock { $0[id]?.entityTag = tag }
        return tag
    }

    static func newEntityTag() -> String { "\"\(RandomIdentifiers.token(16))\"" }
}
