import Basics
import MediaControl
import MediaPlane
import Negotiation
import RTP
import TestSupport
import Testing

@Suite struct PublishersWithoutLayersAreLimitedTests {
    /// Of one packet in each of 30 frames a second, with its headers.
    private static let packetRate = Int64(30 * (300 + 76) * 8)

    /// A camera with one layer of 2.3 Mbit/s whose encoder does what REMB says.
    private final class Scene {
        let call: SimulatedCall
        let publisher: SimulatedClient
        let subscriber: SimulatedClient
        let uplink: String
        let mid: String
        var camera: Camera
        /// Packets in a frame that the encoder can do with.
        let steps: [Int]
        var limits: [(at: Instant, bitrate: Bitrate)] = []
        private var readRTCP = 0

        init(seed: UInt64, steps: [Int] = Array(1...25), feedback: String = "goog-remb") throws {
            self.steps = steps
            self.call = SimulatedCall(impairment: .init(delay: .milliseconds(20)), seed: seed)
            self.call.tampersWithOffer = { $0.replacing("goog-remb", with: feedback) }
            self.publisher = self.call.addClient()
            self.uplink = self.publisher.add(.video, direction: .send)
            try self.call.negotiate(self.publisher)
            self.subscriber = self.call.addClient()
            self.mid = self.subscriber.add(.video, direction: .receive)
            try self.call.negotiate(self.subscriber)
            try self.call.bind(self.publisher, self.uplink, to: self.subscriber, self.mid)
            self.camera = Camera(client: self.publisher, mid: self.uplink)
            self.camera.payloadSize = 300
            self.camera.packetsByLayer = [25]
            let isUp = self.call.run(upTo: .seconds(5)) { self.publisher.isConnected && self.subscriber.isConnected }
            try #require(isUp, "seed \(seed)")
        }

        func run(for duration: Nanoseconds) {
            self.call.run(for: duration) { now in
                self.camera.film(in: self.call, at: now)
                while self.readRTCP < self.publisher.rtcp.count {
                    let bytes = self.publisher.rtcp[self.readRTCP]
                    self.readRTCP += 1
                    _ = forEachRTCPPacket(in: bytes.span.bytes) { packet in
                        guard let bitrate = packet.maximumBitrate else { return }
                        self.limits.append((now, bitrate))
                        let count = bitrate.bitsPerSecond / PublishersWithoutLayersAreLimitedTests.packetRate
                        self.camera.packetsByLayer = [self.steps.last { $0 <= count } ?? 1]
                    }
                }
            }
        }

        func packets(since start: Instant) -> Int { self.subscriber.packets.count { $0.at >= start } }
    }

    @Test func `one viewer with less than the only layer takes is sent a smaller one, until its path is wide`() throws {
        let seed: UInt64 = 431
        let scene = try Scene(seed: seed)
        scene.call.bottlenecks[scene.subscriber.address] = Bottleneck(rate: .kbps(800))
        scene.run(for: .seconds(20))
        let limit = try #require(scene.limits.last?.bitrate, "seed \(seed)")
        let isKept = scene.limits.allSatisfy { $0.bitrate < .kbps(900) }
        #expect(isKept, "never ended, seed \(seed)")
        #expect(limit > .kbps(350) && limit < .kbps(900), "\(limit.bitsPerSecond), seed \(seed)")
        // The picture is there, at its full frame rate: two packets a frame at least.
        let start = scene.call.now
        scene.run(for: .seconds(5))
        #expect(scene.packets(since: start) > 5 * 30 * 2, "seed \(seed)")

        scene.call.bottlenecks[scene.subscriber.address]?.rate = .kbps(20_000)
        scene.run(for: .seconds(30))
        #expect(scene.camera.packetsByLayer == [25], "\(scene.limits.last?.bitrate.bitsPerSecond ?? 0), seed \(seed)")
    }

    @Test func `an encoder with coarse steps below the limit does not end it`() throws {
        let seed: UInt64 = 433
        let scene = try Scene(seed: seed, steps: [1, 4, 12, 25])
        scene.call.bottlenecks[scene.subscriber.address] = Bottleneck(rate: .kbps(800))
        scene.run(for: .seconds(60))
        let isKept = scene.limits.allSatisfy { $0.bitrate < .kbps(900) }
        #expect(!scene.limits.isEmpty && isKept, "seed \(seed)")
        let start = scene.call.now
        scene.run(for: .seconds(10))
        let count = scene.packets(since: start)
        #expect(count > 10 * 30 * 3, "\(count), seed \(seed)")
    }

    @Test(arguments: ["goog-remb", "x"])
    func `a viewer with a wide path, and a publisher without REMB, see no limit`(feedback: String) throws {
        let seed: UInt64 = 434
        let scene = try Scene(seed: seed, feedback: feedback)
        scene.call.bottlenecks[scene.subscriber.address] = Bottleneck(rate: .kbps(feedback == "x" ? 800 : 20_000))
        scene.run(for: .seconds(20))
        #expect(scene.limits.isEmpty, "seed \(seed)")
    }

    @Test func `with a second viewer who can take all nobody is limited, and the end of a limit is told`() throws {
        let seed: UInt64 = 432
        let scene = try Scene(seed: seed)
        scene.call.bottlenecks[scene.subscriber.address] = Bottleneck(rate: .kbps(800))
        scene.run(for: .seconds(15))
        let limit = try #require(scene.limits.last?.bitrate, "seed \(seed)")
        #expect(limit < .kbps(1_000), "seed \(seed)")
        let second = scene.call.addClient()
        let mid = second.add(.video, direction: .receive)
        try scene.call.negotiate(second)
        try scene.call.bind(scene.publisher, scene.uplink, to: second, mid)
        scene.run(for: .seconds(20))
        #expect(scene.limits.last?.bitrate ?? .zero > .kbps(2_300), "seed \(seed)")

        // Nobody watches: nothing is asked for.
        scene.limits.removeAll()
        scene.call.router.unbind(SectionReference(session: scene.subscriber.id, mid: scene.mid), at: scene.call.now)
        scene.call.router.unbind(SectionReference(session: second.id, mid: mid), at: scene.call.now)
        scene.run(for: .seconds(5))
        #expect(scene.limits.allSatisfy { $0.bitrate > .kbps(2_300) }, "seed \(seed)")
    }
}
