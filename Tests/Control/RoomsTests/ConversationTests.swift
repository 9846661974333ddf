import Basics
import ControlTestSupport
import MediaControl
import Testing

@testable import Rooms

/// Who speaks, who is shown, and who is told.
@Suite struct ConversationTests {
    /// A room of people with a camera and a microphone each; the first `viewers` receive all others' cameras.
    private struct Call {
        let scenario = Scenario()
        var members: [Member] = []
        var sessions: [SessionID] = []

        init(_ names: [String], lastN: Int? = nil) async throws {
            for name in names {
                let member = try await self.scenario.join(name)
                if self.members.isEmpty { await member.room.setLastN(lastN) }
                try await member.offer(Offer().publishing("audio", "video").taking("video", "video", "video"))
                self.members.append(member)
                self.sessions.append(try #require(self.scenario.worker.sessions.last))
            }
            self.forget()
        }

        func forget() {
            self.scenario.worker.forgetCalls()
            for member in self.members { _ = member.events.take() }
        }

        /// Everybody is silent but one, for a number of reports of 100 ms.
        func speak(_ index: Int?, reports: Int = 10, level: UInt8 = 20) async {
            for _ in 0..<reports {
                self.scenario.clock.advance(milliseconds: 100)
                let activities = self.sessions.indices.map { who in
                    AudioActivity(
                        track: PublishedTrack(session: self.sessions[who], mid: "0"),
                        level: who == index ? level : 127,
                        packetCount: 5
                    )
                }
                await self.scenario.directory.handle(.audioActivity(activities))
            }
        }

        func told(_ index: Int) -> [[SpeakerLevel]] {
            self.members[index].events.all.compactMap { event in
                guard case .activeSpeakers(let speakers) = event else { return nil }
                return speakers
            }
        }

        /// Whose cameras are held back from a member, by index.
        func heldBack(from viewer: Int) async throws -> [Int] {
            var held: Set<String> = []
            for call in self.scenario.worker.calls {
                guard case .paused(let isPaused, .lastN, let section) = call,
                    section.session == self.sessions[viewer]
                else { continue }
                if isPaused { held.insert(section.mid) } else { held.remove(section.mid) }
            }
            let bindings = try await self.members[viewer].bindings
            var owners: [Int] = []
            for (index, member) in self.members.enumerated() {
                let own = Set(await member.tracks.map(\.id))
                if held.contains(where: { bindings[$0].map(own.contains) ?? false }) { owners.append(index) }
            }
            return owners
        }
    }

    @Test func everybodyIsToldWhoSpeaksAndWhenNobodyDoes() async throws {
        let call = try await Call(["alice", "bob"])
        await call.speak(0)
        for index in [0, 1] {
            #expect(call.told(index).last?.map(\.participant) == [call.members[0].id])
            #expect(call.told(index).last?.first?.level == 0.1)
        }
        await call.speak(1, reports: 20)
        #expect(call.told(0).last?.map(\.participant) == [call.members[1].id])
        await call.speak(nil, reports: 10)
        #expect(call.told(0).last?.isEmpty == true)
        #expect(call.told(0).count <= 10)
    }

    @Test func speechEndsAlsoWhenTheWorkerSaysNothingMore() async throws {
        let call = try await Call(["alice", "bob"])
        await call.speak(0)
        for _ in 0..<10 { await call.scenario.wait(milliseconds: 100) }
        #expect(call.told(1).last?.isEmpty == true)
    }

    @Test func aLoudSpeakerIsToldFiveTimesASecondAtMost() async throws {
        let call = try await Call(["alice", "bob"])
        await call.speak(0)
        call.forget()
        for step in 0..<50 { await call.speak(0, reports: 1, level: step.isMultiple(of: 2) ? 10 : 40) }
        #expect(1...26 ~= call.told(1).count)
    }

    @Test func noiseACoughAndASharedScreenAreNotSpeech() async throws {
        let call = try await Call(["alice", "bob"])
        await call.speak(0, reports: 30, level: 70)
        await call.speak(0, reports: 1)
        await call.speak(nil, reports: 5)
        #expect(call.told(1).isEmpty)
        try await call.members[0].room.declare(
            [PublishIntent(mid: "0", source: .screenAudio)],
            by: call.members[0].id
        )
        await call.speak(0, reports: 20)
        #expect(call.told(1).isEmpty)
    }

    @Test func theWorkerHearsWhoLeadsAndWhoSpokeBefore() async throws {
        let call = try await Call(["alice", "bob"])
        await call.speak(0)
        let cameras = call.sessions.map { PublishedTrack(session: $0, mid: "1") }
        #expect(call.scenario.worker.calls == [.speechRole(.active, cameras[0])])
        call.forget()
        await call.speak(1, reports: 20)
        let calls = call.scenario.worker.calls
        #expect(calls.contains(.speechRole(.active, cameras[1])) && calls.contains(.speechRole(.recent, cameras[0])))
        call.forget()
        await call.speak(1, reports: 60)
        #expect(call.scenario.worker.calls == [.speechRole(.silent, cameras[0])])
    }

    @Test func theWorkerHearsWhatATrackShows() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        try await alice.room.declare([PublishIntent(mid: "0", source: .screen)], by: alice.id)
        try await alice.offer(Offer().publishing("video", "video"))
        let session = try #require(scenario.worker.sessions.last)
        let purposes = scenario.worker.calls.filter { if case .purpose = $0 { true } else { false } }
        #expect(purposes == [.purpose(.screen, PublishedTrack(session: session, mid: "0"))])
        try await alice.room.declare([PublishIntent(mid: "0", source: .camera)], by: alice.id)
        #expect(scenario.worker.calls.last == .purpose(.camera, PublishedTrack(session: session, mid: "0")))
    }

    // MARK: last-N

    @Test func theCamerasOfTheLastSpeakersAreShown() async throws {
        let call = try await Call(["alice", "bob", "carol", "dave"], lastN: 1)
        call.forget()
        // Before anybody speaks: who came first. Nobody counts for themselves.
        await call.members[0].room.setLastN(nil)
        await call.members[0].room.setLastN(1)
        #expect(try await call.heldBack(from: 3) == [1, 2])
        #expect(try await call.heldBack(from: 0) == [2, 3])
        await call.speak(2)
        #expect(try await call.heldBack(from: 3) == [0, 1])
        #expect(try await call.heldBack(from: 2) == [1, 3])
        await call.speak(1, reports: 20)
        #expect(try await call.heldBack(from: 3) == [0, 2])
        // Whoever was shown and speaks again changes nothing.
        call.scenario.worker.forgetCalls()
        await call.speak(1, reports: 20)
        #expect(!call.scenario.worker.calls.contains { if case .paused = $0 { true } else { false } })
        await call.members[0].room.setLastN(nil)
        #expect(
            call.scenario.worker.calls.count { if case .paused(false, .lastN, _) = $0 { true } else { false } } == 8
        )
    }

    @Test func whatIsPinnedCountsFirst() async throws {
        let call = try await Call(["alice", "bob", "carol", "dave"])
        await call.members[0].room.setLastN(1)
        let viewer = call.members[3]
        let pinned = try #require(await call.members[2].tracks.last?.id.value)
        try await viewer.room.prefer(TrackPreference(priority: 255), for: pinned, by: viewer.id)
        #expect(try await call.heldBack(from: 3) == [0, 1])
        await call.speak(1)
        #expect(try await call.heldBack(from: 3) == [0, 1])
        try await viewer.room.prefer(TrackPreference(), for: pinned, by: viewer.id)
        #expect(try await call.heldBack(from: 3) == [0, 2])
    }

    @Test func screensAreNotCountedAndAPlaceThatIsLeftIsTaken() async throws {
        let call = try await Call(["alice", "bob", "carol"])
        await call.members[0].room.setLastN(1)
        #expect(try await call.heldBack(from: 2) == [1])
        try await call.members[1].room.declare([PublishIntent(mid: "1", source: .screen)], by: call.members[1].id)
        #expect(try await call.heldBack(from: 2).isEmpty)
        try await call.members[1].room.declare([PublishIntent(mid: "1", source: .camera)], by: call.members[1].id)
        #expect(try await call.heldBack(from: 2) == [1])
        await call.members[0].leave()
        #expect(try await call.heldBack(from: 2).isEmpty)
    }

    @Test func theOperatorsNumberHoldsUnlessTheRoomHasItsOwn() async throws {
        let scenario = Scenario(RoomSettings(lastN: 3))
        let first = try await scenario.join("alice", room: "a").room
        let second = try await scenario.join("alice", room: "b").room
        await second.setLastN(nil)
        await scenario.directory.update(RoomSettings(lastN: 5))
        #expect(await first.lastN == 5)
        #expect(await second.lastN == nil)
    }
}
