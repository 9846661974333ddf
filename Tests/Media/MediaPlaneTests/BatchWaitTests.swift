import Basics
import MediaPlane
import Testing

@Suite struct BatchWaitTests {
    /// A second of turns of `work` every `period`, both in microseconds, each with `packets`; and when the last one began.
    private static func run(
        interval: Nanoseconds = .milliseconds(1),
        period: Int64,
        work: Int64,
        packets: Int
    ) -> (wait: BatchWait, last: Instant) {
        var wait = BatchWait(interval: interval)
        var now = Instant(nanoseconds: 1_000_000_000)
        let end = now + .seconds(1)
        while now < end {
            now = now + .microseconds(period)
            wait.turn(began: now, ended: now + .microseconds(work), mediaCount: packets)
        }
        return (wait, now)
    }

    @Test func `a busy worker with many packets waits, at most for the interval from its last turn`() {
        let (wait, last) = Self.run(period: 200, work: 100, packets: 1)
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
        let (wait, last) = Self.run(period: period, work: work, packets: packets)
        #expect(wait.earliestTurn(at: last + Nanoseconds(10_000)) == nil)
    }

    @Test func `the first packet after a pause never waits`() {
        let (busy, last) = Self.run(period: 200, work: 150, packets: 4)
        var wait = busy
        #expect(wait.earliestTurn(at: last + .milliseconds(50)) == nil)
        // Nor does the second: the pause counts.
        let began = last + .milliseconds(50)
        wait.turn(began: began, ended: began + Nanoseconds(100_000), mediaCount: 1)
        #expect(wait.earliestTurn(at: began + Nanoseconds(100_000)) == nil)
    }

    @Test func `an interval of zero is no wait`() {
        let (wait, last) = Self.run(interval: .zero, period: 200, work: 200, packets: 9)
        #expect(wait.earliestTurn(at: last) == nil)
    }
}
