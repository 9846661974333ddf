import Basics
import Testing

@testable import CongestionControl

@Suite("A receiver that promised feedback, and sends none")
struct FeedbackAbsenceTests {
    /// A subscriber that is sent a packet each 20 ms and reports each second, both while it is so wanted.
    private struct Subscriber: ~Copyable {
        var estimator: BandwidthEstimator
        var ticks = 0
        var reports = true
        var loss = 0.0
        var isSending = true

        init(maximum: Bitrate = .kbps(30_000), video: Bool = true) {
            self.estimator = BandwidthEstimator(configuration: EstimatorConfiguration(maximum: maximum), at: .zero)
            self.estimator.videoIs(sent: video)
        }

        var now: Instant { Instant(nanoseconds: Int64(self.ticks) * 20_000_000) }

        mutating func run(seconds: Int) {
            for _ in 0..<seconds * 50 {
                self.ticks += 1
                if self.isSending {
                    _ = self.estimator.sent(byteCount: 1_000, probe: 0, isPadding: false, at: self.now)
                }
                if self.reports, self.ticks % 50 == 0 {
                    self.estimator.handleReceiverReport(
                        fractionLost: self.loss,
                        packetCount: 50,
                        roundTripTime: nil,
                        at: self.now
                    )
                }
                self.estimator.advance(to: self.now)
            }
        }
    }

    @Test("is held at the first guess for 2 s of reports, and then sent as much as one that promised nothing")
    func reportsAlone() {
        var subscriber = Subscriber()
        subscriber.run(seconds: 2)
        #expect(subscriber.estimator.estimate.bitrate < .kbps(400))
        subscriber.run(seconds: 2)
        #expect(subscriber.estimator.estimate.bitrate >= .kbps(4_000))
        #expect(subscriber.estimator.estimate.source == .receiverReports)
    }

    @Test("and that sends no reports either, for 6 s")
    func nothing() {
        var subscriber = Subscriber()
        subscriber.reports = false
        subscriber.run(seconds: 5)
        #expect(subscriber.estimator.estimate.bitrate == .kbps(300))
        subscriber.run(seconds: 2)
        #expect(subscriber.estimator.estimate.bitrate == .kbps(4_000))
    }

    @Test("and reports loss, is held there")
    func loss() {
        var subscriber = Subscriber()
        subscriber.loss = 0.05
        subscriber.run(seconds: 10)
        #expect(subscriber.estimator.estimate.bitrate == .kbps(300))
    }

    @Test("gets no more than the operator allows")
    func cap() {
        var subscriber = Subscriber(maximum: .kbps(1_000))
        subscriber.run(seconds: 10)
        #expect(subscriber.estimator.estimate.bitrate == .kbps(1_000))
    }

    @Test("falls with the loss that it reports, however long there was none")
    func falls() {
        var subscriber = Subscriber()
        subscriber.run(seconds: 120)
        #expect(subscriber.estimator.estimate.bitrate == .kbps(30_000))
        subscriber.loss = 0.4
        subscriber.run(seconds: 10)
        #expect(subscriber.estimator.estimate.bitrate < .kbps(5_000))
    }

    @Test("is asked nothing by probes, which it would not answer")
    func probes() {
        var subscriber = Subscriber()
        subscriber.run(seconds: 4)
        let goal = Bitrate.kbps(20_000)
        subscriber.estimator.setGoal(ProbeGoal(bitrate: goal, wanted: goal), at: subscriber.now)
        for _ in 0..<10 {
            subscriber.run(seconds: 1)
            #expect(subscriber.estimator.nextProbe(at: subscriber.now) == nil)
        }
    }

    @Test("is not taken for one by its reports of sound, nor by what was sent long ago")
    func silenceOfOurs() {
        var sound = Subscriber(video: false)
        sound.run(seconds: 10)
        #expect(sound.estimator.estimate.bitrate < .kbps(1_000))
        var paused = Subscriber()
        paused.run(seconds: 1)
        paused.isSending = false
        paused.run(seconds: 20)
        paused.isSending = true
        paused.run(seconds: 1)
        #expect(paused.estimator.estimate.bitrate < .kbps(4_000))
        paused.run(seconds: 3)
        #expect(paused.estimator.estimate.bitrate >= .kbps(4_000))
    }

    @Test("whose video was paused for its loss gets it again, though it has nothing to report about meanwhile")
    func comesBack() {
        var subscriber = Subscriber()
        subscriber.run(seconds: 4)
        subscriber.loss = 0.5
        subscriber.run(seconds: 10)
        #expect(subscriber.estimator.estimate.isCongested)
        subscriber.reports = false
        // Something is wanted, or nothing would be looked at.
        let goal = Bitrate.kbps(2_000)
        subscriber.estimator.setGoal(ProbeGoal(bitrate: goal, wanted: goal), at: subscriber.now)
        subscriber.isSending = false
        subscriber.run(seconds: 8)
        #expect(!subscriber.estimator.estimate.isCongested)
    }

    @Test("is taken for what it is until it answers after all")
    func answers() {
        var path = FeedbackPath(EstimatorConfiguration(), capacity: 3e6)
        path.estimator.videoIs(sent: true)
        path.run(7, rate: 500_000, feedback: false)
        #expect(path.estimator.estimate.source == .receiverReports)
        #expect(path.estimator.estimate.bitrate == .kbps(4_000))
        path.run(1, rate: 500_000)
        #expect(path.estimator.estimate.source == .transportFeedback)
        #expect(path.estimator.estimate.bitrate < .kbps(4_000))
    }

    @Test("has not promised in vain if feedback has come once: silence then means that nothing gets through")
    func silence() {
        var path = FeedbackPath(EstimatorConfiguration(), capacity: 1e6)
        path.estimator.videoIs(sent: true)
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
        var subscriber = Subscriber()
        subscriber.run(seconds: 5)
        subscriber.estimator.routeChanged(at: subscriber.now)
        #expect(subscriber.estimator.estimate.bitrate == .kbps(4_000))
        // Before anything is clear, the wait begins anew.
        var other = Subscriber()
        other.reports = false
        other.run(seconds: 5)
        other.estimator.routeChanged(at: other.now)
        other.run(seconds: 4)
        #expect(other.estimator.estimate.bitrate == .kbps(300))
    }
}
