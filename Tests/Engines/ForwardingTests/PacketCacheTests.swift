import Basics
import Forwarding
import TestSupport
import Testing

@Suite("The packet cache")
struct PacketCacheTests {
    private struct Facts: BitwiseCopyable, Equatable {
        var layer: UInt8
        var isKeyFrame: Bool
    }

    private static func milliseconds(_ count: Int64) -> Instant { Instant(nanoseconds: count * 1_000_000) }

    private static func bytes(of packet: borrowing CachedPacket<Facts>) -> [UInt8] { packet.bytes.array() }

    /// The bytes of a kept packet; `nil` when there is none.
    private static func lookup(
        _ cache: borrowing PacketCache<Facts>,
        _ sequence: Int64,
        roundTripTime: Int64 = 50,
        at now: Int64 = 0
    ) -> [UInt8]? {
        let found = cache.lookup(
            sequence,
            roundTripTime: .milliseconds(roundTripTime),
            at: Self.milliseconds(now)
        )
        guard let found else { return nil }
        return Self.bytes(of: found)
    }

    private static func packet(_ sequence: Int64, length: Int) -> [UInt8] {
        (0..<length).map { UInt8(truncatingIfNeeded: sequence &* 31 &+ Int64($0)) }
    }

    @Test("gives back bytes, header length and facts")
    func roundTrip() throws {
        var cache = PacketCache<Facts>(kind: .video)
        #expect(Self.lookup(cache, 5) == nil)
        let bytes = Self.packet(5, length: 300)
        let wasStored = cache.store(
            5,
            bytes: bytes.span.bytes,
            headerLength: 20,
            facts: Facts(layer: 2, isKeyFrame: true),
            at: .zero
        )
        #expect(wasStored)
        guard let found = cache.lookup(5, roundTripTime: .zero, at: .zero) else {
            Issue.record("not found")
            return
        }
        let headerLength = found.headerLength
        let facts = found.facts
        #expect(headerLength == 20)
        #expect(facts == Facts(layer: 2, isKeyFrame: true))
        #expect(Self.lookup(cache, 5) == bytes)
        #expect(Self.lookup(cache, 4) == nil)
        #expect(Self.lookup(cache, 5 + 1_024) == nil)
        #expect(Self.lookup(cache, .min) == nil)
    }

    @Test(
        "keeps a packet for five tries of the subscriber, within 600 ms to 1 s",
        arguments: [(0, 600), (75, 600), (100, 700), (5_000, 1_000)] as [(Int64, Int64)]
    )
    func retention(roundTripTime: Int64, limit: Int64) {
        var cache = PacketCache<Facts>(kind: .audio)
        let bytes: [UInt8] = [1, 2, 3]
        cache.store(1, bytes: bytes.span.bytes, headerLength: 0, facts: Facts(layer: 0, isKeyFrame: false), at: .zero)
        #expect(Self.lookup(cache, 1, roundTripTime: roundTripTime, at: limit) == bytes)
        #expect(Self.lookup(cache, 1, roundTripTime: roundTripTime, at: limit + 1) == nil)
    }

    @Test("refuses what cannot be a packet", arguments: [(0, 0), (1_025, 12), (20, 21), (20, -1)])
    func refusals(length: Int, headerLength: Int) {
        var cache = PacketCache<Facts>(capacity: 4_096)
        let bytes = [UInt8](repeating: 1, count: length)
        let wasStored = cache.store(
            1,
            bytes: bytes.span.bytes,
            headerLength: headerLength,
            facts: Facts(layer: 0, isKeyFrame: false),
            at: .zero
        )
        #expect(!wasStored)
    }

    @Test("a packet far behind the newest does not take a newer one's place")
    func tooOld() {
        var cache = PacketCache<Facts>(capacity: 65_536)
        let bytes: [UInt8] = [7]
        let facts = Facts(layer: 0, isKeyFrame: false)
        cache.store(1_000, bytes: bytes.span.bytes, headerLength: 0, facts: facts, at: .zero)
        let isOldKept = cache.store(744, bytes: bytes.span.bytes, headerLength: 0, facts: facts, at: .zero)
        let isLateKept = cache.store(745, bytes: bytes.span.bytes, headerLength: 0, facts: facts, at: .zero)
        #expect(!isOldKept)
        #expect(isLateKept)
        #expect(Self.lookup(cache, 1_000) == bytes)
    }

    @Test(
        "is as large as the stream needs, and keeps whatever came in the last 550 ms on the way there",
        arguments: [(50_000, 16), (150_000, 20), (500_000, 44), (1_500_000, 128), (2_500_000, 216)] as [(Int64, Int)]
    )
    func growth(bitrate: Int64, kibibytes: Int) {
        var random = SeededRandom(seed: UInt64(bitrate))
        var cache = PacketCache<Facts>(kind: .video)
        var kept: [(sequence: Int64, length: Int, at: Int64)] = []
        var missed = 0
        var now: Int64 = 5_000_000_000
        for sequence in 0..<4_000 as Range<Int64> {
            let length = Int.random(in: 200...1_200, using: &random)
            let bytes = Self.packet(sequence, length: length)
            let time = Instant(nanoseconds: now)
            cache.store(
                sequence,
                bytes: bytes.span.bytes,
                headerLength: 12,
                facts: Facts(layer: 0, isKeyFrame: false),
                at: time
            )
            kept.append((sequence, length, now))
            kept.removeAll { now - $0.at > 550_000_000 }
            if let asked = kept.randomElement(using: &random) {
                let found = cache.lookup(asked.sequence, within: .seconds(1), at: time)
                if found?.bytes.array() != Self.packet(asked.sequence, length: asked.length) { missed += 1 }
            }
            now += Int64(length) * 8_000_000_000 / bitrate
        }
        #expect(missed == 0)
        #expect(cache.window <= kibibytes * 1_024)
    }

    @Test(
        "over many turns of the arena: a found packet is whole, and the last quarter is always found",
        arguments: [4_096, 32_768, 262_144]
    )
    func property(capacity: Int) {
        var random = SeededRandom(seed: 17)
        var cache = PacketCache<Facts>(capacity: capacity)
        var lengths: [Int64: Int] = [:]
        var wrong = 0
        var missed = 0
        let source = (0..<65_536).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ ($0 >> 8)) }
        func start(_ sequence: Int64) -> Int { Int(sequence &* 131 & 0x7FFF) }
        for sequence in 70_000..<100_000 as Range<Int64> {
            let length = Int.random(in: 300...min(1_400, capacity / 8), using: &random)
            lengths[sequence] = length
            cache.store(
                sequence,
                bytes: source.span.bytes.extracting(start(sequence)..<(start(sequence) + length)),
                headerLength: 12,
                facts: Facts(layer: UInt8(sequence & 7), isKeyFrame: false),
                at: .zero
            )
            let asked = sequence - Int64.random(in: 0..<Int64(capacity / 1_000), using: &random)
            guard let expected = lengths[asked] else { continue }
            guard let found = cache.lookup(asked, roundTripTime: .zero, at: .zero) else {
                let since = (asked...sequence).reduce(0) { $0 + (lengths[$1] ?? 0) }
                if since < capacity / 4 { missed += 1 }
                continue
            }
            if found.bytes.byteCount != expected || found.facts.layer != UInt8(asked & 7) { wrong += 1 }
            for offset in stride(from: 0, to: expected, by: 97)
            where found.bytes.uint8(at: offset) != source[start(asked) + offset] { wrong += 1 }
        }
        #expect(wrong == 0)
        #expect(missed == 0)
    }
}
