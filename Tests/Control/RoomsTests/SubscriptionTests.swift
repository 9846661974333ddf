import Basics
import ControlTestSupport
import MediaControl
import Rooms
import Testing

@Suite struct SubscriptionTests {
    private func publisherAndSubscriber(
        _ scenario: Scenario,
        autoSubscribe: Bool
    ) async throws -> (publisher: Member, subscriber: Member, track: String) {
        let publisher = try await scenario.join("publisher")
        try await publisher.offer(Offer().publishing("video"))
        let subscriber = try await scenario.join("subscriber") { $0.autoSubscribe = autoSubscribe }
        return (publisher, subscriber, await publisher.tracks[0].id.value)
    }

    @Test func withoutAutoSubscribeOnlyWhatIsAskedForIsSent() async throws {
        let scenario = Scenario()
        let (_, subscriber, track) = try await self.publisherAndSubscriber(scenario, autoSubscribe: false)
        #expect(try await subscriber.offer(Offer().taking("video")).bindings.isEmpty)
        #expect(try await subscriber.room.subscribe(subscriber.id, to: track, mid: "0") == "0")
        #expect(try await subscriber.bindings == ["0": TrackID(track)])
        try await subscriber.room.unsubscribe(subscriber.id, from: track)
        #expect(try await subscriber.bindings.isEmpty)
    }

    @Test func aWishWithoutASectionWaitsForTheNextOffer() async throws {
        let scenario = Scenario()
        let (_, subscriber, track) = try await self.publisherAndSubscriber(scenario, autoSubscribe: false)
        #expect(try await subscriber.room.subscribe(subscriber.id, to: track, mid: nil) == nil)
        let answer = try await subscriber.offer(Offer().taking("audio", "video"))
        #expect(answer.bindings.map(\.mid) == ["1"])
        #expect(answer.bindings.map(\.track.value) == [track])
    }

    @Test func whatWasUnsubscribedIsNotBoundAgainByItself() async throws {
        let scenario = Scenario()
        let (_, subscriber, track) = try await self.publisherAndSubscriber(scenario, autoSubscribe: true)
        #expect(try await subscriber.offer(Offer().taking("video")).bindings.count == 1)
        try await subscriber.room.unsubscribe(subscriber.id, from: track)
        #expect(try await subscriber.offer(Offer().taking("video")).bindings.isEmpty)
        #expect(try await subscriber.room.subscribe(subscriber.id, to: track, mid: nil) == "0")
    }

    @Test func aTrackOnASectionThatIsTakenReplacesTheOther() async throws {
        let scenario = Scenario()
        let (publisher, subscriber, first) = try await self.publisherAndSubscriber(scenario, autoSubscribe: true)
        try await publisher.offer(Offer().publishing("video", "video"))
        let second = await publisher.tracks[1].id
        #expect(try await subscriber.offer(Offer().taking("video")).bindings.map(\.track.value) == [first])
        #expect(try await subscriber.room.subscribe(subscriber.id, to: second.value, mid: "0") == "0")
        #expect(try await subscriber.bindings == ["0": second])
    }

    @Test(arguments: [
        (mid: "9", code: RoomError.Code.badMessage),
        (mid: "1", code: .badMessage),
        (mid: "2", code: .badMessage),
    ])
    func aSectionThatDoesNotFitIsRefused(mid: String, code: RoomError.Code) async throws {
        let scenario = Scenario()
        let (_, subscriber, track) = try await self.publisherAndSubscriber(scenario, autoSubscribe: false)
        // 1 is audio, 2 is the subscriber's own.
        try await subscriber.offer(Offer().taking("video", "audio").publishing("video"))
        await #expect { _ = try await subscriber.room.subscribe(subscriber.id, to: track, mid: mid) } throws: {
            ($0 as? RoomError)?.code == code
        }
    }

    @Test func aSectionWithoutACommonCodecStaysFree() async throws {
        let scenario = Scenario()
        let (_, subscriber, track) = try await self.publisherAndSubscriber(scenario, autoSubscribe: true)
        #expect(try await subscriber.offer(Offer().taking("video").with { $0.videoCodec = "VP9" }).bindings.isEmpty)
        await #expect { _ = try await subscriber.room.subscribe(subscriber.id, to: track, mid: "0") } throws: {
            ($0 as? RoomError)?.code == .sdpUnsupported
        }
    }

    @Test func aWHEPSubscriberMayNameItsPublisher() async throws {
        let scenario = Scenario()
        let other = try await scenario.join("other")
        try await other.offer(Offer().publishing("video"))
        let viewer = try await scenario.join("viewer") {
            $0.kind = .whep
            $0.publisherIdentity = "star"
        }
        #expect(try await viewer.offer(Offer().taking("video")).bindings.isEmpty)
        let star = try await scenario.join("star")
        try await star.offer(Offer().publishing("video"))
        #expect(try await viewer.bindings == ["0": await star.tracks[0].id])
    }

    @Test func aWishForASmallPictureIsToldToTheWorkerAndOutlivesTheBinding() async throws {
        let scenario = Scenario()
        let (_, subscriber, track) = try await self.publisherAndSubscriber(scenario, autoSubscribe: false)
        try await subscriber.offer(Offer().taking("video"))
        try await subscriber.room.prefer(TrackPreference(maxWidth: 320), for: track, by: subscriber.id)
        scenario.worker.forgetCalls()
        _ = try await subscriber.room.subscribe(subscriber.id, to: track, mid: nil)
        let section = SectionReference(session: try #require(scenario.worker.sessions.last), mid: "0")
        #expect(scenario.worker.calls.last == .preference(SubscriberPreference(maximumWidth: 320), section))
        try await subscriber.room.prefer(TrackPreference(), for: track, by: subscriber.id)
        #expect(scenario.worker.calls.last == .preference(SubscriberPreference(), section))
    }

    @Test func pausingIsToldToTheWorkerAndOutlivesTheBinding() async throws {
        let scenario = Scenario()
        let (_, subscriber, track) = try await self.publisherAndSubscriber(scenario, autoSubscribe: false)
        try await subscriber.offer(Offer().taking("video"))
        try await subscriber.room.prefer(TrackPreference(paused: true), for: track, by: subscriber.id)
        scenario.worker.forgetCalls()
        _ = try await subscriber.room.subscribe(subscriber.id, to: track, mid: nil)
        let section = SectionReference(session: try #require(scenario.worker.sessions.last), mid: "0")
        #expect(scenario.worker.calls.last == .paused(true, .subscriber, section))
        try await subscriber.room.prefer(TrackPreference(paused: false), for: track, by: subscriber.id)
        #expect(scenario.worker.calls.last == .paused(false, .subscriber, section))
    }

    @Test(arguments: [
        (who: "publisher", admin: false, ok: true), ("subscriber", false, false), ("subscriber", true, true),
    ])
    func onlyItsPublisherOrAnAdminMayMuteATrack(who: String, admin: Bool, ok: Bool) async throws {
        let scenario = Scenario()
        let publisher = try await scenario.join("publisher")
        try await publisher.offer(Offer().publishing("audio"))
        let subscriber = try await scenario.join("subscriber") { $0.grants.admin = admin }
        let member = who == "publisher" ? publisher : subscriber
        let track = await publisher.tracks[0].id.value
        do throws(RoomError) {
            try await member.room.mute(track, muted: true, by: member.id)
            #expect(ok)
        } catch { #expect(!ok && error.code == .forbidden) }
        #expect(await publisher.tracks[0].muted == ok)
        #expect(scenario.worker.calls.contains { if case .muted = $0 { true } else { false } } == ok)
    }

    @Test func unknownTracksAreSaidToBeSo() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        await #expect { _ = try await alice.room.subscribe(alice.id, to: "TR_x", mid: nil) } throws: {
            ($0 as? RoomError)?.code == .noSuchTrack
        }
        await #expect { try await alice.room.mute("TR_x", muted: true, by: alice.id) } throws: {
            ($0 as? RoomError)?.code == .noSuchTrack
        }
    }

    /// Everybody publishes and takes, comes and goes, at once: whatever the order, nobody is sent a track that is gone
    /// or their own, and the worker never hears of an m-line it does not know.
    @Test func manyAtOnceLeaveNothingBehind() async throws {
        let scenario = Scenario()
        await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<12 {
                group.addTask {
                    let member = try await scenario.join("p\(index)")
                    let taking = Offer().publishing("audio", "video").taking("audio", "video", "audio", "video")
                    try await member.offer(taking)
                    if index.isMultiple(of: 3) { await member.leave() } else { try await member.offer(taking) }
                }
            }
        }
        let room = try #require(await scenario.directory.room(RoomID("r")))
        let participants = await room.visibleParticipants
        #expect(participants.count == 8)
        let owners = participants.reduce(into: [TrackID: ParticipantID]()) { owners, participant in
            for track in participant.tracks { owners[track.id] = participant.id }
        }
        for report in await room.reports() {
            #expect(report.bindings.count == 4)
            #expect(Set(report.bindings.values).count == 4)
            for track in report.bindings.values {
                #expect(owners[track] != nil && owners[track] != report.participant.id)
            }
        }
        #expect(scenario.worker.sessions.count == 8)
    }
}
