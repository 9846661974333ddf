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
        limiter.keyFrameArrived()
        #expect(limiter.nextDeadline == nil)
        #expect(limiter.request(at: Self.milliseconds(100)) == false)
        #expect(limiter.nextDeadline == Self.milliseconds(500))
        #expect(limiter.takePending(at: Self.milliseconds(499)) == false)
        #expect(limiter.takePending(at: Self.milliseconds(500)) == true)
        limiter.keyFrameArrived()
        #expect(limiter.takePending(at: Self.milliseconds(500)) == false)
        #expect(limiter.request(at: Self.milliseconds(999)) == false)
        #expect(limiter.request(at: Self.milliseconds(1_000)) == true)
        #expect(limiter.nextDeadline == nil)
    }

    @Test("what no key frame comes after is asked for again after 250 ms, then every 500 ms")
    func unanswered() {
        var limiter = KeyFrameLimiter()
        func sent(upTo end: Int64) -> [Int64] {
            (0..<end).filter { time in
                let isNew = time % 100 == 0 && limiter.request(at: Self.milliseconds(time))
                return isNew || limiter.takePending(at: Self.milliseconds(time))
            }
        }
        #expect(sent(upTo: 1_500) == [0, 250, 750, 1_250])
        limiter.keyFrameArrived()
        #expect(limiter.request(at: Self.milliseconds(1_749)) == false)
        #expect(limiter.request(at: Self.milliseconds(1_750)) == true)
        // The next loss is another one.
        #expect(limiter.request(at: Self.milliseconds(1_800)) == false)
        #expect(limiter.nextDeadline == Self.milliseconds(2_000))
    }

    @Test(
        "one that may wait is sent with the next that may not, or when its patience is over; a key frame serves it too"
    )
    func patience() {
        let wait = Nanoseconds.milliseconds(300)
        var limiter = KeyFrameLimiter()
        #expect(limiter.request(at: Self.milliseconds(0), patience: wait) == false)
        #expect(limiter.nextDeadline == Self.milliseconds(300))
        // Whoever comes later makes nobody wait longer.
        #expect(limiter.request(at: Self.milliseconds(200), patience: wait) == false)
        #expect(limiter.takePending(at: Self.milliseconds(299)) == false)
        #expect(limiter.takePending(at: Self.milliseconds(300)) == true)
        limiter.keyFrameArrived()
        #expect(limiter.request(at: Self.milliseconds(400), patience: wait) == false)
        #expect(limiter.nextDeadline == Self.milliseconds(800))
        limiter.keyFrameArrived()
        #expect(limiter.nextDeadline == nil)
        #expect(limiter.request(at: Self.milliseconds(900), patience: wait) == false)
        #expect(limiter.request(at: Self.milliseconds(950)) == true)
        #expect(limiter.nextDeadline == nil)
        // A patient one changes nothing for an impatient one that came too early.
        limiter.keyFrameArrived()
        #expect(limiter.request(at: Self.milliseconds(1_000)) == false)
        #expect(limiter.request(at: Self.milliseconds(1_300), patience: wait) == false)
        #expect(limiter.nextDeadline == Self.milliseconds(1_450))
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

    @Test(
        "A-52: 1,000 subscribers x 100 requests/s for 10 s reach the publisher twice a second, the first at once",
        arguments: [true, false]
    )
    func storm(isAnswered: Bool) throws {
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
            if isAnswered, let last = sent.last, (end - last).count / 1_000_000 == 80 { limiter.keyFrameArrived() }
        }
        #expect(try #require(sent.first) - .zero <= .milliseconds(50))
        #expect(sent.count <= (isAnswered ? 20 : 21))
        #expect(sent.count >= 19)
        for (earlier, later) in zip(sent, sent.dropFirst()).dropFirst(isAnswered ? 0 : 1) {
            #expect(later - earlier >= .milliseconds(500))
        }
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
