import Audio
import Basics
import TestSupport
import Testing

@Suite("Active speakers")
struct ActiveSpeakersTests {
    /// A room in which each letter is a participant, and each row of levels lasts 100 ms.
    private struct Room {
        var speakers = ActiveSpeakers<Character>()
        var now = Instant.zero
        var switches = 0

        /// - Parameter levels: in -dBov; whoever is not named sends nothing.
        mutating func run(_ milliseconds: Int, _ levels: [Character: UInt8]) {
            for _ in 0..<(milliseconds / 100) {
                self.now = self.now + .milliseconds(100)
                for (key, level) in levels.sorted(by: { $0.key < $1.key }) {
                    self.speakers.report(key, level: level, at: self.now)
                }
                let before = self.speakers.dominant
                self.speakers.update(at: self.now)
                if before != self.speakers.dominant { self.switches += 1 }
            }
        }
    }

    /// Rows of (milliseconds, levels) and the leader after them.
    private static let tables: [(name: String, rows: [(Int, [Character: UInt8], Character?)])] = [
        ("nobody leads a silent room", [(3_000, ["a": 127, "b": 80, "c": 60], nil)]),
        ("the first leads after 300 ms", [(200, ["a": 30], nil), (100, ["a": 30], "a")]),
        ("a silent leader stays", [(2_000, ["a": 30], "a"), (60_000, ["a": 127, "b": 90], "a")]),
        (
            "another leads after half a second, once the leader is silent",
            [(2_000, ["a": 30], "a"), (1_000, ["a": 127], "a"), (400, ["b": 40], "a"), (200, ["b": 40], "b")]
        ),
        (
            "a noise of 200 ms or a cough takes nothing over",
            [
                (2_000, ["a": 30], "a"), (2_000, [:], "a"), (200, ["b": 5], "a"), (2_000, ["b": 127], "a"),
                (300, ["b": 10], "a"), (2_000, ["b": 127], "a"),
            ]
        ),
        (
            "talking over somebody takes clearly more loudness",
            [(3_000, ["a": 30], "a"), (5_000, ["a": 30, "b": 28], "a"), (3_000, ["a": 30, "b": 12], "b")]
        ),
        (
            "a short pause of the leader is no opening for a murmur",
            [(3_000, ["a": 25], "a"), (300, ["b": 48], "a"), (2_000, ["a": 25, "b": 48], "a")]
        ),
        (
            "who is muted by leaving leads no more",
            [(2_000, ["a": 30, "b": 127], "a"), (300, ["b": 30], "a"), (2_000, ["b": 30], "b")]
        ),
    ]

    @Test("who leads", arguments: Self.tables.indices)
    func dominant(index: Int) {
        var room = Room()
        for (position, row) in Self.tables[index].rows.enumerated() {
            room.run(row.0, row.1)
            #expect(room.speakers.dominant == row.2, "\(Self.tables[index].name): row \(position)")
        }
    }

    @Test("two that talk at once, in turns of every length, switch at most once a second")
    func noFlapping() {
        for seed in 1...20 as ClosedRange<UInt64> {
            var random = SeededRandom(seed: seed)
            var room = Room()
            var elapsed = 0
            while elapsed < 60_000 {
                let length = Int.random(in: 1...12, using: &random) * 100
                room.run(
                    length,
                    [
                        "a": random.chance(0.6) ? UInt8.random(in: 15...45, using: &random) : 127,
                        "b": random.chance(0.6) ? UInt8.random(in: 15...45, using: &random) : 127,
                    ]
                )
                elapsed += length
            }
            #expect(room.switches <= elapsed / 1_000 / 2, "seed \(seed): \(room.switches)")
        }
    }

    @Test("a sound that never stops becomes noise; speech over it is still heard")
    func steadyNoise() {
        var room = Room()
        room.run(30_000, ["f": 40])
        #expect(!room.speakers.speakers.contains("f"))
        room.run(1_000, ["f": 40, "a": 30])
        #expect(room.speakers.dominant == "a")
        room.run(2_000, ["f": 40])
        room.run(1_500, ["f": 25])
        #expect(room.speakers.dominant == "f")
    }

    @Test("a monologue with the pauses of speech is never taken for noise")
    func monologue() {
        var room = Room()
        for _ in 0..<60 {
            room.run(4_000, ["a": 30])
            room.run(300, ["a": 75])
            #expect(room.speakers.speakers.contains("a"))
        }
    }

    @Test("the speakers are the leader and then the latest turns, for 5 s")
    func order() {
        var room = Room()
        for key in "abcd" {
            room.run(2_000, [key: 30])
        }
        #expect(room.speakers.speakers == ["d", "c", "b"])
        room.run(2_500, [:])
        #expect(room.speakers.speakers == ["d", "c"])
        room.run(400, ["b": 45])
        #expect(room.speakers.speakers == ["d", "b", "c"])
        room.run(10_000, [:])
        #expect(room.speakers.speakers == [])
        #expect(room.speakers.dominant == "d")
        room.speakers.remove("d")
        #expect(room.speakers.dominant == nil)
    }

    @Test("remembers a bounded number, and forgets whom it heard longest ago, never the leader")
    func bounded() {
        var speakers = ActiveSpeakers<Int>(maximumCount: 10)
        var now = Instant.zero
        for _ in 0..<5 {
            now = now + .milliseconds(100)
            speakers.report(-1, level: 20, at: now)
            speakers.update(at: now)
        }
        for key in 0..<1_000 {
            now = now + .milliseconds(100)
            speakers.report(key, level: 127, at: now)
            speakers.update(at: now)
        }
        #expect(speakers.dominant == -1)
    }

    @Test("time that stands still or goes back harms nothing")
    func oddTimes() {
        var speakers = ActiveSpeakers<Int>()
        for time in [5_000, 0, -3, .max, 7, .min] as [Int64] {
            for key in 0..<5 {
                speakers.report(key, level: 255, at: Instant(nanoseconds: time))
                speakers.report(key, level: 3, at: Instant(nanoseconds: time))
            }
            speakers.update(at: Instant(nanoseconds: time))
        }
        #expect(speakers.speakers.count <= 5)
    }
}
