import Basics
import ControlTestSupport
import MediaControl
import Synchronization
import Testing

@testable import Rooms

/// When each room does what it does once a second.
@Suite struct RoomClockTests {
    /// Gives new rooms to its workers in turn, as idle workers get them.
    private final class Workers: MediaWorkers {
        let workers: [RecordingWorker]
        private let next = Atomic<Int>(0)

        init(count: Int) { self.workers = (0..<count).map { RecordingWorker(index: $0) } }

        var all: [any MediaWorkerControl] { self.workers }

        func workerForNewRoom() -> any MediaWorkerControl {
            self.workers[self.next.wrappingAdd(1, ordering: .relaxed).oldValue % self.workers.count]
        }
    }

    private static func directory(workerCount: Int, roomCount: Int) async throws -> RoomDirectory {
        let scenario = Scenario(workers: Workers(count: workerCount))
        for number in 0..<roomCount { _ = try await scenario.directory.make(RoomID("room \(number)")) }
        return scenario.directory
    }

    @Test func eachRoomHasASecondEverySecond() async throws {
        let directory = try await Self.directory(workerCount: 2, roomCount: 25)
        var seconds: [RoomID: [Int]] = [:]
        for tenth in 1...30 {
            for (room, tick) in await directory.due(inTenth: tenth) where tick == .second {
                seconds[room.id, default: []].append(tenth)
            }
        }
        #expect(seconds.count == 25)
        #expect(seconds.values.allSatisfy { $0.count == 3 && $0[1] == $0[0] + 10 && $0[2] == $0[1] + 10 })
    }

    @Test(arguments: [1, 2, 3, 5, 10, 16])
    func noWorkerHasAllItsRoomsAtOnce(workerCount: Int) async throws {
        let directory = try await Self.directory(workerCount: workerCount, roomCount: 20 * workerCount)
        for tenth in 1...10 {
            let rooms = await directory.due(inTenth: tenth).map(\.room)
            #expect(rooms.count == 2 * workerCount)
            #expect(Set(rooms.map(\.worker.index)).count == workerCount)
        }
    }

    @Test func whoAskedForAPulseGetsItInTheNextTenth() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        _ = try await scenario.join("bob")
        _ = await scenario.directory.due(inTenth: 1)
        try await alice.room.setMetadata(["count": 1], of: alice.id)
        try await alice.room.setMetadata(["count": 2], of: alice.id)
        let pulses = await scenario.directory.due(inTenth: 2).filter { $0.tick == .pulse }
        #expect(pulses.map(\.room.id) == [alice.room.id])
        #expect(await scenario.directory.due(inTenth: 3).allSatisfy { $0.tick == .second })
    }
}
