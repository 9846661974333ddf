import Basics
import Synchronization

/// Which room a media session belongs to, for the events of the workers.
final class SessionIndex: Sendable {
    private let rooms = Mutex<[SessionID: Room]>([:])

    func insert(_ session: SessionID, room: Room) { self.rooms.withLock { $0[session] = room } }

    /// Returns whether the session was still there.
    func remove(_ session: SessionID) -> Bool { self.rooms.withLock { $0.removeValue(forKey: session) != nil } }

    func room(of session: SessionID) -> Room? { self.rooms.withLock { $0[session] } }
}
