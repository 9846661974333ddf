import Basics
import CongestionControl
import MediaControl
import MediaPlane
import Negotiation
import RTP
import TestSupport
import Testing

/// Subscribers that answer with congestion control feedback (RFC 8888), over links that mark, clear or drop marks.
@Suite struct PacketsAreMarkedTests {
    /// One camera with three layers and one talker, and a subscriber that negotiated feedback by number.
    private final class Scene {
        let call: SimulatedCall
        let publisher: SimulatedClient
        let subscriber: SimulatedClient
        let mid: String
        var camera: Camera
        var talker: Talker

        init(seed: UInt64, isOffered: Bool = true, usesMarks: Bool = true) throws {
            self.call = SimulatedCall(
                impairment: .init(delay: .milliseconds(20)),
                seed: seed,
                usesMarks: usesMarks
            )
            self.publisher = self.call.addClient()
            let rids = ["q", "h", "f"]
            let uplink = self.publisher.add(.video, direction: .send, rids: rids)
            let audio = self.publisher.add(.audio, direction: .send)
            try self.call.negotiate(self.publisher)
            self.subscriber = self.call.addClient()
            self.subscriber.offer.offersCongestionControlFeedback = isOffered
            self.mid = self.subscriber.add(.video, direction: .receive)
            let audioMID = self.subscriber.add(.audio, direction: .receive)
            try self.call.negotiate(self.subscriber)
            try self.call.bind(self.publisher, uplink, to: self.subscriber, self.mid)
            try self.call.bind(self.publisher, audio, to: self.subscriber, audioMID)
            self.camera = Camera(client: self.publisher, mid: uplink, rids: rids)
            // About 150, 500 and 1,500 kbit/s.
            self.camera.packetsByLayer = [1, 3, 9]
            self.camera.payloadSize = 560
            self.camera.keyFrameFactor = 3
            self.talker = Talker(client: self.publisher, mid: audio)
        }

        func connect() throws {
            let isUp = self.call.run(upTo: .seconds(5)) { self.publisher.isConnected && self.subscriber.isConnected }
            try #require(isUp, "seed \(self.call.seed)")
        }

        func run(for duration: Nanoseconds) {
            self.call.run(for: duration) { now in
                self.camera.film(in: self.call, at: now)
                self.talker.talk(in: self.call, at: now)
            }
        }

        func setLink(capacity: Int64, marksFrom threshold: Int64?) {
            var link = LinkConfiguration(capacity: [(0, capacity)])
            link.markingThreshold = threshold
            self.call.network.setLink(link, to: self.subscriber.address, from: self.call.now)
        }

        var estimate: Bitrate? { self.call.statistics(of: self.subscriber)?.transport.availableOutgoingBitrate }
        var width: Int? {
            self.call.statistics(of: self.subscriber)?.outbound.first { $0.mid == self.mid }?.selection?.width
        }
        var counters: RouterCounters { self.call.router.currentCounters() }
    }

    @Test func `without transport-wide numbers the estimate grows, and the top layer is there within 3 s`() throws {
        let seed: UInt64 = 881
        let scene = try Scene(seed: seed)
        try scene.connect()
        scene.run(for: .seconds(3))
        #expect(scene.subscriber.transportSequences.isEmpty)
        #expect(scene.width == 1_280, "seed \(seed)")
        let estimate = try #require(scene.estimate)
        #expect(estimate > .kbps(1_500), "seed \(seed)")
        // The path lets marks be: all that leaves now has one.
        let counters = scene.counters
        let proven = counters.markedPathsCapable
        #expect(proven == 1)
        let before = scene.subscriber.marksReceived
        scene.run(for: .seconds(2))
        let after = scene.subscriber.marksReceived
        #expect(after[.notCapable] == before[.notCapable])
        #expect((after[.capable1] ?? 0) - (before[.capable1] ?? 0) > 300)
    }

    @Test func `a link that marks is known by its marks, and its rate is not exceeded`() throws {
        let seed: UInt64 = 882
        let scene = try Scene(seed: seed)
        try scene.connect()
        scene.run(for: .seconds(4))
        scene.setLink(capacity: 3_000_000, marksFrom: 5_000)
        scene.run(for: .seconds(10))
        #expect(scene.width == 1_280, "seed \(seed)")
        let estimate = try #require(scene.estimate)
        #expect(estimate > .kbps(1_600) && estimate <= .kbps(3_000), "\(estimate), seed \(seed)")
        let marks = scene.counters.congestionMarksOut
        let received = scene.subscriber.marksReceived[.congestionExperienced] ?? 0
        #expect(marks > 10, "seed \(seed)")
        // What came last may not have been reported yet.
        #expect(Int(marks) <= received && Int(marks) >= received - 20, "\(marks) of \(received), seed \(seed)")
    }

    @Test func `feedback by number follows a link without marks as well`() throws {
        let seed: UInt64 = 888
        let scene = try Scene(seed: seed, usesMarks: false)
        try scene.connect()
        scene.run(for: .seconds(4))
        scene.setLink(capacity: 1_000_000, marksFrom: 5_000)
        scene.run(for: .seconds(8))
        #expect(scene.width == 640, "seed \(seed)")
        #expect(try #require(scene.estimate) > .kbps(700), "seed \(seed)")
        scene.setLink(capacity: 5_000_000, marksFrom: nil)
        scene.run(for: .seconds(10))
        #expect(scene.width == 1_280, "seed \(seed)")
        #expect(Set(scene.subscriber.marksReceived.keys) == [.notCapable])
    }

    @Test func `on a path that clears marks the call goes on without them`() throws {
        let scene = try Scene(seed: 883)
        try scene.connect()
        scene.call.changesMark = { _ in .notCapable }
        scene.run(for: .seconds(4))
        let counters = scene.counters
        let (bleached, marked) = (counters.markedPathsBleached, counters.markedPacketsOut)
        #expect(bleached == 1)
        #expect(scene.width == 1_280)
        scene.run(for: .seconds(2))
        let markedLater = scene.counters.markedPacketsOut
        #expect(markedLater == marked)
    }

    @Test func `on a path that drops marked packets the picture comes, and they are given up`() throws {
        let scene = try Scene(seed: 884)
        try scene.connect()
        scene.call.changesMark = { $0 == .notCapable ? $0 : nil }
        scene.run(for: .seconds(12))
        let counters = scene.counters
        let (dropped, marked) = (counters.markedPathsDropped, counters.markedPacketsOut)
        #expect(dropped == 1)
        #expect(marked < 80)
        #expect(scene.width == 1_280)
        let before = scene.subscriber.packets.count
        scene.run(for: .seconds(2))
        #expect(scene.subscriber.packets.count - before > 500)
        let markedLater = scene.counters.markedPacketsOut
        #expect(markedLater == marked)
    }

    @Test func `nobody else's packets are marked`() throws {
        let scene = try Scene(seed: 885, isOffered: false)
        try scene.connect()
        scene.run(for: .seconds(3))
        #expect(Set(scene.subscriber.marksReceived.keys) == [.notCapable])
        #expect(!scene.subscriber.transportSequences.isEmpty)
        let marked = scene.counters.markedPacketsOut
        #expect(marked == 0)
    }

    @Test func `reports and handshakes are never marked`() throws {
        let scene = try Scene(seed: 886)
        var marked = 0
        scene.call.changesMark = { mark in
            if mark != .notCapable { marked += 1 }
            return mark
        }
        try scene.connect()
        #expect(marked == 0)
        scene.run(for: .seconds(5))
        // Each marked datagram was RTP: no report among them.
        #expect(marked > 0)
        let out = scene.counters.markedPacketsOut
        #expect(UInt64(marked) == out)
        #expect(!scene.subscriber.rtcp.isEmpty)
    }

    @Test func `a publisher that asked for it is told of its packets and their marks`() throws {
        let call = SimulatedCall(seed: 887, usesMarks: true)
        let publisher = call.addClient()
        publisher.offer.offersCongestionControlFeedback = true
        publisher.marksSent = .capable1
        let uplink = publisher.add(.video, direction: .send)
        try call.negotiate(publisher)
        #expect(call.run(upTo: .seconds(2)) { publisher.isConnected })
        var camera = Camera(client: publisher, mid: uplink)
        call.run(for: .seconds(2)) { camera.film(in: call, at: $0) }
        publisher.marksSent = .congestionExperienced
        call.run(for: .seconds(2)) { camera.film(in: call, at: $0) }
        call.run(for: .milliseconds(20))
        #expect(camera.feedbackReceived == 0)
        var told: [ECNMark: Set<UInt16>] = [:]
        var ssrcs: Set<SSRC> = []
        for bytes in publisher.rtcp {
            _ = forEachRTCPPacket(in: bytes.span.bytes) { view in
                view.congestionControlFeedback?.forEachPacket { report in
                    guard report.arrival != .none else { return }
                    told[report.mark, default: []].insert(report.sequenceNumber.value)
                    ssrcs.insert(report.ssrc)
                }
            }
        }
        #expect(ssrcs == [camera.layers[0].ssrc])
        let count = told.values.reduce(0) { $0 + $1.count }
        #expect(count <= camera.sentPackets && count >= camera.sentPackets - 16)
        #expect((told[.capable1]?.count ?? 0) > 200 && (told[.congestionExperienced]?.count ?? 0) > 200)
        let (marked, congested) = (
            call.router.currentCounters().markedPacketsIn, call.router.currentCounters().congestionMarksIn
        )
        #expect(Int(marked + congested) == camera.sentPackets)
    }
}
