import Basics
import MediaControl
import MediaPlane
import Negotiation
import RTP
import TestSupport
import Testing

@Suite struct AudioIsRepairedTests {
    @Test func `audio that is asked for comes again as the very same datagram, and not after a renegotiation`() throws {
        let scene = try AudioCall(seed: 311)
        try scene.connect()
        var sent: [UInt16: [UInt8]] = [:]
        var repeated: [[UInt8]] = []
        scene.call.watchesServer = { bytes, to, _ in
            guard bytes.isRTP, to == scene.subscriber.address else { return }
            let number = UInt16(bytes[2]) << 8 | UInt16(bytes[3])
            if sent[number] == nil { sent[number] = bytes } else { repeated.append(bytes) }
        }
        scene.talk(for: .milliseconds(500))
        let last = try #require(scene.subscriber.packets.last).header
        let asked = [last.sequenceNumber, last.sequenceNumber.advanced(by: -2)]
        func ask() {
            let nack = scene.subscriber.sealRTCP {
                _ = $0.appendNACK(from: SSRC(1), about: last.ssrc, lost: asked.span)
            }
            scene.call.send(nack, from: scene.subscriber)
            scene.call.run(for: .milliseconds(20))
        }
        ask()
        #expect(repeated.count == 2)
        for datagram in repeated { #expect(sent[UInt16(datagram[2]) << 8 | UInt16(datagram[3])] == datagram) }
        // Not twice within a round trip.
        ask()
        #expect(repeated.count == 2)
        // Ids of extensions may be others from here on: the same number must not be sealed over other bytes.
        _ = scene.subscriber.add(.audio, direction: .receive)
        try scene.call.negotiate(scene.subscriber)
        scene.call.run(for: .milliseconds(150))
        ask()
        #expect(repeated.count == 2)
        #expect(scene.isHeard())
    }

    @Test func `what a publisher's link loses of its audio is asked for where that was negotiated`() throws {
        for isNegotiated in [true, false] {
            let call = SimulatedCall(seed: 312)
            if !isNegotiated { call.tampersWithOffer = { $0.replacing("a=rtcp-fb:111 nack\r\n", with: "") } }
            let scene = try AudioCall(seed: 312, in: call)
            try scene.connect()
            call.network.setImpairment(.init(loss: 0.1, delay: .milliseconds(10)), of: scene.publisher.address)
            scene.talk(for: .seconds(4))
            let requests = call.router.currentCounters().nacksOut
            #expect((requests > 0) == isNegotiated, "\(requests)")
        }
    }

    @Test func `silence of the encoder (DTX) is no loss`() throws {
        let scene = try AudioCall(seed: 313)
        try scene.connect()
        scene.talk(for: .seconds(1))
        scene.talker.interval = .milliseconds(400)
        scene.talk(for: .seconds(6))
        scene.talker.interval = .milliseconds(20)
        scene.talk(for: .seconds(1))
        let counters = scene.call.router.currentCounters()
        #expect(counters.nacksOut == 0)
        #expect(counters.packetsLostIn == 0)
        #expect(PictureWatcher.gaps(scene.subscriber.packets) == 0)
        #expect(scene.subscriber.packets.count >= scene.talker.sentCount - 1)
    }

    @Test func `redundant audio (RED) passes as it is`() throws {
        let call = SimulatedCall(seed: 314)
        let publisher = call.addClient()
        let uplink = publisher.add(.audio, direction: .send, codecs: [.red, .opus])
        try call.negotiate(publisher)
        let subscriber = call.addClient()
        let downlink = subscriber.add(.audio, direction: .receive, codecs: [.red, .opus])
        try call.negotiate(subscriber)
        try call.bind(publisher, uplink, to: subscriber, downlink)
        #expect(call.run(upTo: .seconds(5)) { publisher.isConnected && subscriber.isConnected })
        let section = try #require(publisher.section(uplink))
        let red = try #require(section.codecs.first { $0.codec == .red })
        // Two blocks: header of the redundant one, header of the primary, then both (RFC 2198 §3).
        let payload: [UInt8] = [0xEF, 0x0F, 0x00, 0x03, 0x6F, 1, 2, 3, 4, 5, 6]
        for sequence in 0..<50 as Range<UInt64> {
            let packet = publisher.seal(
                mid: uplink,
                payloadType: red.payloadType,
                sequence: 100 + sequence,
                timestamp: UInt32(sequence * 960),
                ssrc: section.localSSRC,
                marker: false,
                payload: payload + [UInt8(sequence)]
            )
            call.send(packet, from: publisher)
            call.run(for: .milliseconds(20))
        }
        let type = try #require(subscriber.section(downlink)?.codecs.first { $0.codec == .red }).payloadType
        #expect(subscriber.packets.count >= 49)
        #expect(subscriber.packets.allSatisfy { $0.header.payloadType == type && $0.payload.starts(with: payload) })
    }
}
