import Basics
import MediaControl
import MediaPlane
import Negotiation
import TestSupport
import Testing

/// What a core cannot do is left out where it matters least, for as long as it cannot.
@Suite struct OverloadedWorkersSendLessVideoTests {
    private static let seed: UInt64 = 2_501

    /// A broadcast of sound and 1.2 Mbit/s of picture to some, on paths that carry it.
    private struct Broadcast {
        let call = SimulatedCall(seed: OverloadedWorkersSendLessVideoTests.seed)
        var camera: Camera
        var talker: Talker
        let subscribers: [SimulatedClient]
        let picture: PublishedTrack
        let pictures: [SectionReference]

        init(subscriberCount: Int, rids: [String] = []) throws {
            let publisher = self.call.addClient()
            let picture = publisher.add(.video, direction: .send, rids: rids)
            let sound = publisher.add(.audio, direction: .send)
            try self.call.negotiate(publisher)
            self.picture = PublishedTrack(session: publisher.id, mid: picture)
            var (subscribers, pictures): ([SimulatedClient], [SectionReference]) = ([], [])
            for _ in 0..<subscriberCount {
                let subscriber = self.call.addClient()
                let (video, audio) = (
                    subscriber.add(.video, direction: .receive), subscriber.add(.audio, direction: .receive)
                )
                try self.call.negotiate(subscriber)
                try self.call.bind(publisher, picture, to: subscriber, video)
                try self.call.bind(publisher, sound, to: subscriber, audio)
                subscribers.append(subscriber)
                pictures.append(SectionReference(session: subscriber.id, mid: video))
            }
            (self.subscribers, self.pictures) = (subscribers, pictures)
            let call = self.call
            #expect(call.run(upTo: .seconds(2)) { publisher.isConnected && subscribers.allSatisfy(\.isConnected) })
            self.camera = Camera(client: publisher, mid: picture, rids: rids)
            self.camera.packetsPerFrame = 5
            self.camera.payloadSize = 1_000
            if rids.count == 2 { self.camera.packetsByLayer = [1, 5] }
            self.talker = Talker(client: publisher, mid: sound)
            self.talker.payloadSize = 80
        }

        /// Goes on for some seconds with this wait in the sockets.
        /// - Returns: of the last second, how many packets of video and of audio each subscriber got.
        mutating func goOn(seconds: Int, wait: Int64) -> [(video: Int, audio: Int)] {
            var before: [Int] = []
            for _ in 0..<seconds {
                before = self.subscribers.map(\.packets.count)
                self.call.run(for: .seconds(1)) { now in
                    self.call.workers[0].router.noteSocketWait(.milliseconds(wait), isRTCP: false, at: now)
                    self.camera.film(in: self.call, at: now)
                    self.talker.talk(in: self.call, at: now)
                }
            }
            return zip(self.subscribers, before).map { subscriber, count in
                let packets = subscriber.packets.dropFirst(count)
                // Of the two, only sound is short.
                let audio = packets.count { $0.payload.count < 100 }
                return (packets.count - audio, audio)
            }
        }

        var shed: UInt64 { self.call.router.currentCounters().tracksShed }
    }

    @Test func `some lose a picture that has no layers, then all, and nobody the sound`() throws {
        var broadcast = try Broadcast(subscriberCount: 6)
        let calm = broadcast.goOn(seconds: 6, wait: 0)
        #expect(calm.allSatisfy { $0.video >= 145 && $0.audio >= 49 }, "\(calm), seed \(Self.seed)")
        _ = broadcast.goOn(seconds: 3, wait: 160)
        // It keeps up now.
        let first = broadcast.goOn(seconds: 2, wait: 30)
        let seeing = first.count { $0.video >= 145 }
        #expect((1...5).contains(seeing), "\(first), seed \(Self.seed)")
        #expect(first.count { $0.video == 0 } == 6 - seeing, "\(first), seed \(Self.seed)")
        #expect(broadcast.shed == UInt64(6 - seeing), "seed \(Self.seed)")
        let last = broadcast.goOn(seconds: 7, wait: 160)
        #expect(last.allSatisfy { $0.video == 0 }, "\(last), seed \(Self.seed)")
        for (early, late) in zip(first, last) {
            #expect(early.audio >= 49 && late.audio >= 49, "\(first), \(last), seed \(Self.seed)")
        }
        let after = broadcast.goOn(seconds: 40, wait: 0)
        #expect(after.allSatisfy { $0.video >= 145 && $0.audio >= 49 }, "\(after), seed \(Self.seed)")
        #expect(broadcast.shed == 0, "seed \(Self.seed)")
    }

    @Test func `who can have a smaller layer gets that`() throws {
        var broadcast = try Broadcast(subscriberCount: 3, rids: ["l", "h"])
        let calm = broadcast.goOn(seconds: 8, wait: 0)
        #expect(calm.allSatisfy { $0.video >= 145 }, "\(calm), seed \(Self.seed)")
        // Four times a quarter; the next step leaves out less than one of three.
        _ = broadcast.goOn(seconds: 3, wait: 160)
        let less = broadcast.goOn(seconds: 3, wait: 30)
        #expect(less.allSatisfy { (29...31).contains($0.video) }, "\(less), seed \(Self.seed)")
        #expect(broadcast.shed == 0, "seed \(Self.seed)")
        let after = broadcast.goOn(seconds: 40, wait: 0)
        #expect(after.allSatisfy { $0.video >= 145 }, "\(after), seed \(Self.seed)")
    }

    @Test func `what is pinned goes last`() throws {
        var broadcast = try Broadcast(subscriberCount: 4)
        var pinned = SubscriberPreference()
        pinned.priority = 255
        broadcast.call.workers[0].router.setPreference(pinned, for: broadcast.pictures[2], at: broadcast.call.now)
        _ = broadcast.goOn(seconds: 6, wait: 0)
        var seen: [[Int]] = []
        for _ in 0..<8 { seen.append(broadcast.goOn(seconds: 1, wait: 160).map(\.video)) }
        #expect(seen.last == [0, 0, 0, 0], "\(seen), seed \(Self.seed)")
        // At least one step later than the last of the others.
        let totals = (0..<4).map { subscriber in seen.reduce(0) { $0 + $1[subscriber] } }
        let others = max(totals[0], totals[1], totals[3])
        #expect(totals[2] >= others + 70, "\(seen), seed \(Self.seed)")
    }

    @Test func `who pauses a picture meanwhile, or leaves it, is counted once`() throws {
        var broadcast = try Broadcast(subscriberCount: 2)
        _ = broadcast.goOn(seconds: 6, wait: 0)
        _ = broadcast.goOn(seconds: 8, wait: 160)
        #expect(broadcast.shed == 2, "seed \(Self.seed)")
        let call = broadcast.call
        call.workers[0].router.setPaused(true, because: .subscriber, for: broadcast.pictures[0], at: call.now)
        _ = broadcast.goOn(seconds: 1, wait: 30)
        let counters = call.router.currentCounters()
        #expect(counters.tracksShed == 1 && counters.tracksPaused == 1, "seed \(Self.seed)")
        call.workers[0].router.unbind(broadcast.pictures[1], at: call.now)
        #expect(broadcast.shed == 0, "seed \(Self.seed)")
    }

    @Test func `who starts meanwhile sees no picture for a moment`() throws {
        var broadcast = try Broadcast(subscriberCount: 2)
        let call = broadcast.call
        call.workers[0].router.setPaused(true, because: .lastN, for: broadcast.pictures[0], at: call.now)
        _ = broadcast.goOn(seconds: 6, wait: 0)
        _ = broadcast.goOn(seconds: 8, wait: 160)
        call.workers[0].router.setPaused(false, because: .lastN, for: broadcast.pictures[0], at: call.now)
        #expect(broadcast.shed == 2, "seed \(Self.seed)")
        let seen = broadcast.goOn(seconds: 1, wait: 160)
        #expect(seen.allSatisfy { $0.video == 0 && $0.audio >= 49 }, "\(seen), seed \(Self.seed)")
    }

    @Test func `a muted picture is none that could be left out, and is one again when it goes on`() throws {
        var broadcast = try Broadcast(subscriberCount: 2)
        _ = broadcast.goOn(seconds: 6, wait: 0)
        _ = broadcast.goOn(seconds: 8, wait: 160)
        #expect(broadcast.shed == 2, "seed \(Self.seed)")
        broadcast.call.workers[0].router.setMuted(true, for: broadcast.picture, at: broadcast.call.now)
        _ = broadcast.goOn(seconds: 1, wait: 160)
        #expect(broadcast.shed == 0, "seed \(Self.seed)")
        broadcast.call.workers[0].router.setMuted(false, for: broadcast.picture, at: broadcast.call.now)
        #expect(broadcast.shed == 2, "seed \(Self.seed)")
        let after = broadcast.goOn(seconds: 40, wait: 0)
        #expect(after.allSatisfy { $0.video >= 145 }, "\(after), seed \(Self.seed)")
    }

    @Test func `a wait that ends takes nothing from anybody`() throws {
        var broadcast = try Broadcast(subscriberCount: 2)
        _ = broadcast.goOn(seconds: 6, wait: 0)
        for _ in 0..<4 {
            _ = broadcast.goOn(seconds: 1, wait: 0)
            broadcast.call.run(for: .milliseconds(300)) { now in
                broadcast.call.workers[0].router.noteSocketWait(.milliseconds(300), isRTCP: false, at: now)
                broadcast.camera.film(in: broadcast.call, at: now)
            }
        }
        let after = broadcast.goOn(seconds: 1, wait: 0)
        #expect(after.allSatisfy { $0.video >= 145 }, "\(after), seed \(Self.seed)")
        #expect(broadcast.shed == 0, "seed \(Self.seed)")
    }
}
