import Basics
import MediaPlane
import Testing

@Suite struct CountersTests {
    @Test(
        arguments: [
            (1_999, 0), (2_000, 0), (2_001, 1), (20_000, 3), (99_999, 5), (100_001, 6), (10_000_000, 11),
            (50_000_000, 12), (50_000_001, 13), (-5, 0),
        ] as [(Int64, Int)]
    )
    func `a duration falls into the bucket of its upper bound`(nanoseconds: Int64, bucket: Int) {
        var histogram = DurationHistogram<ForwardingScale>()
        histogram.record(Nanoseconds(nanoseconds))
        #expect(histogram.buckets[bucket] == 1)
        #expect(histogram.count == 1)
        #expect(histogram.sumNanoseconds == UInt64(max(0, nanoseconds)))
    }

    /// What `MetricDefinitions` promises: a worker's histogram replaces the empty one with these buckets.
    @Test func `packets are timed in microseconds, handshakes in milliseconds`() {
        #expect(
            DurationHistogram<ForwardingScale>.bounds == [
                0.000_002, 0.000_005, 0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005,
                0.01, 0.05,
            ]
        )
        #expect(
            DurationHistogram<HandshakeScale>.bounds == [
                0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
            ]
        )
    }

    @Test func `counters are read as they were published`() {
        var counters = RouterCounters()
        counters.socketErrors.networkUnreachable = 7
        counters.forwardDuration.record(.milliseconds(3))
        #expect(counters.socketErrors.byName.map(\.count) == [0, 0, 0, 0, 0, 0, 7, 0, 0])
        #expect(counters.socketErrors.byName.map(\.name).last == "other")
        #expect(counters.forwardDuration.buckets[10] == 1)
    }
}
