import Basics
import MediaControl
import MediaPlane
import Negotiation
import RTP
import TestSupport
import Testing

@Suite struct SubscribersReceiveWhatIsPublishedTests {
    @Test func `audio arrives bit-exact, in one stream with the subscriber's own ids`() throws {
        let call = SimulatedCall(seed: 1)
        let publisher = call.addClient()
        let uplink = publisher.add(.audio, direction: .send)
        let subscriber = call.addClient()
        _ = subscriber.add(.video, direction: .receive)
        let downlink = subscriber.add(.audio, direction: .receive)
        try call.negotiate(publisher)
        try call.negotiate(subscriber)
        try call.bind(publisher, uplink, to: subscriber, downlink)
        #expect(call.run(upTo: .seconds(2)) { publisher.isConnected && subscriber.isConnected })
        var talker = Talker(client: publisher, mid: uplink, firstSequence: 65_500)
        call.run(for: .seconds(5), tick: .milliseconds(10)) { talker.talk(in: call, at: $0) }

        let packets = subscriber.packets
        #expect(packets.count >= talker.sentCount - 2)
        let announced = try #require(subscriber.section(downlink)?.remoteSSRCs.first?.media)
        for (index, packet) in packets.enumerated() {
            #expect(packet.header.ssrc == announced)
            #expect(packet.mid == downlink)
            #expect(packet.payload == (0..<80).map { UInt8(truncatingIfNeeded: (65_500 + index) &* 31 &+ $0) })
        }
        for (before, after) in zip(packets, packets.dropFirst()) {
            #expect(after.header.sequenceNumber.distance(from: before.header.sequenceNumber) == 1)
            #expect(after.header.timestamp &- before.header.timestamp == 960)
        }
        // Sender reports for the subscriber, transport-wide feedback and receiver reports for the publisher.
        #expect(kinds(subscriber.rtcp).contains(.senderReport))
        #expect(kinds(publisher.rtcp).contains(.receiverReport))
        #expect(kinds(publisher.rtcp).contains(.transportFeedback))
    }

    @Test func `video reaches everybody in the room, and a late joiner gets a key frame of its own`() throws {
        let call = SimulatedCall(seed: 2)
        let publisher = call.addClient()
        let uplink = publisher.add(.video, direction: .send)
        try call.negotiate(publisher)
        let early = try self.subscribe(to: publisher, uplink, in: call)
        #expect(call.run(upTo: .seconds(2)) { publisher.isConnected && early.isConnected })
        var camera = Camera(client: publisher, mid: uplink)
        call.run(for: .seconds(3)) { camera.film(in: call, at: $0) }
        let late = try self.subscribe(to: publisher, uplink, in: call)
        call.run(for: .seconds(3)) { camera.film(in: call, at: $0) }

        for subscriber in [early, late] {
            #expect(subscriber.packets.count > 200)
            #expect(PictureWatcher.gaps(subscriber.packets) == 0)
            let first = try #require(subscriber.packets.first)
            #expect(VP8Descriptor(first.payload.span.bytes)?.keyFrame != nil)
        }
        #expect(camera.layers[0].sentKeyFrames >= 2)
        #expect(camera.pictureLossReceived <= 4)
    }

    @Test func `two publishers with the same SSRC both work`() throws {
        let call = SimulatedCall(seed: 3)
        var uplinks: [(SimulatedClient, String)] = []
        for _ in 0..<2 {
            let client = call.addClient()
            uplinks.append((client, client.add(.video, direction: .send, rids: ["a"])))
            try call.negotiate(client)
        }
        let subscriber = call.addClient()
        let mids = [subscriber.add(.video, direction: .receive), subscriber.add(.video, direction: .receive)]
        try call.negotiate(subscriber)
        for (uplink, mid) in zip(uplinks, mids) { try call.bind(uplink.0, uplink.1, to: subscriber, mid) }
        #expect(call.run(upTo: .seconds(2)) { call.clients.allSatisfy(\.isConnected) })
        var cameras = uplinks.map { Camera(client: $0.0, mid: $0.1, rids: ["a"], firstSSRC: 0x77) }
        call.run(for: .seconds(3)) { now in
            for index in cameras.indices { cameras[index].film(in: call, at: now) }
        }
        for mid in mids {
            let packets = subscriber.packets.filter { $0.mid == mid }
            #expect(packets.count > 200)
            #expect(PictureWatcher.gaps(packets) == 0)
        }
        #expect(Set(subscriber.packets.map(\.header.ssrc)).count == 2)
    }

    @Test func `a muted track is not forwarded, and comes back with a key frame`() throws {
        let call = SimulatedCall(seed: 4)
        let publisher = call.addClient()
        let uplink = publisher.add(.video, direction: .send)
        try call.negotiate(publisher)
        let subscriber = try self.subscribe(to: publisher, uplink, in: call)
        #expect(call.run(upTo: .seconds(2)) { publisher.isConnected && subscriber.isConnected })
        var camera = Camera(client: publisher, mid: uplink)
        call.run(for: .seconds(2)) { camera.film(in: call, at: $0) }
        let track = PublishedTrack(session: publisher.id, mid: uplink)
        call.router.setMuted(true, for: track, at: call.now)
        call.run(for: .milliseconds(100)) { camera.film(in: call, at: $0) }
        let count = subscriber.packets.count
        call.run(for: .seconds(1)) { camera.film(in: call, at: $0) }
        #expect(subscriber.packets.count == count)
        call.router.setMuted(false, for: track, at: call.now)
        call.run(for: .seconds(2)) { camera.film(in: call, at: $0) }
        let first = try #require(subscriber.packets[count...].first)
        #expect(VP8Descriptor(first.payload.span.bytes)?.keyFrame != nil)
        // Nothing is missing in the receiver's eyes: only the mark of a frame that the mute cut short.
        #expect(PictureWatcher.gaps(subscriber.packets) <= 1)
    }

    @Test func `a paused section resumes with a key frame and without a gap`() throws {
        let call = SimulatedCall(seed: 5)
        let publisher = call.addClient()
        let uplink = publisher.add(.video, direction: .send)
        try call.negotiate(publisher)
        let subscriber = try self.subscribe(to: publisher, uplink, in: call)
        #expect(call.run(upTo: .seconds(2)) { publisher.isConnected && subscriber.isConnected })
        var camera = Camera(client: publisher, mid: uplink)
        call.run(for: .seconds(2)) { camera.film(in: call, at: $0) }
        let section = SectionReference(session: subscriber.id, mid: "0")
        call.router.setPaused(true, because: .subscriber, for: section, at: call.now)
        call.run(for: .milliseconds(50)) { camera.film(in: call, at: $0) }
        let count = subscriber.packets.count
        call.run(for: .seconds(2)) { camera.film(in: call, at: $0) }
        #expect(subscriber.packets.count == count)
        let pausedCount = call.router.currentCounters().tracksPaused
        #expect(pausedCount == 1)
        call.router.setPaused(false, because: .subscriber, for: section, at: call.now)
        call.run(for: .seconds(2)) { camera.film(in: call, at: $0) }
        let first = try #require(subscriber.packets[count...].first)
        #expect(VP8Descriptor(first.payload.span.bytes)?.keyFrame != nil)
        #expect(PictureWatcher.gaps(subscriber.packets) <= 1)
    }

    private func subscribe(to publisher: SimulatedClient, _ uplink: String, in call: SimulatedCall) throws
        -> SimulatedClient
    {
        let subscriber = call.addClient()
        let mid = subscriber.add(.video, direction: .receive)
        try call.negotiate(subscriber)
        try call.bind(publisher, uplink, to: subscriber, mid)
        return subscriber
    }

    private func kinds(_ compounds: [[UInt8]]) -> Set<RTCPPacketKind> {
        var kinds: Set<RTCPPacketKind> = []
        for compound in compounds { _ = forEachRTCPPacket(in: compound.span.bytes) { kinds.insert($0.kind) } }
        return kinds
    }
}
