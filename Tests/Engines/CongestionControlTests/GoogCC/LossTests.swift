import Basics
import Testing

@testable import CongestionControl

@Suite("GCC: losses")
struct LossTests {
    /// 0.96 Mbit/s in packets of 1,200 bytes, every n-th one lost, the delay-based estimate at 1 Mbit/s.
    private static func steady(loss: Double) -> LossBasedEstimator {
        var estimator = LossBasedEstimator(maximum: 30e6)
        var debt = 0.0
        for feedback in 0..<600 as Range<Int64> {
            var received = 0.0
            for packet in 0..<5 as Range<Int64> {
                debt += loss
                let isLost = debt >= 1
                if isLost { debt -= 1 } else { received += 1 }
                estimator.add(
                    byteCount: 1_200,
                    lostShare: isLost ? 1 : 0,
                    wasLost: false,
                    send: (feedback * 5 + packet) * 10_000
                )
            }
            let acknowledged = 0.96e6 * (1 - loss)
            estimator.endFeedback(acknowledged: acknowledged, delayBased: 1e6, isApplicationLimited: false)
        }
        return estimator
    }

    @Test(
        "steady losses: what arrives is the floor",
        arguments: [(0, 1_000), (0.02, 980), (0.1, 864), (0.2, 800), (0.3, 700)] as [(Double, Double)]
    )
    func steadyLoss(loss: Double, kilobits: Double) throws {
        let result = try #require(Self.steady(loss: loss).result)
        #expect(abs(result.bitrate / 1_000 - kilobits) < kilobits * 0.05)
    }

    @Test("there is no result before three observations of 250 ms")
    func warmUp() {
        var estimator = LossBasedEstimator(maximum: 30e6)
        for packet in 0..<200 as Range<Int64> {
            estimator.add(byteCount: 1_200, lostShare: 0, wasLost: false, send: packet * 10_000)
            estimator.endFeedback(acknowledged: 0.9e6, delayBased: 1e6, isApplicationLimited: false)
            #expect((estimator.result == nil) == (packet < 75), "\(packet)")
        }
    }

    @Test("loss of a packet that came after all is taken back")
    func recovered() {
        var observations = LossObservations()
        observations.add(byteCount: 1_000, lostShare: 1, wasLost: false, send: 0)
        observations.add(byteCount: 1_000, lostShare: 0, wasLost: false, send: 100_000)
        observations.add(byteCount: 1_000, lostShare: 0, wasLost: true, send: 0)
        observations.add(byteCount: 1_000, lostShare: 0, wasLost: false, send: 300_000)
        let hasEnded = observations.endFeedback()
        #expect(hasEnded)
        #expect(observations.averageLoss == 0)
        #expect(observations.entries[0].kilobytes == 3)
    }

    @Test("reports of less than 2 % raise, of more than 10 % lower, and in between neither")
    func reports() {
        var control = LossRateControl(start: 1e6, minimum: 30e3, maximum: 30e6)
        func report(_ loss: Double, _ second: Int64) {
            control.report(
                fractionLost: loss,
                packetCount: 100,
                roundTripTime: .milliseconds(100),
                at: Instant(nanoseconds: second * 1_000_000_000)
            )
        }
        report(0.01, 1)
        #expect(control.bitrate == 1_081_000)
        report(0.05, 2)
        #expect(control.bitrate == 1_081_000)
        report(0.2, 3)
        #expect(abs(control.bitrate - 972_900) < 1)
        for nonsense in [-1, 1.5, Double.nan, .infinity] { report(nonsense, 4) }
        #expect(abs(control.bitrate - 972_900) < 1)
    }

    @Test("a handful of packets is no report; a decrease comes once per 300 ms and round trip")
    func reportBatches() {
        var control = LossRateControl(start: 1e6, minimum: 30e3, maximum: 30e6)
        func report(_ loss: Double, packets: Int, _ milliseconds: Int64) {
            control.report(
                fractionLost: loss,
                packetCount: packets,
                roundTripTime: .milliseconds(100),
                at: Instant(nanoseconds: milliseconds * 1_000_000)
            )
        }
        report(0.5, packets: 19, 1_000)
        #expect(control.bitrate == 1e6)
        report(0.5, packets: 1, 1_000)
        #expect(control.bitrate == 750e3)
        report(0.5, packets: 20, 1_399)
        #expect(control.bitrate == 750e3)
        report(0.5, packets: 20, 1_400)
        #expect(control.bitrate == 562_500)
    }

    @Test("a loss that nothing was reported since is forgotten after 6 s, and the rate stays within its limits")
    func memory() {
        var control = LossRateControl(start: 1e6, minimum: 30e3, maximum: 2e6)
        func at(_ second: Int64) -> Instant { Instant(nanoseconds: second * 1_000_000_000) }
        func report(_ loss: Double, _ second: Int64) {
            control.report(fractionLost: loss, packetCount: 100, roundTripTime: .zero, at: at(second))
        }
        for second in 1...30 { report(0.9, Int64(second)) }
        #expect(control.bitrate == 30e3)
        control.advance(to: at(36))
        #expect(control.lossFraction == 0.9)
        control.advance(to: at(37))
        #expect(control.lossFraction == 0)
        for second in 37...200 { report(0, Int64(second)) }
        #expect(control.bitrate == 2e6)
    }
}
