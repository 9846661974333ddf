import Basics
import MediaControl
import MediaPlane
import Negotiation
import PeerSession
import TestSupport
import Testing

/// ATTACKS; RELIABILITY L-34.
@Suite struct MediaFollowsOnlyAuthenticatedChecksTests {
    private static let stranger = TransportAddress(ipv4: 0xC633_6409, port: 3_478)

    @Test func `a client behind a NAT that forgot its binding is found again by its next nominating check`() throws {
        let scene = try AudioCall(seed: 51)
        try scene.connect()
        #expect(scene.isHeard())
        for client in [scene.publisher, scene.subscriber] {
            let old = client.wireAddress
            let new = old.withPort(old.port &+ 1_000)
            client.translatedAddress = new
            // Media alone moves nothing: what the publisher sends from its new address is dropped.
            scene.talk(for: .milliseconds(500))
            #expect(scene.call.sentByServer[new] == nil)
            // A check that does not nominate opens the way in, not the way out.
            scene.call.send(client.makeCheck(nominates: false), from: client)
            scene.call.run(for: .milliseconds(20))
            #expect(scene.call.statistics(of: client)?.transport.selectedAddress == old)
            #expect(scene.call.sentByServer[new] == 1)
            scene.call.send(client.makeCheck(nominates: true), from: client)
            scene.call.run(for: .milliseconds(20))
            #expect(scene.call.statistics(of: client)?.transport.selectedAddress == new)
            let sentToOld = scene.call.sentByServer[old]
            #expect(scene.isHeard())
            #expect(scene.call.sentByServer[old] == sentToOld)
        }
        // And it stays so: consent is renewed from the new address.
        scene.talk(for: .seconds(40), tick: .milliseconds(20))
        #expect(scene.isHeard())
    }

    @Test func `candidates of an offer are never sent to`() throws {
        let call = SimulatedCall(seed: 52)
        let targets = [
            TransportAddress(ipv4: 0xA9FE_A9FE, port: 80), TransportAddress(ipv4: 0x7F00_0001, port: 22),
            TransportAddress(ipv4: 0x0A00_0001, port: 6_379), TransportAddress(ipv4: 0xC633_6401, port: 53),
            TransportAddress(high: 0xFE80_0000_0000_0000, low: 1, port: 9),
        ]
        let scene = try AudioCall(in: call)
        let liar = call.addClient()
        liar.offer.local.candidates = targets
        _ = liar.add(.audio, direction: .send)
        _ = liar.add(.video, direction: .receive)
        try call.negotiate(liar)
        let silent = call.addClient()
        silent.offer.local.candidates = targets
        silent.sends = { _ in false }
        _ = silent.add(.audio, direction: .receive)
        try call.negotiate(silent)
        try scene.connect()
        #expect(call.run(upTo: .seconds(5)) { liar.isConnected })
        scene.talk(for: .seconds(31), tick: .milliseconds(20))
        let allowed = Set([scene.publisher, scene.subscriber, liar].map(\.address))
        #expect(Set(call.sentByServer.keys).isSubset(of: allowed))
        #expect(call.sentByServer[silent.address] == nil)
        #expect(call.end(of: silent) == .connectTimeout)
    }

    @Test func `checks without the right credentials open and move nothing`() throws {
        let scene = try AudioCall(seed: 53)
        let other = scene.call.addClient()
        _ = other.add(.audio, direction: .send)
        try scene.call.negotiate(other)
        try scene.connect()
        #expect(scene.call.run(upTo: .seconds(2)) { other.isConnected })
        let victim = scene.subscriber
        let foreign = try #require(other.answer?.session.transport)
        let own = try #require(victim.answer?.session.transport)
        let forgeries = [
            // The sniffed names of the victim, signed with another participant's password.
            victim.makeCheck(nominates: true, priority: .max, password: foreign.password.value),
            victim.makeCheck(nominates: true, priority: .max, password: "x"),
            victim.makeCheck(nominates: true, priority: .max, isSigned: false),
            // The victim's server name with the peer name of somebody else, and the other way round.
            other.makeCheck(
                nominates: true,
                priority: .max,
                usernameFragment: own.usernameFragment,
                password: foreign.password.value
            ),
            other.makeCheck(
                nominates: true,
                priority: .max,
                usernameFragment: own.usernameFragment,
                password: own.password.value
            ),
            victim.makeCheck(
                nominates: true,
                priority: .max,
                usernameFragment: foreign.usernameFragment,
                password: foreign.password.value
            ),
        ]
        for forgery in forgeries {
            scene.call.inject(forgery, from: Self.stranger)
            #expect(scene.call.statistics(of: victim)?.transport.selectedAddress == victim.address)
            #expect(scene.call.statistics(of: other)?.transport.selectedAddress == other.address)
        }
        let refusals = scene.call.sentByServer[Self.stranger] ?? 0
        #expect(refusals <= forgeries.count)
        #expect(scene.isHeard())
        #expect(scene.call.sentByServer[Self.stranger] == refusals)
    }

    @Test func `a name that nobody has is dropped without an answer`() throws {
        let scene = try AudioCall(seed: 54)
        try scene.connect()
        let before = scene.call.router.currentCounters().stunRejected
        let names = ["AAAAAAAA", "", "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
        for name in names {
            scene.call.inject(
                scene.publisher.makeCheck(nominates: true, usernameFragment: name, password: "y"),
                from: Self.stranger
            )
        }
        let after = scene.call.router.currentCounters().stunRejected
        #expect(after == before + UInt64(names.count))
        #expect(scene.call.sentByServer[Self.stranger] == nil)
        #expect(scene.isHeard())
    }

    @Test func `a participant's own credentials from another's address do not take that address away`() throws {
        let scene = try AudioCall(seed: 55)
        let thief = scene.call.addClient()
        _ = thief.add(.audio, direction: .send)
        try scene.call.negotiate(thief)
        try scene.connect()
        #expect(scene.call.run(upTo: .seconds(2)) { thief.isConnected })
        for victim in [scene.publisher, scene.subscriber] {
            for _ in 0..<20 {
                scene.call.inject(thief.makeCheck(nominates: true, priority: .max), from: victim.address)
                scene.talk(for: .milliseconds(100))
            }
            #expect(scene.isHeard(), "\(victim.address)")
        }
    }

    @Test func `an address becomes free when its holder has gone, and the next one there connects`() throws {
        let call = SimulatedCall(seed: 56)
        let address = TransportAddress(ipv4: 0xC0A8_0001, port: 40_000)
        // Gone with goodbye, and gone without a word and noticed by the room.
        for round in 0..<6 {
            let client = call.addClient(at: address)
            _ = client.add(.audio, direction: .send)
            try call.negotiate(client)
            #expect(call.run(upTo: .seconds(2)) { client.isConnected }, "round \(round)")
            call.run(for: .milliseconds(100))
            if round % 2 == 0 { client.peer?.close(at: call.now) }
            call.run(for: .milliseconds(50))
            call.remove(client)
            call.close(client)
        }
        let sessions = call.router.currentCounters().sessions
        #expect(sessions == 0)
    }

    @Test func `a restarted client that kept its port is let in before its old session times out`() throws {
        let call = SimulatedCall(seed: 57)
        let address = TransportAddress(ipv4: 0xC0A8_0001, port: 40_000)
        let first = call.addClient(at: address)
        _ = first.add(.audio, direction: .send)
        try call.negotiate(first)
        #expect(call.run(upTo: .seconds(2)) { first.isConnected })
        call.remove(first)
        let second = call.addClient(at: address)
        _ = second.add(.audio, direction: .send)
        try call.negotiate(second)
        #expect(call.run(upTo: .seconds(25)) { second.isConnected })
        call.run(for: .seconds(31))
        #expect(call.end(of: first) == .consentExpired)
        #expect(call.end(of: second) == nil)
    }

    @Test func `one transport holds three addresses and moves twice a second`() throws {
        let scene = try AudioCall(seed: 58)
        try scene.connect()
        // Past the time in which an aggressive nomination counts as one of several.
        scene.talk(for: .seconds(6))
        let client = scene.subscriber
        let addresses = (1...8).map { client.address.withPort(20_000 + UInt16($0)) }
        var selections: [TransportAddress] = []
        for round in 0..<5 {
            let start = scene.call.now
            var moved = 0
            while scene.call.now < start + .seconds(1) {
                let address = addresses[Int(scene.call.now.nanoseconds / 20_000_000 % 8)]
                let before = scene.call.statistics(of: client)?.transport.selectedAddress
                scene.call.inject(client.makeCheck(nominates: true), from: address)
                let after = scene.call.statistics(of: client)?.transport.selectedAddress
                if let after, after != before {
                    moved += 1
                    selections.append(after)
                }
                scene.talk(for: .milliseconds(20), tick: .milliseconds(20))
            }
            #expect(moved <= 2, "round \(round)")
        }
        #expect(!selections.isEmpty)
        // Genuine packets are accepted from three of the nine at most.
        let known = scene.call.router.currentCounters().droppedInUnknownSource
        for address in [client.address] + addresses { scene.call.inject([0x80, 0, 0, 0], from: address) }
        let unknown = scene.call.router.currentCounters().droppedInUnknownSource - known
        #expect(unknown >= 6)
        // Once the noise is over, the real client's next check brings the media back.
        scene.talk(for: .seconds(2))
        scene.call.send(client.makeCheck(nominates: true), from: client)
        scene.talk(for: .milliseconds(50))
        #expect(scene.isHeard())
    }

    @Test func `100,000 invalid checks disturb no media`() throws {
        let scene = try AudioCall(seed: 59)
        try scene.connect()
        var random = SeededRandom(seed: 59)
        let valid = scene.subscriber.makeCheck(nominates: true)
        let wrong = scene.subscriber.makeCheck(nominates: true, password: "wrong")
        var heard = 0
        for _ in 0..<100 {
            let datagrams = (0..<1_000).map { index -> [UInt8] in
                switch index % 10 {
                case 0: return wrong
                case 1: return Array(valid.prefix(Int.random(in: 1..<valid.count, using: &random)))
                case 2: return [0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42] + random.bytes(12)
                default:
                    var bytes = valid
                    bytes[Int.random(in: 4..<bytes.count, using: &random)] ^=
                        1 << UInt8.random(in: 0..<8, using: &random)
                    return bytes
                }
            }
            scene.call.inject(datagrams, from: Self.stranger)
            let before = scene.subscriber.packets.count
            scene.talk(for: .milliseconds(20))
            heard += scene.subscriber.packets.count - before
        }
        #expect(heard >= 98)
        #expect(scene.call.statistics(of: scene.subscriber)?.transport.selectedAddress == scene.subscriber.address)
        #expect(scene.isHeard())
    }
}
