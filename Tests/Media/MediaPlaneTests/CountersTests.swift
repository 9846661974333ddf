import Basics
import MediaPlane
import Testing

@Suite struct CountersTests {
    @Test(
        arguments: [
            (99_999, 0), (100_000, 0), (100_001, 1), (1_000_000, 3), (2_000_001, 5), (9_999_999, 6),
            (5_000_000_000, 14),
            (5_000_000_001, 15), (-5, 0),
        ] as [(Int64, Int)]
    )
    func `a duration falls into the bucket of its upper bound`(nanoseconds: Int64, bucket: Int) {
        var histogram = DurationHistogram()
        histogram.record(Nanoseconds(nanoseconds))
        #expect(histogram.buckets[bucket] == 1)
        #expect(histogram.count == 1)
        #expect(histogram.sumNanoseconds == UInt64(max(0, nanoseconds)))
        #expect(DurationHistogram.bounds.count == 15)
    }
}
