import Basics
import ControlTestSupport
import MediaControl
import Synchronization
import Testing

@testable import Rooms

/// How the events of the workers come to the rooms.
@Suite(.timeLimit(.minutes(1))) struct EventDistributionTests {
    private static func event(_ session: SessionID, spatial: Int) -> MediaEvent {
        .selectionChanged(
            SectionReference(session: session, mid: "0"),
            LayerSelection(spatial: spatial, temporal: 0, reason: "")
        )
    }

    private static func waitUntil(_ condition: @Sendable () async -> Bool) async throws {
        while await !condition() { try await Task.sleep(for: .milliseconds(5)) }
    }

    @Test func aRoomThatWaitsForItsWorkerDelaysNoOther() async throws {
        let scenario = Scenario()
        let (events, source) = AsyncStream<MediaEvent>.makeStream()
        let running = Task { await scenario.directory.run(events: events) }
        defer { running.cancel() }

        let busy = try await scenario.join("busy", room: "a")
        try await busy.offer(Offer().publishing("video"))
        let stuck = try #require(scenario.worker.sessions.last)
        let publisher = try await scenario.join("publisher", room: "b")
        try await publisher.offer(Offer().publishing("video"))
        let subscriber = try await scenario.join("subscriber", room: "b")
        try await subscriber.offer(Offer().taking("video"))
        let session = try #require(scenario.worker.sessions.last)

        scenario.worker.holdClose(of: stuck)
        source.yield(.ended(stuck, .consentExpired))
        try await Self.waitUntil { scenario.worker.isHolding }
        source.yield(Self.event(session, spatial: 1))
        try await Self.waitUntil { subscriber.events.all.contains { if case .layer = $0 { true } else { false } } }
        #expect(await busy.tracks.count == 1, "the busy room is still at it")
        scenario.worker.releaseClose()
        try await Self.waitUntil { await busy.tracks.isEmpty }
    }

    @Test func withinARoomTheOrderIsKeptAndOfAStateTheLastIsLeft() async throws {
        let scenario = Scenario()
        let room = try await scenario.join("alice").room
        let other = try await scenario.join("alice", room: "other").room
        let inboxes = RoomInboxes<MediaEvent>()
        let session = SessionID(1)
        #expect(inboxes.post(.connected(session), to: room))
        #expect(!inboxes.post(Self.event(session, spatial: 0), to: room))
        #expect(!inboxes.post(Self.event(SessionID(2), spatial: 0), to: room))
        #expect(!inboxes.post(Self.event(session, spatial: 2), to: room))
        #expect(!inboxes.post(.ended(session, .closedByPeer), to: room))
        #expect(inboxes.post(.connected(SessionID(3)), to: other))
        var taken: [MediaEvent] = []
        while let event = inboxes.next(for: room) { taken.append(event) }
        #expect(
            taken == [
                .connected(session), Self.event(SessionID(2), spatial: 0), Self.event(session, spatial: 2),
                .ended(session, .closedByPeer),
            ]
        )
        // Whoever posts next has to begin anew.
        #expect(inboxes.post(.connected(session), to: room))
    }

    @Test func aHundredThousandEventsForABusyRoomTakeNoMoreSpaceThanItsStates() async throws {
        let scenario = Scenario()
        let room = try await scenario.join("alice").room
        let inboxes = RoomInboxes<MediaEvent>()
        for count in 0..<100_000 { _ = inboxes.post(Self.event(SessionID(UInt64(count % 10)), spatial: 0), to: room) }
        var count = 0
        while inboxes.next(for: room) != nil { count += 1 }
        #expect(count == 10)
    }

    @Test func aWorkersLoudnessIsDividedAmongTheRooms() async throws {
        let scenario = Scenario()
        var sessions: [SessionID] = []
        for name in ["a", "b"] {
            let member = try await scenario.join("alice", room: name)
            try await member.offer(Offer().publishing("audio"))
            sessions.append(try #require(scenario.worker.sessions.last))
        }
        let activities = (sessions + [SessionID(999_999_999), sessions[0]]).enumerated().map { index, session in
            AudioActivity(track: PublishedTrack(session: session, mid: "0"), level: UInt8(index), packetCount: 5)
        }
        let shares = scenario.directory.shares(of: .audioActivity(activities))
        #expect(shares.map { $0.room.id.value } == ["a", "b"])
        #expect(
            shares.map(\.event) == [.audioActivity([activities[0], activities[3]]), .audioActivity([activities[1]])]
        )
    }
}
