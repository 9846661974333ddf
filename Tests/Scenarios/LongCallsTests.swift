import Basics
import MediaControl
import MediaPlane
import Negotiation
import PeerSession
import RTP
import TestSupport
import Testing

@Suite struct LongCallsTests {
    @Test func `70,000 packets with loss go on through the wrap, and a late joiner reads them`() throws {
        let seed: UInt64 = 121
        let scene = try AudioCall(seed: seed)
        try scene.connect()
        // Starts below the wrap of the publisher's numbers; the subscribers' own wrap wherever theirs began.
        scene.talker = Talker(client: scene.publisher, mid: scene.uplink, firstSequence: 60_000)
        scene.talker.interval = .milliseconds(2)
        scene.call.network.setImpairment(.init(loss: 0.02, delay: .milliseconds(5)), of: scene.publisher.address)
        var heard = 0
        var late: SimulatedClient?
        var lateHeard = 0
        var highest: Int64 = 0
        var unwrapper = SequenceUnwrapper()
        var first: Int64?
        while scene.talker.sentCount < 70_000 {
            for _ in 0..<100 {
                // Ten at a time, 20 ms apart.
                let end = scene.call.now + .milliseconds(20)
                for step in 0..<10 {
                    scene.talker.talk(in: scene.call, at: scene.call.now + .milliseconds(Int64(2 * step)))
                }
                scene.call.run(for: end - scene.call.now, tick: .milliseconds(20))
            }
            for packet in scene.subscriber.packets {
                let number = unwrapper.unwrap(packet.header.sequenceNumber)
                first = first ?? number
                highest = max(highest, number)
            }
            heard += scene.subscriber.packets.count
            scene.subscriber.packets.removeAll()
            if let late {
                lateHeard += late.packets.count
                late.packets.removeAll()
            } else if scene.talker.sentCount > 66_000 {
                // The publisher's roll-over counter is 1 by now.
                let joiner = scene.call.addClient()
                let mid = joiner.add(.audio, direction: .receive)
                try scene.call.negotiate(joiner)
                try scene.call.bind(scene.publisher, scene.uplink, to: joiner, mid)
                late = joiner
            }
        }
        #expect(scene.isAlive)
        // Nothing was refused but what the network doubled: it doubles nothing.
        let counters = scene.call.router.currentCounters()
        #expect(counters.droppedInAuthentication == 0)
        #expect(heard > 67_000, "\(heard), seed \(seed)")
        #expect(highest - (first ?? 0) >= 69_900)
        let inbound = try #require(scene.call.statistics(of: scene.publisher)?.inbound.first)
        #expect((1_000...1_900).contains(inbound.packetsLost), "\(inbound.packetsLost), seed \(seed)")
        #expect(lateHeard > 2_000, "\(lateHeard), seed \(seed)")
        #expect(late?.isConnected == true)
    }

    @Test(arguments: [Int64(20), 120])
    func `reports tell the round trip, the loss and the jitter that the network makes`(oneWay: Int64) throws {
        let seed: UInt64 = 122
        let scene = try AudioCall(seed: seed)
        try scene.connect()
        let delay = Nanoseconds.milliseconds(oneWay)
        scene.call.network.setImpairment(
            .init(loss: 0.05, delay: delay, jitter: .milliseconds(8)),
            of: scene.subscriber.address
        )
        let listener = Listener(client: scene.subscriber, mid: scene.downlink, clockRate: 48_000)
        scene.talk(for: .seconds(30), tick: .milliseconds(5)) { listener.listen(in: scene.call, at: $0) }
        let outbound = try #require(scene.call.statistics(of: scene.subscriber)?.outbound.first)
        // Half of the jitter each way, on average.
        let expected = Double(2 * oneWay + 8) / 1_000
        let measured = try #require(outbound.roundTripTime)
        #expect(abs(measured - expected) < 0.2 * expected, "\(measured) s, seed \(seed)")
        #expect(outbound.packetsSent >= 1_490)
        let share = Double(outbound.packetsLost) / Double(outbound.packetsSent)
        #expect((0.03...0.07).contains(share), "\(share), seed \(seed)")
        // Uniform over 8 ms: two transits differ by 2.7 ms on average.
        #expect((0.001...0.005).contains(outbound.jitter), "\(outbound.jitter), seed \(seed)")
        #expect(listener.reports.count >= 15)
        // The publisher's way is clean, and its report says so.
        let inbound = try #require(scene.call.statistics(of: scene.publisher)?.inbound.first)
        #expect(inbound.packetsLost == 0)
        #expect(inbound.jitter < 0.006)
        // Counts of the sender reports are those of the packets, and their clock runs at 48 kHz.
        let first = try #require(listener.reports.first?.report)
        let last = try #require(listener.reports.last?.report)
        let seconds = last.ntpTime.seconds(since: first.ntpTime)
        #expect(abs(Double(last.rtpTimestamp &- first.rtpTimestamp) - seconds * 48_000) < 480)
        #expect(abs(Double(last.packetCount &- first.packetCount) - seconds * 50) <= 2)
        #expect(last.octetCount == last.packetCount * 80)
    }
}
