import Basics
import Testing

@testable import CongestionControl

@Suite("A receiver that promised feedback, and sends none")
struct FeedbackAbsenceTests {
    private static func at(_ seconds: Double) -> Instant { Instant(nanoseconds: Int64(seconds * 1e9)) }

    /// A subscriber that is sent a packet each 20 ms, and reports each second from `reportsFrom` on.
    private static func bitrate(
        after seconds: Int,
        reportsFrom: Int,
        loss: Double = 0,
        maximum: Bitrate = .kbps(30_000)
    ) -> BandwidthEstimate {
        var estimator = BandwidthEstimator(configuration: EstimatorConfiguration(maximum: maximum), at: .zero)
        for tick in 0..<seconds * 50 {
            let now = Self.at(Double(tick) / 50)
            _ = estimator.sent(byteCount: 1_000, probe: 0, isPadding: false, at: now)
            if tick % 50 == 0, tick / 50 >= reportsFrom {
                estimator.handleReceiverReport(fractionLost: loss, packetCount: 50, roundTripTime: nil, at: now)
            }
            estimator.advance(to: now)
        }
        return estimator.estimate
    }

    @Test("is held at the first guess for 2 s of reports, and then sent as much as one that promised nothing")
    func reportsAlone() {
        #expect(Self.bitrate(after: 3, reportsFrom: 1).bitrate < .kbps(400))
        let after = Self.bitrate(after: 4, reportsFrom: 1)
        #expect(after.bitrate >= .kbps(4_000))
        #expect(after.source == .receiverReports)
    }

    @Test("and that sends no reports either, for 6 s")
    func nothing() {
        #expect(Self.bitrate(after: 5, reportsFrom: .max).bitrate == .kbps(300))
        #expect(Self.bitrate(after: 7, reportsFrom: .max).bitrate == .kbps(4_000))
    }

    @Test("and reports loss, is not")
    func loss() { #expect(Self.bitrate(after: 10, reportsFrom: 0, loss: 0.05).bitrate == .kbps(300)) }

    @Test("gets no more than the operator allows")
    func cap() { #expect(Self.bitrate(after: 10, reportsFrom: 0, maximum: .kbps(1_000)).bitrate == .kbps(1_000)) }

    @Test("falls with the loss that it reports then")
    func falls() {
        var estimator = BandwidthEstimator(configuration: EstimatorConfiguration(), at: .zero)
        for tick in 0..<600 {
            let now = Self.at(Double(tick) / 50)
            _ = estimator.sent(byteCount: 1_000, probe: 0, isPadding: false, at: now)
            let loss = tick < 200 ? 0 : 0.4
            if tick % 50 == 0 {
                estimator.handleReceiverReport(fractionLost: loss, packetCount: 50, roundTripTime: nil, at: now)
            }
            estimator.advance(to: now)
        }
        #expect(estimator.estimate.bitrate < .kbps(1_000))
    }

    @Test("has not promised in vain if feedback has come once: silence then means that nothing gets through")
    func silence() {
        var path = FeedbackPath(EstimatorConfiguration(), capacity: 1e6)
        path.run(3)
        for _ in 0..<10 {
            path.run(1, rate: 100_000, feedback: false)
            path.estimator.handleReceiverReport(fractionLost: 0, packetCount: 50, roundTripTime: nil, at: path.now)
        }
        #expect(path.estimator.estimate.source == .transportFeedback)
        #expect(path.estimator.estimate.bitrate < .kbps(100))
    }

    @Test("begins at no more than that on another path, not at the first guess again")
    func route() {
        var estimator = BandwidthEstimator(configuration: EstimatorConfiguration(), at: .zero)
        for tick in 0..<250 {
            let now = Self.at(Double(tick) / 50)
            _ = estimator.sent(byteCount: 1_000, probe: 0, isPadding: false, at: now)
            if tick % 50 == 0 {
                estimator.handleReceiverReport(fractionLost: 0, packetCount: 50, roundTripTime: nil, at: now)
            }
            estimator.advance(to: now)
        }
        estimator.routeChanged(at: Self.at(5))
        #expect(estimator.estimate.bitrate == .kbps(4_000))
    }
}
