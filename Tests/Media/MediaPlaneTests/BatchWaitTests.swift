import Basics
import MediaPlane
import Testing

@Suite struct BatchWaitTests {
    /// Turns of `work` every `period`, each with `packets`; the last one begins at the returned time.
    private static func run(
        _ wait: inout BatchWait,
        period: Nanoseconds,
        work: Nanoseconds,
        packets: Int,
        for duration: Nanoseconds
    ) -> Instant {
        var now = Instant(nanoseconds: 1_000_000_000)
        let end = now + duration
        while now < end {
            now = now + period
            wait.turn(began: now, ended: now + work, mediaCount: packets)
        }
        return now
    }

    @Test func `a busy worker with many packets waits, at most for the interval from its last turn`() {
        var wait = BatchWait(interval: .milliseconds(1))
        let last = Self.run(
            &wait,
            period: Nanoseconds(200_000),
            work: Nanoseconds(100_000),
            packets: 1,
            for: .seconds(1)
        )
        #expect(wait.earliestTurn(at: last + Nanoseconds(100_000)) == last + .milliseconds(1))
        #expect(wait.earliestTurn(at: last + .milliseconds(1)) == nil)
        #expect(wait.earliestTurn(at: last + .seconds(1)) == nil)
    }

    @Test(arguments: [
        // Idle: 2 per cent of the time.
        (200, 4, 1),
        // Busy, with a packet every 5 ms: none would come meanwhile.
        (5_000, 2_500, 1),
        // Busy with timers and feedback only.
        (200, 100, 0),
    ])
    func `there is no wait where it would gain nothing`(period: Int64, work: Int64, packets: Int) {
        var wait = BatchWait(interval: .milliseconds(1))
        let last = Self.run(
            &wait,
            period: Nanoseconds(period * 1_000),
            work: Nanoseconds(work * 1_000),
            packets: packets,
            for: .seconds(1)
        )
        #expect(wait.earliestTurn(at: last + Nanoseconds(10_000)) == nil)
    }

    @Test func `the first packet after a pause never waits`() {
        var wait = BatchWait(interval: .milliseconds(1))
        let last = Self.run(
            &wait,
            period: Nanoseconds(200_000),
            work: Nanoseconds(150_000),
            packets: 4,
            for: .seconds(1)
        )
        #expect(wait.earliestTurn(at: last + .milliseconds(50)) == nil)
        // Nor does the second: the pause counts.
        let began = last + .milliseconds(50)
        wait.turn(began: began, ended: began + Nanoseconds(100_000), mediaCount: 1)
        #expect(wait.earliestTurn(at: began + Nanoseconds(100_000)) == nil)
    }

    @Test func `an interval of zero is no wait`() {
        var wait = BatchWait(interval: .zero)
        let last = Self.run(
            &wait,
            period: Nanoseconds(200_000),
            work: Nanoseconds(200_000),
            packets: 9,
            for: .seconds(1)
        )
        #expect(wait.earliestTurn(at: last) == nil)
    }
}
