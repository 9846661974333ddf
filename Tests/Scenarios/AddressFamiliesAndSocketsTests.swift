import Basics
import MediaControl
import MediaPlane
import Negotiation
import PeerSession
import RTP
import TestSupport
import Testing

@Suite struct AddressFamiliesAndSocketsTests {
    @Test func `media goes from IPv6 to IPv4 and back, each over the socket of its family`() throws {
        let call = SimulatedCall(seed: 141, sockets: [SimulatedCall.serverAddress, SimulatedCall.serverIPv6Address])
        let six = call.addClient(at: TransportAddress(high: 0x2001_0DB8_0001_0000, low: 0x77, port: 50_000))
        let four = call.addClient()
        let uplinks = [six.add(.audio, direction: .send), four.add(.audio, direction: .send)]
        let downlinks = [six.add(.audio, direction: .receive), four.add(.audio, direction: .receive)]
        try call.negotiate(six)
        try call.negotiate(four)
        try call.bind(six, uplinks[0], to: four, downlinks[1])
        try call.bind(four, uplinks[1], to: six, downlinks[0])
        var sockets: [TransportAddress: Set<Int>] = [:]
        call.watchesServer = { _, to, socket in sockets[to, default: []].insert(socket) }
        #expect(call.run(upTo: .seconds(5)) { six.isConnected && four.isConnected })
        var talkers = [Talker(client: six, mid: uplinks[0]), Talker(client: four, mid: uplinks[1])]
        call.run(for: .seconds(2), tick: .milliseconds(10)) { now in
            talkers[0].talk(in: call, at: now)
            talkers[1].talk(in: call, at: now)
        }
        #expect(six.packets.count > 95)
        #expect(four.packets.count > 95)
        #expect(sockets[six.address] == [1])
        #expect(sockets[four.address] == [0])
        let counters = call.router.currentCounters()
        #expect(counters.iceConnectedIPv4 == 1)
        #expect(counters.iceConnectedIPv6 == 1)
    }

    @Test func `addresses that share their low half are different addresses`() throws {
        let call = SimulatedCall(seed: 142, sockets: [SimulatedCall.serverIPv6Address])
        let addresses = [
            TransportAddress(high: 0x2001_0DB8_0001_0000, low: 0xFFFF_0A00_0001, port: 50_000),
            TransportAddress(high: 0x2001_0DB8_0002_0000, low: 0xFFFF_0A00_0001, port: 50_000),
            TransportAddress(high: 0xFE80_0000_0000_0000, low: 0xFFFF_0A00_0001, port: 50_000, scope: 2),
            TransportAddress(high: 0xFE80_0000_0000_0000, low: 0xFFFF_0A00_0001, port: 50_000, scope: 3),
        ]
        let clients = addresses.map { call.addClient(at: $0) }
        for client in clients {
            _ = client.add(.audio, direction: .send)
            try call.negotiate(client)
        }
        #expect(call.run(upTo: .seconds(3)) { clients.allSatisfy(\.isConnected) })
    }

    @Test func `where the server has two sockets, media leaves by the one that the client nominated`() throws {
        for seed in UInt64(143)...146 {
            let sockets = [SimulatedCall.serverAddress, SimulatedCall.secondServerAddress]
            let scene = try AudioCall(seed: seed, sockets: sockets)
            try scene.connect()
            #expect(scene.isHeard(), "seed \(seed)")
            var used: Set<Int> = []
            scene.call.watchesServer = { bytes, to, socket in
                if to == scene.subscriber.address, bytes.isRTP { used.insert(socket) }
            }
            #expect(scene.isHeard(), "seed \(seed)")
            let selected = scene.subscriber.peer?.selected
            let nominated = try #require(selected)
            #expect(used.map { sockets[$0] } == [nominated], "seed \(seed)")
            // A nomination of the other one takes the media there; a mere check does not.
            let other = try #require(sockets.firstIndex { $0 != nominated })
            used = []
            scene.talk(for: .seconds(6))
            scene.call.inject(
                scene.subscriber.makeCheck(nominates: false),
                from: scene.subscriber.address,
                socket: other
            )
            #expect(scene.isHeard(), "seed \(seed)")
            #expect(!used.contains(other), "seed \(seed)")
            scene.call.inject(
                scene.subscriber.makeCheck(nominates: true),
                from: scene.subscriber.address,
                socket: other
            )
            used = []
            // Not heard: this client's own agent knows nothing of the check that was made by hand, and its next consent
            // check takes the media back.
            scene.talk(for: .seconds(7))
            #expect(used == [other, 1 - other], "seed \(seed)")
        }
    }
}
