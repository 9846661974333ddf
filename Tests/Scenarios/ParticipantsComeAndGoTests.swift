import Basics
import MediaControl
import MediaPlane
import Negotiation
import PeerSession
import RTP
import TestSupport
import Testing

@Suite struct ParticipantsComeAndGoTests {
    /// Somebody in a room of six: publishes audio and video, and is sent everybody else's.
    private final class Participant {
        let client: SimulatedClient
        let audio: String
        let video: String
        var talker: Talker?
        var camera: Camera?
        /// By publisher: where this one is sent their audio and video.
        var downlinks: [SessionID: (audio: String, video: String)] = [:]
        private var arrivals: [Participant] = []
        private var unbound: [Participant] = []
        private var hasStopped = false
        let leavesAt: Instant
        /// Without a word: power cut.
        let dies: Bool
        let joinedAt: Instant

        init(client: SimulatedClient, joinedAt: Instant, leavesAt: Instant, dies: Bool) {
            self.client = client
            self.joinedAt = joinedAt
            self.leavesAt = leavesAt
            self.dies = dies
            self.audio = client.add(.audio, direction: .send)
            self.video = client.add(.video, direction: .send)
        }

        /// Gets its m-lines in `renegotiate`: those of who left can be used again only after they were offered as stopped.
        func subscribe(to publisher: Participant) { self.arrivals.append(publisher) }

        func unsubscribe(from publisher: Participant) {
            guard let mids = self.downlinks.removeValue(forKey: publisher.client.id) else { return }
            self.unbound.removeAll { $0 === publisher }
            self.client.offer.stop(mids.audio)
            self.client.offer.stop(mids.video)
            self.hasStopped = true
        }

        func renegotiate(in call: SimulatedCall) throws {
            if self.hasStopped {
                self.hasStopped = false
                try call.negotiate(self.client)
            }
            guard !self.arrivals.isEmpty || self.client.peer == nil else { return }
            for publisher in self.arrivals {
                self.downlinks[publisher.client.id] = (
                    audio: self.client.add(.audio, direction: .receive),
                    video: self.client.add(.video, direction: .receive)
                )
            }
            self.unbound += self.arrivals
            self.arrivals = []
            try call.negotiate(self.client)
        }

        func bind(in call: SimulatedCall) throws {
            for publisher in self.unbound {
                guard let mids = self.downlinks[publisher.client.id] else { continue }
                try call.bind(publisher.client, publisher.audio, to: self.client, mids.audio)
                try call.bind(publisher.client, publisher.video, to: self.client, mids.video)
            }
            self.unbound = []
        }

        func publish(in call: SimulatedCall, at now: Instant) {
            guard self.client.isConnected else { return }
            if self.talker == nil {
                var talker = Talker(client: self.client, mid: self.audio)
                talker.interval = .milliseconds(100)
                self.talker = talker
                var camera = Camera(client: self.client, mid: self.video)
                camera.interval = .milliseconds(100)
                camera.packetsPerFrame = 1
                self.camera = camera
            }
            self.talker?.talk(in: call, at: now)
            self.camera?.film(in: call, at: now)
        }
    }

    @Test func `300 participants in rooms of six leave nothing behind, and nobody is left without media`() throws {
        let seed: UInt64 = 111
        let call = SimulatedCall(impairment: .init(loss: 0.01, delay: .milliseconds(15)), seed: seed)
        var random = SeededRandom(seed: seed)
        // Sessions end by themselves too (a close_notify, consent): then the room is told, and does the rest.
        var rooms: [[Participant]] = [[], [], [], []]
        var joined = 0
        var dead: [(client: SimulatedClient, until: Instant)] = []
        var silences = 0
        // Who was not sent whom in the window before: a video that goes over to a key frame may miss one of 400 ms.
        var missed: Set<[SessionID]> = []
        var checks = 0

        func leave(_ participant: Participant, room: Int) {
            rooms[room].removeAll { $0 === participant }
            if participant.dies {
                call.remove(participant.client)
                dead.append((participant.client, call.now + .seconds(Int64.random(in: 1...40, using: &random))))
            } else {
                if Bool.random(using: &random) {
                    participant.client.peer?.close(at: call.now)
                    call.run(for: .milliseconds(1))
                }
                call.close(participant.client)
                call.remove(participant.client)
            }
            for other in rooms[room] { other.unsubscribe(from: participant) }
        }

        while joined < 300 || rooms.contains(where: { !$0.isEmpty }) {
            for room in rooms.indices {
                for participant in rooms[room] where participant.leavesAt <= call.now {
                    leave(participant, room: room)
                }
                if joined < 300, rooms[room].count < 6, random.chance(0.7) {
                    joined += 1
                    let stay = Nanoseconds.milliseconds(Int64.random(in: 20...5_000, using: &random))
                    let newcomer = Participant(
                        client: call.addClient(),
                        joinedAt: call.now,
                        leavesAt: call.now + stay,
                        dies: random.chance(0.3)
                    )
                    for other in rooms[room] {
                        other.subscribe(to: newcomer)
                        newcomer.subscribe(to: other)
                    }
                    rooms[room].append(newcomer)
                }
                for participant in rooms[room] { try participant.renegotiate(in: call) }
                for participant in rooms[room] { try participant.bind(in: call) }
            }
            // The room gives up on the dead after its own time, often before consent has run out.
            for (client, until) in dead where until <= call.now { call.close(client) }
            dead.removeAll { $0.until <= call.now }
            let windowStart = call.now
            for room in rooms { for participant in room { participant.client.packets.removeAll() } }
            call.run(for: .milliseconds(400), tick: .milliseconds(50)) { now in
                for room in rooms { for participant in room { participant.publish(in: call, at: now) } }
            }
            // Whoever is long connected with somebody who is, heard and saw them.
            let settled = windowStart + Nanoseconds(-1_500_000_000)
            var missing: Set<[SessionID]> = []
            for room in rooms {
                let old = room.filter { $0.joinedAt < settled && $0.client.isConnected }
                for listener in old {
                    let mids = Set(listener.client.packets.compactMap(\.mid))
                    for publisher in old where publisher !== listener {
                        guard let downlinks = listener.downlinks[publisher.client.id] else { continue }
                        checks += 1
                        if !mids.contains(downlinks.audio) || !mids.contains(downlinks.video) {
                            missing.insert([listener.client.id, publisher.client.id])
                        }
                    }
                }
            }
            silences += missing.intersection(missed).count
            missed = missing
            for client in call.clients {
                #expect(client.end == nil || client.end == .closedByPeer, "seed \(seed)")
            }
        }
        #expect(joined == 300)
        #expect(checks > 200)
        #expect(silences == 0, "seed \(seed): \(silences) of \(checks)")
        call.run(for: .seconds(45), tick: .milliseconds(200))
        let counters = call.router.currentCounters()
        #expect(counters.sessions == 0, "seed \(seed)")
        #expect(counters.tracksPublished.audio == 0 && counters.tracksPublished.video == 0, "seed \(seed)")
        #expect(counters.tracksForwarded.audio == 0 && counters.tracksForwarded.video == 0, "seed \(seed)")
        #expect(counters.packetsOut.audio > 2_000)
    }

    @Test func `a session whose consent ends while checks still rain on its name ends all the same`() throws {
        for seed in UInt64(112)...115 {
            let scene = try AudioCall(seed: seed)
            try scene.connect()
            // Another moment of the consent interval for every seed.
            scene.call.run(for: .milliseconds((Int64(seed) - 111) * 1_300))
            let name = scene.subscriber.answer?.session.transport.usernameFragment ?? ""
            let noise = scene.subscriber.makeCheck(nominates: true, usernameFragment: name, password: "x")
            scene.call.remove(scene.subscriber)
            let stranger = TransportAddress(ipv4: 0xC633_6403, port: 5)
            scene.call.run(for: .seconds(24), tick: .milliseconds(100))
            scene.call.run(for: .seconds(8), tick: .milliseconds(1)) { now in
                scene.call.network.send(noise, from: stranger, to: SimulatedCall.serverAddress, at: now)
            }
            #expect(scene.call.end(of: scene.subscriber) == .consentExpired, "seed \(seed)")
            let sessions = scene.call.router.currentCounters().sessions
            #expect(sessions == 1, "seed \(seed)")
        }
    }
}
