import Basics
import LoadClient
import TestSupport
import Testing

@Suite struct PublishingPhaseTests {
    private static let interval = Nanoseconds.milliseconds(20)

    @Test(arguments: [
        (share: 0.0, now: 0, next: 0), (0.0, 1, 20_000_000), (0.0, 20_000_000, 20_000_000),
        (0.5, 0, 10_000_000), (0.5, 10_000_000, 10_000_000), (0.5, 10_000_001, 30_000_000),
        (0.25, 4_000_000, 5_000_000), (1.0, 5, 20_000_000),
    ])
    func `the next packet is on the grid`(share: Double, now: Int64, next: Int64) {
        let phase = PublishingPhase(share)
        #expect(phase.next(from: Instant(nanoseconds: now), interval: Self.interval) == Instant(nanoseconds: next))
    }

    @Test(arguments: 0..<20) func `whenever they join, those of one phase send together`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let phase = PublishingPhase(Double.random(in: 0..<1, using: &random))
        var places: Set<Int64> = []
        for _ in 0..<100 {
            let now = Instant(nanoseconds: Int64.random(in: 0..<1 << 50, using: &random))
            let next = phase.next(from: now, interval: Self.interval)
            #expect(next >= now && next - now < Self.interval, "seed \(seed)")
            places.insert(next.nanoseconds % Self.interval.count)
        }
        #expect(places.count == 1, "seed \(seed)")
    }

    @Test func `a share that is none does no harm`() {
        for share in [Double.nan, .infinity, -.infinity, -3, 7] {
            let next = PublishingPhase(share).next(from: Instant(nanoseconds: 5), interval: Self.interval)
            #expect(next.nanoseconds >= 5 && next.nanoseconds <= 20_000_005)
        }
        #expect(PublishingPhase(0.3).next(from: Instant(nanoseconds: 5), interval: .zero).nanoseconds == 5)
    }
}
