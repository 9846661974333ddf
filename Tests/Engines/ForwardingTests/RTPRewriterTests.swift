import Basics
import Forwarding
import TestSupport
import Testing

/// A rewriter with a first source 0 at sequence 1,000 and timestamp 50,000.
private func startedRewriter(kind: MediaKind = .video, seed: UInt64 = 1) -> RTPRewriter {
    var random = SeededRandom(seed: seed)
    var rewriter = RTPRewriter(kind: kind, clockRate: 90_000, using: &random)
    _ = rewriter.switchSource(to: 0, sequence: 1_000, timestamp: 50_000, referenceTimestamp: nil, at: .zero)
    return rewriter
}

extension RTPRewriter {
    fileprivate mutating func send(
        _ sequence: Int64,
        source: Int = 0,
        timestamp: UInt32 = 50_000,
        marker: Bool = true,
        at now: Instant = .zero
    ) -> RewrittenPacket? {
        self.rewrite(source: source, sequence: sequence, timestamp: timestamp, marker: marker, at: now)
    }

    fileprivate mutating func mustSend(
        _ sequence: Int64,
        source: Int = 0,
        timestamp: UInt32 = 50_000,
        marker: Bool = true
    ) throws -> RewrittenPacket {
        let sent = self.send(sequence, source: source, timestamp: timestamp, marker: marker)
        return try #require(sent)
    }
}

@Suite("Rewritten sequence numbers")
struct RTPRewriterSequenceTests {
    @Test("start at random below 2^15, so that the roll-over counter starts at zero")
    func start() throws {
        var starts: Set<Int64> = []
        for seed in 0..<200 as Range<UInt64> {
            var rewriter = startedRewriter(seed: seed)
            starts.insert(try rewriter.mustSend(1_000).sequence)
        }
        #expect(starts.allSatisfy { (1..<32_768).contains($0) })
        #expect(starts.count > 190)
    }

    @Test("gaps between packets that are left out do not add up", arguments: [2, 1_000, 2_047, 2_048, 2_049, 30_000])
    func gapsAddUp(step: Int64) throws {
        var rewriter = startedRewriter()
        var last = try rewriter.mustSend(1_000).sequence
        var sequence: Int64 = 1_000
        for round in 0..<30_000 {
            sequence += step
            _ = rewriter.leaveOut(source: 0, sequence: sequence)
            guard round % 10_000 == 9_999 else { continue }
            sequence += 1
            #expect(rewriter.isInOrder(source: 0, sequence: sequence))
            let next = try rewriter.mustSend(sequence).sequence
            #expect((1...RTPRewriter.windowSize + 2).contains(next - last), "round \(round)")
            last = next
        }
    }

    @Test("packets that are rewritten together are those that are rewritten one by one")
    func together() throws {
        for seed in 0..<30 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            var together = startedRewriter(seed: seed)
            var apart = together
            var sequence: Int64 = 1_000
            var timestamp: UInt32 = .max - 40_000
            for round in 0..<200 {
                let now = Instant.zero + .milliseconds(Int64(round) * 20)
                let count = Int.random(in: 1...20, using: &random)
                let steps = (0..<count).map { _ in UInt32.random(in: 0...2, using: &random) * 960 }
                let marker = random.chance(0.5)
                #expect(together.isInOrder(source: 0, sequence: sequence))
                var one: RewrittenPacket?
                for (place, step) in steps.enumerated() {
                    timestamp &+= step
                    let isLast = place == count - 1 && marker
                    let sent = apart.send(sequence + Int64(place), timestamp: timestamp, marker: isLast, at: now)
                    let other = try #require(sent)
                    if place == 0 {
                        one = together.send(sequence, timestamp: timestamp, marker: isLast, at: now)
                        #expect(one == other, "seed \(seed)")
                    }
                    let first = try #require(one)
                    #expect(other.sequence == first.sequence + Int64(place), "seed \(seed)")
                    #expect(other.timestamp == timestamp &+ together.timestampOffset, "seed \(seed)")
                }
                together.rewriteNext(count - 1, lastTimestamp: timestamp, marker: marker, at: now)
                sequence += Int64(count)
                // What is late, what is lost, and where all came from.
                if random.chance(0.3) { sequence += Int64.random(in: 1...90, using: &random) }
                let late = sequence - Int64.random(in: 1...80, using: &random)
                let (lateOne, lateOther) = (together.send(late, at: now), apart.send(late, at: now))
                #expect(lateOne == lateOther, "seed \(seed)")
                #expect(!together.isInOrder(source: 0, sequence: late) || late == sequence - 1)
                for behind in 0..<50 as Range<Int64> {
                    let number = SequenceNumber(UInt16(truncatingIfNeeded: together.highestOutgoing - behind))
                    #expect(together.source(of: number) == apart.source(of: number), "seed \(seed)")
                }
                if random.chance(0.1) {
                    let reference = timestamp &+ 3_000
                    let back = together.switchSource(
                        to: 0,
                        sequence: sequence,
                        timestamp: reference,
                        referenceTimestamp: nil,
                        at: now
                    )
                    let expected = apart.switchSource(
                        to: 0,
                        sequence: sequence,
                        timestamp: reference,
                        referenceTimestamp: nil,
                        at: now
                    )
                    #expect(back == expected, "seed \(seed)")
                    timestamp = reference
                }
                sequence = max(sequence, late + 1)
            }
        }
    }

    @Test("what is left out closes up; what is late has its place; what was sent is not sent again")
    func gaps() throws {
        var rewriter = startedRewriter()
        let first = try rewriter.mustSend(1_000).sequence
        rewriter.leaveOut(source: 0, sequence: 1_001)
        rewriter.leaveOut(source: 0, sequence: 1_002)
        #expect(rewriter.send(1_003)?.sequence == first + 1)
        // 1,004 and 1,005 are late, 1,006 is left out while they are.
        rewriter.leaveOut(source: 0, sequence: 1_006)
        #expect(rewriter.send(1_007)?.sequence == first + 4)
        #expect(rewriter.send(1_005)?.sequence == first + 3)
        #expect(rewriter.send(1_004)?.sequence == first + 2)
        for sequence in [999, 1_000, 1_001, 1_002, 1_003, 1_004, 1_005, 1_006, 1_007] as [Int64] {
            #expect(rewriter.send(sequence) == nil, "\(sequence)")
        }
        #expect(rewriter.send(1_008)?.sequence == first + 5)
    }

    @Test("a late packet that is left out leaves its hole: the numbers after it are gone already")
    func lateLeaveOut() throws {
        var rewriter = startedRewriter()
        let first = try rewriter.mustSend(1_000).sequence
        #expect(rewriter.send(1_002)?.sequence == first + 2)
        rewriter.leaveOut(source: 0, sequence: 1_001)
        #expect(rewriter.send(1_003)?.sequence == first + 3)
    }

    @Test("leaving out says whether the number closed up; a place that was kept is filled once instead")
    func leaveOutTellsOfPlaces() throws {
        var rewriter = startedRewriter()
        let first = try rewriter.mustSend(1_000).sequence
        func leavesOut(_ sequence: Int64, source: Int = 0) -> Bool {
            rewriter.leaveOut(source: source, sequence: sequence)
        }
        func place(_ sequence: Int64) -> Int64? {
            rewriter.fillPlace(source: 0, sequence: sequence, timestamp: 0)?.sequence
        }
        #expect(leavesOut(1_001))
        #expect(place(1_001) == nil)
        #expect(rewriter.send(1_003)?.sequence == first + 2)
        #expect(!leavesOut(1_002))
        #expect(place(1_002) == first + 1)
        #expect(place(1_002) == nil)
        // The last one again, and of a source that nobody switched to.
        #expect(!leavesOut(1_003))
        #expect(place(1_003) == nil)
        #expect(!leavesOut(1_004, source: 1))
        #expect(rewriter.send(1_004)?.sequence == first + 3)
    }

    @Test("a switch goes on at +1, or at +2 when the frame before was cut short", arguments: [true, false])
    func switchNumbers(marker: Bool) throws {
        var rewriter = startedRewriter()
        let first = try rewriter.mustSend(1_000, marker: marker).sequence
        #expect(rewriter.send(77, source: 1) == nil)
        let result = rewriter.switchSource(
            to: 1,
            sequence: 80_000,
            timestamp: 9,
            referenceTimestamp: 53_000,
            at: .zero
        )
        #expect(result == .switched)
        #expect(rewriter.send(80_000, source: 1, timestamp: 9)?.sequence == first + (marker ? 1 : 2))
        #expect(rewriter.send(79_999, source: 1) == nil)
    }

    @Test("a packet of audio is a whole frame, whatever its marker")
    func audioSwitch() throws {
        var rewriter = startedRewriter(kind: .audio)
        let first = try rewriter.mustSend(1_000, marker: false).sequence
        rewriter.rebind()
        #expect(rewriter.source == nil)
        #expect(rewriter.send(1_001) == nil)
        #expect(rewriter.source(of: SequenceNumber(UInt16(first))) == nil)
        _ = rewriter.switchSource(to: 0, sequence: 5, timestamp: 0, referenceTimestamp: nil, at: .zero)
        #expect(rewriter.send(5)?.sequence == first + 1)
    }

    @Test("a late packet of the source before still has its place")
    func lateAfterSwitch() throws {
        var rewriter = startedRewriter()
        let first = try rewriter.mustSend(1_000).sequence
        #expect(rewriter.send(1_002, marker: true)?.sequence == first + 2)
        _ = rewriter.switchSource(to: 1, sequence: 500, timestamp: 0, referenceTimestamp: 53_000, at: .zero)
        #expect(rewriter.send(500, source: 1, timestamp: 0)?.sequence == first + 3)
        let late = try rewriter.mustSend(1_001)
        #expect(late.sequence == first + 1)
        #expect(rewriter.send(1_003) == nil)
        #expect(rewriter.source(of: late.wireSequence)?.sequence == 1_001)
        #expect(rewriter.source(of: late.wireSequence)?.generation == late.generation)
    }

    @Test("a publisher's jump costs one hole, not thousands")
    func jump() throws {
        var rewriter = startedRewriter()
        let first = try rewriter.mustSend(1_000).sequence
        #expect(rewriter.send(31_000)?.sequence == first + 2)
        #expect(rewriter.send(30_999) == nil)
        rewriter.leaveOut(source: 0, sequence: 61_000)
        #expect(rewriter.send(61_001)?.sequence == first + 4)
    }

    @Test("a NACK for what was never sent finds nothing")
    func unknownNACK() throws {
        var rewriter = startedRewriter()
        #expect(rewriter.source(of: SequenceNumber(5)) == nil)
        let first = try rewriter.mustSend(1_000)
        _ = rewriter.send(1_002)
        for distance in [1, 3, 100, 5_000, 40_000] {
            #expect(rewriter.source(of: first.wireSequence.advanced(by: distance)) == nil)
        }
        #expect(rewriter.source(of: first.wireSequence.advanced(by: -1)) == nil)
        #expect(rewriter.source(of: first.wireSequence)?.sequence == 1_000)
    }

    /// several wraps of 2^16.
    @Test("in order, over drops and switches: +1 over all that is sent", arguments: [1, 2] as [UInt64])
    func inOrderProperty(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var rewriter = startedRewriter(seed: seed)
        var source = 0
        var next: [Int64] = [1_000, 70_000, 140_000]
        var last: Int64?
        var marker = true
        // 2 after a switch that cut a frame short, until a packet is sent.
        var advance = Int64(1)
        var wrong = 0
        for step in 0..<150_000 as Range<Int64> {
            let now = Instant(nanoseconds: step * 1_000_000)
            let timestamp = UInt32(truncatingIfNeeded: step * 90)
            if random.chance(0.002) {
                let target = Int.random(in: 0..<3, using: &random)
                let result = rewriter.switchSource(
                    to: target,
                    sequence: next[target],
                    timestamp: timestamp,
                    referenceTimestamp: timestamp,
                    at: now
                )
                if result == .switched {
                    source = target
                    advance = marker ? 1 : 2
                }
            }
            let sequence = next[source]
            for index in 0..<3 { next[index] += 1 }
            if random.chance(0.2) {
                rewriter.leaveOut(source: source, sequence: sequence)
                continue
            }
            marker = random.chance(0.3)
            let sent = rewriter.rewrite(
                source: source,
                sequence: sequence,
                timestamp: timestamp,
                marker: marker,
                at: now
            )
            if let last, sent?.sequence != last + advance { wrong += 1 }
            last = sent?.sequence
            advance = 1
        }
        #expect(wrong == 0)
        #expect(rewriter.highestOutgoing > 100_000)
    }

    @Test(
        "with loss, reordering, duplicates, drops and switches: one number each, and the way back",
        arguments: [3, 4] as [UInt64]
    )
    func disorderProperty(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var rewriter = startedRewriter(seed: seed)
        var source = 0
        var head: [Int64] = [1_000, 200_000]
        var owner: [Int64: SourcePair] = [:]
        var given: Set<SourcePair> = []
        var queue: [(SourcePair, due: Int)] = []
        var recent: [Int64] = []
        var faults = 0
        for step in 0..<100_000 {
            let now = Instant(nanoseconds: Int64(step) * 1_000_000)
            if random.chance(0.001) {
                let target = 1 - source
                let result = rewriter.switchSource(
                    to: target,
                    sequence: head[target],
                    timestamp: UInt32(step * 90),
                    referenceTimestamp: UInt32(step * 90),
                    at: now
                )
                if result == .switched { source = target }
            }
            let fresh = SourcePair(source: source, sequence: head[source])
            for index in 0..<2 { head[index] += 1 }
            if random.chance(0.05) { continue }
            if random.chance(0.1) {
                rewriter.leaveOut(source: fresh.source, sequence: fresh.sequence)
                continue
            }
            queue.append((fresh, due: step + (random.chance(0.1) ? Int.random(in: 1...60, using: &random) : 0)))
            if random.chance(0.02) { queue.append((fresh, due: step + 5)) }
            while let index = queue.firstIndex(where: { $0.due <= step }) {
                let (pair, _) = queue.remove(at: index)
                guard
                    let sent = rewriter.rewrite(
                        source: pair.source,
                        sequence: pair.sequence,
                        timestamp: UInt32(step * 90),
                        marker: true,
                        at: now
                    )
                else { continue }
                if owner.updateValue(pair, forKey: sent.sequence) != nil { faults += 1 }
                if !given.insert(pair).inserted { faults += 1 }
                recent.append(sent.sequence)
            }
            guard step % 4 == 0, recent.count > 300 else { continue }
            // Within 100 packets every number's run is known: fewer than 64 runs end in that time.
            let asked = recent[recent.count - Int.random(in: 1...100, using: &random)]
            let position = rewriter.source(of: SequenceNumber(UInt16(truncatingIfNeeded: asked)))
            if position.map({ SourcePair(source: $0.source, sequence: $0.sequence) }) != owner[asked] { faults += 1 }
            if position?.outgoingSequence != asked { faults += 1 }
        }
        #expect(faults == 0)
        #expect(owner.count > 80_000)
    }

    private struct SourcePair: Hashable {
        let source: Int
        let sequence: Int64
    }
}

@Suite("Rewritten timestamps")
struct RTPRewriterTimestampTests {
    private static func milliseconds(_ count: Int64) -> Instant { Instant(nanoseconds: count * 1_000_000) }

    @Test("go by the reference source when the mapping is known")
    func mapped() throws {
        var rewriter = startedRewriter()
        let first = try rewriter.mustSend(1_000, timestamp: 50_000)
        let result = rewriter.switchSource(
            to: 1,
            sequence: 9,
            timestamp: 4_000_000_000,
            referenceTimestamp: 53_003,
            at: Self.milliseconds(60)
        )
        #expect(result == .switched)
        let next = try rewriter.mustSend(9, source: 1, timestamp: 4_000_000_000)
        #expect(next.timestamp == first.timestamp &+ 3_003)
        #expect(rewriter.timestampOffset == next.timestamp &- 4_000_000_000)
        // Back to the reference: its own mapping, nothing has drifted.
        _ = rewriter.switchSource(
            to: 0,
            sequence: 1_500,
            timestamp: 56_000,
            referenceTimestamp: nil,
            at: Self.milliseconds(90)
        )
        #expect(rewriter.send(1_500, timestamp: 56_000)?.timestamp == first.timestamp &+ 6_000)
    }

    @Test(
        "go by arrival without sender reports, at least one frame on",
        arguments: [(0, 3_000), (10, 3_000), (500, 45_000)] as [(Int64, UInt32)]
    )
    func byArrival(elapsed: Int64, expected: UInt32) throws {
        var rewriter = startedRewriter()
        let first = try rewriter.mustSend(1_000, timestamp: 50_000)
        _ = rewriter.switchSource(
            to: 1,
            sequence: 9,
            timestamp: 123,
            referenceTimestamp: nil,
            at: Self.milliseconds(elapsed)
        )
        #expect(rewriter.send(9, source: 1, timestamp: 123)?.timestamp == first.timestamp &+ expected)
        #expect(rewriter.referenceSource == 1)
    }

    @Test("a step back of up to 50 ms becomes the next tick", arguments: [0, 1, 4_500] as [UInt32])
    func smallStepBack(ticks: UInt32) throws {
        var rewriter = startedRewriter()
        let first = try rewriter.mustSend(1_000, timestamp: 50_000)
        let result = rewriter.switchSource(
            to: 1,
            sequence: 9,
            timestamp: 123,
            referenceTimestamp: 50_000 - ticks,
            at: .zero
        )
        #expect(result == .switched)
        #expect(rewriter.send(9, source: 1, timestamp: 123)?.timestamp == first.timestamp &+ 1)
    }

    @Test(
        "a longer step back, or a leap, is refused with one key-frame request, and taken after a second",
        arguments: [50_000 - 4_501, 50_000 + 90_000 * 10] as [UInt32]
    )
    func refusal(reference: UInt32) throws {
        var rewriter = startedRewriter()
        let first = try rewriter.mustSend(1_000, timestamp: 50_000)
        func attempt(_ rewriter: inout RTPRewriter, _ time: Int64) -> SourceSwitch {
            rewriter.switchSource(
                to: 1,
                sequence: 9,
                timestamp: 123,
                referenceTimestamp: reference,
                at: Self.milliseconds(time)
            )
        }
        #expect(attempt(&rewriter, 0) == .refused(asksKeyFrame: true))
        #expect(attempt(&rewriter, 500) == .refused(asksKeyFrame: false))
        #expect(rewriter.send(1_001, timestamp: 53_000)?.sequence == first.sequence + 1)
        #expect(attempt(&rewriter, 1_000) == .switched)
        let next = try rewriter.mustSend(9, source: 1, timestamp: 123)
        #expect(Int32(bitPattern: next.timestamp &- first.timestamp) > 3_000)
        #expect(next.sequence == first.sequence + 2)
    }

    @Test("the same source after a pause keeps its time line, also over the wrap of 2^32")
    func pause() throws {
        var rewriter = startedRewriter()
        let first = try rewriter.mustSend(1_000, timestamp: .max)
        let result = rewriter.switchSource(
            to: 0,
            sequence: 5_000,
            timestamp: 899_999,
            referenceTimestamp: nil,
            at: Self.milliseconds(10_000)
        )
        #expect(result == .switched)
        let next = try rewriter.mustSend(5_000, timestamp: 899_999)
        #expect(next.timestamp == first.timestamp &+ 900_000)
        #expect(next.sequence == first.sequence + 1)
    }

    @Test("never jump back, whatever the publisher's clocks say")
    func monotone() {
        var random = SeededRandom(seed: 11)
        var rewriter = startedRewriter()
        var last = rewriter.send(1_000, timestamp: 50_000)?.timestamp ?? 0
        var backward = 0
        var switches = 0
        for step in 1..<20_000 as Range<Int64> {
            let reference: UInt32? = random.chance(0.3) ? nil : UInt32.random(in: .min ... .max, using: &random)
            let target = Int.random(in: 1...2, using: &random)
            let timestamp = UInt32.random(in: .min ... .max, using: &random)
            let now = Self.milliseconds(step * 33)
            guard
                rewriter.switchSource(
                    to: target,
                    sequence: step,
                    timestamp: timestamp,
                    referenceTimestamp: reference,
                    at: now
                ) == .switched,
                let sent = rewriter.send(step, source: target, timestamp: timestamp, at: now)
            else { continue }
            switches += 1
            if Int32(bitPattern: sent.timestamp &- last) <= 0 { backward += 1 }
            last = sent.timestamp
        }
        #expect(backward == 0)
        #expect(switches > 100)
    }
}
