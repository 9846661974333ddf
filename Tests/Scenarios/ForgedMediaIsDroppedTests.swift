import Basics
import MediaControl
import MediaPlane
import Negotiation
import PeerSession
import SRTP
import TestSupport
import Testing

/// ATTACKS.
@Suite struct ForgedMediaIsDroppedTests {
    @Test func `100,000 tampered packets from the right address leave the call as it was`() throws {
        let seed: UInt64 = 41
        let scene = try AudioCall(seed: seed)
        try scene.connect()
        let genuine = scene.record(for: .seconds(2)).filter(\.isRTP)
        #expect(genuine.count > 90)
        let before = scene.call.router.currentCounters().droppedInAuthentication
        var random = SeededRandom(seed: seed)
        var forged = 0
        for round in 0..<100 {
            let packets = (0..<1_000).map { index in
                var packet = genuine[(round * 1_000 + index) % genuine.count]
                // A number that was not seen yet, far ahead at times: it must not move the window or the roll-over
                // counter. The rest of the packet stays what it was, or changes too.
                let ahead = UInt16.random(in: 200...60_000, using: &random)
                let number = (UInt16(packet[2]) << 8 | UInt16(packet[3])) &+ ahead
                packet[2] = UInt8(number >> 8)
                packet[3] = UInt8(number & 0xFF)
                if index % 3 == 0 { packet[packet.count - 1 - index % 16] ^= 0x40 }
                if index % 5 == 0 { packet[Int.random(in: 8..<12, using: &random)] ^= 0x01 }
                return packet
            }
            forged += packets.count
            scene.call.inject(packets, from: scene.publisher.address)
        }
        let dropped = scene.call.router.currentCounters().droppedInAuthentication - before
        let replayed = scene.call.router.currentCounters().droppedInReplay
        #expect(forged == 100_000)
        #expect(dropped + replayed == 100_000, "seed \(seed): \(dropped) dropped")
        // The others claim to be old, and are not opened.
        #expect(dropped > 50_000)
        #expect(scene.isHeard())
    }

    @Test func `every bit of the tag counts`() throws {
        let scene = try AudioCall(seed: 42)
        try scene.connect()
        // Kept back, so that none of them is a replay.
        var kept: [[UInt8]] = []
        scene.talk(for: .milliseconds(200))
        for sequence in UInt64(5_000)..<5_002 {
            let section = try #require(scene.publisher.section(scene.uplink))
            let packet = scene.publisher.seal(
                mid: scene.uplink,
                payloadType: section.codecs[0].payloadType,
                sequence: sequence,
                timestamp: 9,
                ssrc: section.localSSRC,
                marker: false,
                payload: [1, 2, 3]
            )
            kept.append(try #require(packet))
        }
        // What is on its way arrives first.
        scene.call.run(for: .milliseconds(50))
        let heard = scene.subscriber.packets.count
        var count = 0
        for packet in kept {
            for bit in 0..<(scene.publisher.profile == .aes128CmSha1_80 ? 80 : 128) {
                var forged = packet
                forged[packet.count - 1 - bit / 8] ^= 1 << UInt8(bit % 8)
                scene.call.inject(forged, from: scene.publisher.address)
                count += 1
            }
        }
        scene.call.run(for: .milliseconds(50))
        let dropped = scene.call.router.currentCounters().droppedInAuthentication
        #expect(dropped == UInt64(count))
        #expect(scene.subscriber.packets.count == heard)
        // Untouched they are taken.
        scene.call.inject(kept, from: scene.publisher.address)
        scene.call.run(for: .milliseconds(50))
        #expect(scene.subscriber.packets.count == heard + 2)
    }

    @Test func `genuine packets from elsewhere are dropped unopened and move nothing`() throws {
        let scene = try AudioCall(seed: 43)
        try scene.connect()
        let genuine = scene.record(for: .seconds(1))
        let strangers = [
            TransportAddress(ipv4: 0xC633_6401, port: 9), scene.publisher.address.withPort(1),
            scene.subscriber.address.withPort(2),
        ]
        let before = scene.call.router.currentCounters()
        for stranger in strangers {
            // Before the real one gets there, too: a copy of a packet that is still under way.
            scene.call.inject(genuine.filter { !$0.isSTUN }, from: stranger)
            scene.talk(for: .milliseconds(300)) { _ in
                scene.call.inject(genuine.filter { !$0.isSTUN }.suffix(3), from: stranger)
            }
            #expect(scene.call.sentByServer[stranger] == nil)
        }
        let after = scene.call.router.currentCounters()
        #expect(after.droppedInUnknownSource > before.droppedInUnknownSource + 150)
        #expect(after.droppedInAuthentication == before.droppedInAuthentication)
        #expect(after.droppedInReplay == before.droppedInReplay)
        #expect(scene.isHeard())
    }

    @Test func `a replayed minute of media and reports is not forwarded once`() throws {
        let scene = try AudioCall(seed: 44)
        try scene.connect()
        let genuine = scene.record(for: .seconds(60)).filter { !$0.isSTUN && !$0.isDTLS }
        #expect(genuine.count > 2_900)
        scene.call.run(for: .milliseconds(100))
        let heard = scene.subscriber.packets.count
        scene.call.inject(genuine, from: scene.publisher.address)
        scene.call.run(for: .milliseconds(100))
        #expect(scene.subscriber.packets.count == heard)
        let replayed = scene.call.router.currentCounters().droppedInReplay
        #expect(replayed == UInt64(genuine.count))
        #expect(scene.isHeard())
    }
}
