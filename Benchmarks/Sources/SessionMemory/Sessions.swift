import Basics
import MediaControl
import MediaPlane
import Negotiation
import RouterHarness

/// Whole sessions in the router, without what rooms and signalling keep of them.
extension Measurement {
    private static let publisherID = SessionID(1)

    /// One publisher with sound and a picture, who is sent by everybody else.
    private static func room() -> RouterHarness {
        guard var harness = RouterHarness(),
            let publisher = harness.addClient(
                self.publisherID,
                sections: [.audio("0", .receive, ssrc: 1_000), .video("1", .receive, ssrc: 2_000)]
            ),
            harness.connect(publisher)
        else { fatalError("no room") }
        return harness
    }

    /// - Parameters:
    ///   - connects: also runs ICE and DTLS.
    ///   - binds: also binds the publisher's tracks.
    private static func join(_ harness: inout RouterHarness, _ number: Int, connects: Bool, binds: Bool) {
        let id = SessionID(UInt64(number + 2))
        let ssrc = UInt32(truncatingIfNeeded: 10_000 + number * 10)
        guard
            let client = harness.addClient(
                id,
                sections: [.audio("0", .send, ssrc: ssrc), .video("1", .send, ssrc: ssrc + 1)]
            )
        else { fatalError("no session") }
        if connects, !harness.connect(client) { fatalError("not connected") }
        guard binds else { return }
        for mid in ["0", "1"] {
            do {
                try harness.router.bind(
                    PublishedTrack(session: self.publisherID, mid: mid),
                    to: SectionReference(session: id, mid: mid),
                    at: harness.now
                )
            } catch { fatalError("not bound: \(error)") }
        }
    }

    /// Subscribers that nothing is sent to.
    static func subscribers(_ count: Int) -> Bool {
        let stages = [
            ("subscriber, not connected", false, false, nil), ("subscriber, connected", true, false, nil),
            ("idle subscriber", true, true, 60.0),
        ]
        var isFit = true
        for (what, connects, binds, limit) in stages {
            var harness = self.room()
            let warmUp = 20
            for number in 0..<warmUp { self.join(&harness, number, connects: connects, binds: binds) }
            let before = Holding.now()
            for number in warmUp..<warmUp + count {
                self.join(&harness, number, connects: connects, binds: binds)
                self.runAllocation(&harness, number)
            }
            isFit = self.report(what, Holding.now() - before, of: count, limit: limit) && isFit
            for number in warmUp..<warmUp + count {
                harness.router.close(SessionID(UInt64(number + 2)), at: harness.now)
            }
            _ = harness.router.takeEvents()
            harness.router.flush()
            _ = harness.outbox.removeAll()
            isFit =
                self.report("  when it has left", Holding.now() - before, of: count, limit: limit.map { _ in 2 })
                && isFit
        }
        return isFit
    }

    /// Layers are first chosen by a timer.
    private static func runAllocation(_ harness: inout RouterHarness, _ number: Int) {
        guard number % 50 == 0 else { return }
        harness.now = harness.now + .milliseconds(1)
        harness.router.handleTimers(at: harness.now)
    }

    /// Publishers with sound and a picture in three sizes, five seconds after they began.
    static func publishers(_ count: Int) -> Bool {
        guard var harness = RouterHarness() else { fatalError("no router") }
        var media: [PublishedMedia] = []
        func publish(_ number: Int) {
            let id = SessionID(UInt64(number + 1))
            guard
                let client = harness.addClient(
                    id,
                    sections: [
                        .audio("0", .receive, ssrc: 1_000), .video("1", .receive, ssrc: 2_000, rids: ["q", "h", "f"]),
                    ]
                ), harness.connect(client)
            else { fatalError("no publisher") }
            media.append(PublishedMedia(client))
        }
        func run() {
            harness.outbox.keepsDatagrams = false
            for _ in 0..<50 {
                for publisher in media { publisher.sendTenth(to: &harness) }
                harness.now = harness.now + .milliseconds(100)
            }
            harness.router.flush()
            harness.outbox.keepsDatagrams = true
        }
        publish(0)
        run()
        media = []
        let before = Holding.now()
        for number in 1...count { publish(number) }
        run()
        // The clients themselves are not of interest.
        media = []
        let isFit = self.report(
            "publisher, Opus and VP8 of 2.0 Mbit/s in 3 layers",
            Holding.now() - before,
            of: count,
            limit: 256
        )
        guard harness.router.currentCounters().packetsIn.video >= UInt64(count * 50 * 23) else {
            fatalError("the publishers are gone")
        }
        return isFit
    }
}

/// What a browser sends that shows a camera in three sizes.
private final class PublishedMedia {
    /// Of each layer: bytes of a packet, and how many packets come in 100 ms.
    private static let layers: [(rid: UInt8, byteCount: Int, packets: Int)] = [
        (0x71, 800, 2), (0x68, 1_100, 5), (0x66, 1_100, 16),
    ]
    private let client: RouterClient
    private var sequences = [0, 0, 0, 0]

    init(_ client: RouterClient) { self.client = client }

    /// What comes in a tenth of a second.
    func sendTenth(to harness: inout RouterHarness) {
        for _ in 0..<5 { self.send(0, rid: nil, byteCount: 120, to: &harness) }
        for (index, layer) in Self.layers.enumerated() {
            for _ in 0..<layer.packets {
                self.send(index + 1, rid: layer.rid, byteCount: layer.byteCount, to: &harness)
            }
        }
    }

    private func send(_ stream: Int, rid: UInt8?, byteCount: Int, to harness: inout RouterHarness) {
        self.sequences[stream] += 1
        let sequence = self.sequences[stream]
        let ssrc = UInt32(stream == 0 ? 1_000 : 2_000 + stream * 10)
        var packet: [UInt8] = [0x90, stream == 0 ? 111 : 96, UInt8(sequence >> 8), UInt8(sequence & 255), 0, 0, 0, 0]
        packet += [0, 0, UInt8(ssrc >> 8), UInt8(ssrc & 255), 0xBE, 0xDE, 0, 3]
        packet += [0x10, stream == 0 ? 0x30 : 0x31, rid == nil ? 0 : 0x20, rid ?? 0, 0x51, 0, 1, 0x62, 1, 2, 3, 0]
        let headerLength = packet.count
        // The first packet of a VP8 key frame, or of a frame in between.
        packet +=
            stream == 0
            ? [0xFC]
            : sequence == 1
                ? [0x90, 0xE0, 0x81, 0x23, 5, 0x20, 0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0x68, 0x01]
                : [0x90, 0xE0, 0x81, 0x24, 5, 0x20, 0x11, 0, 0]
        let payloadLength = byteCount - headerLength
        packet += [UInt8](repeating: 0x5A, count: byteCount + 16 - packet.count)
        packet.withUnsafeMutableBytes { bytes in
            let length = self.client.seal(bytes, headerLength: headerLength, payloadLength: payloadLength)
            guard length > 0 else { fatalError("not sealed") }
            harness.router.receive(
                UnsafeMutableRawBufferPointer(rebasing: bytes[0..<length]),
                from: self.client.address,
                socket: 0,
                at: harness.now
            )
        }
    }
}
