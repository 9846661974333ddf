import Basics
import ControlTestSupport
import MediaControl
import Testing

@testable import Rooms

@Suite struct QualityTests {
    @Test(arguments: [
        (loss: 0.0, jitter: 0.0, roundTrip: 0.0, score: 4.9), (0, 0.005, 0.05, 4.9), (0.02, 0.01, 0.1, 4.7),
        (0.05, 0.01, 0.1, 4.4), (0.1, 0.02, 0.2, 3.7), (0.2, 0.03, 0.3, 1.9), (0, 0.1, 1, 1.9), (1, 1, 5, 1.0),
        (-1, -1, -1, 4.9), (5, 0, 0, 1.0),
    ])
    func aScoreFallsWithLossAndDelay(loss: Double, jitter: Double, roundTrip: Double, score: Double) {
        let found = QualityScore.score(fractionLost: loss, jitter: jitter, roundTripTime: roundTrip)
        #expect(found == score)
    }

    private static func inbound(
        _ kind: MediaKind = .audio,
        ssrc: UInt32 = 1,
        received: UInt64,
        lost: Int64
    ) -> InboundRTPStatistics {
        var entry = InboundRTPStatistics(mid: "\(ssrc)", rid: nil, ssrc: SSRC(ssrc), kind: kind)
        entry.packetsReceived = received
        entry.bytesReceived = received * 100
        entry.packetsLost = lost
        return entry
    }

    private static func statistics(
        _ inbound: [InboundRTPStatistics],
        _ outbound: [OutboundRTPStatistics] = []
    ) -> SessionStatistics {
        var statistics = SessionStatistics()
        statistics.transport.connected = true
        statistics.inbound = inbound
        statistics.outbound = outbound
        return statistics
    }

    @Test func onlyTheLastSecondCounts() {
        var monitor = QualityMonitor()
        monitor.update(Self.statistics([Self.inbound(received: 50, lost: 50)]))
        #expect(monitor.score?.uplink?.fractionLost == 0.5)
        #expect(monitor.audio["1"]?.fractionLost == 0.5)
        #expect(monitor.audio["1"]?.bitrate == Bitrate(bitsPerSecond: 40_000))
        monitor.update(Self.statistics([Self.inbound(received: 100, lost: 50)]))
        #expect(monitor.score?.uplink?.fractionLost == 0)
        #expect(monitor.score?.downlink == nil)
        // What was counted as lost came after all.
        monitor.update(Self.statistics([Self.inbound(received: 160, lost: 40)]))
        #expect(monitor.score?.uplink?.fractionLost == 0)
        monitor.update(Self.statistics([Self.inbound(received: 160, lost: 40)]))
        #expect(monitor.score == nil)
    }

    @Test func theManyPacketsOfVideoDoNotHideWhatAudioLoses() {
        var monitor = QualityMonitor()
        monitor.update(
            Self.statistics([
                Self.inbound(.video, ssrc: 2, received: 1_000, lost: 0), Self.inbound(received: 40, lost: 10),
            ])
        )
        #expect(monitor.score?.fractionLost == 0.2)
        // One of three is too few to say anything.
        monitor.update(
            Self.statistics([
                Self.inbound(.video, ssrc: 2, received: 2_000, lost: 0), Self.inbound(received: 42, lost: 11),
            ])
        )
        #expect(monitor.score?.fractionLost == 0)
    }

    @Test func theWorseDirectionIsTheScore() throws {
        var sent = OutboundRTPStatistics(mid: "0", ssrc: SSRC(9), kind: .video)
        sent.packetsSent = 100
        sent.fractionLost = 0.3
        sent.jitter = 0.02
        sent.roundTripTime = 0.08
        var monitor = QualityMonitor()
        monitor.update(Self.statistics([Self.inbound(received: 50, lost: 0)], [sent]))
        let score = try #require(monitor.score)
        #expect(score.score == score.downlink?.score)
        #expect(try #require(score.uplink?.score) > 4.5)
        #expect(score.roundTripTime == 0.08)
        sent.fractionLost = .nan
        sent.jitter = .infinity
        sent.roundTripTime = .nan
        sent.packetsSent = 200
        monitor.update(Self.statistics([], [sent]))
        #expect(try #require(monitor.score?.score) > 4.5)
    }

    @Test func everybodyIsToldOnceAndThenOfTheirOwnAndOfWhatChanges() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        try await alice.offer(Offer().publishing("audio"))
        let session = try #require(scenario.worker.sessions.last)
        let bob = try await scenario.join("bob")
        for name in ["dave", "erin", "frank"] { _ = try await scenario.join(name) }
        scenario.worker.set(Self.statistics([Self.inbound(received: 50, lost: 0)]), of: session)
        await scenario.wait(seconds: 1)
        #expect(alice.events.take().count { $0 == "quality" } == 1)
        #expect(bob.events.take().count { $0 == "quality" } == 1)
        scenario.worker.set(Self.statistics([Self.inbound(received: 100, lost: 0)]), of: session)
        await scenario.wait(seconds: 1)
        #expect(alice.events.take() == ["quality"])
        #expect(bob.events.take().isEmpty)
        scenario.worker.set(Self.statistics([Self.inbound(received: 150, lost: 50)]), of: session)
        await scenario.wait(seconds: 1)
        #expect(bob.events.take() == ["quality"])
        let carol = try await scenario.join("carol")
        scenario.worker.set(Self.statistics([Self.inbound(received: 200, lost: 100)]), of: session)
        await scenario.wait(seconds: 1)
        #expect(carol.events.take() == ["quality"])
    }

    @Test func inALargeRoomNobodyIsToldOfListeners() async throws {
        let scenario = Scenario()
        var members: [Member] = []
        for number in 0..<6 {
            let member = try await scenario.join("listener \(number)")
            try await member.offer(Offer().taking("audio"))
            members.append(member)
        }
        for second in 1...3 as ClosedRange<UInt64> {
            for session in scenario.worker.sessions {
                let lost = second.isMultiple(of: 2) ? Int64(40) : 0
                scenario.worker.set(
                    Self.statistics([Self.inbound(received: 50 * second, lost: lost)]),
                    of: session
                )
            }
            for member in members { _ = member.events.take() }
            await scenario.wait(seconds: 1)
            // Of one's own, each second.
            for member in members { #expect(member.events.take() == ["quality"]) }
        }
    }

    @Test func inALargeRoomWhoeverBeginsToPublishIsNews() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        try await alice.offer(Offer().taking("audio"))
        let session = try #require(scenario.worker.sessions.last)
        var others: [Member] = []
        for name in ["bob", "carol", "dave", "erin"] { others.append(try await scenario.join(name)) }
        for (second, publishes) in [(UInt64(1), false), (2, true), (3, true)] {
            if publishes, second == 2 { try await alice.offer(Offer().taking("audio").publishing("audio")) }
            for member in others { _ = member.events.take() }
            scenario.worker.set(Self.statistics([Self.inbound(received: 50 * second, lost: 0)]), of: session)
            await scenario.wait(seconds: 1)
            for member in others { #expect(member.events.take() == (second == 2 ? ["quality"] : [])) }
        }
    }

    @Test func inASmallRoomEverybodyIsToldOfEverybodyEachSecond() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        try await alice.offer(Offer().publishing("audio"))
        let session = try #require(scenario.worker.sessions.last)
        var others: [Member] = []
        for name in ["bob", "carol", "dave"] { others.append(try await scenario.join(name)) }
        for second in 1...3 as ClosedRange<UInt64> {
            for member in others { _ = member.events.take() }
            scenario.worker.set(Self.statistics([Self.inbound(received: 50 * second, lost: 0)]), of: session)
            await scenario.wait(seconds: 1)
            for member in others { #expect(member.events.take() == ["quality"]) }
        }
    }

    /// A publisher of sound that is heard once a second.
    private struct Speaker {
        let scenario = Scenario()
        let member: Member
        let session: SessionID
        private var received: UInt64 = 0
        private var lost: Int64 = 0
        private var bytes: UInt64 = 0

        init() async throws {
            self.member = try await self.scenario.join("alice")
            try await self.member.offer(Offer().publishing("audio"))
            self.session = try #require(self.scenario.worker.sessions.last)
        }

        /// What the speaker is told after a second of 50 packets.
        mutating func second(losing count: Int64, packetBytes: UInt64 = 100) async -> [String] {
            self.received += UInt64(50 - count)
            self.lost += count
            self.bytes += UInt64(50 - count) * packetBytes
            var entry = QualityTests.inbound(received: self.received, lost: self.lost)
            entry.mid = "0"
            entry.bytesReceived = self.bytes
            self.scenario.worker.set(QualityTests.statistics([entry]), of: self.session)
            await self.scenario.wait(seconds: 1)
            return self.member.events.take().filter { $0.hasPrefix("bitrate") }
        }
    }

    @Test func aPublisherThatLosesSoundIsAdvisedAndLetGoAgain() async throws {
        var speaker = try await Speaker()
        for _ in 0..<3 { #expect(await speaker.second(losing: 0).isEmpty) }
        #expect(await speaker.second(losing: 5) == ["bitrate 32000"])
        #expect(await speaker.second(losing: 5).isEmpty)
        var hints: [String] = []
        for _ in 0..<10 { hints += await speaker.second(losing: 0) }
        #expect(hints == ["bitrate 38400", "bitrate 40000"])
    }

    @Test func theWayBackDoesNotEndAtWhatAPauseInTheMusicTook() async throws {
        var speaker = try await Speaker()
        // 120 kbit/s, then two quiet seconds, in the second of which packets get lost.
        for _ in 0..<3 { #expect(await speaker.second(losing: 0, packetBytes: 300).isEmpty) }
        #expect(await speaker.second(losing: 0, packetBytes: 20).isEmpty)
        let first = try #require(await speaker.second(losing: 5, packetBytes: 20).first)
        #expect(first == "bitrate 92198")
        var hints: [String] = []
        for _ in 0..<10 { hints += await speaker.second(losing: 0, packetBytes: 230) }
        #expect(hints.last == "bitrate 115248")
    }

    @Test func adviceStaysBetween32And256KilobitsASecond() async throws {
        var speaker = try await Speaker()
        _ = await speaker.second(losing: 0, packetBytes: 1_200)
        var hints: [String] = []
        for _ in 0..<20 { hints += await speaker.second(losing: 5, packetBytes: 1_200) }
        #expect(hints.first == "bitrate 204800")
        #expect(hints.last == "bitrate 32000")
        // Between one and five per cent nothing changes.
        for _ in 0..<5 { #expect(await speaker.second(losing: 2, packetBytes: 80).isEmpty) }
        for _ in 0..<20 { hints += await speaker.second(losing: 0, packetBytes: 80) }
        #expect(hints.last == "bitrate 256000")
    }

    @Test func `which layers are wanted is told again to a publisher whose connection was lost meanwhile`() async throws
    {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        try await alice.offer(Offer().publishing("audio", "video", "video"))
        let session = try #require(scenario.worker.sessions.last)
        let video = PublishedTrack(session: session, mid: "1")
        await scenario.directory.handle(.layersWanted(video, rids: ["q"]))
        await alice.room.detach(alice.id, resumeToken: alice.joined.resumeToken, at: scenario.clock.now)
        await scenario.directory.handle(.layersWanted(video, rids: ["q", "h"]))
        let events = Events()
        _ = await scenario.directory.resume(RoomID("r"), token: alice.joined.resumeToken) { events.append($0) }
        // Of the other one nothing was said.
        #expect(events.take() == ["wanted q,h", "changed alice"])
    }

    @Test func whatAWorkerSaysOfWantedLayersGoesToThePublisherOnly() async throws {
        let scenario = Scenario()
        let alice = try await scenario.join("alice")
        let bob = try await scenario.join("bob")
        try await alice.offer(Offer().publishing("video"))
        let session = try #require(scenario.worker.sessions.last)
        _ = (alice.events.take(), bob.events.take())
        let track = PublishedTrack(session: session, mid: "0")
        await scenario.directory.handle(.layersWanted(track, rids: ["q", "h"]))
        #expect(alice.events.take() == ["wanted q,h"])
        #expect(bob.events.take().isEmpty)
        await scenario.directory.handle(.layersWanted(PublishedTrack(session: session, mid: "9"), rids: []))
        #expect(alice.events.take().isEmpty)
    }
}
