import Basics
import MediaControl
import MediaPlane
import Negotiation
import RTP
import TestSupport
import Testing

@Suite struct LossIsRepairedTests {
    @Test(arguments: [0.02, 0.1])
    func `what a publisher's link loses is asked for and arrives`(loss: Double) throws {
        let seed: UInt64 = 11
        let (call, publisher, uplink, subscriber, _) = try SimulatedCall.video(seed: seed)
        call.network.setImpairment(.init(loss: loss, delay: .milliseconds(15)), of: publisher.address)
        var camera = Camera(client: publisher, mid: uplink)
        call.run(for: .seconds(10)) { camera.film(in: call, at: $0) }
        // Lets the last ones be repaired.
        call.network.setImpairment(nil, of: publisher.address)
        call.run(for: .seconds(1)) { camera.film(in: call, at: $0) }
        #expect(camera.nacksReceived > 0)
        let missing = PictureWatcher.gaps(subscriber.packets)
        #expect(
            Double(missing) < Double(camera.sentPackets) * 0.01,
            "\(missing) of \(camera.sentPackets), seed \(seed)"
        )
    }

    @Test func `a subscriber's NACK is answered through RTX with the same payload`() throws {
        let (call, publisher, uplink, subscriber, _) = try SimulatedCall.video(seed: 12)
        var camera = Camera(client: publisher, mid: uplink)
        call.run(for: .seconds(2)) { camera.film(in: call, at: $0) }
        let lost = subscriber.packets.suffix(6).prefix(3).map(\.header.sequenceNumber)
        let originals = Array(subscriber.packets.suffix(6).prefix(3))
        let media = try #require(originals.first?.header.ssrc)
        let section = try #require(subscriber.answer?.session.sections.first)
        let rtx = try #require(section.remoteSSRCs.first?.retransmission)
        call.network.setImpairment(.init(delay: .milliseconds(30)), of: subscriber.address)
        let before = subscriber.retransmissions.count
        // A second time before the first answer can have come: not twice within a round trip.
        for _ in 0..<2 {
            call.send(
                subscriber.sealRTCP { writer in _ = writer.appendNACK(from: SSRC(1), about: media, lost: lost.span) },
                from: subscriber
            )
            call.run(for: .microseconds(500))
        }
        call.run(for: .milliseconds(100))
        let asked = Set(lost.map(\.value))
        let repeated = subscriber.retransmissions[before...].filter {
            $0.header.ssrc == rtx && asked.contains($0.payload.span.bytes.uint16(at: 0))
        }
        #expect(repeated.count == 3)
        for (packet, original) in zip(repeated, originals) {
            #expect(Array(packet.payload.dropFirst(2)) == original.payload)
            #expect(packet.payload.span.bytes.uint16(at: 0) == original.header.sequenceNumber.value)
            #expect(packet.header.timestamp == original.header.timestamp)
        }
    }

    @Test func `a subscriber cannot ask for packets or key frames of a stream that it is not sent`() throws {
        let (call, publisher, uplink, _, _) = try SimulatedCall.video(seed: 13)
        let stranger = call.addClient()
        _ = stranger.add(.audio, direction: .receive)
        try call.negotiate(stranger)
        var camera = Camera(client: publisher, mid: uplink)
        call.run(for: .seconds(3)) { camera.film(in: call, at: $0) }
        let requests = camera.pictureLossReceived
        let published = camera.layers[0].ssrc
        for _ in 0..<20 {
            call.send(
                stranger.sealRTCP { writer in
                    _ = writer.appendPictureLossIndication(from: SSRC(1), about: published)
                },
                from: stranger
            )
            call.run(for: .milliseconds(100)) { camera.film(in: call, at: $0) }
        }
        #expect(camera.pictureLossReceived == requests)
    }

    @Test func `a storm of key-frame requests becomes at most two a second`() throws {
        let (call, publisher, uplink, subscriber, _) = try SimulatedCall.video(seed: 14)
        var camera = Camera(client: publisher, mid: uplink)
        call.run(for: .seconds(2)) { camera.film(in: call, at: $0) }
        let media = try #require(subscriber.packets.first?.header.ssrc)
        let before = camera.pictureLossReceived
        call.run(for: .seconds(5), tick: .milliseconds(10)) { now in
            call.send(
                subscriber.sealRTCP { writer in _ = writer.appendPictureLossIndication(from: SSRC(1), about: media) },
                from: subscriber
            )
            camera.film(in: call, at: now)
        }
        let requests = camera.pictureLossReceived - before
        #expect((2...11).contains(requests), "\(requests) in 5 s")
    }

}
