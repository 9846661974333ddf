import Basics
import Synchronization

/// Which worker each session of the process is on. For commands only: packets find their session by their address.
final class SessionPlaces: Sendable {
    private struct Place {
        let worker: Int
        let room: Int
    }

    private struct State {
        var places: [SessionID: Place] = [:]
        var counts: [Int]
        /// How many sessions of a room are on each worker, where there are any.
        var rooms: [Int: [Int: Int]] = [:]
        var lastRoom = 0
    }

    private let state: Mutex<State>

    init(workerCount: Int) { self.state = Mutex(State(counts: Array(repeating: 0, count: workerCount))) }

    /// A number that no other room has.
    func makeRoom() -> Int {
        self.state.withLock { state in
            state.lastRoom += 1
            return state.lastRoom
        }
    }

    func worker(of session: SessionID) -> Int? {
        self.state.withLock { state -> Int? in
            guard let place = state.places[session] else { return nil }
            return place.worker
        }
    }

    /// - Returns: whether it is new.
    @discardableResult
    func insert(_ session: SessionID, worker: Int, room: Int) -> Bool {
        self.state.withLock { state -> Bool in
            guard state.places[session] == nil else { return false }
            state.places[session] = Place(worker: worker, room: room)
            state.counts[worker] += 1
            state.rooms[room, default: [:]][worker, default: 0] += 1
            return true
        }
    }

    func remove(_ session: SessionID) {
        self.state.withLock { state in
            guard let place = state.places.removeValue(forKey: session) else { return }
            state.counts[place.worker] -= 1
            let left = (state.rooms[place.room]?[place.worker] ?? 1) - 1
            state.rooms[place.room]?[place.worker] = left > 0 ? left : nil
            if state.rooms[place.room]?.isEmpty == true { state.rooms[place.room] = nil }
        }
    }

    /// By worker, and on which of them a room has sessions.
    func counts(for room: Int? = nil) -> (sessions: [Int], present: Set<Int>) {
        self.state.withLock { state in
            (state.counts, room.map { Set((state.rooms[$0] ?? [:]).keys) } ?? [])
        }
    }
}
