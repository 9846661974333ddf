import Basics
import CongestionControl
import Testing

@Suite("Limit of a publisher without layers")
struct PublisherLimitTests {
    /// Updates ten times a second.
    private struct Driver {
        var limit = PublisherLimit()
        var now = Instant.zero
        var orders: [PublisherLimit.Order] = []

        mutating func run(_ seconds: Double, carried: Int64?, published: Int64?, isUnserved: Bool = false) {
            for _ in 0..<Int(seconds * 10) {
                self.now = self.now + .milliseconds(100)
                let order = self.limit.update(
                    carried: carried.map { .kbps($0) },
                    published: published.map { .kbps($0) },
                    isUnserved: isUnserved,
                    at: self.now
                )
                if let order { self.orders.append(order) }
            }
        }

        /// Limited to 700 of 2,500 kbit/s.
        static var limited: Self {
            var driver = Self()
            driver.run(0.6, carried: 700, published: 2_500, isUnserved: true)
            return driver
        }
    }

    @Test("whom all of it reaches, a dip, and a publisher of whom nothing is known are left alone")
    func nothing() {
        var driver = Driver()
        driver.run(10, carried: 700, published: 2_500)
        driver.run(0.5, carried: 700, published: 2_500, isUnserved: true)
        driver.run(0.1, carried: 3_000, published: 2_500)
        driver.run(0.5, carried: 700, published: 2_500, isUnserved: true)
        driver.run(10, carried: nil, published: 2_500, isUnserved: true)
        driver.run(10, carried: 700, published: nil, isUnserved: true)
        #expect(driver.orders.isEmpty)
    }

    @Test("half a second without a whole picture is a limit, repeated each second, lowered at once")
    func down() {
        var driver = Driver.limited
        #expect(driver.orders == [.limit(.kbps(700))])
        driver.run(3, carried: 700, published: 690)
        #expect(driver.orders.count == 4)
        driver.run(0.1, carried: 400, published: 690)
        #expect(driver.orders.last == .limit(.kbps(400)))
        driver.run(0.1, carried: 20, published: 400)
        #expect(driver.limit.bitrate == .kbps(150))
    }

    @Test("it grows by 8 % a second and not beyond what the path carries")
    func up() throws {
        var driver = Driver.limited
        driver.run(3, carried: 2_000, published: 700)
        let grown = try #require(driver.limit.bitrate)
        #expect(grown > .kbps(850) && grown < .kbps(900))
        driver.run(30, carried: 1_000, published: 900)
        #expect(driver.limit.bitrate == .kbps(1_000))
    }

    @Test("it ends when one could take all of before for two seconds, and when nobody watches; that is told thrice")
    func end() {
        for (carried, published) in [(2_700, 700), (nil, 700)] as [(Int64?, Int64?)] {
            var driver = Driver.limited
            driver.run(1.9, carried: carried ?? 700, published: published)
            #expect(driver.limit.wanted == .kbps(2_625), "\(String(describing: carried))")
            driver.orders = []
            driver.run(10, carried: carried, published: published)
            #expect(driver.orders.suffix(3) == [.lift, .lift, .lift], "\(String(describing: carried))")
            #expect(driver.orders.count <= 4, "\(String(describing: carried))")
            #expect(driver.limit.bitrate == nil)
        }
    }

    @Test("an encoder in steps, a still scene, a pause and an estimate that jumps do not end it")
    func kept() {
        for published in [700, 400, 100, nil] as [Int64?] {
            var driver = Driver.limited
            for _ in 0..<20 {
                driver.run(1.5, carried: 3_000, published: published)
                driver.run(0.5, carried: 700, published: published)
            }
            #expect(!driver.orders.contains(.lift), "\(String(describing: published))")
        }
    }
}
