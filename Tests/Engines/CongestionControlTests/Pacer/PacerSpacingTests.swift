import Basics
import CongestionControl
import Testing

@Suite("Pacer: spacing of what waits")
struct PacerSpacingTests {
    /// The times in milliseconds at which packets of 8 ms leave, after the first burst.
    private static func departures(_ spacing: PacketSpacing) -> [Int64] {
        var driver = PacerDriver()
        driver.pacer.setRates(pacing: .kbps(1_000), padding: .zero, spacing: spacing, at: .zero)
        for _ in 0..<40 { driver.send(.video, byteCount: 1_000) }
        driver.run(for: .milliseconds(250))
        return driver.departures.map { ($0.at - .zero).count / 1_000_000 }
    }

    @Test("two by two they leave at the same rate, a pair's packets together")
    func pairs() {
        let times = Self.departures(.pairs).filter { $0 > 0 }
        var gaps = Set<Int64>()
        for index in times.indices.dropFirst() { gaps.insert(times[index] - times[index - 1]) }
        #expect(gaps == [0, 16], "\(times)")
        let single = Self.departures(.single).filter { $0 > 0 }
        #expect(abs(times.count - single.count) <= 1)
        for index in single.indices.dropFirst() { #expect(single[index] - single[index - 1] == 8) }
    }

    @Test("smooth means that not even the first ones leave together")
    func smooth() {
        let times = Self.departures(.smooth)
        #expect(times.prefix(4) == [0, 8, 16, 24])
        #expect(times.count == 32)
    }
}
