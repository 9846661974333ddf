import Basics
import Testing

@testable import CongestionControl

/// Rule D: a link that has become slower, or one that somebody else fills.
@Suite struct CompetitionTests {
    private static func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    /// One decrease each 250 ms to half of what is served, in kbit/s.
    private static func drain(_ services: [Double], isStalled: Bool = false) -> QueueDrain {
        var drain = QueueDrain()
        for (step, service) in services.enumerated() {
            drain.begin(
                queueMilliseconds: 200 + 100 * Double(step),
                rate: 500 * service,
                rateBefore: 1_000 * service,
                service: 1_000 * service,
                acknowledged: 1_000 * services[0],
                isStalled: isStalled,
                at: Self.at(Int64(step) * 250)
            )
        }
        return drain
    }

    @Test("who gets less twice, each time after sending less, has somebody else on the link")
    func others() {
        let drain = Self.drain([1_246, 821, 599])
        #expect(drain.isCompeting(at: Self.at(600)))
        #expect(!drain.isActive)
    }

    @Test(
        "a link that has become slower serves the same whatever is sent: the queue is emptied",
        arguments: [[791, 734, 731, 759, 742], [1_650, 750, 745, 750, 748]]
    )
    func slower(services: [Double]) {
        let drain = Self.drain(services)
        #expect(!drain.isCompeting(at: Self.at(1_200)))
        #expect(drain.isActive)
    }

    @Test("nothing arrives in a pause: that shows nothing of others")
    func stalled() {
        let drain = Self.drain([1_246, 400, 100], isStalled: true)
        #expect(!drain.isCompeting(at: Self.at(600)))
    }

    @Test("others are believed in for 15 s, and again for as long when more arrives by more being sent into the queue")
    func belief() {
        var alone = Self.drain([1_246, 821, 599])
        var next = alone
        for step in 0..<20 as Range<Int64> {
            let now = Self.at(1_000 + 500 * step)
            alone.observe(queueMilliseconds: 200, acknowledged: 600e3 * (step % 2 == 0 ? 1 : 1.1), at: now)
            next.observe(queueMilliseconds: 200, acknowledged: 400e3 + 20e3 * Double(step), at: now)
        }
        let later = Self.at(16_000)
        #expect(!alone.isCompeting(at: later))
        #expect(next.isCompeting(at: later))
    }
}
