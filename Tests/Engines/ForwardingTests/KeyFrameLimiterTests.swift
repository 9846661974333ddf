import Basics
import Forwarding
import TestSupport
import Testing

@Suite("Key-frame requests to a publisher")
struct KeyFrameLimiterTests {
    private static func milliseconds(_ count: Int64) -> Instant { Instant(nanoseconds: count * 1_000_000) }

    @Test("the first passes at once; one too early is sent when the interval is over")
    func pending() {
        var limiter = KeyFrameLimiter()
        #expect(limiter.nextDeadline == nil)
        #expect(limiter.request(at: Self.milliseconds(0)) == true)
        #expect(limiter.nextDeadline == nil)
        #expect(limiter.request(at: Self.milliseconds(100)) == false)
        #expect(limiter.nextDeadline == Self.milliseconds(500))
        #expect(limiter.takePending(at: Self.milliseconds(499)) == false)
        #expect(limiter.takePending(at: Self.milliseconds(500)) == true)
        #expect(limiter.takePending(at: Self.milliseconds(500)) == false)
        #expect(limiter.request(at: Self.milliseconds(999)) == false)
        #expect(limiter.request(at: Self.milliseconds(1_000)) == true)
        #expect(limiter.nextDeadline == nil)
    }

    @Test("a key frame serves those who wait, but the interval goes on")
    func arrival() {
        var limiter = KeyFrameLimiter()
        #expect(limiter.request(at: Self.milliseconds(0)) == true)
        #expect(limiter.request(at: Self.milliseconds(100)) == false)
        limiter.keyFrameArrived()
        #expect(limiter.nextDeadline == nil)
        #expect(limiter.request(at: Self.milliseconds(200)) == false)
        #expect(limiter.takePending(at: Self.milliseconds(500)) == true)
    }

    @Test("A-52: 1,000 subscribers x 100 requests/s for 10 s reach the publisher twice a second, the first at once")
    func storm() throws {
        var random = SeededRandom(seed: 52)
        var limiter = KeyFrameLimiter()
        var sent: [Instant] = []
        for millisecond in 0..<10_000 as Range<Int64> {
            for _ in 0..<100 {
                let now = Instant(
                    nanoseconds: millisecond * 1_000_000 + Int64.random(in: 0..<10_000, using: &random)
                )
                if limiter.request(at: now) { sent.append(now) }
            }
            let end = Instant(nanoseconds: millisecond * 1_000_000 + 999_999)
            if limiter.takePending(at: end) { sent.append(end) }
            // The publisher answers after 80 ms.
            if let last = sent.last, (end - last).count / 1_000_000 == 80 { limiter.keyFrameArrived() }
        }
        #expect(try #require(sent.first) - .zero <= .milliseconds(50))
        #expect(sent.count <= 20)
        #expect(sent.count >= 19)
        for (earlier, later) in zip(sent, sent.dropFirst()) { #expect(later - earlier >= .milliseconds(500)) }
    }
}

@Suite("Retransmissions to a subscriber")
struct RetransmissionGateTests {
    private static func milliseconds(_ count: Int64) -> Instant { Instant(nanoseconds: count * 1_000_000) }

    @Test("no packet twice within a round trip")
    func roundTrip() {
        var gate = RetransmissionGate()
        func ask(_ sequence: Int64, _ time: Int64) -> RetransmissionDecision {
            gate.request(
                sequence,
                byteCount: 100,
                roundTripTime: .milliseconds(80),
                at: Self.milliseconds(time)
            )
        }
        #expect(ask(7, 0) == .send)
        #expect(ask(8, 0) == .send)
        #expect(ask(7, 79) == .tooSoon)
        #expect(ask(7, 80) == .send)
        #expect(gate.sentCount == 3)
    }

    @Test("A-51: whatever is asked, at most the burst and 15 % of what was sent is sent again")
    func budget() {
        var random = SeededRandom(seed: 51)
        var gate = RetransmissionGate(burst: 10_000)
        var mediaBytes = 0
        var refusals = 0
        for step in 0..<200_000 as Range<Int64> {
            if random.chance(0.3) {
                let count = Int.random(in: 50...1_200, using: &random)
                mediaBytes += count
                gate.mediaSent(byteCount: count)
            }
            let sequence = 70_000 + step / 4 - Int64.random(in: 0..<500, using: &random)
            let decision = gate.request(
                sequence,
                byteCount: 1_000,
                roundTripTime: .milliseconds(30),
                at: Self.milliseconds(step)
            )
            if decision == .overBudget { refusals += 1 }
        }
        #expect(gate.sentByteCount <= UInt64(10_000 + mediaBytes * 15 / 100))
        #expect(gate.sentByteCount >= UInt64(mediaBytes * 14 / 100))
        #expect(refusals > 0)
    }
}
