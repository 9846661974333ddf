import Basics
import ControlTestSupport
import MediaControl
import Rooms
import Testing

/// What one participant changes costs everybody in the room something, so it is bounded; what a page does is well within.
@Suite struct ChangeLimitTests {
    private static let whole = Offer().publishing("audio").with { offer in
        offer.sections = (0..<32).map { (String($0), "audio", .publish) }
    }

    private static func silent(_ offer: Offer) -> Offer {
        offer.with { offer in for index in offer.sections.indices { offer.sections[index].direction = .inactive } }
    }

    /// Whether the offer was answered; the only refusal is `rateLimited`.
    private static func isTaken(_ offer: Offer, from member: Member) async throws -> Bool {
        do {
            try await member.offer(offer)
            return true
        } catch let error as RoomError {
            #expect(error.code == .rateLimited)
            return false
        }
    }

    @Test func `offers that begin and end tracks without an end fill nobody's queue`() async throws {
        let scenario = Scenario()
        let attacker = try await scenario.join("attacker")
        let bob = try await scenario.join("bob")
        var told = 0
        for round in 0..<500 {
            _ = try await Self.isTaken(round.isMultiple(of: 2) ? Self.whole : Self.silent(Self.whole), from: attacker)
            await scenario.wait(milliseconds: 20)
            told += bob.events.take().count
        }
        // Four times everything at once, and ten a second for ten seconds.
        #expect(told <= 4 * 32 + 100)
        #expect(told >= 4 * 32)
    }

    @Test func `who was refused for too many changes is let through a little later`() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        var isTaken = true
        for _ in 0..<3 where isTaken {
            isTaken = try await Self.isTaken(Self.whole, from: alice)
            if isTaken { isTaken = try await Self.isTaken(Self.silent(Self.whole), from: alice) }
        }
        #expect(!isTaken)
        // An offer that changes no track is answered meanwhile.
        #expect(try await Self.isTaken(Self.silent(Self.whole), from: alice))
        await scenario.wait(seconds: 4)
        #expect(try await Self.isTaken(Self.whole, from: alice))
        #expect(await alice.tracks.count == 32)
    }

    @Test func `a page that publishes all it has and starts again a few times at once is not refused`() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        for peer in ["AA", "BB", "CC", "DD"] {
            var offer = Offer()
            offer.fingerprint = peer
            for kind in ["audio", "video", "video", "audio"] {
                offer = offer.publishing(kind)
                #expect(try await Self.isTaken(offer, from: alice))
            }
            // The screen, shared and taken back.
            for _ in 0..<3 {
                var without = offer
                for index in [2, 3] { without.sections[index].direction = .inactive }
                #expect(try await Self.isTaken(without, from: alice))
                #expect(try await Self.isTaken(offer, from: alice))
            }
        }
    }

    @Test func `more tracks than the limit once allowed may be published after it was raised`() async throws {
        let scenario = Scenario(RoomSettings(maxTracksPerParticipant: 1))
        let alice = try await scenario.join("alice")
        await scenario.directory.update(RoomSettings(maxTracksPerParticipant: 200))
        let offer = Offer().with { $0.sections = (0..<100).map { (String($0), "audio", .publish) } }
        #expect(try await Self.isTaken(offer, from: alice))
    }

    @Test func `a client that mutes all at once, on and off, is told of twice`() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        try await alice.offer(Self.whole)
        let tracks = await alice.tracks
        let bob = try await scenario.join("bob")
        _ = (alice.events.take(), bob.events.take())
        for round in 0..<5 {
            for track in tracks {
                try await alice.room.mute(track.id.value, muted: round.isMultiple(of: 2), by: alice.id)
            }
        }
        #expect(bob.events.take() == ["changed alice"])
        await scenario.wait(milliseconds: 200)
        guard case .participantChanged(let info) = bob.events.all.last else {
            Issue.record("the last state was not told")
            return
        }
        #expect(info.tracks.count { $0.muted } == 32)
        #expect(bob.events.take().count == 1)
        await scenario.wait(milliseconds: 200)
        #expect(bob.events.take().isEmpty)
    }

    @Test func `who asks for a change hears of it at once, however soon it comes after another`() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        try await alice.offer(Offer().publishing("audio", "video"))
        let tracks = await alice.tracks
        let bob = try await scenario.join("bob")
        _ = (alice.events.take(), bob.events.take())
        for (round, track) in tracks.enumerated() {
            try await alice.room.mute(track.id.value, muted: true, by: alice.id)
            guard case .participantChanged(let info) = alice.events.all.last else {
                Issue.record("she was not told")
                return
            }
            #expect(info.tracks.count { $0.muted } == round + 1)
        }
        #expect(bob.events.take() == ["changed alice"])
    }

    @Test func `who was muted while its connection was lost hears of it when it is back`() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        try await alice.offer(Offer().publishing("audio"))
        let track = try #require(await alice.tracks.first)
        await alice.room.detach(alice.id, resumeToken: alice.joined.resumeToken, at: scenario.clock.now)
        let host = try await scenario.join("host") { $0.grants.admin = true }
        try await host.room.mute(track.id.value, muted: true, by: host.id)
        let events = Events()
        _ = await scenario.directory.resume(RoomID("r"), token: alice.joined.resumeToken) { events.append($0) }
        guard case .participantChanged(let info) = events.all.last else {
            Issue.record("she was not told")
            return
        }
        #expect(info.tracks.map(\.muted) == [true])
    }

    @Test func `tracks that are named anew without an end are told of seldom, and then refused`() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        let bob = try await scenario.join("bob")
        try await alice.offer(Offer().publishing("video"))
        _ = bob.events.take()
        var refusedCount = 0
        for round in 0..<300 {
            let intent = PublishIntent(mid: "0", source: round.isMultiple(of: 2) ? .screen : .camera, name: "\(round)")
            do throws(RoomError) { try await alice.room.declare([intent], by: alice.id) } catch {
                #expect(error.code == .rateLimited)
                refusedCount += 1
            }
        }
        #expect(bob.events.take() == ["changed alice"])
        #expect(refusedCount > 0)
        await scenario.wait(milliseconds: 200)
        #expect(bob.events.take() == ["changed alice"])
        try await alice.room.declare([PublishIntent(mid: "0", source: .other)], by: alice.id)
        #expect(await alice.tracks.first?.source == .other)
    }
}
