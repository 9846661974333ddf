import Basics
import MediaControl
import MediaPlane
import Negotiation
import PeerSession
import TestSupport
import Testing

/// ATTACKS.
@Suite struct StrangersDoNotDisturbHandshakesTests {
    private static let stranger = TransportAddress(ipv4: 0xC633_6407, port: 4_444)

    @Test func `hellos sprayed from other addresses and ports delay nobody and are not answered`() throws {
        #expect(Hostility.clientHellos.count == 4)
        let seed: UInt64 = 31
        var random = SeededRandom(seed: seed)
        let call = SimulatedCall(seed: seed)
        for index in 0..<40 {
            let client = call.addClient()
            _ = client.add(.audio, direction: .send)
            let neighbour = client.address.withPort(client.address.port &+ 7)
            call.inject(Hostility.handshakes(20, using: &random), from: neighbour)
            try call.negotiate(client)
            let isUp = call.run(upTo: .seconds(1)) {
                call.inject(Hostility.handshakes(20, using: &random), from: index % 2 == 0 ? neighbour : Self.stranger)
                return client.isConnected
            }
            #expect(isUp, "client \(index), seed \(seed)")
            call.inject(Hostility.handshakes(20, using: &random), from: neighbour)
            #expect(call.sentByServer[neighbour] == nil)
        }
        call.run(for: .milliseconds(500))
        #expect(call.sentByServer[Self.stranger] == nil)
        let counters = call.router.currentCounters()
        #expect(counters.sessions == 40)
        #expect(counters.handshakesOK == 40)
        #expect(counters.droppedInUnknownSource > 2_400)
        #expect(call.clients.allSatisfy { call.end(of: $0) == nil && $0.end == nil })
    }

    @Test func `unauthenticated records from the right address end no session that is up`() throws {
        let scene = try AudioCall(seed: 32)
        try scene.connect()
        var random = SeededRandom(seed: 32)
        for address in [scene.publisher.address, scene.subscriber.address] {
            for description: UInt8 in [0, 10, 20, 40, 80, 90, 100] {
                scene.call.inject(Hostility.alert(level: 1, description: description), from: address)
                scene.call.inject(Hostility.alert(level: 2, description: description), from: address)
            }
            scene.call.inject(Hostility.handshakes(2_000, using: &random), from: address)
            // Epoch 1, as if encrypted: alert, application data, handshake.
            for type: UInt8 in [21, 22, 23] {
                for length: UInt8 in [0, 1, 8, 16, 23, 24, 25, 64] {
                    let head = [type, 0xFE, 0xFD, 0, 1, 0, 0, 0, 0, 0, 200, 0, length]
                    scene.call.inject(head + random.bytes(Int(length)), from: address)
                    // And of an epoch that is still to come.
                    let later = [type, 0xFE, 0xFD, 0, 2, 0, 0, 0, 0, 0, 200, 0, length]
                    scene.call.inject(later + random.bytes(Int(length)), from: address)
                }
            }
        }
        #expect(scene.isHeard())
    }

    @Test func `no datagram of a handshake is kept that is larger than any flight`() throws {
        let call = SimulatedCall(seed: 33)
        let client = call.addClient()
        _ = client.add(.audio, direction: .send)
        try call.negotiate(client)
        // The address is known from the first check on, which the handshake comes after.
        var kept: [UInt64] = []
        let isUp = call.run(upTo: .seconds(5)) {
            guard call.router.currentCounters().sessions == 1 else { return client.isConnected }
            for byteCount in [4_096, 4_097, 65_000] {
                let before = call.router.currentCounters()
                let record = [22, 0xFE, 0xFD] + [UInt8](repeating: 0x16, count: byteCount - 3)
                call.inject(record, from: client.address)
                let after = call.router.currentCounters()
                // Before the first check nobody is known by that address.
                guard after.droppedInUnknownSource == before.droppedInUnknownSource else { break }
                kept.append(after.droppedInMalformed - before.droppedInMalformed)
            }
            return client.isConnected
        }
        #expect(isUp)
        #expect(kept.count >= 3)
        #expect(kept.enumerated().allSatisfy { $0.offset % 3 == 0 || $0.element == 1 }, "\(kept)")
    }

    @Test func `garbage from the right address in the middle of a handshake is dropped`() throws {
        for seed in UInt64(1)...8 {
            let call = SimulatedCall(seed: seed)
            var random = SeededRandom(seed: seed)
            let client = call.addClient()
            _ = client.add(.audio, direction: .send)
            try call.negotiate(client)
            let isUp = call.run(upTo: .seconds(5)) {
                call.inject(
                    [22, 0xFE, 0xFD] + random.bytes(Int.random(in: 0..<80, using: &random)),
                    from: client.address
                )
                // Encrypted records before there are keys, of this epoch and of the next.
                let epoch = UInt8.random(in: 0...3, using: &random)
                let head: [UInt8] = [23, 0xFE, 0xFD, 0, epoch, 0, 0, 0, 0, 0, 1, 0, 40]
                call.inject(head + random.bytes(40), from: client.address)
                return client.isConnected
            }
            #expect(isUp, "seed \(seed)")
        }
    }

    @Test func `a fragment storm in a handshake hurts only its own session`() throws {
        let scene = try AudioCall(seed: 33)
        try scene.connect()
        let storm = scene.call.addClient()
        _ = storm.add(.audio, direction: .send)
        storm.sends = { !$0.isDTLS }
        try scene.call.negotiate(storm)
        scene.call.run(for: .seconds(1))
        #expect(!storm.isConnected)
        var random = SeededRandom(seed: 33)
        var heard = 0
        for round in 0..<10 {
            let fragments = (0..<1_000).map { index in
                // Messages of every length that the header can claim, in pieces that never become whole; empty ones too.
                let length = Int.random(in: 0...0xFF_FFFF, using: &random)
                let offset = Int.random(in: 0...max(length, 1), using: &random)
                return Hostility.handshakeRecord(
                    type: [1, 11, 12, 16, 20].randomElement(using: &random) ?? 1,
                    length: length,
                    sequence: UInt16.random(in: 0...12, using: &random),
                    fragment: random.bytes(index % 3 == 0 ? 0 : Int.random(in: 1...40, using: &random)),
                    fragmentOffset: offset,
                    recordSequence: UInt32(round * 1_000 + index)
                )
            }
            scene.call.inject(fragments, from: storm.address)
            let before = scene.subscriber.packets.count
            scene.talk(for: .milliseconds(200))
            heard += scene.subscriber.packets.count - before
        }
        #expect(heard >= 98)
        // What is left of the stormy session goes at its time, at the latest.
        scene.talk(for: .seconds(31), tick: .milliseconds(20))
        let sessions = scene.call.router.currentCounters().sessions
        #expect(sessions == 2)
        #expect(scene.isHeard())
    }
}
