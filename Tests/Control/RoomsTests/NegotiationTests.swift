import Basics
import ControlTestSupport
import MediaControl
import Negotiation
import Rooms
import Testing

@Suite struct NegotiationTests {
    @Test func theWorkerKnowsTheSessionBeforeTheClientHasItsAnswer() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        let answer = try await alice.offer(Offer().publishing("audio", "video"))
        let session = try #require(scenario.worker.sessions.first)
        #expect(scenario.worker.calls == [.apply(session, ["0", "1"])])
        let configuration = try #require(scenario.worker.configuration(of: session))
        #expect(configuration.localUsernameFragment.utf8.count == 8)
        #expect(configuration.localPassword.value.utf8.count >= 24)
        #expect(answer.sdp.contains("a=ice-ufrag:\(configuration.localUsernameFragment)\r\n"))
        #expect(answer.bindings.isEmpty)
        #expect(await alice.tracks.map(\.source) == [.microphone, .camera])
    }

    @Test func tracksAreBoundInTheOrderOfTheirPublication() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        let bob = try await scenario.join("bob")
        try await alice.offer(Offer().publishing("video"))
        try await bob.offer(Offer().publishing("video", "audio"))
        let carol = try await scenario.join("carol")
        scenario.worker.forgetCalls()
        let answer = try await carol.offer(Offer().taking("video", "audio", "video", "video"))
        let (a, b) = (await alice.tracks, await bob.tracks)
        #expect(answer.bindings.map(\.mid) == ["0", "1", "2"])
        #expect(answer.bindings.map(\.track) == [a[0].id, b[1].id, b[0].id])
        // The m-lines are known to the worker before it is told what to send on them.
        guard case .apply(_, let mids)? = scenario.worker.calls.first else {
            Issue.record("apply was not first")
            return
        }
        #expect(mids == ["0", "1", "2", "3"])
        #expect(scenario.worker.calls.count == 4)
        #expect(answer.sdp.contains("a=msid:\(alice.id.value) \(a[0].id.value)"))
    }

    @Test func nobodyReceivesTheirOwn() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        let answer = try await alice.offer(Offer().publishing("audio").taking("audio"))
        #expect(answer.bindings.isEmpty)
    }

    @Test func aTrackThatComesLaterTakesAFreeSectionWithoutAnotherOffer() async throws {
        let scenario = Scenario()
        let bob = try await scenario.join("bob")
        try await bob.offer(Offer().taking("audio", "video"))
        let alice = try await scenario.join("alice")
        _ = bob.events.take()
        try await alice.offer(Offer().publishing("video"))
        #expect(bob.events.take() == ["published video camera", "subscribed 1"])
        #expect(try await bob.bindings == ["1": await alice.tracks[0].id])
    }

    @Test func aTrackThatEndsFreesItsSectionForTheNext() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        let bob = try await scenario.join("bob")
        let carol = try await scenario.join("carol")
        try await alice.offer(Offer().publishing("video"))
        try await bob.offer(Offer().publishing("video"))
        let answer = try await carol.offer(Offer().taking("video"))
        #expect(answer.bindings.map(\.track) == [await alice.tracks[0].id])
        _ = carol.events.take()
        // On hold counts as ended: the client took its track away.
        try await alice.offer(Offer().with { $0.sections = [("0", "video", .inactive)] })
        #expect(carol.events.take() == ["unpublished", "subscribed 0"])
        #expect(try await carol.bindings == ["0": await bob.tracks[0].id])
        await bob.leave()
        #expect(carol.events.take() == ["unpublished", "left left"])
        #expect(try await carol.bindings.isEmpty)
    }

    @Test func aRefusedOfferLeavesEverythingAsItWas() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        try await alice.offer(Offer().publishing("audio"))
        let tracks = await alice.tracks
        scenario.worker.refuseApply(.tooManySessions)
        await #expect { try await alice.offer(Offer().publishing("audio", "video")) } throws: {
            ($0 as? RoomError)?.code == .internal
        }
        await #expect { try await alice.room.offer("v=0\r\nnonsense", from: alice.id) } throws: {
            ($0 as? RoomError)?.code == .sdpInvalid
        }
        #expect(await alice.tracks == tracks)
        scenario.worker.refuseApply(nil)
        try await alice.offer(Offer().publishing("audio", "video"))
        #expect(await alice.tracks.count == 2)
        #expect(scenario.worker.sessions.count == 1)
    }

    @Test func anICERestartGetsNewCredentialsAndKeepsTheSession() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        try await alice.offer(Offer().publishing("audio"))
        let session = try #require(scenario.worker.sessions.first)
        let before = try #require(scenario.worker.configuration(of: session))
        try await alice.offer(Offer().publishing("audio"))
        #expect(scenario.worker.configuration(of: session)?.localUsernameFragment == before.localUsernameFragment)
        try await alice.offer(
            Offer().publishing("audio").with {
                $0.usernameFragment = "wxyz"
                $0.password = "76543210fedcba9876543210"
            }
        )
        let after = try #require(scenario.worker.configuration(of: session))
        #expect(after.localUsernameFragment != before.localUsernameFragment)
        #expect(after.localPassword != before.localPassword)
        #expect(scenario.worker.sessions == [session])
    }

    @Test func aNewPeerConnectionReplacesTheOldSession() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        let bob = try await scenario.join("bob")
        try await bob.offer(Offer().taking("video"))
        try await alice.offer(Offer().publishing("audio", "video"))
        let old = try #require(scenario.worker.sessions.last)
        _ = bob.events.take()
        try await alice.offer(Offer().publishing("video").with { $0.fingerprint = "CD" })
        #expect(scenario.worker.calls.contains(.close(old)))
        #expect(await alice.tracks.map(\.kind) == [.video])
        #expect(bob.events.take() == ["unpublished", "unpublished", "published video camera", "subscribed 0"])
    }

    @Test func afterItsSessionEndedAParticipantMayOfferAnother() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        let bob = try await scenario.join("bob")
        try await alice.offer(Offer().publishing("audio"))
        let old = try #require(scenario.worker.sessions.first)
        _ = bob.events.take()
        await scenario.directory.handle(.ended(old, .consentExpired))
        #expect(bob.events.take() == ["unpublished"])
        try await alice.offer(Offer().publishing("audio").with { $0.fingerprint = "EF" })
        #expect(await alice.tracks.count == 1)
        #expect(bob.events.take() == ["published audio microphone"])
    }

    @Test(arguments: [SessionKind.whip, .whep])
    func withoutAWebSocketTheParticipantEndsWithItsSession(kind: SessionKind) async throws {
        let scenario = Scenario()
        let member = try await scenario.join("x") { $0.kind = kind }
        try await member.offer(kind == .whip ? Offer().publishing("audio") : Offer().taking("audio"))
        await scenario.directory.handle(.ended(try #require(scenario.worker.sessions.first), .closedByPeer))
        #expect(member.events.take().last == "removed mediaEnded")
        #expect(await member.room.participantCount == 0)
    }

    @Test func leavingEndsTheSession() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        try await alice.offer(Offer().publishing("audio"))
        let session = try #require(scenario.worker.sessions.first)
        await alice.leave()
        #expect(scenario.worker.calls.last == .close(session))
    }

    @Test func sourcesAreCheckedAgainstTheToken() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice") { $0.grants.publishSources = [.microphone] }
        let isForbidden: (any Error) -> Bool = { ($0 as? RoomError)?.code == .forbidden }
        await #expect { try await alice.offer(Offer().publishing("video")) } throws: { isForbidden($0) }
        try await alice.offer(Offer().publishing("audio"))
        #expect(await alice.tracks.map(\.source) == [.microphone])
        // What is published stays what it is.
        await #expect {
            try await alice.room.declare([PublishIntent(mid: "0", source: .screen)], by: alice.id)
        } throws: { isForbidden($0) }
        #expect(await alice.tracks.map(\.source) == [.microphone])
    }

    @Test func whatWasRefusedAsAScreenIsNoCameraWhenItComes() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice") { $0.grants.publishSources = [.microphone, .camera] }
        let isForbidden: (any Error) -> Bool = { ($0 as? RoomError)?.code == .forbidden }
        await #expect {
            try await alice.room.declare([PublishIntent(mid: "0", source: .screen)], by: alice.id)
        } throws: { isForbidden($0) }
        await #expect { try await alice.offer(Offer().publishing("video")) } throws: { isForbidden($0) }
        #expect(await alice.tracks.isEmpty)
        try await alice.room.declare([PublishIntent(mid: "0", source: .camera)], by: alice.id)
        try await alice.offer(Offer().publishing("video"))
        #expect(await alice.tracks.map(\.source) == [.camera])
    }

    @Test func withoutTheGrantNothingIsPublishedOrSent() async throws {
        let scenario = Scenario()
        let publisher = try await scenario.join("publisher")
        try await publisher.offer(Offer().publishing("audio"))
        let guest = try await scenario.join("guest") {
            $0.grants.publish = false
            $0.grants.subscribe = false
        }
        await #expect { try await guest.offer(Offer().publishing("video").taking("audio")) } throws: {
            ($0 as? RoomError)?.code == .forbidden
        }
        #expect(try await guest.offer(Offer().taking("audio")).bindings.isEmpty)
        #expect(await guest.tracks.isEmpty)
        let track = await publisher.tracks[0].id.value
        await #expect { _ = try await guest.room.subscribe(guest.id, to: track, mid: nil) } throws: {
            ($0 as? RoomError)?.code == .forbidden
        }
    }

    @Test func whatATrackIsCanBeSaidBeforeAndAfter() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        let bob = try await scenario.join("bob")
        try await alice.room.declare([PublishIntent(mid: "0", source: .screen, name: "slides")], by: alice.id)
        try await alice.offer(Offer().publishing("video"))
        #expect(bob.events.take() == ["published video screen"])
        try await alice.room.declare([PublishIntent(mid: "0", source: .camera)], by: alice.id)
        #expect(bob.events.take() == ["changed alice"])
        #expect(await alice.tracks.map(\.source) == [.camera])
    }

    @Test func tracksPerParticipantAreBounded() async throws {
        let scenario = Scenario(RoomSettings(maxTracksPerParticipant: 1))
        let alice = try await scenario.join("alice")
        await #expect { try await alice.offer(Offer().publishing("audio", "video")) } throws: {
            ($0 as? RoomError)?.code == .forbidden
        }
    }

    @Test(arguments: ["\r\n", "\n"])
    func passwordsAreNotInTheReport(lineEnd: String) async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        let sdp = Offer().publishing("audio").sdp.replacing("\r\n", with: lineEnd)
        _ = try await alice.room.offer(sdp, from: alice.id)
        let report = try await alice.room.report(of: alice.id)
        #expect(report.lastOffer.contains("a=ice-ufrag:abcd"))
        #expect(report.lastAnswer.contains("a=ice-ufrag:"))
        for sdp in [report.lastOffer, report.lastAnswer] {
            #expect(sdp.contains("a=ice-pwd:[redacted]"))
            #expect(!sdp.contains("0123456789abcdef01234567"))
        }
    }

    @Test func layersAndSelectionsReachThoseTheyConcern() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        let bob = try await scenario.join("bob")
        try await alice.offer(Offer().publishing("video"))
        try await bob.offer(Offer().taking("video"))
        let (source, target) = (scenario.worker.sessions[0], scenario.worker.sessions[1])
        _ = bob.events.take()
        let layers = [LayerState(rid: "l", width: 320, height: 180, active: true)]
        await scenario.directory.handle(.layersChanged(PublishedTrack(session: source, mid: "0"), codec: .vp9, layers))
        #expect(bob.events.take() == ["changed alice"])
        #expect(await alice.tracks.map(\.layers) == [layers])
        #expect(await alice.tracks.map(\.codec) == [.vp9])
        #expect(await alice.tracks.first?.json["svc"] == nil)
        let whole = [LayerState(rid: "", width: 1_280, height: 720, active: true, scalabilityMode: "L3T3_KEY")]
        await scenario.directory.handle(.layersChanged(PublishedTrack(session: source, mid: "0"), codec: .vp9, whole))
        #expect(bob.events.take() == ["changed alice"])
        #expect(await alice.tracks.first?.json["svc"] == .string("L3T3_KEY"))
        let selection = LayerSelection(spatial: 1, temporal: 0, reason: "bandwidth")
        await scenario.directory.handle(.selectionChanged(SectionReference(session: target, mid: "0"), selection))
        #expect(bob.events.take() == ["layer 1"])
        #expect(alice.events.take().allSatisfy { !$0.hasPrefix("layer") })
    }
}
