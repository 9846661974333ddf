import Basics
import DTLS
import MediaControl
import MediaPlane
import Negotiation
import PeerSession
import SDP
import TestSupport
import Testing

/// Clients that offer `a=setup:passive`, as FFmpeg's WHIP does: the server begins the DTLS handshake.
@Suite struct ClientsThatWaitForTheHandshakeTests {
    private struct Scene {
        let call: SimulatedCall
        let publisher: SimulatedClient
        let subscriber: SimulatedClient
        var talker: Talker

        init(_ call: SimulatedCall) throws {
            self.call = call
            self.publisher = call.addClient()
            self.subscriber = call.addClient()
            let uplink = self.publisher.add(.audio, direction: .send)
            let downlink = self.subscriber.add(.audio, direction: .receive)
            for client in [self.publisher, self.subscriber] {
                client.offer.setup = .passive
                try call.negotiate(client)
            }
            try call.bind(self.publisher, uplink, to: self.subscriber, downlink)
            self.talker = Talker(client: self.publisher, mid: uplink)
        }

        func connects(within time: Nanoseconds) -> Bool {
            self.call.run(upTo: time) {
                self.publisher.isConnected && self.subscriber.isConnected
                    && self.call.router.currentCounters().handshakesOK == 2
            }
        }

        mutating func heard(for time: Nanoseconds) -> Int {
            let before = self.subscriber.packets.count
            self.call.run(for: time, tick: .milliseconds(10)) { self.talker.talk(in: self.call, at: $0) }
            return self.subscriber.packets.count - before
        }
    }

    @Test(arguments: [false, true])
    func `media flows to and from them, whoever does the handshake's work`(offloads: Bool) throws {
        let call = SimulatedCall(seed: 121, offloadsHandshakes: offloads)
        var scene = try Scene(call)
        #expect(scene.connects(within: .seconds(1)))
        #expect(scene.heard(for: .seconds(1)) >= 48)
        // The roles outlive an ICE restart.
        for client in [scene.publisher, scene.subscriber] {
            client.renewCredentials()
            client.offer.setup = .actpass
            call.tampersWithAnswer = { answer in
                #expect(answer.contains("a=setup:active") && !answer.contains("a=setup:passive"))
                return answer.replacing("a=setup:active", with: "a=setup:passive")
            }
            try call.negotiate(client)
        }
        #expect(scene.heard(for: .seconds(2)) >= 95)
        let handshakes = call.router.currentCounters().handshakesOK
        #expect(handshakes == 2)
    }

    @Test(arguments: [0.05, 0.2, 0.4])
    func `their handshakes complete over paths that lose and reorder`(loss: Double) throws {
        for seed in UInt64(1)...8 {
            let call = SimulatedCall(
                impairment: .init(
                    loss: loss,
                    delay: .milliseconds(20),
                    jitter: .milliseconds(5),
                    reordering: 0.2,
                    duplication: 0.05
                ),
                seed: seed,
                offloadsHandshakes: seed % 2 == 0
            )
            let scene = try Scene(call)
            #expect(scene.connects(within: .seconds(28)), "seed \(seed)")
        }
    }

    @Test func `nothing is begun before an authenticated check has chosen a path`() throws {
        let call = SimulatedCall(impairment: .init(loss: 1), seed: 122)
        let client = call.addClient()
        client.offer.setup = .passive
        _ = client.add(.audio, direction: .send)
        try call.negotiate(client)
        call.inject(
            client.makeCheck(nominates: true, password: "not the server's password"),
            from: client.address
        )
        // What a client may not send: it waits.
        call.inject(Hostility.clientHellos[0], from: client.address)
        call.run(for: .seconds(5))
        var hellos = 0
        call.watchesServer = { bytes, _, _ in if bytes.isDTLS { hellos += 1 } }
        call.run(for: .seconds(5))
        #expect(hellos == 0)
        call.inject(client.makeCheck(nominates: true), from: client.address)
        call.run(for: .seconds(19))
        // A path, and nobody who answers: repeated, more and more seldom, until the session is given up.
        #expect((5...40).contains(hellos), "\(hellos)")
        call.run(for: .seconds(2))
        let after = hellos
        #expect(call.end(of: client) == .connectTimeout)
        let timeouts = call.router.currentCounters().handshakesTimedOut
        #expect(timeouts == 1)
        call.run(for: .seconds(5))
        #expect(hellos == after)
    }

    @Test func `nothing is begun towards an address that is another's`() throws {
        let scene = try AudioCall(seed: 125)
        try scene.connect()
        let liar = scene.call.addClient()
        liar.offer.setup = .passive
        _ = liar.add(.audio, direction: .send)
        try scene.call.negotiate(liar)
        scene.call.network.setImpairment(.init(loss: 1), of: liar.address)
        var hellos = 0
        scene.call.watchesServer = { bytes, to, _ in
            if to == scene.subscriber.address, bytes.isDTLS, bytes[0] == 22, bytes[13] == 1 { hellos += 1 }
        }
        for _ in 0..<5 {
            scene.call.inject(liar.makeCheck(nominates: true), from: scene.subscriber.address)
            scene.talk(for: .seconds(1))
        }
        #expect(hellos == 0)
        #expect(scene.isHeard())
    }

    @Test func `one whose certificate is not the announced one is refused`() throws {
        let call = SimulatedCall(seed: 123)
        let liar = call.addClient()
        liar.offer.setup = .passive
        let uplink = liar.add(.audio, direction: .send)
        var digest = liar.offer.local.fingerprint.digest
        digest[31] ^= 1
        liar.offer.local.fingerprint = Fingerprint(hash: .sha256, digest: digest)
        try call.negotiate(liar)
        var talker = Talker(client: liar, mid: uplink)
        call.run(for: .seconds(3)) { talker.talk(in: call, at: $0) }
        #expect(call.end(of: liar) == .fingerprintMismatch)
        let counters = call.router.currentCounters()
        #expect(counters.handshakesWrongFingerprint == 1 && counters.packetsIn.audio == 0)
    }

    @Test func `garbage and hellos from their own address change nothing`() throws {
        var random = SeededRandom(seed: 124)
        let call = SimulatedCall(impairment: .init(delay: .milliseconds(10)), seed: 124)
        var scene = try Scene(call)
        let isUp = call.run(upTo: .seconds(6)) {
            for client in [scene.publisher, scene.subscriber] {
                call.inject(Hostility.handshakes(3, using: &random), from: client.address)
                for hello in Hostility.clientHellos { call.inject(hello, from: client.address) }
            }
            return scene.publisher.isConnected && scene.subscriber.isConnected
        }
        #expect(isUp)
        #expect(scene.heard(for: .seconds(1)) >= 45)
    }
}
