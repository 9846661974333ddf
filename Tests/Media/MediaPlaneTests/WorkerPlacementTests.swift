import Basics
import TestSupport
import Testing

@testable import MediaPlane

@Suite struct WorkerPlacementTests {
    private let placement = WorkerPlacement()

    private static func loads(_ permille: [Int]) -> [WorkerLoad] { permille.map { WorkerLoad(busyPermille: $0) } }

    @Test(arguments: [
        ([0, 0, 0], 0, 0), ([0, 0, 0], 2, 2), ([300, 100, 200], 0, 1), ([300, 100, 100], 2, 2), ([900], 0, 0),
    ])
    func `a room begins on the worker with the least to do, and of equals on each in turn`(
        busy: [Int],
        start: Int,
        expected: Int
    ) {
        #expect(self.placement.workerForRoom(Self.loads(busy), from: start) == expected)
    }

    @Test(arguments: [
        // The room, its workers' load, and where its next session goes.
        ([0], [0, 0], 0), ([0], [499, 0], 0), ([0], [500, 0], 1),
        // Not for little: the home has 50 more to do than the other.
        ([0], [550, 500], 0), ([0], [600, 500], 1),
        // A worker that the room is on already comes before a third one, the home before both.
        ([0, 2], [700, 0, 400], 2), ([0, 2], [400, 0, 100], 0), ([0, 2], [700, 0, 700], 1),
        // All have much to do: the one of the room's own that has the least.
        ([0, 1], [900, 800], 1), ([0, 1], [800, 900], 0), ([0], [950, 940, 930], 0),
        // A home without sessions of the room yet.
        ([], [100, 0], 0), ([], [600, 100], 1),
    ])
    func `a session stays on the room's workers while they have time`(present: [Int], busy: [Int], expected: Int) {
        let chosen = self.placement.workerForSession(home: 0, present: Set(present), loads: Self.loads(busy))
        #expect(chosen == expected)
    }

    @Test func `those who are on their way count before anything of them can be measured`() {
        // 100 sessions keep it busy for 300; 50 more will for 450.
        let known = WorkerLoad(busyPermille: 300, measuredSessions: 100, sessions: 150)
        #expect(known.expectedPermille == 450)
        // Nothing was measured: two in a thousand each.
        #expect(WorkerLoad(sessions: 20).expectedPermille == 40)
        // They wait for the show and cost nothing so far.
        #expect(WorkerLoad(busyPermille: 3, measuredSessions: 800, sessions: 800).expectedPermille == 1_600)
        // Some have gone.
        #expect(WorkerLoad(busyPermille: 700, measuredSessions: 100, sessions: 10).expectedPermille == 700)
    }

    @Test(arguments: [1, 2, 4, 16])
    func `5,000 who join before the show are spread over all workers alike`(workerCount: Int) {
        var sessions = Array(repeating: 0, count: workerCount)
        for _ in 0..<5_000 {
            let loads = sessions.map { WorkerLoad(busyPermille: 0, measuredSessions: $0, sessions: $0) }
            let present = Set(sessions.indices.filter { sessions[$0] > 0 })
            sessions[self.placement.workerForSession(home: 0, present: present, loads: loads)] += 1
        }
        // Each gets 250 before the next one is used.
        #expect((sessions.max() ?? 0) - (sessions.min() ?? 0) <= 1, "\(sessions)")
    }

    @Test func `a small room stays together`() {
        var random = SeededRandom(seed: 44)
        for _ in 0..<200 {
            let busy = (0..<4).map { _ in Int.random(in: 0..<500, using: &random) }
            let home = self.placement.workerForRoom(Self.loads(busy), from: 0)
            var present: Set<Int> = []
            for _ in 0..<8 {
                present.insert(self.placement.workerForSession(home: home, present: present, loads: Self.loads(busy)))
            }
            #expect(present == [home])
        }
    }

    @Test func `places of sessions are counted by worker and by room, and are gone with their session`() {
        let places = SessionPlaces(workerCount: 3)
        let one = places.makeRoom()
        let two = places.makeRoom()
        #expect(places.insert(SessionID(1), worker: 0, room: one))
        #expect(places.insert(SessionID(2), worker: 2, room: one))
        #expect(places.insert(SessionID(3), worker: 2, room: two))
        #expect(!places.insert(SessionID(3), worker: 1, room: two))
        #expect(places.worker(of: SessionID(3)) == 2)
        let before = places.counts(for: one)
        #expect(before.sessions == [1, 0, 2])
        #expect(before.present == [0, 2])
        places.remove(SessionID(2))
        places.remove(SessionID(2))
        let after = places.counts(for: one)
        #expect(after.sessions == [1, 0, 1])
        #expect(after.present == [0])
        #expect(places.worker(of: SessionID(2)) == nil)
        #expect(places.worker(of: SessionID(4)) == nil)
        #expect(places.counts(for: two).present == [2])
    }
}
