import Basics
import MediaControl
import MediaPlane
import Negotiation
import RouterHarness

extension Workload {
    /// Published packets to many subscribers: opened, and for each subscriber rewritten and sealed with its own keys.
    /// Video comes in batches of eight packets, as a frame does.
    ///
    /// Everything but the kernel. The publisher's own seal is part of the figure.
    static func forwarding(_ subscribers: Int) -> [Workload] {
        MediaKind.allCases.compactMap { kind in
            guard let room = ForwardingRoom(kind, subscribers: subscribers) else { return nil }
            let what = kind == .video ? "VP8, 1,100 B" : "Opus, 160 B"
            return Workload("Forward to \(subscribers), \(what)", repetitions: 160) { room.run($0) }
        }
    }

    private final class ForwardingRoom {
        private var harness: RouterHarness
        private let publisher: RouterClient
        private let subscribers: Int
        /// What is published at a time: eight packets of video, one of audio.
        private let batch: [[UInt8]]
        private let buffers: [Buffer]
        private var sequence = 0

        init?(_ kind: MediaKind, subscribers: Int) {
            guard var harness = RouterHarness() else { return nil }
            let isVideo = kind == .video
            let source: NegotiatedSection =
                isVideo ? .video("1", .receive, ssrc: 2_000) : .audio("0", .receive, ssrc: 1_000)
            guard let publisher = harness.addClient(SessionID(1), sections: [source]), harness.connect(publisher) else {
                return nil
            }
            for number in 0..<UInt64(subscribers) {
                let id = SessionID(number + 2)
                let ssrc = UInt32(truncatingIfNeeded: 10_000 + number * 10)
                let target: NegotiatedSection =
                    isVideo ? .video("0", .send, ssrc: ssrc) : .audio("0", .send, ssrc: ssrc)
                guard let client = harness.addClient(id, sections: [target]), harness.connect(client) else {
                    return nil
                }
                let track = PublishedTrack(session: publisher.id, mid: source.mid)
                do {
                    try harness.router.bind(track, to: SectionReference(session: id, mid: "0"), at: harness.now)
                } catch { return nil }
            }
            harness.outbox.keepsDatagrams = false
            self.harness = harness
            self.publisher = publisher
            self.subscribers = subscribers
            let plain = Packets.rtp(
                payloadType: isVideo ? 96 : 111,
                ssrc: isVideo ? 2_000 : 1_000,
                mid: isVideo ? 0x31 : 0x30,
                payload: isVideo ? Packets.deltaFrame : [0xFC],
                byteCount: isVideo ? 1_100 : 160
            )
            self.batch = Array(repeating: plain, count: isVideo ? 8 : 1)
            self.buffers = self.batch.map { _ in Buffer(1_536) }
            self.send([
                isVideo
                    ? Packets.rtp(payloadType: 96, ssrc: 2_000, mid: 0x31, payload: Packets.keyFrame, byteCount: 1_100)
                    : plain
            ])
            // What is made once, such as the packet cache, is made before anything is counted.
            self.run(16)
        }

        /// - Parameter count: is rounded up to whole batches.
        func run(_ count: Int) {
            for _ in 0..<((count + self.batch.count - 1) / self.batch.count) { self.send(self.batch) }
        }

        private func send(_ packets: [[UInt8]]) {
            self.harness.now = self.harness.now + .milliseconds(20)
            // What timers left behind does not count.
            self.harness.router.flush()
            self.harness.outbox.resetCounts()
            self.harness.router.beginBatch()
            for (packet, buffer) in zip(packets, self.buffers) {
                self.sequence &+= 1
                let bytes = buffer.bytes
                bytes.copyBytes(from: packet)
                Packets.setSequence(self.sequence, in: bytes)
                let length = self.publisher.seal(
                    bytes,
                    headerLength: Packets.headerLength,
                    payloadLength: packet.count - Packets.headerLength,
                    rolloverCounter: UInt32(truncatingIfNeeded: self.sequence >> 16)
                )
                guard length > 0 else { fatalError("not sealed") }
                self.harness.router.receive(
                    UnsafeMutableRawBufferPointer(rebasing: bytes[0..<length]),
                    from: self.publisher.address,
                    socket: 0,
                    at: self.harness.now
                )
            }
            self.harness.router.endBatch(at: self.harness.now)
            self.harness.router.flush()
            guard self.harness.outbox.count == self.subscribers * packets.count else {
                fatalError("\(self.harness.outbox.count) of \(self.subscribers * packets.count) packets left")
            }
        }
    }
}
