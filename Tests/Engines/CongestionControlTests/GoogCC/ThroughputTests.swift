import Basics
import Testing

@testable import CongestionControl

@Suite("GCC: what arrives, and how long it takes")
struct ThroughputTests {
    @Test("needs ten packets, then gives their rate")
    func steady() throws {
        var estimator = RobustThroughputEstimator()
        for index in 0..<9 as Range<Int64> {
            estimator.add(send: index * 10_000, arrival: index * 10_000, byteCount: 1_250)
        }
        let early = estimator.bitrate
        #expect(early == nil)
        for index in 9..<200 as Range<Int64> {
            estimator.add(send: index * 10_000, arrival: index * 10_000 + 30_000, byteCount: 1_250)
        }
        let measured = estimator.bitrate
        let bitrate = try #require(measured)
        #expect(abs(bitrate - 1e6) < 1)
    }

    @Test("one gap in the arrivals is no lower rate, and a burst no higher one")
    func gap() throws {
        var estimator = RobustThroughputEstimator()
        for index in 0..<100 as Range<Int64> {
            // 200 ms of packets come together.
            let arrival = index >= 50 && index < 70 ? 700_000 + index * 10 : index * 10_000
            estimator.add(send: index * 10_000, arrival: arrival, byteCount: 1_250)
        }
        let measured = estimator.bitrate
        let bitrate = try #require(measured)
        #expect(abs(bitrate - 1e6) < 15_000)
    }

    @Test("the lower of sending and receiving counts")
    func slower() throws {
        var estimator = RobustThroughputEstimator()
        for index in 0..<200 as Range<Int64> {
            estimator.add(send: index * 5_000, arrival: index * 10_000, byteCount: 1_250)
        }
        let measured = estimator.bitrate
        let bitrate = try #require(measured)
        #expect(abs(bitrate - 1e6) < 20_000)
    }

    @Test("a clock that is set back by more than a second starts it afresh")
    func reset() {
        var estimator = RobustThroughputEstimator()
        for index in 0..<20 as Range<Int64> {
            estimator.add(send: index * 10_000, arrival: 5_000_000 + index * 10_000, byteCount: 1_000)
        }
        let before = estimator.bitrate
        #expect(before != nil)
        estimator.add(send: 200_000, arrival: 1_000, byteCount: 1_000)
        let after = estimator.bitrate
        #expect(after == nil)
    }

    @Test("a round trip of more than 3 s lowers the rate by a fifth a second")
    func backoff() {
        var backoff = RoundTripBackoff()
        func at(_ seconds: Double) -> Instant { Instant(nanoseconds: Int64(seconds * 1e9)) }
        backoff.received(propagation: .milliseconds(100), at: at(0))
        backoff.lastSentAt = at(2.8)
        backoff.check(rate: 1e6, floor: 5_000, at: at(2.8))
        #expect(backoff.ceiling == nil)
        backoff.lastSentAt = at(3)
        backoff.check(rate: 1e6, floor: 5_000, at: at(3))
        #expect(backoff.ceiling == 800e3)
        backoff.check(rate: 800e3, floor: 5_000, at: at(3.9))
        #expect(backoff.ceiling == 800e3)
        backoff.check(rate: 800e3, floor: 5_000, at: at(4))
        #expect(backoff.ceiling == 640e3)
        for second in 5..<60 { backoff.check(rate: 10_000, floor: 5_000, at: at(Double(second))) }
        #expect(backoff.ceiling == 5_000)
        backoff.received(propagation: .milliseconds(100), at: at(61))
        #expect(backoff.ceiling == nil)
    }
}
