import Basics
import MediaControl
import MediaPlane
import Negotiation
import RTP
import TestSupport
import Testing

@Suite struct RepairKeepsItsBoundsTests {
    @Test(arguments: [Int64(10), 75, 150])
    func `a publisher is asked again after its own round trip, not sooner`(oneWay: Int64) throws {
        let seed: UInt64 = 301
        let (call, publisher, uplink, subscriber, _) = try SimulatedCall.video(seed: seed)
        var camera = Camera(client: publisher, mid: uplink)
        camera.usesRTX = true
        call.network.setImpairment(.init(loss: 0.05, delay: .milliseconds(oneWay)), of: publisher.address)
        // The round trip is learnt from the first answers.
        call.run(for: .seconds(5)) { camera.film(in: call, at: $0) }
        let asked = camera.nacksReceived
        let lost = call.network.lostCount
        call.run(for: .seconds(10)) { camera.film(in: call, at: $0) }
        // A twentieth of requests and of answers is lost too, so a few are asked for twice.
        let requests = Double(camera.nacksReceived - asked) / Double(call.network.lostCount - lost)
        #expect((0.7...1.2).contains(requests), "\(requests) requests for each loss, seed \(seed)")
        call.network.setImpairment(nil, of: publisher.address)
        call.run(for: .seconds(1)) { camera.film(in: call, at: $0) }
        let missing = PictureWatcher.gaps(subscriber.packets)
        #expect(missing <= camera.sentPackets / 500, "\(missing) of \(camera.sentPackets), seed \(seed)")
    }

    @Test func `retransmissions take at most 15 % of the leg's bitrate, whatever a subscriber asks for`() throws {
        let seed: UInt64 = 302
        let (call, publisher, uplink, subscriber, _) = try SimulatedCall.video(seed: seed)
        var camera = Camera(client: publisher, mid: uplink)
        call.run(for: .seconds(1)) { camera.film(in: call, at: $0) }
        let media = try #require(subscriber.packets.first?.header.ssrc)
        let before = (subscriber.packets.count, subscriber.retransmissions.count)
        let padded = call.router.currentCounters().paddingBytesOut
        call.run(for: .seconds(10), tick: .milliseconds(10)) { now in
            camera.film(in: call, at: now)
            // The last 100 packets, a hundred times a second.
            let lost = subscriber.packets.reversed().lazy.filter { $0.header.ssrc == media }.prefix(100)
                .map(\.header.sequenceNumber)
            let numbers = Array(lost)
            call.send(
                subscriber.sealRTCP { _ = $0.appendNACK(from: SSRC(1), about: media, lost: numbers.span) },
                from: subscriber
            )
        }
        let sent = subscriber.packets[before.0...].reduce(0) { $0 + $1.payload.count }
        // Without what was repeated to see what the path carries.
        let padding = Int(call.router.currentCounters().paddingBytesOut - padded)
        let repeated = subscriber.retransmissions[before.1...].reduce(0) { $0 + $1.payload.count }
        // The burst is what may be repeated before anything was earned.
        #expect(repeated > 0)
        #expect(Double(repeated - padding) < Double(sent) * 0.16 + 25_000, "seed \(seed)")
    }

    @Test func `who wants no picture gets none, however often it asks, and gets it when it wants it again`() throws {
        let seed: UInt64 = 304
        let (call, publisher, uplink, subscriber, mid) = try SimulatedCall.video(seed: seed)
        var camera = Camera(client: publisher, mid: uplink)
        call.run(for: .seconds(2)) { camera.film(in: call, at: $0) }
        let media = try #require(subscriber.packets.last?.header.ssrc)
        let section = SectionReference(session: subscriber.id, mid: mid)
        call.router.setPreference(SubscriberPreference(maximumWidth: 0), for: section, at: call.now)
        call.run(for: .seconds(1)) { camera.film(in: call, at: $0) }
        /// As many requests as one datagram takes, each 10 ms for a second.
        func ask() {
            for _ in 0..<100 {
                let requests = subscriber.sealRTCP { writer in
                    for _ in 0..<80 { _ = writer.appendPictureLossIndication(from: SSRC(1), about: media) }
                }
                call.send(requests, from: subscriber)
                call.run(for: .milliseconds(10)) { camera.film(in: call, at: $0) }
            }
        }
        let before = (call.router.currentCounters(), camera.pictureLossReceived, subscriber.packets.count)
        ask()
        call.run(for: .milliseconds(100)) { camera.film(in: call, at: $0) }
        let after = call.router.currentCounters()
        #expect(after.pictureLossThrottled - before.0.pictureLossThrottled == 80 * 100, "seed \(seed)")
        #expect(after.pictureLossForwarded == before.0.pictureLossForwarded, "seed \(seed)")
        #expect(camera.pictureLossReceived == before.1, "seed \(seed)")
        #expect(subscriber.packets.count == before.2, "seed \(seed)")
        // The picture comes back when it is wanted again, in the midst of it.
        call.router.setPreference(SubscriberPreference(), for: section, at: call.now)
        ask()
        #expect(subscriber.packets.count > before.2 + 20 * camera.packetsPerFrame, "seed \(seed)")
    }

    @Test func `a datagram has sixteen reports of transport-wide feedback, and more are not heard`() throws {
        let (call, publisher, uplink, subscriber, _) = try SimulatedCall.video(seed: 306)
        var camera = Camera(client: publisher, mid: uplink)
        call.run(for: .seconds(2)) { camera.film(in: call, at: $0) }
        for (count, dropped) in [(16, 0), (20, 4)] as [(Int, UInt64)] {
            let before = call.router.currentCounters().droppedInMalformed
            let reports = subscriber.sealRTCP { writer in
                var builder = TransportFeedbackBuilder(senderSSRC: SSRC(1), mediaSSRC: SSRC(2))
                for number in 0..<count {
                    let arrivals = [PacketArrival(SequenceNumber(UInt16(number)), microseconds: 1_000)]
                    _ = builder.append(arrivals.span, to: &writer)
                }
            }
            call.send(reports, from: subscriber)
            call.run(for: .milliseconds(20))
            #expect(call.router.currentCounters().droppedInMalformed - before == dropped, "\(count)")
        }
    }

    @Test func `a datagram of RTCP has what a path carries at once, and no thousands of requests`() throws {
        let (call, publisher, uplink, subscriber, _) = try SimulatedCall.video(seed: 305)
        var camera = Camera(client: publisher, mid: uplink)
        call.run(for: .seconds(2)) { camera.film(in: call, at: $0) }
        let media = try #require(subscriber.packets.last?.header.ssrc)
        for (count, isTaken) in [(240, true), (300, false), (4_000, false)] {
            let before = call.router.currentCounters()
            let requests = subscriber.sealRTCP(upTo: 65_000) { writer in
                for _ in 0..<count { _ = writer.appendPictureLossIndication(from: SSRC(1), about: media) }
            }
            call.send(requests, from: subscriber)
            call.run(for: .milliseconds(10))
            let after = call.router.currentCounters()
            let heard =
                after.pictureLossForwarded + after.pictureLossThrottled - before.pictureLossForwarded
                - before.pictureLossThrottled
            #expect(heard == (isTaken ? UInt64(count) : 0), "\(count)")
            #expect(after.droppedInMalformed - before.droppedInMalformed == (isTaken ? 0 : 1), "\(count)")
        }
    }

    @Test func `packets of a layer that was left are not repeated`() throws {
        let (call, publisher, uplink, subscriber, mid) = try SimulatedCall.video(seed: 303, rids: ["q", "h", "f"])
        var camera = Camera(client: publisher, mid: uplink, rids: ["q", "h", "f"])
        call.run(for: .seconds(3)) { camera.film(in: call, at: $0) }
        let media = try #require(subscriber.packets.last?.header.ssrc)
        let left = Array(subscriber.packets.suffix(4).map(\.header.sequenceNumber))
        call.router.setPreference(
            SubscriberPreference(maximumWidth: 320),
            for: SectionReference(session: subscriber.id, mid: mid),
            at: call.now
        )
        // Until the small layer's key frame has come.
        let count = subscriber.packets.count
        let hasSwitched = call.run(upTo: .milliseconds(600)) {
            camera.film(in: call, at: call.now)
            return subscriber.packets[count...].contains { $0.payload.count > 410 && $0.header.ssrc == media }
        }
        #expect(hasSwitched)
        call.send(
            subscriber.sealRTCP { _ = $0.appendNACK(from: SSRC(1), about: media, lost: left.span) },
            from: subscriber
        )
        call.run(for: .milliseconds(20))
        // What is repeated for its own sake is newer.
        let asked = Set(left.map(\.value))
        #expect(!subscriber.retransmissions.contains { asked.contains($0.payload.span.bytes.uint16(at: 0)) })
    }
}
