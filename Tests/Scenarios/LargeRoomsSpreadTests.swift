import Basics
import Forwarding
import MediaControl
import Negotiation
import RTP
import TestSupport
import Testing

@testable import MediaPlane

/// A room on two workers: the publisher on the first, subscribers on both.
@Suite struct LargeRoomsSpreadTests {
    struct Room {
        let call: SimulatedCall
        let publisher: SimulatedClient
        let uplink: String
        /// On the publisher's worker, and on the other one.
        let near: SimulatedClient
        let far: SimulatedClient
        let mid: String

        var farSection: SectionReference { SectionReference(session: self.far.id, mid: self.mid) }
        var track: PublishedTrack { PublishedTrack(session: self.publisher.id, mid: self.uplink) }
        var nearCounters: RouterCounters { self.call.workers[0].router.currentCounters() }
        var farCounters: RouterCounters { self.call.workers[1].router.currentCounters() }

        init(_ kind: MediaKind = .video, seed: UInt64, rids: [String] = [], bindsFar: Bool = true) throws {
            let call = SimulatedCall(seed: seed, workerCount: 2)
            self.call = call
            self.publisher = call.addClient()
            self.uplink = self.publisher.add(kind, direction: .send, rids: rids)
            try call.negotiate(self.publisher)
            self.near = call.addClient()
            self.mid = self.near.add(kind, direction: .receive)
            try call.negotiate(self.near)
            try call.bind(self.publisher, self.uplink, to: self.near, self.mid)
            self.far = call.addClient(on: 1)
            _ = self.far.add(kind, direction: .receive)
            try call.negotiate(self.far)
            if bindsFar { try call.bind(self.publisher, self.uplink, to: self.far, self.mid) }
            let clients = [self.publisher, self.near, self.far]
            #expect(call.run(upTo: .seconds(2)) { clients.allSatisfy(\.isConnected) }, "seed \(seed)")
        }
    }

    @Test func `subscribers on both workers receive every packet, in order`() throws {
        let room = try Room(seed: 601)
        var camera = Camera(client: room.publisher, mid: room.uplink)
        room.call.run(for: .seconds(5)) { camera.film(in: room.call, at: $0) }
        room.call.run(for: .milliseconds(100))
        let near = room.near.packets.map(\.payload)
        let far = room.far.packets.map(\.payload)
        #expect(near.count == camera.sentPackets)
        #expect(far.count == camera.sentPackets)
        // But for the picture ids, which begin anywhere: what a subscriber has on another worker is the same.
        #expect(far.map { $0.dropFirst(4) } == near.map { $0.dropFirst(4) })
        #expect(PictureWatcher.gaps(room.far.packets) == 0)
        for (before, after) in zip(room.far.packets, room.far.packets.dropFirst()) {
            #expect(after.header.sequenceNumber.value == before.header.sequenceNumber.value &+ 1)
        }
        // Each packet crosses once, and one SSRC of the publisher's is enough for both.
        let crossed = (room.nearCounters.crossedPackets, room.farCounters.mirroredPackets)
        #expect(crossed.0 == UInt64(camera.sentPackets))
        #expect(crossed.1 == UInt64(camera.sentPackets))
    }

    @Test func `sound crosses, and its loudness is told once`() throws {
        let room = try Room(.audio, seed: 602)
        var talker = Talker(client: room.publisher, mid: room.uplink)
        talker.level = 40
        room.call.run(for: .seconds(3)) { talker.talk(in: room.call, at: $0) }
        #expect(room.near.packets.count > 100)
        #expect(room.far.packets.count == room.near.packets.count)
        #expect(room.far.packets.map(\.payload) == room.near.packets.map(\.payload))
        let told = room.call.events.compactMap { event in
            if case .audioActivity(let activity) = event { activity.count } else { nil }
        }
        #expect(told.count > 20)
        #expect(told.allSatisfy { $0 == 1 })
    }

    @Test func `who joins on another worker starts from the key frame that the first one keeps`() throws {
        let room = try Room(seed: 603, bindsFar: false)
        var camera = Camera(client: room.publisher, mid: room.uplink)
        room.call.run(for: .seconds(3)) { camera.film(in: room.call, at: $0) }
        camera.layers[0].needsKeyFrame = true
        room.call.run(for: .milliseconds(400)) { camera.film(in: room.call, at: $0) }
        let requests = camera.pictureLossReceived
        try room.call.bind(room.publisher, room.uplink, to: room.far, room.mid)
        let boundAt = room.call.now
        room.call.run(for: .seconds(2)) { camera.film(in: room.call, at: $0) }
        #expect(camera.pictureLossReceived == requests)
        let first = try #require(room.far.packets.first)
        #expect(first.at - boundAt < .milliseconds(300))
        #expect(VP8Descriptor(first.payload.span.bytes)?.keyFrame != nil)
        #expect(PictureWatcher.gaps(room.far.packets) == 0)
        let ids = PictureWatcher.pictureIDs(room.far.packets)
        #expect(ids.count >= 60)
        for (before, after) in zip(ids, ids.dropFirst()) { #expect(after == (before + 1) & 0x7FFF) }
    }

    @Test func `where no key frame is kept, one request goes to the publisher`() throws {
        let room = try Room(seed: 604, bindsFar: false)
        var camera = Camera(client: room.publisher, mid: room.uplink)
        // The key frame is more than a second old by then.
        room.call.run(for: .seconds(3)) { camera.film(in: room.call, at: $0) }
        let requests = camera.pictureLossReceived
        try room.call.bind(room.publisher, room.uplink, to: room.far, room.mid)
        let boundAt = room.call.now
        room.call.run(for: .seconds(2)) { camera.film(in: room.call, at: $0) }
        #expect(camera.pictureLossReceived == requests + 1)
        let first = try #require(room.far.packets.first)
        #expect(first.at - boundAt < .milliseconds(300))
        #expect(PictureWatcher.gaps(room.far.packets) == 0)
    }

    @Test func `heaps of sender reports take no place in a ring from packets`() throws {
        let room = try Room(seed: 611)
        var camera = Camera(client: room.publisher, mid: room.uplink)
        room.call.run(for: .seconds(2)) { camera.film(in: room.call, at: $0) }
        let media = try #require(room.publisher.section(room.uplink)).localSSRC
        for second in 0..<20 as Range<UInt64> {
            // The other worker has no turn meanwhile, and a ring has 1,024 places.
            room.call.workers[1].isStalled = true
            for _ in 0..<60 {
                let reports = try #require(
                    room.publisher.sealRTCP { writer in
                        let report = SenderReport(
                            ssrc: media,
                            ntpTime: NTPTime(rawValue: (3_900_000_000 + second) << 32),
                            rtpTimestamp: UInt32(second) &* 90_000,
                            packetCount: 1,
                            octetCount: 1
                        )
                        for _ in 0..<40 { _ = writer.append(report, blocks: Span()) }
                    }
                )
                room.call.inject([reports], from: room.publisher.wireAddress)
            }
            room.call.run(for: .milliseconds(50)) { camera.film(in: room.call, at: $0) }
            room.call.workers[1].isStalled = false
            room.call.run(for: .milliseconds(100)) { camera.film(in: room.call, at: $0) }
        }
        room.call.run(for: .milliseconds(100))
        #expect(room.nearCounters.crossingDropped == 0)
        #expect(room.far.packets.count == room.near.packets.count)
        #expect(PictureWatcher.gaps(room.far.packets) == 0)
    }

    @Test func `PLIs of a subscriber on another worker reach the publisher, two a second`() throws {
        let room = try Room(seed: 605)
        var camera = Camera(client: room.publisher, mid: room.uplink)
        room.call.run(for: .seconds(2)) { camera.film(in: room.call, at: $0) }
        let media = try #require(room.far.packets.last).header.ssrc
        let before = camera.pictureLossReceived
        let keyFrames = camera.layers[0].sentKeyFrames
        for _ in 0..<100 {
            let request = room.far.sealRTCP { _ = $0.appendPictureLossIndication(from: SSRC(1), about: media) }
            room.call.send(request, from: room.far)
            room.call.run(for: .milliseconds(10)) { camera.film(in: room.call, at: $0) }
        }
        room.call.run(for: .milliseconds(200)) { camera.film(in: room.call, at: $0) }
        #expect((1...3).contains(camera.pictureLossReceived - before))
        #expect(camera.layers[0].sentKeyFrames > keyFrames)
    }

    @Test func `a NACK is answered by the worker of who asks`() throws {
        let room = try Room(seed: 606)
        var camera = Camera(client: room.publisher, mid: room.uplink)
        room.call.run(for: .seconds(2)) { camera.film(in: room.call, at: $0) }
        let originals = Array(room.far.packets.suffix(6).prefix(3))
        let lost = originals.map(\.header.sequenceNumber)
        let media = try #require(originals.first).header.ssrc
        let sent = room.nearCounters.retransmissionsSent
        let nack = room.far.sealRTCP { _ = $0.appendNACK(from: SSRC(1), about: media, lost: lost.span) }
        room.call.send(nack, from: room.far)
        room.call.run(for: .milliseconds(100))
        let asked = Set(lost.map(\.value))
        let repeated = room.far.retransmissions.filter { asked.contains($0.payload.span.bytes.uint16(at: 0)) }
        #expect(repeated.map { Array($0.payload.dropFirst(2)) } == originals.map(\.payload))
        let near = room.nearCounters.retransmissionsSent
        #expect(near == sent)
        #expect(room.farCounters.retransmissionsSent >= 3)
    }

    @Test func `a full ring drops and counts, holds up nobody, and a key frame mends what was missed`() throws {
        let room = try Room(seed: 607)
        var camera = Camera(client: room.publisher, mid: room.uplink)
        camera.packetsPerFrame = 30
        room.call.run(for: .seconds(2)) { camera.film(in: room.call, at: $0) }
        let far = room.far.packets.count
        let keyFrames = camera.layers[0].sentKeyFrames
        room.call.workers[1].isStalled = true
        room.call.run(for: .seconds(2)) { camera.film(in: room.call, at: $0) }
        let dropped = room.nearCounters.crossingDropped
        // 900 packets a second against 1,024 slots.
        #expect((700...900).contains(dropped), "\(dropped)")
        #expect(room.far.packets.count == far)
        room.call.workers[1].isStalled = false
        room.call.run(for: .seconds(2)) { camera.film(in: room.call, at: $0) }
        room.call.run(for: .milliseconds(200))
        #expect(room.nearCounters.crossingDropped == dropped)
        // The other worker's subscribers have noticed nothing.
        #expect(PictureWatcher.gaps(room.near.packets) == 0)
        #expect(room.near.packets.count == camera.sentPackets)
        // One key frame for it, and from there on all of it.
        #expect(camera.layers[0].sentKeyFrames == keyFrames + 1)
        let packets = room.far.packets[far...]
        let start = try #require(
            packets.lastIndex { VP8Descriptor($0.payload.span.bytes)?.keyFrame != nil },
            "no key frame after the gap"
        )
        let mended = Array(packets[start...])
        #expect(mended.count > 1_200)
        #expect(PictureWatcher.gaps(mended) == 0)
        let ids = PictureWatcher.pictureIDs(mended)
        for (before, after) in zip(ids, ids.dropFirst()) { #expect(after == (before + 1) & 0x7FFF) }
    }

    @Test func `a mirror ends with its track, and with its last subscriber`() throws {
        let room = try Room(seed: 608)
        var camera = Camera(client: room.publisher, mid: room.uplink)
        room.call.run(for: .seconds(1)) { camera.film(in: room.call, at: $0) }
        #expect(room.farCounters.mirrors == 1)
        room.call.close(room.far)
        room.call.run(for: .seconds(1)) { camera.film(in: room.call, at: $0) }
        #expect(room.farCounters.mirrors == 0)
        let crossed = room.nearCounters.crossedPackets
        room.call.run(for: .seconds(1)) { camera.film(in: room.call, at: $0) }
        #expect(room.nearCounters.crossedPackets == crossed)

        let late = room.call.addClient(on: 1)
        let mid = late.add(.video, direction: .receive)
        try room.call.negotiate(late)
        try room.call.bind(room.publisher, room.uplink, to: late, mid)
        room.call.run(for: .seconds(2)) { camera.film(in: room.call, at: $0) }
        #expect(late.packets.count > 100)
        #expect(room.farCounters.mirrors == 1)
        room.call.close(room.publisher)
        room.call.run(for: .seconds(1))
        #expect(room.farCounters.mirrors == 0)
        #expect(room.farCounters.tracksForwarded.video == 0)
        // What is on its way to a track that has gone.
        #expect(throws: MediaError.noSuchTrack) {
            try room.call.bind(room.publisher, room.uplink, to: late, mid)
        }
    }

    @Test func `layers are selected by the subscriber's worker, the publisher is told what all have use for`() throws {
        let rids = ["q", "h", "f"]
        let room = try Room(seed: 609, rids: rids)
        var camera = Camera(client: room.publisher, mid: room.uplink, rids: rids)
        room.call.run(for: .seconds(4)) { camera.film(in: room.call, at: $0) }
        #expect(Self.lastSelection(room.call, of: room.far)?.width == 1_280)
        let nearSection = SectionReference(session: room.near.id, mid: room.mid)
        let small = SubscriberPreference(maximumWidth: 320)
        room.call.workers[0].router.setPreference(small, for: nearSection, at: room.call.now)
        room.call.run(for: .seconds(7)) { camera.film(in: room.call, at: $0) }
        // The one on the other worker still sees the largest.
        #expect(Self.lastWanted(room.call) == nil)
        room.call.workers[1].router.setPreference(
            SubscriberPreference(maximumWidth: 640),
            for: room.farSection,
            at: room.call.now
        )
        room.call.run(for: .seconds(7)) { camera.film(in: room.call, at: $0) }
        #expect(Self.lastWanted(room.call) == ["q", "h"])
        #expect(Self.lastSelection(room.call, of: room.far)?.width == 640)
        room.call.close(room.far)
        room.call.run(for: .seconds(7)) { camera.film(in: room.call, at: $0) }
        #expect(Self.lastWanted(room.call) == ["q"])
    }

    @Test func `muting stops a track on both workers, and afterwards it goes on with a new picture`() throws {
        let room = try Room(seed: 610)
        var camera = Camera(client: room.publisher, mid: room.uplink)
        room.call.run(for: .seconds(1)) { camera.film(in: room.call, at: $0) }
        room.call.workers[0].router.setMuted(true, for: room.track, at: room.call.now)
        room.call.run(for: .milliseconds(50)) { camera.film(in: room.call, at: $0) }
        let count = room.far.packets.count
        camera.layers[0].needsKeyFrame = true
        room.call.run(for: .seconds(1)) { camera.film(in: room.call, at: $0) }
        #expect(room.far.packets.count == count)
        room.call.workers[0].router.setMuted(false, for: room.track, at: room.call.now)
        room.call.run(for: .seconds(1)) { camera.film(in: room.call, at: $0) }
        let first = try #require(room.far.packets[count...].first)
        #expect(VP8Descriptor(first.payload.span.bytes)?.keyFrame != nil)
        #expect(room.far.packets.count - count > 40)
        #expect(room.far.packets.count == room.near.packets.count)
    }

    @Test func `sender reports give a picture the same time on both workers`() throws {
        let room = try Room(seed: 611)
        var camera = Camera(client: room.publisher, mid: room.uplink)
        // A publisher whose clock is 1,000 s off.
        let clock = NTPAnchor(NTPTime(unixNanoseconds: 1_795_001_000_000_000_000), at: Instant.zero)
        let near = Listener(client: room.near, mid: room.mid, clockRate: 90_000)
        let far = Listener(client: room.far, mid: room.mid, clockRate: 90_000)
        var nextReport = room.call.now
        room.call.run(for: .seconds(5)) { now in
            camera.film(in: room.call, at: now)
            near.listen(in: room.call, at: now)
            far.listen(in: room.call, at: now)
            guard now >= nextReport else { return }
            nextReport = now + .seconds(1)
            camera.report(in: room.call, at: now, clock: clock)
        }
        let origin = NTPTime(unixNanoseconds: 1_795_000_000_000_000_000)
        let count = min(room.near.packets.count, room.far.packets.count)
        for index in [count / 2, count - 1] {
            let here = try #require(near.seconds(of: room.near.packets[index].header.timestamp, after: origin))
            let there = try #require(far.seconds(of: room.far.packets[index].header.timestamp, after: origin))
            #expect(abs(here - there) < 0.002, "\(here) and \(there)")
        }
    }

    @Test func `a slot has room for what stands in front of a packet`() {
        #expect(MemoryLayout<CrossingRecord>.size <= CrossingRecord.factsOffset)
        #expect(CrossingRecord.factsOffset + MemoryLayout<RTPHeaderInfo>.size <= CrossingRecord.bytesOffset)
        let clocksEnd = CrossingRecord.factsOffset + MemoryLayout<SenderReportClock>.size
        #expect(clocksEnd <= CrossingRecord.publisherClockOffset)
        #expect(CrossingRecord.publisherClockOffset + MemoryLayout<PublisherClock>.size <= CrossingRecord.bytesOffset)
        // Each of them is loaded from where it lies.
        #expect(CrossingRecord.factsOffset % MemoryLayout<RTPHeaderInfo>.alignment == 0)
        #expect(CrossingRecord.publisherClockOffset % MemoryLayout<PublisherClock>.alignment == 0)
        #expect(PacketRing.slotByteCount % 64 == 0)
    }

    private static func lastSelection(_ call: SimulatedCall, of client: SimulatedClient) -> LayerSelection? {
        call.events.compactMap { event -> LayerSelection? in
            guard case .selectionChanged(let section, let selection) = event else { return nil }
            return section.session == client.id ? selection : nil
        }.last
    }

    private static func lastWanted(_ call: SimulatedCall) -> [String]? {
        for case .layersWanted(_, let rids) in call.events.reversed() { return rids }
        return nil
    }
}
