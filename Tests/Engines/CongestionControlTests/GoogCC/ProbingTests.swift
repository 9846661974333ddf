import Basics
import Testing

@testable import CongestionControl

@Suite("GCC: probes and application limits")
struct ProbingTests {
    private static func at(_ seconds: Double) -> Instant { Instant(nanoseconds: Int64(seconds * 1e9)) }

    private static func expect(
        _ probes: inout ProbeController,
        _ rate: Double?,
        location: SourceLocation = #_sourceLocation
    ) {
        let next = probes.takeNext()
        #expect(next == rate, sourceLocation: location)
    }

    /// A cluster of 15 packets of 1,000 bytes.
    private static func result(sendMilliseconds: Int64, arrivalMilliseconds: Int64, received: Int = 15) -> ProbeResult?
    {
        var estimator = ProbeBitrateEstimator()
        estimator.expect(ProbeCluster(id: 3, bitrate: .kbps(1_600), minimumBytes: 15_000, minimumPackets: 15))
        var result: ProbeResult?
        for index in 0..<Int64(received) {
            result = estimator.add(
                cluster: 3,
                send: index * sendMilliseconds * 1_000,
                arrival: 77_000 + index * arrivalMilliseconds * 1_000,
                byteCount: 1_000
            )
        }
        return result
    }

    @Test(
        "a cluster shows the lower of the rates, less 5 % if it met a queue",
        arguments: [(5, 7, 1_085_714.0), (10, 10, 800_000)] as [(Int64, Int64, Double)]
    )
    func rates(send: Int64, arrival: Int64, expected: Double) throws {
        let result = try #require(Self.result(sendMilliseconds: send, arrivalMilliseconds: arrival))
        #expect(abs(result.bitrate - expected) < 1)
    }

    @Test("a cluster that arrives at more than twice its rate, at once, or in part shows nothing")
    func rejected() {
        #expect(Self.result(sendMilliseconds: 10, arrivalMilliseconds: 1) == nil)
        #expect(Self.result(sendMilliseconds: 10, arrivalMilliseconds: 0) == nil)
        #expect(Self.result(sendMilliseconds: 0, arrivalMilliseconds: 10) == nil)
        #expect(Self.result(sendMilliseconds: 100, arrivalMilliseconds: 100) == nil)
        #expect(Self.result(sendMilliseconds: 10, arrivalMilliseconds: 10, received: 11) == nil)
        #expect(Self.result(sendMilliseconds: 10, arrivalMilliseconds: 10, received: 12) != nil)
    }

    @Test("packets of clusters that nobody sent show nothing")
    func unknown() {
        var estimator = ProbeBitrateEstimator()
        for index in 0..<100 as Range<Int64> {
            let result = estimator.add(cluster: 7, send: index * 1_000, arrival: index * 1_000, byteCount: 1_000)
            #expect(result == nil)
        }
    }

    @Test("a sender that uses a fifth of its estimate is application limited, until it uses all")
    func applicationLimit() throws {
        var detector = ALRDetector(estimate: 1e6)
        var entered: Double?
        var time = 0.0
        while time < 2, entered == nil {
            detector.sent(byteCount: 250, at: Self.at(time))
            if detector.isLimited { entered = time }
            time += 0.01
        }
        let start = try #require(entered)
        #expect(abs(start - 0.59) < 0.0101)
        var left: Double?
        while time < 4, left == nil {
            detector.sent(byteCount: 1_250, at: Self.at(time))
            if !detector.isLimited { left = time }
            time += 0.01
        }
        let end = try #require(left)
        #expect(abs(end - start - 0.29) < 0.0101)
    }

    @Test("the first probes are three and six times the start rate; good results call for twice as much")
    func initial() {
        var probes = ProbeController(start: 300e3, maximum: 30e6)
        Self.expect(&probes, nil)
        probes.start(at: .zero)
        Self.expect(&probes, 900e3)
        Self.expect(&probes, 1.8e6)
        Self.expect(&probes, nil)
        probes.setEstimate(1.2e6, limit: .delay, at: Self.at(0.1))
        Self.expect(&probes, nil)
        probes.setEstimate(1.3e6, limit: .delay, at: Self.at(0.2))
        Self.expect(&probes, 2.6e6)
        probes.advance(to: Self.at(1.3))
        probes.setEstimate(2.6e6, limit: .delay, at: Self.at(1.4))
        Self.expect(&probes, nil)
    }

    /// After the first probes; application limited since 2 s.
    private static func makeLimited(start: Double = 300e3) -> ProbeController {
        var probes = ProbeController(start: start, maximum: 30e6)
        probes.start(at: .zero)
        while probes.takeNext() != nil {}
        probes.advance(to: Self.at(2))
        probes.setALR(startedAt: Self.at(2), at: Self.at(2))
        return probes
    }

    @Test("while little is sent there is a probe every five seconds, bounded by twice what is wanted")
    func periodic() {
        var probes = Self.makeLimited()
        probes.advance(to: Self.at(6.9))
        Self.expect(&probes, nil)
        probes.advance(to: Self.at(7))
        Self.expect(&probes, 600e3)
        probes.setWanted(200e3, at: Self.at(8))
        probes.advance(to: Self.at(12))
        Self.expect(&probes, 400e3)
        for limit in [.delayIncrease, .loss, .roundTrip] as [ProbeController.Limit] {
            probes.setEstimate(300e3, limit: limit, at: Self.at(13))
            probes.advance(to: Self.at(20))
            Self.expect(&probes, nil)
        }
    }

    @Test("more is wanted while little is sent: one times and two times of it, at most twice the estimate")
    func allocation() {
        var probes = Self.makeLimited()
        probes.setWanted(400e3, at: Self.at(3))
        Self.expect(&probes, 400e3)
        Self.expect(&probes, 600e3)
    }

    @Test("what is wanted breathes: less than a tenth more is no news, and nothing is probed below the estimate")
    func breathing() {
        var probes = Self.makeLimited()
        probes.setWanted(400e3, at: Self.at(3))
        while probes.takeNext() != nil {}
        probes.advance(to: Self.at(4.5))
        probes.setWanted(430e3, at: Self.at(5))
        Self.expect(&probes, nil)
        probes.setWanted(450e3, at: Self.at(6))
        Self.expect(&probes, 450e3)
        while probes.takeNext() != nil {}
        probes.advance(to: Self.at(7.5))
        // A screen that stands still: twice 44 kbit/s would prove 88, of 300.
        probes.setWanted(44e3, at: Self.at(8))
        probes.advance(to: Self.at(20))
        Self.expect(&probes, nil)
    }

    @Test("while a goal is set nothing is probed for the sake of probing")
    func noPeriod() {
        var probes = Self.makeLimited()
        probes.advance(to: Self.at(20), isBeyondGoal: false)
        Self.expect(&probes, nil)
        probes.advance(to: Self.at(20))
        Self.expect(&probes, 600e3)
    }

    @Test("after a large drop, once the queue is empty, 85 % of what there was")
    func recovery() {
        var probes = Self.makeLimited(start: 1e6)
        probes.setEstimate(600e3, limit: .delay, at: Self.at(3))
        probes.recovered(at: Self.at(4))
        Self.expect(&probes, 850e3)
        probes.recovered(at: Self.at(5))
        Self.expect(&probes, nil)
    }
}
