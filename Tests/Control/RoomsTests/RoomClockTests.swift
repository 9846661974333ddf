import Basics
import Testing

@testable import Rooms

/// What each room does once a second.
@Suite struct RoomClockTests {
    @Test func roomsHaveTheirSecondInTurnAndEachHasIt() async throws {
        let scenario = Scenario()
        for number in 0..<25 { _ = try await scenario.join("alice", room: "room \(number)") }
        var sizes: [Int] = []
        var seen: [RoomID] = []
        for tenth in 1...10 {
            let rooms = await scenario.directory.rooms(ofTenth: tenth)
            sizes.append(rooms.count)
            seen += rooms.map(\.id)
        }
        #expect(sizes.allSatisfy { 2...3 ~= $0 }, "\(sizes)")
        #expect(seen.count == 25)
        #expect(Set(seen).count == 25)
        let again = await scenario.directory.rooms(ofTenth: 11).map(\.id)
        #expect(Set(again) == Set(await scenario.directory.rooms(ofTenth: 1).map(\.id)), "a second later")
    }

    @Test func aRoomKeepsItsTenthWhenOthersEnd() async throws {
        let scenario = Scenario()
        for number in 0..<3 { _ = try await scenario.join("alice", room: "room \(number)") }
        let last = RoomID("room 2")
        let tenth = try #require(await scenario.directory.room(last)?.tenth)
        _ = await scenario.directory.close(RoomID("room 0"))
        #expect(await scenario.directory.rooms(ofTenth: tenth).map(\.id) == [last])
    }
}
