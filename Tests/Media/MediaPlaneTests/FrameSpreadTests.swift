import Basics
import MediaPlane
import Testing

@Suite struct FrameSpreadTests {
    private static let start = Instant(nanoseconds: 1_000_000_000)

    /// Frames of five packets, so far apart, at 30 a second; and when the next one began, of which one packet has come.
    private static func run(
        frames: Int,
        apart: Nanoseconds,
        losingMarkers: Bool = false
    ) -> (spread: FrameSpread, began: Instant) {
        var spread = FrameSpread()
        var began = Self.start
        for frame in 0..<frames {
            for part in 0..<5 {
                spread.received(
                    timestamp: UInt32(3_000 * frame),
                    isLast: part == 4 && !losingMarkers,
                    arrival: began + apart * Int64(part)
                )
            }
            began = began + .microseconds(33_333)
        }
        spread.received(timestamp: UInt32(3_000 * frames), isLast: false, arrival: began)
        return (spread, began)
    }

    @Test(arguments: [0, 10, 100, 200])
    func `a frame is expected to be whole when those before it were`(microseconds: Int64) throws {
        let (spread, began) = Self.run(frames: 120, apart: .microseconds(microseconds))
        let expected = try #require(spread.expectedEnd) - began
        #expect(expected >= .microseconds(4 * microseconds))
        #expect(expected <= .microseconds(4 * microseconds + 50))
    }

    @Test(arguments: [0, 1, 2])
    func `nothing is expected soon before a second's frames have come`(frames: Int) throws {
        let (spread, began) = Self.run(frames: frames, apart: .microseconds(10))
        #expect(try #require(spread.expectedEnd) - began > .milliseconds(5))
    }

    @Test func `frames without an end are as slow as can be`() throws {
        let (spread, began) = Self.run(frames: 120, apart: .microseconds(10), losingMarkers: true)
        #expect(try #require(spread.expectedEnd) - began >= FrameSpread.longest)
    }

    @Test func `nothing is expected when the last packet has come, though one comes behind it`() {
        var (spread, began) = Self.run(frames: 120, apart: .microseconds(10))
        spread.received(timestamp: 3_000 * 120, isLast: true, arrival: began + .microseconds(40))
        #expect(spread.expectedEnd == nil)
        spread.received(timestamp: 3_000 * 120, isLast: false, arrival: began + .microseconds(60))
        #expect(spread.expectedEnd == nil)
    }

    @Test func `a clock that goes back is no frame of negative length`() throws {
        var (spread, began) = Self.run(frames: 120, apart: .microseconds(10))
        spread.received(timestamp: 3_000 * 120, isLast: true, arrival: began + .seconds(-1))
        spread.received(timestamp: 3_000 * 121, isLast: false, arrival: began)
        #expect(try #require(spread.expectedEnd) >= began)
    }
}
