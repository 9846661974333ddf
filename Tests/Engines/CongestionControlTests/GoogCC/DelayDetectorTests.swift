import Basics
import Testing

@testable import CongestionControl

/// CONGESTION golden values: those of an independent implementation of the published algorithm.
@Suite("GCC: arrival groups and the trendline")
struct DelayDetectorTests {
    @Test(
        "groups of 10 ms that come later and later are an overuse",
        arguments: [(0.5, 36), (1, 24), (2, 21), (5, 21)]
    )
    func firstOveruse(growth: Double, group: Int) {
        var trendline = TrendlineEstimator()
        var arrival = 0.0
        var first: Int?
        for index in 1...60 where first == nil {
            arrival += 10 + growth
            let delta = ArrivalGroupDelta(sendMilliseconds: 10, arrivalMilliseconds: 10 + growth)
            trendline.add(delta, arrivalMilliseconds: arrival)
            if trendline.usage == .overusing { first = index }
        }
        #expect(first == group)
    }

    @Test("300 flat groups bring the threshold down to 6, and no overuse")
    func flat() {
        var trendline = TrendlineEstimator()
        for index in 1...300 {
            let delta = ArrivalGroupDelta(sendMilliseconds: 10, arrivalMilliseconds: 10)
            trendline.add(delta, arrivalMilliseconds: Double(index) * 10)
            #expect(trendline.usage == .normal)
        }
        #expect(abs(trendline.threshold - 6) < 1e-3)
    }

    @Test("there is no overuse before the second delta, and an underuse when delays shrink")
    func bounds() {
        var trendline = TrendlineEstimator()
        trendline.add(ArrivalGroupDelta(sendMilliseconds: 1, arrivalMilliseconds: 1_000), arrivalMilliseconds: 1_000)
        #expect(trendline.usage == .normal)
        trendline.reset()
        for index in 1...40 {
            let delta = ArrivalGroupDelta(sendMilliseconds: 10, arrivalMilliseconds: 8)
            trendline.add(delta, arrivalMilliseconds: Double(index) * 8)
        }
        #expect(trendline.usage == .underusing)
    }

    /// Adds packets (send, arrival, system in milliseconds) and returns the deltas.
    private static func deltas(
        _ packets: [(Double, Double, Double)],
        _ groups: inout InterArrivalDelta
    ) -> [ArrivalGroupDelta] {
        packets.compactMap { send, arrival, system in
            groups.add(send: Int64(send * 1_000), arrival: Int64(arrival * 1_000), system: Int64(system * 1_000))
        }
    }

    @Test("packets within 5 ms are one group, and deltas are between the last packets of groups")
    func grouping() {
        var groups = InterArrivalDelta()
        let packets =
            [(0, 100, 200), (5, 105, 205), (20, 121, 220), (24, 127, 225), (40, 145, 240)] as [(Double, Double, Double)]
        let deltas = Self.deltas(packets, &groups)
        #expect(deltas == [ArrivalGroupDelta(sendMilliseconds: 19, arrivalMilliseconds: 22)])
    }

    @Test("what arrives in one burst is one group, however far apart it left")
    func bursts() {
        var groups = InterArrivalDelta()
        let packets =
            [(0, 100, 200), (20, 150, 250), (40, 151, 251), (60, 152, 252), (80, 200, 300), (100, 220, 320)]
            as [(Double, Double, Double)]
        let deltas = Self.deltas(packets, &groups)
        // The second group spans three sends; the burst is over when a packet comes later than 5 ms after the last.
        #expect(deltas.first == ArrivalGroupDelta(sendMilliseconds: 60, arrivalMilliseconds: 52))
        #expect(deltas.count == 2)
    }

    @Test("packets from before the group are ignored")
    func overtaken() {
        var groups = InterArrivalDelta()
        let packets = [(0, 100, 200), (20, 120, 220), (10, 125, 225), (40, 140, 240)] as [(Double, Double, Double)]
        let deltas = Self.deltas(packets, &groups)
        #expect(deltas == [ArrivalGroupDelta(sendMilliseconds: 20, arrivalMilliseconds: 20)])
    }

    @Test("three times in a row a group that ended before the one before it: it starts afresh")
    func reordering() {
        var groups = InterArrivalDelta()
        // The second group ends with a packet that came before the first group; the third packet after it is too late for
        // the same burst.
        let packets =
            [(0, 100, 0), (20, 120, 0), (22, 60, 0), (40, 70, 0), (60, 80, 0), (80, 90, 0)]
            as [(Double, Double, Double)]
        #expect(Self.deltas(packets, &groups).isEmpty)
        // As new: the first delta comes with the third group.
        let fresh = [(200, 300, 0), (220, 320, 0), (240, 340, 0)] as [(Double, Double, Double)]
        #expect(Self.deltas(fresh, &groups) == [ArrivalGroupDelta(sendMilliseconds: 20, arrivalMilliseconds: 20)])
    }

    @Test("a jump of the receiver's clock by 3 s starts it afresh")
    func clockJump() {
        var groups = InterArrivalDelta()
        let packets =
            [(0, 100, 0), (20, 120, 20), (40, 3_141, 40), (60, 3_161, 60), (80, 3_181, 80), (100, 3_201, 100)]
            as [(Double, Double, Double)]
        let deltas = Self.deltas(packets, &groups)
        #expect(deltas.allSatisfy { $0.arrivalMilliseconds == 20 })
    }

    @Test("after 2 s without feedback what was seen of the delay is forgotten")
    func silence() {
        var detector = DelayBasedEstimator(start: 1e6, minimum: 5_000, maximum: 30e6)
        func feed(from start: Int64, growth: Int64) -> NetworkUsage {
            for index in 0..<40 as Range<Int64> {
                let now = Instant(nanoseconds: (start + index * 10) * 1_000_000)
                detector.beginFeedback(at: now)
                let send = (start + index * 10) * 1_000
                let packets = [ReceivedPacket(send: send, arrival: send + index * growth * 1_000)]
                detector.add(packets.span, at: now)
                _ = detector.endFeedback(DelayBasedEstimator.Input(acknowledged: 1e6), at: now)
            }
            return detector.usage
        }
        #expect(feed(from: 0, growth: 5) == .overusing)
        // A delay that has stayed high is not seen as another rise.
        #expect(feed(from: 2_500, growth: 0) == .normal)
    }
}
