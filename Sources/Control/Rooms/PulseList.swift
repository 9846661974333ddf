import Synchronization

/// The rooms that have something to say soon: each is called once, within 100 ms.
final class PulseList: Sendable {
    private let rooms = Mutex<[ObjectIdentifier: Room]>([:])

    func request(for room: Room) { self.rooms.withLock { $0[ObjectIdentifier(room)] = room } }

    func takeAll() -> [Room] {
        self.rooms.withLock { rooms in
            defer { rooms = [:] }
            return Array(rooms.values)
        }
    }
}
