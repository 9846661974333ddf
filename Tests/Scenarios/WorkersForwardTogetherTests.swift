import Basics
import MediaControl
import MediaPlane
import Negotiation
import RTP
import Testing

/// Two workers with their own threads, sockets and rings: what the scenarios of large rooms show in virtual time.
@Suite struct WorkersForwardTogetherTests {
    @Test func `on two threads every packet comes in order, and what is asked for goes back`() async throws {
        let call = try LoopbackCall(workerCount: 2, seed: 621)
        let publisher = try call.addClient()
        let uplink = publisher.add(.video, direction: .send)
        try await call.negotiate(publisher, on: 0)
        let near = try call.addClient()
        let mid = near.add(.video, direction: .receive)
        try await call.negotiate(near, on: 0)
        let far = try call.addClient()
        _ = far.add(.video, direction: .receive)
        try await call.negotiate(far, on: 1)
        let track = PublishedTrack(session: publisher.id, mid: uplink)
        for subscriber in [near, far] {
            try await call.room.bind(track, to: SectionReference(session: subscriber.id, mid: mid))
        }
        #expect(await call.run { [publisher, near, far].allSatisfy(\.isConnected) })

        var film = Film(client: publisher, mid: uplink)
        // The first one starts both; each next one is sent when the one before is there.
        for _ in 0..<300 {
            let (nearCount, farCount) = (near.packets.count, far.packets.count)
            film.sendPacket(in: call)
            let isThere = await call.run { near.packets.count > nearCount && far.packets.count > farCount }
            guard isThere else {
                Issue.record("packet \(film.sequence) is at neither or one only")
                return await call.stop()
            }
        }
        // Several at once, but no more than a socket's buffer holds while the machine is busy.
        for round in 1...20 {
            for _ in 0..<10 { film.sendPacket(in: call) }
            let expected = 300 + round * 10
            let isThere = await call.run { near.packets.count == expected && far.packets.count == expected }
            guard isThere else {
                Issue.record("\(near.packets.count) and \(far.packets.count) packets of \(expected)")
                return await call.stop()
            }
        }
        let areTheSame = near.packets.map { $0.payload.dropFirst(4) } == far.packets.map { $0.payload.dropFirst(4) }
        #expect(areTheSame)
        for (before, after) in zip(far.packets, far.packets.dropFirst()) {
            #expect(after.header.sequenceNumber.value == before.header.sequenceNumber.value &+ 1)
        }

        // A key frame is asked for from worker 1.
        let media = try #require(far.packets.last).header.ssrc
        let requests = Self.keyFrameRequests(publisher)
        call.send(far.sealRTCP { _ = $0.appendPictureLossIndication(from: SSRC(1), about: media) }, from: far)
        #expect(await call.run { Self.keyFrameRequests(publisher) > requests })

        // A packet is asked for again, and comes from worker 1.
        let lost = [try #require(far.packets.last).header.sequenceNumber]
        call.send(far.sealRTCP { _ = $0.appendNACK(from: SSRC(1), about: media, lost: lost.span) }, from: far)
        #expect(await call.run { !far.retransmissions.isEmpty })

        // The publisher goes: so does what worker 1 had of it.
        #expect(await call.run { call.plane.counters()[1].mirrors == 1 })
        await call.room.close(publisher.id)
        #expect(await call.run { call.plane.counters()[1].mirrors == 0 })
        // Each worker publishes its counters in its own time.
        #expect(await call.run { call.plane.counters()[0].crossedPackets >= 500 })
        let counters = call.plane.counters()
        #expect(counters[1].mirroredPackets == counters[0].crossedPackets)
        #expect(counters[0].crossingDropped == 0)
        #expect(counters[1].packetsIn.video == 0)
        #expect(counters[1].tracksForwarded.video == 0)
        await call.stop()
    }

    @Test func `commands of a room find the worker that has the session`() async throws {
        let call = try LoopbackCall(workerCount: 2, seed: 622)
        let publisher = try call.addClient()
        let uplink = publisher.add(.video, direction: .send)
        try await call.negotiate(publisher, on: 1)
        let subscriber = try call.addClient()
        let mid = subscriber.add(.video, direction: .receive)
        try await call.negotiate(subscriber, on: 0)
        let track = PublishedTrack(session: publisher.id, mid: uplink)
        let section = SectionReference(session: subscriber.id, mid: mid)
        await #expect(throws: MediaError.noSuchTrack) {
            try await call.room.bind(PublishedTrack(session: publisher.id, mid: "none"), to: section)
        }
        try await call.room.bind(track, to: section)
        await call.room.setPaused(true, because: .subscriber, for: section)
        #expect(await call.room.statistics(of: publisher.id)?.outbound.isEmpty == true)
        #expect(await call.room.statistics(of: subscriber.id)?.outbound.first?.source == track)
        #expect(await call.run { call.plane.counters().map(\.sessions) == [1, 1] })
        await call.room.close(publisher.id)
        await call.room.close(subscriber.id)
        #expect(await call.room.statistics(of: subscriber.id) == nil)
        #expect(await call.run { call.plane.counters().map(\.sessions) == [0, 0] })
        await call.stop()
    }

    private static func keyFrameRequests(_ client: SimulatedClient) -> Int {
        var count = 0
        for bytes in client.rtcp {
            guard var compound = RTCPCompoundView(bytes.span.bytes) else { continue }
            while let view = compound.next() {
                if view.kind == .pictureLossIndication { count += 1 }
            }
        }
        return count
    }

    /// Frames of one packet each; the first one is a key frame.
    private struct Film {
        let client: SimulatedClient
        let mid: String
        private(set) var sequence: UInt64 = 65_300

        init(client: SimulatedClient, mid: String) {
            self.client = client
            self.mid = mid
        }

        mutating func sendPacket(in call: LoopbackCall) {
            guard let section = self.client.section(self.mid),
                let codec = section.codecs.first(where: { $0.codec == .vp8 })
            else { return }
            let id = UInt16(truncatingIfNeeded: self.sequence)
            let isKeyFrame = self.sequence == 65_300
            var payload: [UInt8] = [0x90, 0x80, UInt8(id >> 8) | 0x80, UInt8(id & 0xFF)]
            payload += [isKeyFrame ? 0x10 : 0x11, 0, 0]
            if isKeyFrame { payload += [0x9D, 0x01, 0x2A, 64, 1, 180, 0] }
            payload += (0..<200).map { UInt8(truncatingIfNeeded: Int(self.sequence) &* 7 &+ $0) }
            let packet = self.client.seal(
                mid: self.mid,
                payloadType: codec.payloadType,
                sequence: self.sequence,
                timestamp: UInt32(truncatingIfNeeded: self.sequence &* 900),
                ssrc: section.localSSRC,
                marker: true,
                payload: payload
            )
            call.send(packet, from: self.client)
            self.sequence += 1
        }
    }
}
