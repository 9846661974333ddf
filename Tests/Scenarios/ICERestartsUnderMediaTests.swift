import Basics
import MediaControl
import MediaPlane
import Negotiation
import PeerSession
import RTP
import TestSupport
import Testing

@Suite struct ICERestartsUnderMediaTests {
    @Test(arguments: [true, false])
    func `a restart interrupts media in neither direction, and ends the old credentials`(ofPublisher: Bool) throws {
        let scene = try AudioCall(seed: 91)
        scene.call.network.impairment = .init(delay: .milliseconds(40), jitter: .milliseconds(5))
        try scene.connect()
        scene.talk(for: .seconds(2))
        let client = ofPublisher ? scene.publisher : scene.subscriber
        let oldCheck = client.makeCheck(nominates: true)
        let oldServer = client.answer?.session.transport
        let start = scene.subscriber.packets.count
        client.renewCredentials()
        try scene.call.negotiate(client)
        #expect(client.answer?.session.transport.usernameFragment != oldServer?.usernameFragment)
        #expect(client.answer?.session.transport.password != oldServer?.password)
        // Until the new generation has nominated, the old one still counts.
        scene.talk(for: .seconds(3))
        let gaps = zip(scene.subscriber.packets[start...], scene.subscriber.packets[start...].dropFirst())
            .map { ($1.at - $0.at).inMilliseconds }
        #expect(gaps.count > 145)
        #expect((gaps.max() ?? 1_000) < 200, "\(gaps.max() ?? 0) ms")
        #expect(PictureWatcher.gaps(scene.subscriber.packets) == 0)

        let stranger = TransportAddress(ipv4: 0xC633_6402, port: 7)
        scene.call.inject(oldCheck, from: stranger)
        scene.talk(for: .seconds(6))
        scene.call.inject(oldCheck, from: stranger)
        scene.talk(for: .milliseconds(100))
        #expect(scene.call.sentByServer[stranger] == nil)
        #expect(scene.call.statistics(of: client)?.transport.selectedAddress == client.address)
        // Consent is that of the new generation from here on.
        scene.talk(for: .seconds(40), tick: .milliseconds(20))
        #expect(scene.isHeard())
    }

    @Test func `a restart takes a client to its new address, with the same keys and streams`() throws {
        for seed in UInt64(92)...97 {
            let scene = try AudioCall(seed: seed)
            try scene.connect()
            scene.talk(for: .seconds(1))
            for (round, client) in [scene.subscriber, scene.publisher, scene.subscriber].enumerated() {
                client.translatedAddress = TransportAddress(ipv4: 0xC0A8_0001 + UInt32(round), port: 6_000)
                client.renewCredentials()
                try scene.call.negotiate(client)
                scene.talk(for: .milliseconds(500))
                #expect(scene.isHeard(), "seed \(seed), round \(round)")
                #expect(scene.call.statistics(of: client)?.transport.selectedAddress == client.wireAddress)
            }
            #expect(Set(scene.subscriber.packets.map(\.header.ssrc)).count == 1, "seed \(seed)")
            let connections = scene.call.router.currentCounters().handshakesOK
            #expect(connections == 2, "seed \(seed)")
        }
    }

    @Test func `restarts over a bad network, one upon the other, end with media`() throws {
        for seed in UInt64(1)...5 {
            let scene = try AudioCall(seed: seed)
            try scene.connect()
            scene.call.network.impairment = .init(loss: 0.2, delay: .milliseconds(30), reordering: 0.2)
            for _ in 0..<5 {
                scene.subscriber.renewCredentials()
                try scene.call.negotiate(scene.subscriber)
                scene.talk(for: .milliseconds(150))
            }
            scene.talk(for: .seconds(5))
            scene.call.network.impairment = .perfect
            scene.talk(for: .milliseconds(500))
            #expect(scene.isHeard(), "seed \(seed)")
        }
    }
}
