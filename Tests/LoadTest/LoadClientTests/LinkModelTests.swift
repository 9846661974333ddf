import Basics
import LoadClient
import TestSupport
import Testing

@Suite struct LinkModelTests {
    private func profile(_ change: (inout LinkProfile) -> Void) -> LinkProfile {
        var profile = LinkProfile()
        change(&profile)
        return profile
    }

    /// Sends `count` datagrams, one a millisecond.
    private func run(_ profile: LinkProfile, seed: UInt64, count: Int, bytes: Int = 1_000) -> [Instant?] {
        var link = LinkModel(profile, seed: seed)
        return (0..<count).map { index in
            link.admit(byteCount: bytes, at: Instant(nanoseconds: Int64(index) * 1_000_000))
        }
    }

    @Test func `a link that does nothing delivers at once, on the next millisecond`() {
        #expect(LinkProfile().doesNothing)
        var link = LinkModel(LinkProfile(), seed: 1)
        #expect(link.admit(byteCount: 100, at: Instant(nanoseconds: 5_000_001)) == Instant(nanoseconds: 6_000_000))
    }

    @Test(arguments: [(0.02, 1.0), (0.1, 1.0), (0.02, 3.0), (0.1, 10.0)])
    func `losses are as frequent and as long as they should be`(loss: Double, burst: Double) {
        let profile = self.profile {
            $0.loss = loss
            $0.burst = burst
        }
        let seed: UInt64 = 7
        let arrivals = self.run(profile, seed: seed, count: 200_000)
        let lost = arrivals.count { $0 == nil }
        #expect(abs(Double(lost) / 200_000 - loss) < loss * 0.1, "seed \(seed): \(lost)")
        var bursts = 0
        for index in arrivals.indices where arrivals[index] == nil && (index == 0 || arrivals[index - 1] != nil) {
            bursts += 1
        }
        // Lost each by itself, two may still follow each other.
        let expected = burst > 1 ? burst : 1 / (1 - loss)
        #expect(abs(Double(lost) / Double(bursts) - expected) < expected * 0.1, "seed \(seed): \(bursts)")
    }

    @Test func `delay and jitter stay within their bounds, and the order is kept`() {
        let profile = self.profile {
            $0.delay = .milliseconds(40)
            $0.jitter = .milliseconds(20)
        }
        var last = Instant.zero
        var delays: Set<Int64> = []
        for (index, arrival) in self.run(profile, seed: 3, count: 10_000).enumerated() {
            guard let arrival else {
                Issue.record("a datagram was lost")
                continue
            }
            let delay = (arrival - Instant(nanoseconds: Int64(index) * 1_000_000)).count / 1_000_000
            delays.insert(delay)
            #expect((40...60).contains(delay))
            #expect(arrival >= last)
            last = arrival
        }
        #expect(delays.count > 10)
    }

    @Test func `bandwidth is what it should be, and the queue is bounded`() {
        let profile = self.profile {
            $0.bandwidth = .kbps(1_000)
            $0.queue = .milliseconds(100)
        }
        // 8 Mbit/s into 1 Mbit/s, for 10 s.
        let arrivals = self.run(profile, seed: 1, count: 10_000, bytes: 972)
        let delivered = arrivals.compactMap(\.self)
        #expect(abs(Double(delivered.count) * 8_000 / 10 - 1_000_000) < 20_000)
        for (index, arrival) in arrivals.enumerated() {
            guard let arrival else { continue }
            #expect((arrival - Instant(nanoseconds: Int64(index) * 1_000_000)).inMilliseconds <= 110)
        }
    }

    @Test func `the same seed makes the same losses, another one others`() {
        let profile = self.profile {
            $0.loss = 0.1
            $0.jitter = .milliseconds(5)
        }
        let first = self.run(profile, seed: 11, count: 1_000)
        #expect(first == self.run(profile, seed: 11, count: 1_000))
        #expect(first != self.run(profile, seed: 12, count: 1_000))
    }

    @Test func `everything lost is nothing delivered`() {
        for burst in [1.0, 5.0] {
            let profile = self.profile {
                $0.loss = 1
                $0.burst = burst
            }
            #expect(self.run(profile, seed: 1, count: 100).allSatisfy { $0 == nil })
        }
    }
}
