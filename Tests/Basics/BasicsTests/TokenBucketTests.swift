import Basics
import Testing

@Suite struct TokenBucketTests {
    private static func at(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }

    @Test func `a bucket gives its burst at once and its rate afterwards`() {
        var bucket = TokenBucket(perSecond: 2, burst: 5, at: Self.at(0))
        let atOnce = (0..<10).count { _ in bucket.take(at: Self.at(0)) }
        #expect(atOnce == 5)
        let later = (0..<10).count { _ in bucket.take(at: Self.at(1)) }
        #expect(later == 2)
        #expect(!bucket.isFull(at: Self.at(3)))
        #expect(bucket.isFull(at: Self.at(4)))
    }

    @Test func `several are taken together or not at all`() {
        var bucket = TokenBucket(perSecond: 1, burst: 5, at: Self.at(0))
        let isTaken = [3, 3, 2].map { bucket.take($0, at: Self.at(0)) }
        #expect(isTaken == [true, false, true])
    }

    @Test func `more than a bucket holds are had for a full one`() {
        var bucket = TokenBucket(perSecond: 1, burst: 5, at: Self.at(0))
        let isTaken = [100, 1].map { bucket.take($0, at: Self.at(0)) }
        #expect(isTaken == [true, false])
    }

    @Test func `a clock that goes back gives nothing`() {
        var bucket = TokenBucket(perSecond: 1, burst: 1, at: Self.at(10))
        let isTaken = [10, 5, 9].map { bucket.take(at: Self.at($0)) }
        #expect(isTaken == [true, false, false])
    }
}
