import Basics
import Rooms
import Testing

/// What participants say to each other, and of themselves.
@Suite struct ParticipantMessageTests {
    @Test func metadataIsBoundedAndTold() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        let bob = try await scenario.join("bob")
        _ = alice.events.take()
        try await bob.room.setMetadata(["hand": true], of: bob.id)
        #expect(alice.events.take() == ["changed bob"])
        let large = JSONValue.string(String(repeating: "x", count: 4_095))
        await #expect { try await bob.room.setMetadata(large, of: bob.id) } throws: {
            ($0 as? RoomError)?.code == .badMessage
        }
        #expect(alice.events.take().isEmpty)
    }

    @Test func manyChangesOfMetadataAreToldFiveTimesASecondAtMostAndTheLastIsToldAlways() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        let bob = try await scenario.join("bob")
        _ = alice.events.take()
        for count in 0..<50 { try await bob.room.setMetadata(["count": JSONValue(count)], of: bob.id) }
        #expect(alice.events.take() == ["changed bob"])
        await scenario.wait(milliseconds: 100)
        #expect(alice.events.take().isEmpty)
        await scenario.wait(milliseconds: 100)
        guard case .participantChanged(let info) = alice.events.all.last else {
            Issue.record("the last change was not told")
            return
        }
        #expect(info.metadata == ["count": 49])
        #expect(alice.events.take().count == 1)
        await scenario.wait(milliseconds: 500)
        #expect(alice.events.take().isEmpty)
        // Who joins meanwhile is told the newest state anyway.
        try await bob.room.setMetadata(["count": 50], of: bob.id)
        try await bob.room.setMetadata(["count": 51], of: bob.id)
        #expect(try await scenario.join("carol").joined.participants.map(\.metadata) == [.null, ["count": 51]])
    }

    @Test func messagesArePassedOnWithinTheRoomOnly() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        let bob = try await scenario.join("bob")
        let stranger = try await scenario.join("carol", room: "other")
        for type in ["offer", "join", "mute", "a type of their own"] {
            try await alice.room.relay(type: type, payload: ["sdp": "x"], from: alice.id, to: bob.id.value)
            #expect(bob.events.all.last == .relayed(type: type, from: alice.id, payload: ["sdp": "x"]))
        }
        try await alice.room.relay(type: "note", payload: [:], from: alice.id, to: alice.id.value)
        #expect(alice.events.all.last == .relayed(type: "note", from: alice.id, payload: [:]))
        await #expect {
            try await alice.room.relay(type: "offer", payload: [:], from: alice.id, to: stranger.id.value)
        } throws: { ($0 as? RoomError)?.code == .noSuchParticipant }
    }

    @Test func theSenderIsToldWhenTheOtherDoesNotKeepUpOrIsAway() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        let bob = try await scenario.join("bob")
        bob.events.refuseRelayed()
        await #expect {
            try await alice.room.relay(type: "ice", payload: [:], from: alice.id, to: bob.id.value)
        } throws: { ($0 as? RoomError)?.code == .rateLimited }
        await bob.room.detach(bob.id, resumeToken: bob.joined.resumeToken, at: scenario.clock.now)
        await #expect {
            try await alice.room.relay(type: "ice", payload: [:], from: alice.id, to: bob.id.value)
        } throws: { ($0 as? RoomError)?.code == .noSuchParticipant }
    }
}
