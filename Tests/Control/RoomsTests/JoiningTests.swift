import Basics
import ControlTestSupport
import MediaControl
import Rooms
import Testing

@Suite struct JoiningTests {
    @Test func aRoomIsThereFromTheFirstJoin() async throws {
        let scenario = Scenario()
        #expect(await scenario.directory.room(RoomID("r")) == nil)
        let alice = try await scenario.join("alice")
        #expect(await scenario.directory.room(RoomID("r")) === alice.room)
        #expect(alice.joined.participants.isEmpty)
        #expect(alice.id.value.hasPrefix("PA_"))
    }

    @Test func everybodyHearsOfEverybodyElse() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        let bob = try await scenario.join("bob")
        #expect(bob.joined.participants.map(\.identity) == ["alice"])
        #expect(alice.events.take() == ["joined bob"])
        #expect(bob.events.take().isEmpty)
        await bob.leave()
        #expect(alice.events.take() == ["left left"])
        #expect(bob.events.take() == ["removed left"])
    }

    @Test func theNewerOfTwoWithOneIdentityStays() async throws {
        let scenario = Scenario()
        let watcher = try await scenario.join("watcher")
        let first = try await scenario.join("alice")
        let second = try await scenario.join("alice")
        #expect(first.id != second.id)
        #expect(first.events.take() == ["removed duplicateIdentity"])
        #expect(watcher.events.take() == ["joined alice", "left duplicateIdentity", "joined alice"])
        #expect(second.joined.participants.map(\.identity) == ["watcher"])
    }

    /// Whether the second of two with one identity replaces the first.
    @Test(arguments: [
        (first: false, second: false, isReplaced: true), (first: false, second: true, isReplaced: true),
        (first: true, second: true, isReplaced: true), (first: true, second: false, isReplaced: false),
    ])
    func `an identity that was only chosen replaces nobody whose token has it`(
        first: Bool,
        second: Bool,
        isReplaced: Bool
    ) async throws {
        let scenario = Scenario(RoomSettings(maxParticipants: 1))
        let ada = try await scenario.join("ada") { $0.isIdentityAsserted = first }
        do {
            _ = try await scenario.join("ada") { $0.isIdentityAsserted = second }
            #expect(isReplaced)
        } catch let error as RoomError {
            #expect(error.code == .forbidden && !isReplaced)
        }
        #expect(ada.events.take() == (isReplaced ? ["removed duplicateIdentity"] : []))
    }

    @Test func theSameIdentityInTwoRoomsIsTwoParticipants() async throws {
        let scenario = Scenario()
        let first = try await scenario.join("alice", room: "a")
        _ = try await scenario.join("alice", room: "b")
        #expect(first.events.take().isEmpty)
    }

    @Test func aFullRoomTakesNobodyButWhoReplacesThemselves() async throws {
        let scenario = Scenario(RoomSettings(maxParticipants: 2))
        _ = try await scenario.join("alice")
        _ = try await scenario.join("bob")
        await #expect { _ = try await scenario.join("carol") } throws: { ($0 as? RoomError)?.code == .roomFull }
        _ = try await scenario.join("bob")
    }

    @Test func theServerHasABoundOnRooms() async throws {
        let scenario = Scenario(RoomSettings(maxRooms: 1))
        _ = try await scenario.join("alice", room: "a")
        await #expect { _ = try await scenario.join("alice", room: "b") } throws: {
            ($0 as? RoomError)?.code == .roomFull
        }
    }

    @Test func aWHEPSubscriberIsSeenByNobody() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        let viewer = try await scenario.join("alice") { $0.kind = .whep }
        #expect(alice.events.take().isEmpty)
        #expect(await alice.room.visibleParticipants.map(\.identity) == ["alice"])
        await viewer.leave()
        #expect(alice.events.take().isEmpty)
    }

    @Test func anEmptyRoomIsKeptForItsTimeAndNoLonger() async throws {
        let scenario = Scenario(RoomSettings(emptyTimeout: .seconds(60)))
        let alice = try await scenario.join("alice")
        await scenario.wait(seconds: 300)
        #expect(await scenario.directory.room(RoomID("r")) != nil)
        await alice.leave()
        await scenario.wait(seconds: 1)
        await scenario.wait(seconds: 58)
        #expect(await scenario.directory.room(RoomID("r")) != nil)
        await scenario.wait(seconds: 2)
        #expect(await scenario.directory.room(RoomID("r")) == nil)
        // And a name that was in use can be used again.
        let again = try await scenario.join("alice")
        #expect(again.room !== alice.room)
    }

    @Test func aLostConnectionCanBeResumedForAWhile() async throws {
        let scenario = Scenario()
        let watcher = try await scenario.join("watcher")
        let alice = try await scenario.join("alice")
        _ = watcher.events.take()
        await alice.room.detach(alice.id, resumeToken: alice.joined.resumeToken, at: scenario.clock.now)
        await scenario.wait(seconds: 14)
        let events = Events()
        let resumed = await scenario.directory.resume(RoomID("r"), token: alice.joined.resumeToken) {
            events.append($0)
        }
        #expect(resumed?.participant == alice.id)
        #expect(resumed?.resumeToken != alice.joined.resumeToken)
        await scenario.wait(seconds: 60)
        #expect(watcher.events.take().isEmpty)
        // The loss of the old connection comes late, and means nothing.
        await alice.room.detach(alice.id, resumeToken: alice.joined.resumeToken, at: scenario.clock.now)
        await scenario.wait(seconds: 60)
        #expect(watcher.events.take().isEmpty)
        // The token was good once.
        #expect(await scenario.directory.resume(RoomID("r"), token: alice.joined.resumeToken) { _ in true } == nil)
    }

    @Test func aLostConnectionEndsTheParticipantAfter15Seconds() async throws {
        let scenario = Scenario()
        let watcher = try await scenario.join("watcher")
        let alice = try await scenario.join("alice")
        _ = watcher.events.take()
        await alice.room.detach(alice.id, resumeToken: alice.joined.resumeToken, at: scenario.clock.now)
        await scenario.wait(seconds: 15)
        #expect(watcher.events.take() == ["left connectionLost"])
        #expect(await scenario.directory.resume(RoomID("r"), token: alice.joined.resumeToken) { _ in true } == nil)
    }

    @Test func resumingBeforeTheOldConnectionIsKnownDeadEndsIt() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        let resumed = await scenario.directory.resume(RoomID("r"), token: alice.joined.resumeToken) { _ in true }
        #expect(resumed?.participant == alice.id)
        #expect(alice.events.take() == ["resumed elsewhere"])
    }

    @Test func drainingTakesNobodyAndTellsEverybody() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        await scenario.directory.drain(deadline: 1_000)
        await scenario.directory.drain(deadline: 2_000)
        #expect(alice.events.take() == ["draining 1000"])
        for room in ["r", "other"] {
            await #expect { _ = try await scenario.join("bob", room: room) } throws: {
                ($0 as? RoomError)?.code == .draining
            }
        }
        await alice.leave()
        await scenario.wait(seconds: 1)
        #expect(await scenario.directory.all.isEmpty)
    }

    @Test func closingARoomEndsEverybodyInIt() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        #expect(await scenario.directory.close(RoomID("r")))
        #expect(alice.events.take() == ["removed roomClosed"])
        #expect(await !scenario.directory.close(RoomID("r")))
        #expect(try await scenario.join("alice").room !== alice.room)
    }

    @Test func `a server that stops says so to everybody, and closes no meeting`() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        let bob = try await scenario.join("bob", room: "other")
        await scenario.directory.drain(deadline: 1_000)
        await scenario.directory.stop()
        #expect(alice.events.take() == ["draining 1000", "removed serverStopped"])
        #expect(bob.events.take() == ["draining 1000", "removed serverStopped"])
        #expect(await scenario.directory.all.isEmpty)
    }

    @Test func aParticipantWhoseOfferIsRefusedWasNeverThere() async throws {
        let scenario = Scenario()
        let watcher = try await scenario.join("watcher")
        let first = try await scenario.join("alice")
        _ = watcher.events.take()
        let request = JoinRequest(kind: .whip, identity: "alice")
        let events = Events()
        await #expect {
            _ = try await scenario.directory.join(RoomID("r"), request, offer: "v=0") { events.append($0) }
        } throws: { ($0 as? RoomError)?.code == .sdpInvalid }
        scenario.worker.refuseApply(.tooManySessions)
        let offer = Offer().publishing("video").sdp
        await #expect {
            _ = try await scenario.directory.join(RoomID("r"), request, offer: offer) { events.append($0) }
        } throws: { ($0 as? RoomError)?.code == .internal }
        // Nor did it put out who has the same identity.
        #expect(watcher.events.take().isEmpty)
        #expect(first.events.take().isEmpty)
        #expect(events.take().isEmpty)
        #expect(await watcher.room.participantCount == 2)

        scenario.worker.refuseApply(nil)
        let (joined, answer) = try await scenario.directory.join(RoomID("r"), request, offer: offer) {
            events.append($0)
        }
        #expect(answer.sdp.hasPrefix("v=0"))
        #expect(first.events.take() == ["removed duplicateIdentity"])
        #expect(watcher.events.take() == ["left duplicateIdentity", "joined alice", "published video camera"])
        #expect(joined.identity == "alice")
    }
}
