import Basics
import MediaControl
import MediaPlane
import Negotiation
import RTP
import TestSupport
import Testing

/// Packets of a batch that go the same way are forwarded together. What subscribers are sent must be, byte for byte and
/// at the same times, what they are sent when each packet is forwarded by itself.
@Suite struct PacketsLeaveTogetherTests {
    /// What a subscriber was sent, in words that can be compared.
    private struct Record: Equatable {
        var packets: [String] = []
        var counts: [String] = []
    }

    private static func describe(_ packet: SimulatedClient.Packet) -> String {
        let hash = packet.payload.reduce(5_381 as UInt64) { $0 &* 33 &+ UInt64($1) }
        return "\(packet.at.nanoseconds) \(packet.mid ?? "") \(packet.header) \(packet.transportSequence ?? 0) "
            + "\(packet.descriptor) \(packet.payload.count) \(hash)"
    }

    private final class Scene {
        let call: SimulatedCall
        let publisher: SimulatedClient
        let subscribers: [SimulatedClient]
        private var sections: [(client: SimulatedClient, mid: String)] = []
        private var camera: Camera
        private var talker: Talker
        private var random: SeededRandom

        init(seed: UInt64, goesTogether: Bool, descriptors: Camera.Descriptors) throws {
            // What is held back comes with the next frame.
            let impairment = SimulatedNetwork.Impairment(delay: .microseconds(33_333))
            self.random = SeededRandom(seed: seed)
            self.call = SimulatedCall(impairment: impairment, seed: seed)
            self.call.router.forwardsTogether = goesTogether
            self.publisher = self.call.addClient()
            let rids = ["q", "h", "f"]
            let uplink = self.publisher.add(.video, direction: .send, rids: rids)
            let audio = self.publisher.add(.audio, direction: .send)
            try self.call.negotiate(self.publisher)
            var subscribers: [SimulatedClient] = []
            for _ in 0..<4 {
                let client = self.call.addClient()
                let mids = (client.add(.video, direction: .receive), client.add(.audio, direction: .receive))
                try self.call.negotiate(client)
                try self.call.bind(self.publisher, uplink, to: client, mids.0)
                try self.call.bind(self.publisher, audio, to: client, mids.1)
                self.sections.append((client, mids.0))
                self.sections.append((client, mids.1))
                subscribers.append(client)
            }
            self.subscribers = subscribers
            self.camera = Camera(client: self.publisher, mid: uplink, rids: rids)
            // A picture of one packet is forwarded alone, by the same way where it has a descriptor.
            self.camera.packetsByLayer = seed.isMultiple(of: 2) ? [1, 5, 11] : [2, 5, 11]
            self.camera.payloadSize = 700
            self.camera.temporalLayers = 3
            self.camera.keyFrameFactor = 3
            self.camera.descriptors = descriptors
            self.talker = Talker(client: self.publisher, mid: audio)
            self.talker.level = 30
        }

        func run() throws {
            let everybody = [self.publisher] + self.subscribers
            let isUp = self.call.run(upTo: .seconds(5)) { everybody.allSatisfy(\.isConnected) }
            try #require(isUp, "seed \(self.call.seed)")
            self.call.network.setImpairment(
                .init(loss: 0.01, delay: .microseconds(33_333), reordering: 0.02, duplication: 0.01),
                of: self.publisher.wireAddress
            )
            // Handshakes differ by a byte or two from run to run, so the narrow paths begin here.
            for (client, rate) in zip(self.subscribers, [600, 2_500]) {
                self.call.bottlenecks[client.address] = Bottleneck(rate: .kbps(Int64(rate)))
            }
            self.call.network.setImpairment(
                .init(loss: 0.03, delay: .milliseconds(20)),
                of: self.subscribers[2].wireAddress
            )
            for _ in 0..<40 {
                self.disturb()
                self.call.run(for: .milliseconds(200)) { now in
                    self.camera.film(in: self.call, at: now)
                    // Three at a time, as after a moment without air time.
                    guard now.nanoseconds / 60_000_000 % 2 == 0 else { return }
                    for _ in 0..<3 { self.talker.talk(in: self.call, at: now) }
                }
            }
        }

        private func disturb() {
            guard let (client, mid) = self.sections.randomElement(using: &self.random) else { return }
            let section = SectionReference(session: client.id, mid: mid)
            switch Int.random(in: 0..<6, using: &self.random) {
            case 0:
                self.call.router.setPaused(true, because: .subscriber, for: section, at: self.call.now)
            case 1, 2:
                self.call.router.setPaused(false, because: .subscriber, for: section, at: self.call.now)
            case 3:
                let width = [200, 400, 800, nil].randomElement(using: &self.random) ?? nil
                let preference = SubscriberPreference(maximumWidth: width)
                self.call.router.setPreference(preference, for: section, at: self.call.now)
            case 4: self.camera.payloadSize = Int.random(in: 650...1_100, using: &self.random)
            default:
                let rate = Int64.random(in: 300...4_000, using: &self.random)
                self.call.bottlenecks[self.subscribers[1].address]?.rate = .kbps(rate)
            }
        }

        func record(_ client: SimulatedClient) -> Record {
            var record = Record()
            record.packets = client.packets.map(PacketsLeaveTogetherTests.describe)
            record.packets += client.retransmissions.map(PacketsLeaveTogetherTests.describe)
            record.counts.append("padding \(client.paddingCount) \(client.paddingBytes)")
            record.counts.append("numbers \(client.transportSequences)")
            record.counts.append("\(self.call.statistics(of: client)?.outbound ?? [])")
            return record
        }
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>, Camera.Descriptors.allCases)
    func `packets that are forwarded together are those that would be forwarded one by one`(
        seed: UInt64,
        descriptors: Camera.Descriptors
    ) throws {
        let together = try Scene(seed: seed, goesTogether: true, descriptors: descriptors)
        let apart = try Scene(seed: seed, goesTogether: false, descriptors: descriptors)
        try together.run()
        try apart.run()
        let packetCount = together.subscribers.reduce(0) { $0 + $1.packets.count }
        #expect(together.call.router.packetsForwardedTogether > packetCount / 2, "seed \(seed)")
        #expect(apart.call.router.packetsForwardedTogether == 0, "seed \(seed)")
        let goesAlone = descriptors != .none && seed.isMultiple(of: 2)
        #expect(!goesAlone || together.call.router.packetsForwardedAlone > 100, "seed \(seed)")
        #expect(apart.call.router.packetsForwardedAlone == 0, "seed \(seed)")
        for (one, other) in zip(together.subscribers, apart.subscribers) {
            let (left, right) = (together.record(one), apart.record(other))
            #expect(left.packets.count > 500, "seed \(seed)")
            let described = one.packets.filter { !$0.descriptor.isEmpty }
            #expect(described.isEmpty == (descriptors == .none), "seed \(seed)")
            #expect(described.contains { $0.descriptor.count == 5 } == (descriptors == .own), "seed \(seed)")
            for (position, (packet, expected)) in zip(left.packets, right.packets).enumerated()
            where packet != expected {
                Issue.record("seed \(seed), subscriber \(one.id), packet \(position): \(packet), not \(expected)")
                break
            }
            #expect(left.packets.count == right.packets.count, "seed \(seed)")
            #expect(left.counts == right.counts, "seed \(seed)")
        }
    }
}
