import Basics
import Forwarding
import TestSupport
import Testing

@Suite("Asking a publisher for lost packets")
struct NACKGeneratorTests {
    private static func milliseconds(_ count: Int64) -> Instant { Instant(nanoseconds: count * 1_000_000) }

    private static func collect(
        _ generator: inout NACKGenerator,
        at now: Int64,
        roundTripTime: Int64 = 50,
        room: Int = 600
    ) -> [UInt16] {
        var buffer = [SequenceNumber](repeating: SequenceNumber(0), count: room)
        var span = buffer.mutableSpan
        let count = generator.collect(
            at: Self.milliseconds(now),
            roundTripTime: .milliseconds(roundTripTime),
            into: &span
        )
        return buffer[..<count].map(\.value)
    }

    @Test("asks after 10 ms, again each round trip, ten times, then gives up")
    func tries() {
        var generator = NACKGenerator()
        #expect(generator.received(100, isRecovered: false, at: .zero) == .inOrder)
        #expect(generator.nextDeadline == .distantFuture)
        #expect(generator.received(103, isRecovered: false, at: .zero) == .gap(2))
        #expect(generator.nextDeadline == Self.milliseconds(10))
        #expect(Self.collect(&generator, at: 9) == [])
        for attempt in 0..<10 as Range<Int64> {
            #expect(Self.collect(&generator, at: 10 + attempt * 50) == [101, 102], "\(attempt)")
            #expect(generator.nextDeadline == Self.milliseconds(60 + attempt * 50))
        }
        #expect(Self.collect(&generator, at: 510) == [])
        #expect(generator.nextDeadline == .distantFuture)
        #expect(generator.abandonedCount == 2)
    }

    @Test(
        "the time between tries is 20 to 400 ms",
        arguments: [(0, 20), (20, 20), (400, 400), (9_000, 400), (-5, 20)] as [(Int64, Int64)]
    )
    func retryTime(roundTripTime: Int64, wait: Int64) {
        var generator = NACKGenerator()
        generator.received(1, isRecovered: false, at: .zero)
        generator.received(3, isRecovered: false, at: .zero)
        _ = Self.collect(&generator, at: 10, roundTripTime: roundTripTime)
        #expect(generator.nextDeadline == Self.milliseconds(10 + wait))
    }

    @Test("a packet that comes is not asked for; the path's reordering is waited for next time")
    func reordering() {
        var generator = NACKGenerator()
        generator.received(1, isRecovered: false, at: .zero)
        generator.received(3, isRecovered: false, at: .zero)
        #expect(generator.received(2, isRecovered: false, at: Self.milliseconds(8)) == .filled)
        #expect(Self.collect(&generator, at: 10) == [])
        #expect(generator.reorderTime == .milliseconds(10))
        // 30 ms late: asked for in vain once, then waited for.
        generator.received(5, isRecovered: false, at: Self.milliseconds(100))
        #expect(Self.collect(&generator, at: 110) == [4])
        generator.received(4, isRecovered: false, at: Self.milliseconds(130))
        #expect(generator.reorderTime == .milliseconds(31))
        generator.received(7, isRecovered: false, at: Self.milliseconds(200))
        #expect(generator.nextDeadline == Self.milliseconds(231))
        #expect(generator.received(6, isRecovered: false, at: Self.milliseconds(201)) == .filled)
        #expect(generator.received(6, isRecovered: false, at: Self.milliseconds(202)) == .ignored)
    }

    @Test("what a retransmission brings teaches no reordering, and true loss unlearns it", arguments: [true, false])
    func retransmissionsDoNotTeach(hasRTX: Bool) {
        var generator = NACKGenerator()
        generator.received(0, isRecovered: false, at: .zero)
        generator.received(2, isRecovered: false, at: .zero)
        generator.received(1, isRecovered: false, at: Self.milliseconds(40))
        #expect(generator.reorderTime == .milliseconds(41))
        var time: Int64 = 1_000
        var sequence: Int64 = 4
        for _ in 0..<200 {
            generator.received(sequence, isRecovered: false, at: Self.milliseconds(time))
            _ = Self.collect(&generator, at: time + 60)
            generator.received(sequence - 1, isRecovered: hasRTX, at: Self.milliseconds(time + 115))
            sequence += 2
            time += 200
        }
        #expect(generator.reorderTime == .milliseconds(10))
    }

    /// Asked for at 10 and at 110 ms. 20 ms after that is too soon for an answer to the second request; 60 ms may be.
    @Test(
        "a retransmission tells the round trip, unless it may answer one of two requests",
        arguments: [(45, 35), (60, 50), (109, 99), (130, 120), (170, nil)] as [(Int64, Int64?)]
    )
    func roundTrip(arrival: Int64, expected: Int64?) {
        var generator = NACKGenerator()
        generator.received(0, isRecovered: false, at: .zero)
        generator.received(2, isRecovered: false, at: .zero)
        for time in 10...arrival { _ = Self.collect(&generator, at: time, roundTripTime: 100) }
        generator.received(1, isRecovered: true, at: Self.milliseconds(arrival))
        let measured = generator.takeRoundTripTime()
        #expect(measured == expected.map { .milliseconds($0) })
        let again = generator.takeRoundTripTime()
        #expect(again == nil)
    }

    @Test("a round trip that is longer than thought shows in that every packet is asked for twice")
    func longRoundTrip() {
        var generator = NACKGenerator()
        generator.received(0, isRecovered: false, at: .zero)
        var samples: [Nanoseconds?] = []
        for round in 0..<4 as Range<Int64> {
            let start = round * 1_000
            generator.received(2 + round * 2, isRecovered: false, at: Self.milliseconds(start))
            for time in start...(start + 170) { _ = Self.collect(&generator, at: time, roundTripTime: 100) }
            generator.received(1 + round * 2, isRecovered: true, at: Self.milliseconds(start + 170))
            samples.append(generator.takeRoundTripTime())
        }
        #expect(samples == [nil, nil, .milliseconds(160), .milliseconds(160)])
    }

    @Test("a gap of more than 512 empties the list; one of 512 fills it")
    func bounds() {
        var generator = NACKGenerator()
        generator.received(1_000, isRecovered: false, at: .zero)
        #expect(generator.received(1_513, isRecovered: false, at: .zero) == .gap(512))
        #expect(Self.collect(&generator, at: 10).count == 512)
        #expect(generator.received(1_514, isRecovered: false, at: .zero) == .inOrder)
        #expect(generator.received(2_028, isRecovered: false, at: .zero) == .reset)
        #expect(generator.nextDeadline == .distantFuture)
        #expect(generator.received(1_600, isRecovered: false, at: .zero) == .ignored)
    }

    @Test("a key frame empties what came before it")
    func keyFrame() {
        var generator = NACKGenerator()
        generator.received(10, isRecovered: false, at: .zero)
        generator.received(13, isRecovered: false, at: .zero)
        generator.received(16, isRecovered: false, at: .zero)
        generator.abandon(before: 15)
        #expect(Self.collect(&generator, at: 10) == [15])
        generator.abandon(before: 1_000_000)
        #expect(generator.nextDeadline == .distantFuture)
    }

    @Test("what the buffer had no room for stays due")
    func smallBuffer() {
        var generator = NACKGenerator()
        generator.received(0, isRecovered: false, at: .zero)
        generator.received(6, isRecovered: false, at: .zero)
        #expect(Self.collect(&generator, at: 10, room: 3) == [1, 2, 3])
        #expect(Self.collect(&generator, at: 10, room: 3) == [4, 5])
        #expect(Self.collect(&generator, at: 10, room: 3) == [])
    }

    /// wraps of 2^16; every lost packet is asked for, none that came.
    @Test("over loss and reordering: each lost packet is asked for, and no packet once it came")
    func property() {
        var random = SeededRandom(seed: 21)
        var generator = NACKGenerator()
        var queue: [(Int64, due: Int64)] = []
        var arrived: Set<Int64> = []
        var lost: Set<Int64> = []
        var asked: Set<Int64> = []
        var wrong = 0
        var buffer = [SequenceNumber](repeating: SequenceNumber(0), count: 64)
        for step in 0..<150_000 as Range<Int64> {
            let now = Self.milliseconds(step * 2)
            let sequence = step + 60_000
            if step > 0, random.chance(0.03) {
                lost.insert(sequence)
            } else {
                queue.append(
                    (sequence, due: step + (random.chance(0.05) ? Int64.random(in: 1...6, using: &random) : 0))
                )
            }
            while let index = queue.firstIndex(where: { $0.due <= step }) {
                let (number, _) = queue.remove(at: index)
                arrived.insert(number)
                generator.received(number, isRecovered: false, at: now)
            }
            guard now >= generator.nextDeadline else { continue }
            var span = buffer.mutableSpan
            let count = generator.collect(at: now, roundTripTime: .milliseconds(40), into: &span)
            for number in buffer[..<count].map(\.value) {
                // Nearest below the present one.
                let full = sequence - Int64(UInt16(truncatingIfNeeded: sequence) &- number)
                if arrived.contains(full) { wrong += 1 }
                asked.insert(full)
            }
        }
        #expect(wrong == 0)
        let neverAsked = lost.subtracting(asked).filter { $0 < 209_900 }
        #expect(neverAsked.isEmpty)
        // Reordering of up to 12 ms is learnt: few are asked for in vain.
        #expect(asked.subtracting(lost).count < 1_000)
    }
}
