import Basics
import MediaControl
import MediaPlane
import Negotiation
import PeerSession
import RTP
import TestSupport
import Testing

/// ATTACKS: what a publisher with valid keys can do to streams, its own and others'.
@Suite struct PublishersCannotConfuseStreamsTests {
    @Test func `10,000 SSRCs on one m-line leave the streams that are there alone`() throws {
        let seed: UInt64 = 81
        let scene = try AudioCall(seed: seed)
        try scene.connect()
        #expect(scene.isHeard())
        let section = try #require(scene.publisher.section(scene.uplink))
        var random = SeededRandom(seed: seed)
        let start = scene.subscriber.packets.count
        var heard = 0
        for round in 0..<100 {
            for index in 0..<100 {
                let packet = scene.publisher.seal(
                    mid: scene.uplink,
                    payloadType: section.codecs[0].payloadType,
                    sequence: UInt64(index),
                    timestamp: UInt32.random(in: 0 ... .max, using: &random),
                    ssrc: SSRC(UInt32.random(in: 1 ... .max, using: &random)),
                    marker: false,
                    payload: [7, 7, 7]
                )
                scene.call.send(packet, from: scene.publisher)
            }
            let before = scene.subscriber.packets.count
            scene.talk(for: .milliseconds(20))
            heard += scene.subscriber.packets.count - before
            #expect((scene.call.statistics(of: scene.publisher)?.inbound.count ?? 0) <= 4, "round \(round)")
        }
        scene.call.run(for: .milliseconds(50))
        // Every packet of the real stream came, in one unbroken stream, and none of the others.
        #expect(heard >= 98)
        let packets = Array(scene.subscriber.packets[start...])
        #expect(packets.allSatisfy { $0.payload.count == 80 })
        #expect(PictureWatcher.gaps(packets) == 0)
        let dropped = scene.call.router.currentCounters().droppedInUnknownSSRC
        #expect(dropped == 10_000)
        #expect(scene.isHeard())
    }

    @Test func `an SSRC that nobody announced takes an m-line over when the stream there is silent, and gives it back`()
        throws
    {
        let scene = try AudioCall(seed: 82)
        try scene.connect()
        #expect(scene.isHeard())
        let section = try #require(scene.publisher.section(scene.uplink))
        func send(_ ssrc: SSRC, _ sequences: Range<UInt64>) {
            for sequence in sequences {
                scene.call.send(
                    scene.publisher.seal(
                        mid: scene.uplink,
                        payloadType: section.codecs[0].payloadType,
                        sequence: 30_000 + sequence,
                        timestamp: UInt32(sequence) * 960,
                        ssrc: ssrc,
                        marker: false,
                        payload: [UInt8(sequence)]
                    ),
                    from: scene.publisher
                )
                scene.call.run(for: .milliseconds(20))
            }
        }
        scene.call.run(for: .milliseconds(20))
        let before = scene.subscriber.packets.count
        send(SSRC(0xABCD), 0..<10)
        #expect(scene.subscriber.packets.count == before)
        scene.call.run(for: .milliseconds(600))
        send(SSRC(0xABCD), 10..<20)
        scene.call.run(for: .milliseconds(20))
        #expect(scene.subscriber.packets.count == before + 10)
        // The announced one comes back.
        #expect(scene.isHeard())
        #expect(Set(scene.subscriber.packets.map(\.header.ssrc)).count == 1)
        #expect(PictureWatcher.gaps(scene.subscriber.packets) == 0)
    }

    @Test(arguments: [UInt8(4), 5, 7])
    func `A-56: a stream that begins anew with a layer that no codec has is dropped, and its key frame is shown`(
        spatialID: UInt8
    ) throws {
        let call = SimulatedCall(seed: 86)
        let scene = try AudioCall(in: call)
        let publisher = scene.publisher
        let uplink = publisher.add(.video, direction: .send, codecs: [.vp9])
        try call.negotiate(publisher)
        let viewer = scene.subscriber
        let mid = viewer.add(.video, direction: .receive, codecs: [.vp9])
        try call.negotiate(viewer)
        try call.bind(publisher, uplink, to: viewer, mid)
        try scene.connect()
        let vp9 = try #require(publisher.section(uplink)?.codecs.first { $0.codec == .vp9 }).payloadType
        /// One picture of one packet (RFC 9628 §4.2).
        func send(_ ssrc: SSRC, _ number: UInt8, isKeyFrame: Bool = false, spatialID: UInt8 = 0) {
            let packet = publisher.seal(
                mid: uplink,
                payloadType: vp9,
                sequence: UInt64(number),
                timestamp: UInt32(number) * 3_000,
                ssrc: ssrc,
                marker: true,
                payload: [isKeyFrame ? 0xAC : 0xEC, number, spatialID << 1, number, 1, 2, 3, number]
            )
            call.send(packet, from: publisher)
            call.run(for: .milliseconds(20))
        }
        func seen() -> [UInt8] { viewer.packets.filter { $0.mid == mid }.compactMap(\.payload.last) }
        // Its first key frame may begin the picture only after 300 ms.
        for number in UInt8(0)..<40 { send(SSRC(7), number, isKeyFrame: number % 20 == 0) }
        #expect(seen().last == 39)
        call.run(for: .milliseconds(600))
        send(SSRC(8), 50, spatialID: spatialID)
        send(SSRC(8), 51)
        #expect(seen().last == 39)
        send(SSRC(8), 52, isKeyFrame: true)
        send(SSRC(8), 53)
        #expect(seen().suffix(2) == [52, 53])
    }

    @Test func `packets that name another m-line, a foreign layer or an unknown one change no other stream`() throws {
        let call = SimulatedCall(seed: 83)
        let scene = try AudioCall(in: call)
        let publisher = scene.publisher
        let uplink = publisher.add(.video, direction: .send, rids: ["q", "h"])
        try call.negotiate(publisher)
        let viewer = scene.subscriber
        let mid = viewer.add(.video, direction: .receive)
        try call.negotiate(viewer)
        try call.bind(publisher, uplink, to: viewer, mid)
        try scene.connect()
        var camera = Camera(client: publisher, mid: uplink, rids: ["q", "h"])
        scene.talk(for: .seconds(3)) { camera.film(in: call, at: $0) }
        let audio = try #require(publisher.section(scene.uplink))
        let video = try #require(publisher.section(uplink))
        let vp8 = try #require(video.codecs.first { $0.codec == .vp8 }).payloadType
        let start = viewer.packets.count
        var sequence: UInt64 = 40_000
        scene.talk(for: .seconds(2), tick: .milliseconds(10)) { now in
            camera.film(in: call, at: now)
            sequence += 1
            // (SSRC, written MID, RID, payload type)
            let lies: [(SSRC, String, String?, UInt8)] = [
                // A new SSRC for a layer that has one, for one that was not negotiated, and for an m-line that is not.
                (SSRC(1), uplink, "q", vp8), (SSRC(2), uplink, "zzz", vp8), (SSRC(3), "99", "q", vp8),
                // Video on the audio m-line and audio on the video m-line.
                (SSRC(4), scene.uplink, nil, vp8), (SSRC(5), uplink, "h", audio.codecs[0].payloadType),
                // A payload type that nobody negotiated.
                (SSRC(6), uplink, "h", 77),
            ]
            for (ssrc, written, rid, payloadType) in lies {
                call.send(
                    publisher.seal(
                        mid: uplink,
                        rid: rid,
                        payloadType: payloadType,
                        sequence: sequence,
                        timestamp: 5,
                        ssrc: ssrc,
                        marker: true,
                        payload: [0x90, 0x80, 0x80, 0x01, 0x10, 0, 0, 0x9D, 1, 0x2A, 8, 0, 8, 0],
                        writtenMID: written
                    ),
                    from: publisher
                )
            }
        }
        call.run(for: .milliseconds(50))
        let pictures = viewer.packets[start...].filter { $0.mid == mid }
        let sounds = viewer.packets[start...].filter { $0.mid == scene.downlink }
        #expect(pictures.count >= 59 * camera.packetsPerFrame)
        #expect(sounds.count >= 98)
        #expect(pictures.allSatisfy { $0.payload.count > 300 })
        #expect(PictureWatcher.gaps(pictures) == 0)
        #expect(PictureWatcher.gaps(sounds) == 0)
        #expect(call.router.statistics(of: publisher.id)?.inbound.allSatisfy { $0.frameWidth != 8 } == true)
        #expect(scene.isHeard())
    }

    @Test func `a known SSRC stays where it was when its packets begin to name another m-line or layer`() throws {
        let call = SimulatedCall(seed: 84)
        let scene = try AudioCall(in: call)
        let second = scene.publisher.add(.audio, direction: .send)
        try call.negotiate(scene.publisher)
        let other = scene.subscriber.add(.audio, direction: .receive)
        try call.negotiate(scene.subscriber)
        try call.bind(scene.publisher, second, to: scene.subscriber, other)
        try scene.connect()
        #expect(scene.isHeard())
        let section = try #require(scene.publisher.section(scene.uplink))
        for sequence in UInt64(20_000)..<20_010 {
            call.send(
                scene.publisher.seal(
                    mid: scene.uplink,
                    payloadType: section.codecs[0].payloadType,
                    sequence: sequence,
                    timestamp: 1,
                    ssrc: section.localSSRC,
                    marker: false,
                    payload: [1, 2, 3],
                    writtenMID: second
                ),
                from: scene.publisher
            )
        }
        call.run(for: .milliseconds(50))
        #expect(scene.subscriber.packets.filter { $0.mid == other }.isEmpty)
        #expect(scene.subscriber.packets.suffix(10).allSatisfy { $0.mid == scene.downlink })
    }

    @Test func `header extensions that were not negotiated do not reach subscribers`() throws {
        let scene = try AudioCall(seed: 85)
        try scene.connect()
        let section = try #require(scene.publisher.section(scene.uplink))
        let secret: [UInt8] = [0xDE, 0xAD, 0xFA, 0xCE]
        let known = Set(HeaderExtension.allCases.map { section.extensions[$0] })
        let unknown = try #require((UInt8(1)...14).last { !known.contains($0) })
        scene.subscriber.packets = []
        var wire: [[UInt8]] = []
        scene.call.watchesServer = { bytes, to, _ in
            if to == scene.subscriber.address, bytes.isRTP { wire.append(bytes) }
        }
        for sequence in UInt64(0)..<20 {
            // The MID, so that it is routed; an element with an id that nobody knows; and in a two-byte block every
            // second time, with an id above 14 and appbits. A CSRC is none of the subscriber's business either.
            let mid: [UInt8] = Array(scene.uplink.utf8)
            let hasTwoByteForm = sequence % 2 == 1
            var elements: [UInt8]
            if hasTwoByteForm {
                elements = [section.extensions[.mid], UInt8(mid.count)] + mid + [200, 4] + secret
            } else {
                elements = [section.extensions[.mid] << 4 | UInt8(mid.count - 1)] + mid + [unknown << 4 | 3] + secret
            }
            while elements.count % 4 != 0 { elements.append(0) }
            var header: [UInt8] = [0x91, section.codecs[0].payloadType, 0, UInt8(sequence), 0, 0, 4, UInt8(sequence)]
            let ssrc = section.localSSRC.value
            header += (0..<4).map { UInt8(truncatingIfNeeded: ssrc >> UInt32(24 - 8 * $0)) }
            header += secret
            header += (hasTwoByteForm ? [0x10, 0x05] : [0xBE, 0xDE]) + [0, UInt8(elements.count / 4)] + elements
            scene.call.send(scene.publisher.seal(header, [9, 9, 9], rolloverCounter: 0), from: scene.publisher)
            scene.call.run(for: .milliseconds(20))
        }
        scene.call.run(for: .milliseconds(20))
        #expect(scene.subscriber.packets.count == 20)
        #expect(wire.count == 20)
        let allowed = try #require(scene.subscriber.section(scene.downlink)).extensions
        for bytes in wire {
            #expect(!bytes.prefix(60).windows(of: secret))
            #expect(bytes[0] & 0x0F == 0)
            // One-byte form: walks the elements.
            guard bytes[0] & 0x10 != 0, bytes[12] == 0xBE, bytes[13] == 0xDE else { continue }
            var offset = 16
            let end = 16 + 4 * Int(bytes[15])
            while offset < end {
                if bytes[offset] == 0 {
                    offset += 1
                    continue
                }
                #expect(allowed.kind(ofID: bytes[offset] >> 4) != nil)
                offset += 2 + Int(bytes[offset] & 0x0F)
            }
        }
    }
}

extension Collection<UInt8> {
    /// Whether a sequence of bytes is in here.
    fileprivate func windows(of pattern: [UInt8]) -> Bool {
        let bytes = Array(self)
        guard bytes.count >= pattern.count else { return false }
        return (0...bytes.count - pattern.count).contains { bytes[$0..<$0 + pattern.count].elementsEqual(pattern) }
    }
}
