import Basics
import CongestionControl
import TestSupport
import Testing

@Suite("Bitrate of a layer")
struct LayerRateMeterTests {
    /// Frames of equal size, one packet each, from `start` for `seconds`.
    private static func feed(
        _ meter: inout LayerRateMeter,
        kilobits: Double,
        framesPerSecond: Int64 = 30,
        from start: Instant,
        seconds: Double,
        noise: Double = 0,
        using random: inout SeededRandom
    ) -> Instant {
        let interval = Nanoseconds.seconds(1) / framesPerSecond
        var now = start
        while (now - start).inSeconds < seconds {
            let size =
                kilobits * 125 / Double(framesPerSecond) * Double.random(in: (1 - noise)...(1 + noise), using: &random)
            meter.received(byteCount: Int(size), startsFrame: true, at: now)
            now = now + interval
        }
        return now
    }

    @Test("follows a steady layer to 3 %, in its first second to 12 %", arguments: [75, 500, 1_500, 8_000])
    func steady(kilobits: Int64) throws {
        var random = SeededRandom(seed: 1)
        var meter = LayerRateMeter()
        #expect(meter.bitrate(at: .zero) == nil)
        var now = Self.feed(&meter, kilobits: Double(kilobits), from: .zero, seconds: 0.4, using: &random)
        #expect(meter.bitrate(at: now) == nil)
        for _ in 0..<10 {
            now = Self.feed(&meter, kilobits: Double(kilobits), from: now, seconds: 0.4, using: &random)
            let measured = try #require(meter.bitrate(at: now)).bitsPerSecond
            let error = abs(Double(measured) / Double(kilobits * 1_000) - 1)
            #expect(error < (now < Instant(nanoseconds: 1_100_000_000) ? 0.12 : 0.03), "\(error)")
        }
    }

    @Test("rises within 1.5 s, and falls only when it has been lower for 3 s")
    func steps() throws {
        var random = SeededRandom(seed: 1)
        var meter = LayerRateMeter()
        var now = Self.feed(&meter, kilobits: 500, from: .zero, seconds: 5, using: &random)
        now = Self.feed(&meter, kilobits: 1_500, from: now, seconds: 1.5, using: &random)
        #expect(try #require(meter.bitrate(at: now)) > .kbps(1_150))
        now = Self.feed(&meter, kilobits: 1_500, from: now, seconds: 6, using: &random)
        now = Self.feed(&meter, kilobits: 300, from: now, seconds: 2.8, using: &random)
        #expect(try #require(meter.bitrate(at: now)) > .kbps(1_250))
        now = Self.feed(&meter, kilobits: 300, from: now, seconds: 6, using: &random)
        #expect(try #require(meter.bitrate(at: now)) < .kbps(330))
    }

    @Test("a screen of five frames a second that begins to move is known for what it takes within two seconds")
    func slowBurst() throws {
        var random = SeededRandom(seed: 1)
        var meter = LayerRateMeter()
        var now = Self.feed(&meter, kilobits: 4, framesPerSecond: 5, from: .zero, seconds: 10, using: &random)
        #expect(try #require(meter.bitrate(at: now)) < .kbps(10))
        now = Self.feed(&meter, kilobits: 2_000, framesPerSecond: 5, from: now, seconds: 2, using: &random)
        #expect(try #require(meter.bitrate(at: now)) > .kbps(1_300))
    }

    @Test("frames that vary by 30 % move it by less than a tenth")
    func noise() throws {
        var random = SeededRandom(seed: 5)
        var meter = LayerRateMeter()
        var now = Self.feed(&meter, kilobits: 1_000, from: .zero, seconds: 4, using: &random)
        for _ in 0..<200 {
            now = Self.feed(&meter, kilobits: 1_000, from: now, seconds: 0.2, noise: 0.3, using: &random)
            let measured = try #require(meter.bitrate(at: now)).bitsPerSecond
            #expect(measured > 900_000 && measured < 1_100_000)
        }
    }

    @Test("silence is not a low bitrate: a screen share that stands still keeps its cost")
    func silence() throws {
        var random = SeededRandom(seed: 5)
        var meter = LayerRateMeter()
        var now = Instant.zero
        for _ in 0..<20 {
            now = Self.feed(&meter, kilobits: 2_000, framesPerSecond: 5, from: now, seconds: 2, using: &random)
            now = now + .seconds(8)
        }
        let measured = try #require(meter.bitrate(at: now)).bitsPerSecond
        #expect(measured > 1_600_000 && measured < 2_600_000)
        #expect(!meter.isPresent(at: now))
    }

    @Test("a key frame of five frames' size changes it by less than 8 %, a layer that becomes dearer does")
    func keyFrame() throws {
        var random = SeededRandom(seed: 1)
        var meter = LayerRateMeter()
        var now = Self.feed(&meter, kilobits: 1_500, from: .zero, seconds: 4, using: &random)
        meter.received(byteCount: 25_000, at: now)
        now = Self.feed(&meter, kilobits: 1_500, from: now, seconds: 0.4, using: &random)
        #expect(try #require(meter.bitrate(at: now)) < .kbps(1_620))
        now = Self.feed(&meter, kilobits: 6_000, from: now, seconds: 2, using: &random)
        #expect(try #require(meter.bitrate(at: now)) > .kbps(4_500))
    }

    @Test("is present after three frames or 300 ms")
    func presence() {
        var frames = LayerRateMeter()
        var packets = LayerRateMeter()
        #expect(!frames.isPresent(at: .zero))
        for index in 0..<31 as Range<Int64> {
            let now = Instant(nanoseconds: index * 10_000_000)
            if index < 3 {
                #expect(!frames.isPresent(at: now))
                frames.received(byteCount: 100, startsFrame: true, at: now)
                #expect(frames.isPresent(at: now) == (index == 2))
            }
            #expect(!packets.isPresent(at: now))
            packets.received(byteCount: 100, at: now)
        }
        #expect(packets.isPresent(at: Instant(nanoseconds: 300_000_000)))
    }

    @Test(
        "is gone after four missing frames, within 120 ms and 1.5 s",
        arguments: [(120, 120), (30, 133), (5, 800), (1, 1_500)]
    )
    func gone(framesPerSecond: Int64, milliseconds: Int64) {
        var meter = LayerRateMeter()
        var last = Instant.zero
        for index in 0..<60 {
            last = Instant(nanoseconds: Int64(index) * 1_000_000_000 / framesPerSecond)
            meter.received(byteCount: 100, startsFrame: true, at: last)
        }
        #expect(meter.isPresent(at: last + .milliseconds(milliseconds - 2)))
        #expect(!meter.isPresent(at: last + .milliseconds(milliseconds + 2)))
        meter.received(byteCount: 100, startsFrame: true, at: last + .milliseconds(milliseconds + 2))
        #expect(meter.isPresent(at: last + .milliseconds(milliseconds + 2)) == (framesPerSecond > 1))
        meter.received(byteCount: 100, startsFrame: true, at: last + .seconds(9))
        #expect(!meter.isPresent(at: last + .seconds(9)))
    }
}
