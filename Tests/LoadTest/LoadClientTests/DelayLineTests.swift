import Basics
import LoadClient
import TestSupport
import Testing

@Suite struct DelayLineTests {
    @Test func `what went in comes out in order, when it has arrived, however the line grows and wraps`() throws {
        let seed: UInt64 = 5
        var random = SeededRandom(seed: seed)
        let address = try #require(TransportAddress("192.0.2.1", port: 9))
        var line = DelayLine()
        var (added, taken): (Int32, Int32) = (0, 0)
        for round in 0..<2_000 {
            let now = Instant(nanoseconds: Int64(round) * 1_000_000)
            for _ in 0..<Int.random(in: 0...(round < 1_000 ? 6 : 2), using: &random) {
                line.append(
                    DelayLine.Entry(
                        arrival: now + .milliseconds(20),
                        entry: now,
                        address: address,
                        slot: added,
                        length: 100
                    )
                )
                added += 1
            }
            while let entry = line.takeArrived(at: now) {
                #expect(entry.slot == taken, "seed \(seed), round \(round)")
                #expect(entry.arrival <= now && now - entry.arrival < .milliseconds(1))
                taken += 1
            }
            #expect(line.count == Int(added - taken))
            #expect(line.nextArrival > now)
        }
        #expect(taken > 3_000)
        while let entry = line.takeFirst() {
            #expect(entry.slot == taken)
            taken += 1
        }
        #expect(taken == added)
        #expect(line.nextArrival == .distantFuture)
    }
}
