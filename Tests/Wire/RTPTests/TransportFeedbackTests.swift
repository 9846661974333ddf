import Basics
import RTP
import TestSupport
import Testing

/// What one feedback packet says, flattened: `nil` = lost, else the time in microseconds.
struct Feedback: Equatable {
    var base: UInt16
    var count: UInt8
    var referenceMilliseconds: Int64
    var arrivals: [Int64?]
    var statusCalls: Int

    init?(_ bytes: [UInt8]) {
        var result: (UInt16, UInt8, Int64, [Int64?], Int)?
        _ = withExact(bytes) { bytes in
            forEachRTCPPacket(in: bytes) { packet in
                guard let feedback = packet.transportFeedback else { return }
                var clock = feedback.referenceTime
                var arrivals: [Int64?] = []
                var calls = 0
                var next = feedback.baseSequenceNumber
                feedback.forEachStatus { status in
                    calls += 1
                    switch status {
                    case .received(let sequence, let delta):
                        if sequence != next { Issue.record("out of order") }
                        clock = clock + delta
                        arrivals.append(clock.count / 1_000)
                        next = next.advanced(by: 1)
                    case .lost(let first, let count):
                        if first != next { Issue.record("out of order") }
                        arrivals += [Int64?](repeating: nil, count: count)
                        next = next.advanced(by: count)
                    }
                }
                result = (
                    feedback.baseSequenceNumber.value, feedback.feedbackCount, feedback.referenceTime.count / 1_000_000,
                    arrivals, calls
                )
            }
        }
        guard let result else { return nil }
        (self.base, self.count, self.referenceMilliseconds, self.arrivals, self.statusCalls) = result
    }
}

@Suite struct TransportFeedbackTests {
    /// The header of the draft's figure: base 5, `count` statuses, reference time 2 (128 ms), feedback 9.
    static func packet(count: Int, _ rest: String) -> [UInt8] {
        var bytes =
            hex("8fcd0000 00000001 00000002 0005") + [UInt8(count >> 8), UInt8(count & 255)] + hex("000002 09" + rest)
        while !bytes.count.isMultiple(of: 4) { bytes.append(0) }
        bytes[3] = UInt8(bytes.count / 4 - 1)
        return bytes
    }

    @Test(
        "the chunks of draft-holmer §3.1 are read",
        arguments: [
            // §3.1.3: a run of 221 lost packets, then a run of 24... here of 2 with one byte each.
            (221 + 2, "00dd 2002 04 08", [Int64?](repeating: nil, count: 221) + [129_000, 131_000]),
            // A run with two-byte deltas: 1,000 ticks, then back 4.
            (2, "4002 03e8 fffc", [378_000, 377_000]),
            // §3.1.4, one bit: 1 lost, 5 received, 3 lost, 3 received, 2 lost.
            (
                14, "9f1c 01 01 01 01 01 01 01 01",
                [
                    nil, 128_250, 128_500, 128_750, 129_000, 129_250, nil, nil, nil, 129_500, 129_750, 130_000, nil,
                    nil,
                ]
            ),
            // §3.1.4, two bits: 1 lost, 1 large, 4 small, 1 lost... cut off after 6 by the declared count.
            (6, "c954 0100 01 01 01 01", [nil, 192_000, 192_250, 192_500, 192_750, 193_000]),
            // A run cut off by the count, a run of none, and no statuses at all.
            (1, "3fff 04", [129_000]),
            (1, "0000 2001 04", [129_000]),
            (0, "", []),
            // What comes behind the deltas is not looked at.
            (1, "2001 04 ff ff ff ff ff", [129_000]),
        ] as [(Int, String, [Int64?])]
    )
    func read(count: Int, rest: String, expected: [Int64?]) {
        let feedback = Feedback(Self.packet(count: count, rest))
        #expect(feedback?.arrivals == expected)
        #expect(feedback?.base == 5 && feedback?.count == 9 && feedback?.referenceMilliseconds == 128)
    }

    @Test(
        "feedback that does not hold what it declares is refused",
        arguments: [
            (1, ""), (1, "0000 0000"), (15, "bfff 0101"), (8, "2008 010101"), (3, "4003 0001"), (65_535, "3fff 0000"),
            // The reserved symbol, in a run and in a vector.
            (1, "6001 0101 0101"), (2, "dc00 0101 0101"),
        ] as [(Int, String)]
    )
    func refuse(count: Int, rest: String) {
        let bytes = Self.packet(count: count, rest)
        #expect(Feedback(bytes) == nil)
        #expect(kinds(bytes) == [.transportFeedback] || kinds(bytes) == [.malformed])
    }

    @Test func `a reserved symbol beyond the count does not matter`() {
        #expect(Feedback(Self.packet(count: 1, "dc00 04"))?.arrivals == [129_000])
    }

    @Test func `65,535 lost packets in 18 bytes come as nine runs (A-51)`() {
        let feedback = Feedback(Self.packet(count: 65_535, "1fff 1fff 1fff 1fff 1fff 1fff 1fff 1fff 0007"))
        #expect(feedback?.arrivals.count == 65_535)
        #expect(feedback?.statusCalls == 9)
    }

    @Test func `the reference time is signed`() {
        var bytes = Self.packet(count: 1, "2001 00")
        bytes.replaceSubrange(16..<19, with: [0xFF, 0xFF, 0xFF])
        #expect(Feedback(bytes)?.referenceMilliseconds == -64)
    }

    @Test(
        "the builder chooses the chunk that fits",
        arguments: [
            ([0, 1, 2], "2003 00 04 04"),
            ([0, nil, 2], "d100 00 08"),
            ([0] + [Int64?](repeating: nil, count: 12) + [13], "a001 00 34"),
            ([0, 300], "d800 00 04b0"),
            ([300, 0], "d800 b0 fb50"),
            ([Int64?](repeating: nil, count: 100) + [1], "0064 2001 04"),
        ] as [([Int64?], String)]
    )
    func build(milliseconds: [Int64?], expected: String) {
        var builder = TransportFeedbackBuilder(senderSSRC: SSRC(1), mediaSSRC: SSRC(2), feedbackCount: 9)
        let arrivals = milliseconds.enumerated().map {
            // 128 ms is the reference time; 300 ms is 256 + 44.
            PacketArrival(SequenceNumber(UInt16(5 + $0.offset)), microseconds: $0.element.map { 128_000 + $0 * 1_000 })
        }
        let bytes = rtcp { writer in
            let taken = builder.append(arrivals.span, to: &writer)
            #expect(taken == arrivals.count)
        }
        let reference = milliseconds.compactMap(\.self).first.map { 2 + $0 / 64 } ?? 0
        var packet = Self.packet(count: arrivals.count, expected)
        packet[18] = UInt8(reference)
        #expect(bytes == packet)
    }

    @Test func `deltas beyond 8 s, numbers that go back and full buffers start another packet`() {
        var builder = TransportFeedbackBuilder(senderSSRC: SSRC(1), mediaSSRC: SSRC(2))
        let arrivals = [
            PacketArrival(SequenceNumber(1), microseconds: 0),
            PacketArrival(SequenceNumber(4), microseconds: 8_191_750),
            PacketArrival(SequenceNumber(6), microseconds: 16_383_750),
            PacketArrival(SequenceNumber(6), microseconds: 0),
        ]
        let first = rtcp { writer in
            let taken = builder.append(arrivals.span, to: &writer)
            #expect(taken == 2)
        }
        // Number 5 was left out and is reported although 6 has no place here.
        #expect(Feedback(first)?.arrivals == [0, nil, nil, 8_191_750, nil])
        let second = rtcp { writer in
            let taken = builder.append(arrivals.span.extracting(2...), to: &writer)
            #expect(taken == 1)
        }
        #expect(Feedback(second)?.count == 1 && Feedback(second)?.base == 6)
        for capacity in 0..<24 {
            let none = rtcp(capacity: capacity) { writer in
                let taken = builder.append(arrivals.span, to: &writer)
                #expect(taken == 0)
            }
            #expect(none.isEmpty)
        }
        #expect(builder.feedbackCount == 2)
    }

    @Test func `feedback about losses alone repeats the reference time`() {
        var builder = TransportFeedbackBuilder(senderSSRC: SSRC(1), mediaSSRC: SSRC(2))
        let received = [PacketArrival(SequenceNumber(1), microseconds: 640_000)]
        let lost = [PacketArrival(SequenceNumber(2), microseconds: nil)]
        _ = rtcp { _ = builder.append(received.span, to: &$0) }
        let bytes = rtcp { _ = builder.append(lost.span, to: &$0) }
        #expect(Feedback(bytes)?.referenceMilliseconds == 640 && Feedback(bytes)?.arrivals == [nil])
    }

    @Test func `times at the ends of their range do not trap`() {
        for time in [Int64.min, .min + 1, -1, 0, .max - 1, .max] {
            var builder = TransportFeedbackBuilder(senderSSRC: SSRC(1), mediaSSRC: SSRC(2))
            let arrivals = [Int64.min, time, .max].enumerated().map {
                PacketArrival(SequenceNumber(UInt16($0.offset)), microseconds: $0.element)
            }
            var taken = 0
            while taken < arrivals.count {
                var step = 0
                let bytes = rtcp { step = builder.append(arrivals.span.extracting(taken...), to: &$0) }
                #expect(step > 0 && Feedback(bytes) != nil)
                taken += max(step, 1)
            }
        }
    }

    @Test func `random arrivals come back to the quarter millisecond, in buffers of any size`() {
        let seed: UInt64 = 250
        var random = SeededRandom(seed: seed)
        for round in 0..<400 {
            var builder = TransportFeedbackBuilder(senderSSRC: SSRC(1), mediaSSRC: SSRC(2))
            var sequence = UInt16.random(in: 0 ... .max, using: &random)
            var time = Int64.random(in: 0...(1 << 40), using: &random)
            let (loss, jump, gap) = (
                Double.random(in: 0...1, using: &random), round % 5 == 0 ? 0.2 : 0.01, round % 40 == 6 ? 6 : round % 3
            )
            let arrivals = (0..<Int.random(in: 1...400, using: &random)).map { _ in
                sequence &+= UInt16(
                    1 + (random.chance(0.1) ? Int.random(in: 0...(gap * gap * 300), using: &random) : 0)
                )
                time +=
                    random.chance(jump)
                    ? .random(in: -300_000...9_000_000, using: &random) : .random(in: 0...20_000, using: &random)
                return PacketArrival(SequenceNumber(sequence), microseconds: random.chance(loss) ? nil : time)
            }
            var taken = 0
            while taken < arrivals.count {
                var step = 0
                let capacity = Int.random(in: 32...400, using: &random)
                let bytes = rtcp(capacity: capacity) {
                    step = builder.append(arrivals.span.extracting(taken...), to: &$0)
                }
                // A gap may need more chunks than the buffer has: then the packet ends before it.
                #expect(step > 0, "seed \(seed), round \(round)")
                guard step > 0, let feedback = Feedback(bytes) else {
                    Issue.record("seed \(seed), round \(round): refused")
                    return
                }
                let part = arrivals[taken..<(taken + step)]
                let base = part[taken].sequenceNumber
                #expect(feedback.base == base.value, "seed \(seed)")
                var reported = [Int64?](repeating: nil, count: feedback.arrivals.count)
                for arrival in part {
                    let place = Int(arrival.sequenceNumber.value &- base.value)
                    guard place < reported.count else {
                        Issue.record("seed \(seed), round \(round): \(place) of \(reported.count)")
                        return
                    }
                    reported[place] = arrival.microseconds
                }
                // The reference time has 24 bits only, so times count from the first one.
                let shift = feedback.arrivals.compactMap(\.self).first ?? 0
                let start = reported.compactMap(\.self).first ?? 0
                let wrong = zip(feedback.arrivals, reported).filter { read, sent in
                    guard let read, let sent else { return (read == nil) != (sent == nil) }
                    return abs((read - shift) - (sent - start)) > 250
                }
                #expect(wrong.isEmpty, "seed \(seed), round \(round)")
                taken += step
            }
        }
    }
}
