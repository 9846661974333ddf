import Basics
import CongestionControl
import RTP
import TestSupport
import Testing

@Suite("Transport-wide feedback to a publisher")
struct TransportFeedbackRecorderTests {
    private static func milliseconds(_ count: Int64) -> Instant { Instant(nanoseconds: count * 1_000_000) }

    /// The 16-bit numbers of the window with whether each was received, and tells the recorder that they were reported.
    private static func report(_ recorder: inout TransportFeedbackRecorder, at now: Instant) -> [(UInt16, Bool)]? {
        guard let window = recorder.window(at: now) else { return nil }
        let end = window.firstSequence + Int64(window.count)
        let statuses = (window.firstSequence..<end).map {
            (UInt16(truncatingIfNeeded: $0), recorder.arrival(of: $0) != nil)
        }
        recorder.reported(before: end, at: now)
        return statuses
    }

    @Test("says nothing before the interval is over, then what came and what did not")
    func windows() throws {
        var recorder = TransportFeedbackRecorder()
        #expect(recorder.nextDeadline == .distantFuture)
        for (sequence, time) in [(10, 0), (11, 5), (14, 9)] as [(UInt16, Int64)] {
            recorder.received(SequenceNumber(sequence), at: Self.milliseconds(time))
        }
        #expect(recorder.window(at: Self.milliseconds(99)) == nil)
        #expect(recorder.nextDeadline == Self.milliseconds(100))
        let statuses = try #require(Self.report(&recorder, at: Self.milliseconds(100)))
        #expect(statuses.map(\.0) == [10, 11, 12, 13, 14])
        #expect(statuses.map(\.1) == [true, true, false, false, true])
        #expect(recorder.nextDeadline == .distantFuture)
        #expect(recorder.window(at: Self.milliseconds(500)) == nil)
    }

    @Test("reports again from a late packet on, but not one later than 500 ms")
    func latePackets() throws {
        var recorder = TransportFeedbackRecorder()
        for sequence in [1, 2, 5] as [UInt16] { recorder.received(SequenceNumber(sequence), at: Self.milliseconds(0)) }
        _ = Self.report(&recorder, at: Self.milliseconds(100))
        recorder.received(SequenceNumber(4), at: Self.milliseconds(110))
        let again = try #require(Self.report(&recorder, at: Self.milliseconds(210)))
        #expect(again.map(\.0) == [4, 5])
        recorder.received(SequenceNumber(3), at: Self.milliseconds(700))
        #expect(recorder.window(at: Self.milliseconds(900)) == nil)
        // A duplicate is nothing new.
        recorder.received(SequenceNumber(5), at: Self.milliseconds(900))
        #expect(recorder.nextDeadline == .distantFuture)
    }

    @Test("what one packet had no room for is due at once")
    func partialReports() {
        var recorder = TransportFeedbackRecorder()
        for sequence in 0..<100 as Range<UInt16> { recorder.received(SequenceNumber(sequence), at: .zero) }
        let now = Self.milliseconds(100)
        let first = recorder.window(at: now)?.firstSequence ?? 0
        recorder.reported(before: first + 40, at: now)
        #expect(recorder.nextDeadline == now)
        #expect(recorder.window(at: now) == TransportFeedbackWindow(firstSequence: first + 40, count: 60))
        var arrivals = [PacketArrival](repeating: PacketArrival(SequenceNumber(0), microseconds: nil), count: 50)
        var span = arrivals.mutableSpan
        let count = recorder.collect(at: now, into: &span)
        #expect(count == 50)
        #expect(arrivals.map(\.sequenceNumber.value) == Array(40..<90))
        #expect(arrivals.allSatisfy { $0.microseconds == 0 })
        recorder.reported(60, at: now)
        #expect(recorder.nextDeadline == .distantFuture)
    }

    @Test("a jump of more than 2^14 starts afresh; a shorter one keeps the last 2,048")
    func jumps() throws {
        var recorder = TransportFeedbackRecorder()
        recorder.received(SequenceNumber(0), at: .zero)
        recorder.received(SequenceNumber(10_000), at: .zero)
        #expect(recorder.resetCount == 0)
        #expect(try #require(Self.report(&recorder, at: Self.milliseconds(100))).count == 2_048)
        recorder.received(SequenceNumber(30_000), at: Self.milliseconds(100))
        #expect(recorder.resetCount == 1)
        #expect(try #require(Self.report(&recorder, at: Self.milliseconds(200))).map(\.0) == [30_000])
    }

    @Test("every number is reported as it was, over wraps, loss and reordering")
    func property() {
        var random = SeededRandom(seed: 5)
        var recorder = TransportFeedbackRecorder()
        var received: Set<Int64> = []
        var reported: [Int64: Bool] = [:]
        var base: Int64?
        var delayed: [Int64] = []
        for index in 0..<200_000 as Range<Int64> {
            let now = Instant(nanoseconds: index * 500_000)
            var arriving = [index]
            if index > 0, random.chance(0.05) {
                arriving = []
            } else if index > 0, random.chance(0.05) {
                delayed.append(index)
                arriving = []
            }
            if !delayed.isEmpty, random.chance(0.2) { arriving.append(delayed.removeFirst()) }
            for number in arriving {
                recorder.received(SequenceNumber(UInt16(truncatingIfNeeded: number + 65_000)), at: now)
                received.insert(number)
            }
            guard let window = recorder.window(at: now) else { continue }
            let origin = base ?? window.firstSequence
            base = origin
            for number in window.firstSequence..<(window.firstSequence + Int64(window.count)) {
                reported[number - origin] = recorder.arrival(of: number) != nil
            }
            recorder.reported(before: window.firstSequence + Int64(window.count), at: now)
        }
        #expect(reported.count > 199_000)
        let wrong = reported.filter { received.contains($0.key) != $0.value }
        #expect(wrong.isEmpty)
        #expect(recorder.resetCount == 0)
    }
}
