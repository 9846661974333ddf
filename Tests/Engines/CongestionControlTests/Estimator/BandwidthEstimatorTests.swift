import Basics
import CongestionControl
import RTP
import TestSupport
import Testing

@Suite("The bandwidth estimator")
struct BandwidthEstimatorTests {
    private static func at(_ seconds: Double) -> Instant { Instant(nanoseconds: Int64(seconds * 1e9)) }

    @Test("numbers follow each other from the first, and it sleeps while nothing is sent")
    func numbers() {
        var estimator = BandwidthEstimator(configuration: EstimatorConfiguration(firstSequence: 65_535), at: .zero)
        #expect(estimator.nextDeadline == .distantFuture)
        let first = estimator.sent(byteCount: 100, probe: 0, isPadding: false, at: .zero)
        let second = estimator.sent(byteCount: 100, probe: 0, isPadding: false, at: .zero)
        #expect(first.value == 65_535)
        #expect(second.value == 0)
        #expect(estimator.nextDeadline == Self.at(0.025))
        estimator.advance(to: Self.at(0.025))
        #expect(estimator.nextDeadline == Self.at(0.05))
        estimator.advance(to: Self.at(5))
        #expect(estimator.nextDeadline == .distantFuture)
    }

    @Test("finds the capacity from below and from above", arguments: [(300, 1_000), (1_500, 300)] as [(Int64, Int64)])
    func finds(start: Int64, capacity: Int64) {
        for rules in [EstimatorRules.sluice, .googCC] {
            var path = FeedbackPath(
                EstimatorConfiguration(start: .kbps(start), rules: rules),
                capacity: Double(capacity) * 1_000
            )
            path.run(30)
            let estimate = path.estimator.estimate
            let share = Double(estimate.bitrate.bitsPerSecond) / Double(capacity) / 1_000
            #expect(share > 0.7 && share < 1.3, "\(rules.rawValue): \(share)")
            #expect(estimate.source == .transportFeedback)
            #expect(estimate.roundTripTime ?? .zero > .milliseconds(40))
        }
    }

    @Test("stays within its minimum and maximum")
    func bounds() {
        let configuration = EstimatorConfiguration(start: .kbps(500), minimum: .kbps(200), maximum: .kbps(800))
        var path = FeedbackPath(configuration, capacity: 10e6)
        path.run(10)
        #expect(path.estimator.estimate.bitrate == .kbps(800))
        path.capacity = 20_000
        path.run(20)
        #expect(path.estimator.estimate.bitrate == .kbps(200))
    }

    /// 1.7 Mbit/s over a link of 3 Mbit/s, both known.
    private static func steady() -> FeedbackPath {
        var path = FeedbackPath(
            EstimatorConfiguration(start: .kbps(3_000), maximum: .kbps(3_000)),
            capacity: 3e6
        )
        path.run(10, rate: 1.7e6)
        return path
    }

    /// How long it takes until no more than `most` is thought to be carried, after the capacity has changed.
    private static func timeToFall(to most: Bitrate, in path: inout FeedbackPath, capacity: Double) -> Nanoseconds {
        path.capacity = capacity
        let before = path.now
        while path.estimator.estimate.bitrate > most, path.now < before + .seconds(2) { path.run(0.005, rate: 1.7e6) }
        return path.now - before
    }

    @Test("a link that becomes slower than what is sent is found in a quarter of a second, before its queue is long")
    func slower() {
        var path = Self.steady()
        // 50 ms until the next feedback and 25 ms of way are in it.
        let time = Self.timeToFall(to: .kbps(1_300), in: &path, capacity: 1e6)
        #expect(time <= .milliseconds(250), "\(time.inMilliseconds) ms")
        #expect(path.estimator.estimate.bitrate > .kbps(700))
    }

    @Test("one that falls to less than a few packets can tell is found by the other rules, in half a second")
    func muchSlower() {
        var path = Self.steady()
        let time = Self.timeToFall(to: .kbps(500), in: &path, capacity: 0.3e6)
        #expect(time <= .milliseconds(550), "\(time.inMilliseconds) ms")
    }

    @Test("a burst on a link that carries what is sent is no slower link, though it leaves the same queue")
    func burst() {
        var path = Self.steady()
        path.resetLowest()
        path.run(0.06, rate: 6e6)
        path.run(1, rate: 1.7e6)
        #expect(path.lowest > 1.7e6)
    }

    @Test(
        "frames in bursts, of which one comes late, are no slower link",
        arguments: [15, 25, 30] as [Int64],
        [30, 40, 50] as [Int64]
    )
    func lateFrame(perSecond: Int64, by milliseconds: Int64) {
        var path = Self.steady()
        path.framesApart = Nanoseconds(1_000_000_000 / perSecond)
        path.run(5, rate: 1.7e6)
        path.resetLowest()
        for _ in 0..<10 {
            path.late = (path.now, .milliseconds(milliseconds))
            path.run(0.3, rate: 1.7e6)
        }
        #expect(path.lowest > 1.7e6)
    }

    @Test("neither is a sender that sends half as much")
    func halfAsMuch() {
        var path = Self.steady()
        path.resetLowest()
        path.run(2, rate: 0.85e6)
        #expect(path.lowest > 1.7e6)
    }

    @Test("a drop of the capacity is a decrease below it, a drain, and then nearly all of it")
    func drop() {
        var path = FeedbackPath(EstimatorConfiguration(start: .kbps(2_000)), capacity: 3e6)
        path.run(15)
        path.capacity = 1.5e6
        var sawDrain = false
        for _ in 0..<20 {
            path.run(0.1)
            sawDrain = sawDrain || path.estimator.estimate.isDraining
        }
        #expect(sawDrain)
        path.run(3)
        let estimate = path.estimator.estimate
        #expect(!estimate.isDraining)
        #expect(estimate.bitrate > .kbps(800) && estimate.bitrate < .kbps(1_550))
        #expect(estimate.standingQueue ?? .zero < .milliseconds(30))
    }

    @Test("a path that was silent until nothing was sent any more is asked once a second, and found again")
    func silenceWithoutTraffic() {
        var path = FeedbackPath(EstimatorConfiguration(start: .kbps(1_000)), capacity: 3e6)
        path.estimator.setGoal(ProbeGoal(bitrate: .kbps(2_000), wanted: .kbps(2_000)), at: path.now)
        path.run(10)
        let before = path.estimator.estimate.bitrate
        path.capacity = 0
        path.run(5, feedback: false)
        #expect(path.estimator.estimate.bitrate == .kbps(30))
        // The allocator sends nothing at so little.
        path.capacity = 3e6
        path.answersQuestions = false
        path.run(10, rate: 0)
        #expect(path.questions >= 9 && path.questions <= 11, "\(path.questions)")
        #expect(path.estimator.estimate.bitrate == .kbps(30))
        path.answersQuestions = true
        path.run(3, rate: 0)
        #expect(path.estimator.estimate.bitrate.bitsPerSecond > before.bitsPerSecond / 2)
    }

    @Test("ten packets in a hundred lost at any rate are the path's own loss", arguments: [true, false])
    func inherentLoss(isKnown: Bool) {
        var rules = EstimatorRules.sluice
        if !isKnown { rules.remove(.inherentLoss) }
        var path = FeedbackPath(EstimatorConfiguration(start: .kbps(2_000), rules: rules), capacity: 4e6)
        path.lostEach = 7
        path.run(40)
        let bitrate = path.estimator.estimate.bitrate
        #expect(isKnown ? bitrate > .kbps(2_400) : bitrate < .kbps(2_000), "\(bitrate.bitsPerSecond)")
        #expect(abs(path.estimator.estimate.lossFraction - 1.0 / 7) < 0.05)
    }

    @Test("silence halves the rate again and again, with GCC after three seconds only", arguments: [true, false])
    func silence(isOurs: Bool) {
        var path = FeedbackPath(EstimatorConfiguration(rules: isOurs ? .sluice : .googCC), capacity: 2e6)
        path.run(10)
        let before = path.estimator.estimate.bitrate
        path.run(2, feedback: false)
        let during = path.estimator.estimate.bitrate
        #expect(isOurs ? during.bitsPerSecond < before.bitsPerSecond / 8 : during == before)
        path.run(3, feedback: false)
        #expect(path.estimator.estimate.bitrate < before)
        path.run(5)
        #expect(path.estimator.estimate.bitrate.bitsPerSecond > before.bitsPerSecond / 2)
    }

    @Test("another route begins with what arrived, and not above the start rate")
    func route() {
        var path = FeedbackPath(EstimatorConfiguration(start: .kbps(600)), capacity: 2e6)
        path.run(15)
        #expect(path.estimator.estimate.bitrate > .kbps(1_400))
        let now = path.now
        path.estimator.routeChanged(at: now)
        #expect(path.estimator.estimate.bitrate == .kbps(600))
        #expect(path.estimator.estimate.acknowledged == nil)
        path.run(0.2, rate: 100_000)
        path.run(10)
        #expect(path.estimator.estimate.bitrate > .kbps(1_200))
    }

    @Test("nothing is probed that nobody wants, and no probe goes beyond what is wanted")
    func goals() {
        var estimator = BandwidthEstimator(configuration: EstimatorConfiguration(), at: .zero)
        estimator.setGoal(.none, at: .zero)
        _ = estimator.sent(byteCount: 100, probe: 0, isPadding: false, at: .zero)
        #expect(estimator.nextProbe(at: .zero) == nil)
        estimator.setGoal(ProbeGoal(bitrate: .kbps(500), wanted: .kbps(400)), at: Self.at(1))
        _ = estimator.sent(byteCount: 100, probe: 0, isPadding: false, at: Self.at(1))
        var probes: [ProbeCluster] = []
        for tick in 0..<400 {
            let now = Self.at(1 + Double(tick) * 0.025)
            estimator.advance(to: now)
            while let probe = estimator.nextProbe(at: now) { probes.append(probe) }
        }
        #expect(!probes.isEmpty)
        #expect(probes.allSatisfy { $0.bitrate <= .kbps(800) && $0.minimumPackets >= 5 })
        #expect(Set(probes.map(\.id)).count == probes.count)
        estimator.setGoal(.none, at: Self.at(20))
        #expect(estimator.estimate.paddingRate == .zero)
        #expect(estimator.nextProbe(at: Self.at(40)) == nil)
    }
}

@Suite("The bandwidth estimator without transport-wide feedback")
struct EstimatorFallbackTests {
    private static func at(_ seconds: Double) -> Instant { Instant(nanoseconds: Int64(seconds * 1e9)) }

    @Test("REMB is the estimate, and is padded for while more is wanted")
    func receiverEstimate() {
        var estimator = BandwidthEstimator(configuration: EstimatorConfiguration(), at: .zero)
        estimator.sentUntracked(byteCount: 1_000, at: .zero)
        estimator.handleREMB(.kbps(700), at: .zero)
        #expect(estimator.estimate.bitrate == .kbps(700))
        #expect(estimator.estimate.source == .receiverEstimate)
        #expect(estimator.estimate.paddingRate == .zero)
        estimator.setGoal(ProbeGoal(bitrate: .kbps(2_000), wanted: .kbps(2_000)), at: .zero)
        #expect(estimator.estimate.paddingRate == .kbps(875))
        estimator.handleREMB(.zero, at: Self.at(1))
        #expect(estimator.estimate.bitrate == .kbps(700))
        estimator.handleReceiverReport(fractionLost: 0.2, packetCount: 100, roundTripTime: nil, at: Self.at(1))
        #expect(estimator.estimate.bitrate == .kbps(630))
        #expect(estimator.estimate.isCongested)
    }

    @Test("next to transport-wide feedback REMB is a cap, for 5 s")
    func cap() {
        var path = FeedbackPath(EstimatorConfiguration(), capacity: 2e6)
        path.run(10)
        path.estimator.handleREMB(.kbps(250), at: path.now)
        #expect(path.estimator.estimate.bitrate == .kbps(250))
        path.run(1)
        #expect(path.estimator.estimate.bitrate == .kbps(250))
        path.run(15)
        #expect(path.estimator.estimate.bitrate > .kbps(1_000))
    }

    @Test("reception reports alone move the rate by loss")
    func reports() {
        var estimator = BandwidthEstimator(configuration: EstimatorConfiguration(), at: .zero)
        func report(_ loss: Double, _ second: Double, roundTrip: Nanoseconds? = .milliseconds(80)) {
            estimator.handleReceiverReport(
                fractionLost: loss,
                packetCount: 50,
                roundTripTime: roundTrip,
                at: Self.at(second)
            )
        }
        report(0, 1)
        #expect(estimator.estimate.source == .receiverReports)
        #expect(estimator.estimate.bitrate == Bitrate(bitsPerSecond: 325_000))
        #expect(estimator.estimate.roundTripTime == .milliseconds(80))
        report(0.3, 2)
        #expect(estimator.estimate.bitrate == Bitrate(bitsPerSecond: 276_250))
        for nonsense in [Double.nan, -1, 2, .infinity] { report(nonsense, 3, roundTrip: Nanoseconds(.min)) }
        #expect(estimator.estimate.bitrate == Bitrate(bitsPerSecond: 276_250))
    }
}
