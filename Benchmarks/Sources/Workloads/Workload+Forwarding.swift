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
        Stream.allCases.compactMap { stream in
            guard let room = ForwardingRoom(stream, subscribers: subscribers) else { return nil }
            // The publisher of each packet; for each batch its buffers, and the sink that stands for the kernel, which takes
            // a batch of video in four parts.
            let ofBatch = 2.0 + 2 * (stream.isVideo ? 4 : 1)
            return Workload(
                "Forward to \(subscribers), \(stream.rawValue)",
                harnessReferences: 2 + ofBatch / Double(room.batchSize),
                repetitions: 160
            ) { room.run($0) }
        }
    }

    private enum Stream: String, CaseIterable {
        case opus = "Opus, 160 B"
        case vp8 = "VP8, 1,100 B"
        /// With dependency descriptors, of which each subscriber's are written anew.
        case av1 = "AV1, 1,100 B"

        var isVideo: Bool { self != .opus }

        /// - Parameter isFirst: the key frame's, where there are such.
        func packet(isFirst: Bool) -> [UInt8] {
            switch self {
            case .opus: Packets.rtp(payloadType: 111, ssrc: 1_000, mid: 0x30, payload: [0xFC], byteCount: 160)
            case .vp8:
                Packets.rtp(
                    payloadType: 96,
                    ssrc: 2_000,
                    mid: 0x31,
                    payload: isFirst ? Packets.keyFrame : Packets.deltaFrame,
                    byteCount: 1_100
                )
            case .av1:
                Packets.rtp(
                    payloadType: 45,
                    ssrc: 2_000,
                    mid: 0x31,
                    descriptor: isFirst ? Packets.structure : Packets.descriptor,
                    payload: isFirst ? Packets.sequenceStart : Packets.frame,
                    byteCount: 1_100
                )
            }
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
        var batchSize: Int { self.batch.count }

        init?(_ stream: Stream, subscribers: Int) {
            guard var harness = RouterHarness() else { return nil }
            let isVideo = stream.isVideo
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
            self.batch = Array(repeating: stream.packet(isFirst: false), count: isVideo ? 8 : 1)
            self.buffers = self.batch.map { _ in Buffer(1_536) }
            self.send([stream.packet(isFirst: true)])
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
                // The fixed header and the extensions, whose length in words stands in front of them.
                let headerLength = 16 + Int(packet[15]) * 4
                let length = self.publisher.seal(
                    bytes,
                    headerLength: headerLength,
                    payloadLength: packet.count - headerLength,
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
