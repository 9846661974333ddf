import Basics
import Testing

@testable import CongestionControl

@Suite("GCC: rate control")
struct RateControlTests {
    private static func at(_ seconds: Double) -> Instant { Instant(nanoseconds: Int64(seconds * 1e9)) }

    @Test(
        "near the capacity the rate grows by half a packet per response time",
        arguments: [
            (300e3, 200, 8_333.3), (2.5e6, 50, 30_864.2), (10e6, 50, 31_746.0), (100e3, 100, 8_333.3),
        ]
    )
    func nearMaximum(rate: Double, roundTrip: Int64, expected: Double) {
        var control = AIMDRateControl(start: rate, minimum: 5_000, maximum: 30e6)
        control.roundTripTime = .milliseconds(roundTrip)
        #expect(abs(control.nearMaximumIncrease - expected) < expected * 1e-3)
    }

    @Test("an overuse sets 85 % of what arrives; after it the rate grows slowly")
    func decrease() {
        var control = AIMDRateControl(start: 1e6, minimum: 5_000, maximum: 30e6)
        control.update(.overusing, throughput: 800e3, at: .zero)
        #expect(control.rate == 675_000)
        #expect(control.state == .hold)
        control.update(.normal, throughput: 800e3, at: Self.at(0.1))
        control.update(.normal, throughput: 800e3, at: Self.at(1.1))
        #expect(abs(control.rate - 687_500) < 687)
        #expect(control.state == .increase)
    }

    @Test("without a known capacity the rate grows by 8 % a second, to 1.5 times what arrives at most")
    func increase() {
        var control = AIMDRateControl(start: 1e6, minimum: 5_000, maximum: 30e6)
        control.update(.normal, throughput: 1e6, at: .zero)
        control.update(.normal, throughput: 1e6, at: Self.at(1))
        // The first update has no time to grow in, and takes the least step of 1 kbit/s.
        #expect(abs(control.rate - 1.08 * 1.001e6) < 1)
        for second in 2..<20 { control.update(.normal, throughput: 1e6, at: Self.at(Double(second))) }
        #expect(control.rate == 1.51e6)
        control.update(.underusing, throughput: 1e6, at: Self.at(20))
        #expect(control.state == .hold)
    }

    @Test("it is lowered once per round trip, or at once when less than half arrives")
    func interval() {
        var control = AIMDRateControl(start: 1e6, minimum: 5_000, maximum: 30e6)
        control.roundTripTime = .milliseconds(100)
        #expect(control.mayReduce(throughput: 900e3, at: .zero))
        control.update(.overusing, throughput: 900e3, at: .zero)
        #expect(!control.mayReduce(throughput: 700e3, at: Self.at(0.099)))
        #expect(control.mayReduce(throughput: 300e3, at: Self.at(0.099)))
        #expect(control.mayReduce(throughput: 700e3, at: Self.at(0.1)))
    }

    @Test("minimum and maximum hold")
    func clamps() {
        var control = AIMDRateControl(start: 1e6, minimum: 500e3, maximum: 1.1e6)
        control.set(5e6, at: .zero)
        #expect(control.rate == 1.1e6)
        control.update(.overusing, throughput: 1_000, at: Self.at(1))
        #expect(control.rate == 500e3)
    }

    @Test("link capacity: mean, deviation and bounds")
    func capacity() throws {
        var capacity = LinkCapacityEstimator()
        #expect(capacity.upperBound == .infinity)
        #expect(capacity.lowerBound == 0)
        capacity.overused(throughput: 1_000e3)
        #expect(abs(capacity.lowerBound - 940e3) < 1)
        #expect(abs(capacity.upperBound - 1_060e3) < 1)
        capacity.overused(throughput: 900e3)
        let estimate = try #require(capacity.estimate)
        #expect(abs(estimate - 995e3) < 1)
        #expect(abs(capacity.deviation - 0.8335) < 1e-4)
        #expect(abs(capacity.lowerBound - 908_605) < 100)
        #expect(abs(capacity.upperBound - 1_081_395) < 100)
        capacity.reset()
        #expect(capacity.estimate == nil)
    }

    @Test("the longer the queue, the lower a decrease goes", arguments: [(0, 1.08), (52, 1), (200, 0.63), (900, 0.6)])
    func drain(queue: Double, factor: Double) {
        #expect(abs(QueueDrain.factor(queueMilliseconds: queue) - factor) < 1e-9)
    }

    @Test("logarithm and exponential")
    func mathematics() {
        #expect(abs(Mathematics.logarithm(10) - 2.302_585_092_994_046) < 1e-13)
        #expect(abs(Mathematics.logarithm(1e-6) + 13.815_510_557_964_274) < 1e-12)
        #expect(Mathematics.logarithm(1) == 0)
        #expect(Mathematics.logarithm(0) == -.infinity)
        #expect(abs(Mathematics.exponential(1) - 2.718_281_828_459_045) < 1e-14)
    }
}
