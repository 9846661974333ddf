import Basics
import CongestionControl
import TestSupport
import Testing

@Suite("Transport-wide feedback from a subscriber")
struct TransportFeedbackHistoryTests {
    private static func milliseconds(_ count: Int64) -> Instant { Instant(nanoseconds: count * 1_000_000) }

    @Test("pairs send and arrival times, and counts each loss once, until it proves late")
    func acknowledge() throws {
        var history = TransportFeedbackHistory(firstSequence: 65_535)
        var numbers: [SequenceNumber] = []
        for index in 0..<3 {
            numbers.append(history.send(byteCount: 1_000 + index, at: Self.milliseconds(Int64(index) * 10)))
        }
        #expect(numbers.map(\.value) == [65_535, 0, 1])
        let acknowledged = history.acknowledge(SequenceNumber(0), arrivalMicroseconds: 77)
        let sample = try #require(acknowledged)
        #expect(sample.sendMicroseconds == 10_000)
        #expect(!sample.wasLost)
        #expect(sample.arrivalMicroseconds == 77)
        #expect(sample.byteCount == 1_001)
        #expect(history.acknowledge(SequenceNumber(0), arrivalMicroseconds: 78) == nil)
        #expect(history.acknowledge(SequenceNumber(1), arrivalMicroseconds: nil) != nil)
        #expect(history.acknowledge(SequenceNumber(1), arrivalMicroseconds: nil) == nil)
        #expect(history.lostCount == 1)
        #expect(history.acknowledge(SequenceNumber(1), arrivalMicroseconds: 90) != nil)
        #expect(history.lostCount == 0)
        #expect(history.acknowledgedCount == 2)
    }

    @Test("ignores what was never sent, or too long ago", arguments: [0, 5, 106, 40_000, 65_535] as [UInt16])
    func unknownNumbers(sequence: UInt16) {
        var history = TransportFeedbackHistory(firstSequence: 6)
        #expect(history.acknowledge(SequenceNumber(sequence), arrivalMicroseconds: 1) == nil)
        for _ in 0..<100 { _ = history.send(byteCount: 1, at: .zero) }
        #expect(history.acknowledge(SequenceNumber(sequence), arrivalMicroseconds: 1) == nil)
        for _ in 0..<20_000 { _ = history.send(byteCount: 1, at: .zero) }
        #expect(history.acknowledge(SequenceNumber(6), arrivalMicroseconds: 1) == nil)
    }

    @Test("the ring grows while feedback is outstanding, and stays small without any")
    func growth() {
        var silent = TransportFeedbackHistory()
        for step in 0..<5_000 as Range<Int64> { _ = silent.send(byteCount: 1, at: Self.milliseconds(step)) }
        #expect(silent.window == 512)
        var history = TransportFeedbackHistory()
        let first = history.send(byteCount: 1, at: Self.milliseconds(0))
        _ = history.acknowledge(first, arrivalMicroseconds: 1)
        for step in 1..<3_000 as Range<Int64> { _ = history.send(byteCount: Int(step), at: Self.milliseconds(step)) }
        #expect(history.window == 4_096)
        let early = history.acknowledge(first.advanced(by: 700), arrivalMicroseconds: 1)
        #expect(early?.byteCount == 700)
        #expect(early?.sendMicroseconds == 700_000)
        for step in 3_000..<20_000 as Range<Int64> { _ = history.send(byteCount: 1, at: Self.milliseconds(step)) }
        #expect(history.window == TransportFeedbackHistory.capacity)
    }

    @Test("what a lost feedback would have told of is counted once")
    func lostFeedback() {
        var history = TransportFeedbackHistory(firstSequence: 1)
        for step in 0..<30 as Range<Int64> { _ = history.send(byteCount: 100, at: Self.milliseconds(step)) }
        #expect(history.beginFeedback(SequenceNumber(1), count: 10) == 0)
        #expect(history.beginFeedback(SequenceNumber(16), count: 5) == 500)
        #expect(history.beginFeedback(SequenceNumber(16), count: 5) == 0)
        #expect(history.beginFeedback(SequenceNumber(21), count: 5) == 0)
        #expect(history.beginFeedback(SequenceNumber(50_000), count: 5) == 0)
    }

    @Test("a run of lost packets counts what was sent of it", arguments: [(0, 0), (3, 3), (65_535, 8), (-1, 0)])
    func lostRuns(count: Int, expected: UInt64) {
        var history = TransportFeedbackHistory(firstSequence: 65_530)
        for _ in 0..<10 { _ = history.send(byteCount: 1, at: .zero) }
        for _ in 0..<2 { history.lost(first: SequenceNumber(65_532), count: count) }
        #expect(history.lostCount == expected)
    }

    @Test("takes the round-trip time from the newest packet of a feedback")
    func roundTripTime() {
        var history = TransportFeedbackHistory()
        let first = history.send(byteCount: 1, at: Self.milliseconds(0))
        let second = history.send(byteCount: 1, at: Self.milliseconds(60))
        _ = history.acknowledge(second, arrivalMicroseconds: 2)
        _ = history.acknowledge(first, arrivalMicroseconds: 1)
        history.feedbackEnded(at: Self.milliseconds(100))
        #expect(history.roundTripTime == .milliseconds(40))
        history.feedbackEnded(at: Self.milliseconds(900))
        #expect(history.roundTripTime == .milliseconds(40))
    }

    @Test("keeps its 32-bit microseconds right over their wrap (71 minutes)")
    func microsecondWrap() {
        var history = TransportFeedbackHistory()
        let start = Instant(nanoseconds: 4_294_967_296_000 - 10_000_000)
        let number = history.send(byteCount: 1, at: start)
        _ = history.acknowledge(number, arrivalMicroseconds: 1)
        history.feedbackEnded(at: start + .milliseconds(30))
        #expect(history.roundTripTime == .milliseconds(30))
    }

    @Test("random feedback never stops it, and counts stay within what was sent")
    func randomFeedback() {
        var random = SeededRandom(seed: 9)
        var history = TransportFeedbackHistory(firstSequence: 60_000)
        var sent: UInt64 = 0
        for step in 0..<100_000 as Range<Int64> {
            if random.chance(0.5) {
                _ = history.send(byteCount: Int.random(in: 0...3_000, using: &random), at: Self.milliseconds(step))
                sent += 1
            }
            let arrival = random.chance(0.5) ? Int64(bitPattern: random.next()) : nil
            _ = history.acknowledge(
                SequenceNumber(UInt16.random(in: 0...65_535, using: &random)),
                arrivalMicroseconds: arrival
            )
        }
        #expect(history.acknowledgedCount + history.lostCount <= sent)
        #expect(history.acknowledgedCount > 0)
    }
}

@Suite("REMB and the RTCP timer")
struct ReceiverEstimateTests {
    @Test("an estimate is forgotten after 5 s")
    func estimate() {
        var estimate = ReceiverEstimate()
        #expect(estimate.current(at: .zero) == nil)
        estimate.received(.kbps(500), at: .zero)
        #expect(estimate.current(at: Instant(nanoseconds: 5_000_000_000)) == .kbps(500))
        #expect(estimate.current(at: Instant(nanoseconds: 5_000_000_001)) == nil)
    }

    @Test("reports are 0.5 to 1.5 s apart and one second in the mean")
    func schedule() {
        var random = SeededRandom(seed: 1)
        var schedule = RTCPSchedule(at: .zero)
        #expect(schedule.nextDeadline == Instant(nanoseconds: 500_000_000))
        var last = schedule.nextDeadline
        let start = last
        for _ in 0..<10_000 {
            #expect(schedule.takeDue(at: Instant(nanoseconds: last.nanoseconds - 1), using: &random) == false)
            let isDue = schedule.takeDue(at: last, using: &random)
            let gap = schedule.nextDeadline - last
            guard isDue, gap >= .milliseconds(500), gap <= .milliseconds(1_500) else {
                Issue.record("gap \(gap.inMilliseconds) ms")
                return
            }
            last = schedule.nextDeadline
        }
        #expect(abs((last - start).inSeconds / 10_000 - 1) < 0.02)
    }
}
