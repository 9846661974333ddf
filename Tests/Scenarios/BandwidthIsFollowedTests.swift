import Basics
import MediaControl
import MediaPlane
import Negotiation
import RTP
import TestSupport
import Testing

@Suite struct BandwidthIsFollowedTests {
    /// About 150, 500 and 1,500 kbit/s.
    private static let packets = [1, 3, 9]
    private static let payloads = 560

    private final class Scene {
        let call: SimulatedCall
        let publisher: SimulatedClient
        let subscriber: SimulatedClient
        let mid: String
        let audioMID: String
        var camera: Camera
        var talker: Talker
        var selections: [(at: Instant, selection: LayerSelection)] = []
        private var readEvents = 0

        init(seed: UInt64, rate: Bitrate, rids: [String] = ["q", "h", "f"]) throws {
            self.call = SimulatedCall(impairment: .init(delay: .milliseconds(20)), seed: seed)
            self.publisher = self.call.addClient()
            let uplink = self.publisher.add(.video, direction: .send, rids: rids)
            let audio = self.publisher.add(.audio, direction: .send)
            try self.call.negotiate(self.publisher)
            self.subscriber = self.call.addClient()
            self.mid = self.subscriber.add(.video, direction: .receive)
            self.audioMID = self.subscriber.add(.audio, direction: .receive)
            try self.call.negotiate(self.subscriber)
            try self.call.bind(self.publisher, uplink, to: self.subscriber, self.mid)
            try self.call.bind(self.publisher, audio, to: self.subscriber, self.audioMID)
            self.camera = Camera(client: self.publisher, mid: uplink, rids: rids)
            self.camera.packetsByLayer = BandwidthIsFollowedTests.packets
            self.camera.payloadSize = BandwidthIsFollowedTests.payloads
            self.camera.keyFrameFactor = 3
            self.talker = Talker(client: self.publisher, mid: audio)
            // 45 kbit/s with all its headers.
            self.talker.payloadSize = 40
            self.setRate(rate)
        }

        func setRate(_ rate: Bitrate) {
            if self.call.bottlenecks[self.subscriber.address] == nil {
                self.call.bottlenecks[self.subscriber.address] = Bottleneck(rate: rate)
            }
            self.call.bottlenecks[self.subscriber.address]?.rate = rate
        }

        func connect() throws {
            let isUp = self.call.run(upTo: .seconds(5)) { self.publisher.isConnected && self.subscriber.isConnected }
            try #require(isUp, "seed \(self.call.seed)")
        }

        func run(for duration: Nanoseconds) {
            self.call.run(for: duration) { now in
                self.camera.film(in: self.call, at: now)
                self.talker.talk(in: self.call, at: now)
                while self.readEvents < self.call.events.count {
                    if case .selectionChanged(let section, let selection) = self.call.events[self.readEvents],
                        section.mid == self.mid
                    {
                        self.selections.append((now, selection))
                    }
                    self.readEvents += 1
                }
            }
        }

        var width: Int? { self.selections.last?.selection.width }
        var video: [SimulatedClient.Packet] { self.subscriber.packets.filter { $0.mid == self.mid } }
        var audio: [SimulatedClient.Packet] { self.subscriber.packets.filter { $0.mid == self.audioMID } }

        /// Pictures whose first and last packets came, with all between.
        func wholeFrames(since start: Instant) -> Int {
            var frames: [UInt32: (numbers: Set<UInt16>, first: UInt16?, last: UInt16?)] = [:]
            for packet in self.video where packet.at >= start {
                var frame = frames[packet.header.timestamp] ?? ([], nil, nil)
                frame.numbers.insert(packet.header.sequenceNumber.value)
                if VP8Descriptor(packet.payload.span.bytes)?.isFrameStart == true {
                    frame.first = packet.header.sequenceNumber.value
                }
                if packet.header.marker { frame.last = packet.header.sequenceNumber.value }
                frames[packet.header.timestamp] = frame
            }
            return frames.values.count { frame in
                guard let first = frame.first, let last = frame.last else { return false }
                return frame.numbers.count == Int(last &- first) + 1
            }
        }
    }

    @Test(arguments: [UInt64(401), 402])
    func `layers follow a link of 3, 1, 0.4 and 3 Mbit per second`(seed: UInt64) throws {
        let scene = try Scene(seed: seed, rate: .kbps(3_000))
        try scene.connect()
        var widths: [Int?] = []
        for (rate, seconds) in [(3_000, 8), (1_000, 10), (400, 10), (3_000, 15)] as [(Int64, Int64)] {
            scene.setRate(.kbps(rate))
            scene.run(for: .seconds(seconds))
            widths.append(scene.width)
        }
        #expect(widths == [1_280, 640, 320, 1_280], "seed \(seed)")
        // The picture goes on: at least 25 of 30 frames a second at the end.
        let end = scene.call.now + Nanoseconds(-2_000_000_000)
        scene.run(for: .milliseconds(100))
        #expect(scene.wholeFrames(since: end) > 50, "seed \(seed)")
        // No number is left out but by the link itself.
        let dropped = scene.call.bottlenecks[scene.subscriber.address]?.droppedCount ?? 0
        #expect(PictureWatcher.gaps(scene.video) <= dropped + 6, "\(dropped) dropped, seed \(seed)")
    }

    @Test func `without a narrow link the top layer is there within 2 s`() throws {
        let seed: UInt64 = 403
        let scene = try Scene(seed: seed, rate: .kbps(100_000))
        try scene.connect()
        scene.run(for: .seconds(2))
        #expect(scene.width == 1_280, "seed \(seed)")
        let statistics = try #require(scene.call.statistics(of: scene.subscriber))
        let estimate = try #require(statistics.transport.availableOutgoingBitrate)
        #expect(estimate > .kbps(1_500))
        let selection = try #require(statistics.outbound.first { $0.mid == scene.mid }?.selection)
        #expect(selection.targetBitrate > .kbps(1_000))
    }

    @Test func `at 60 kbit per second the audio goes on, and the pause of the picture is told`() throws {
        let seed: UInt64 = 404
        let scene = try Scene(seed: seed, rate: .kbps(3_000))
        try scene.connect()
        scene.run(for: .seconds(5))
        scene.setRate(.kbps(60))
        scene.run(for: .seconds(6))
        let pause = scene.selections.last { $0.selection.isPausedForBandwidth }
        #expect(pause != nil, "seed \(seed)")
        #expect(pause?.selection.spatial == -1)
        #expect(pause?.selection.reason.contains("paused") == true)
        let paused = scene.call.router.currentCounters().tracksPausedForBandwidth
        #expect(paused == 1)
        // From now on there is only audio on the link, and what probing adds. The server sends on all of it.
        let forwarded = scene.call.router.currentCounters().packetsOut.audio
        let before = scene.audio.count
        let sentBefore = scene.talker.sentCount
        scene.run(for: .seconds(10))
        let heard = scene.audio.count - before
        let sent = scene.talker.sentCount - sentBefore
        let passed = Int(scene.call.router.currentCounters().packetsOut.audio - forwarded)
        #expect(abs(passed - sent) <= 3, "\(passed) of \(sent), seed \(seed)")
        #expect(Double(heard) >= Double(sent) * 0.95, "\(heard) of \(sent), seed \(seed)")
        // Nothing sent, nothing learnt: probing goes on, so it comes back by itself.
        scene.setRate(.kbps(3_000))
        scene.run(for: .seconds(15))
        #expect((scene.width ?? 0) >= 640, "seed \(seed)")
        let pausedAfter = scene.call.router.currentCounters().tracksPausedForBandwidth
        #expect(pausedAfter == 0)
    }
}
