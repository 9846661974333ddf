import Basics
import CongestionControl
import TestSupport
import Testing

@Suite("Bandwidth allocator: all frames of a smaller picture before some of a larger one")
struct AllocatorMotionTests {
    private static func settled(_ kilobits: Int64) -> AllocatorDriver {
        var driver = AllocatorDriver([.camera(1)])
        driver.run(for: .seconds(10), kilobits)
        return driver
    }

    @Test("a camera has full motion wherever any of its pictures fits with it")
    func motionFirst() {
        for kilobits in stride(from: Int64(200), through: 2_500, by: 20) {
            var driver = AllocatorDriver([.camera(1)])
            driver.allocate(kilobits)
            #expect(driver.layer().hasSuffix(".2"), "\(kilobits) kbit/s: \(driver.layer())")
        }
    }

    @Test("of rooms, too: nobody who has just joined is given fewer frames than a cheaper picture has")
    func rooms() {
        for seed in 1...50 as ClosedRange<UInt64> {
            var random = SeededRandom(seed: seed)
            let requests = (1...8 as ClosedRange<UInt32>).map { AllocationRequest.random($0, using: &random) }
            var driver = AllocatorDriver(requests)
            driver.allocate(Int64.random(in: 300...9_000, using: &random))
            for (request, decision) in zip(requests, driver.decisions) where decision.spatial >= 0 {
                let isGood = KnapsackOracle.allowed(request).contains {
                    Int8($0.spatial) == decision.spatial && Int8($0.temporal) == decision.temporal
                }
                #expect(isGood, "seed \(seed), track \(request.id)")
            }
        }
    }

    @Test("a publisher of 15 frames a second is not taken for a reduced one")
    func slowCamera() {
        var request = AllocationRequest(id: 1)
        for (spatial, kilobits) in [(0, 150), (2, 1_000)] as [(UInt8, Int64)] {
            request.add(
                LayerOffer(
                    spatial: spatial,
                    temporal: 0,
                    bitrate: .kbps(kilobits),
                    width: 320 << Int32(spatial),
                    height: 180 << Int32(spatial),
                    framesPerSecond: 15
                )
            )
        }
        var driver = AllocatorDriver([request])
        driver.allocate(2_000)
        #expect(driver.layer() == "2.0")
    }

    @Test("an estimate that dips for two seconds costs frames and no key frame")
    func dip() {
        var driver = Self.settled(3_000)
        driver.run(for: .milliseconds(350), 1_400)
        #expect(driver.layer() == "2.1")
        driver.run(for: .milliseconds(1_650), 1_400)
        #expect(driver.layer() == "2.1")
        driver.run(for: .milliseconds(550), 3_000)
        #expect(driver.layer() == "2.2")
    }

    @Test("one that stays low costs pixels after 3 s, and counts as a fall")
    func lasting() {
        var driver = Self.settled(3_000)
        driver.run(for: .milliseconds(350), 1_400)
        driver.run(for: .milliseconds(2_900), 1_400)
        #expect(driver.layer() == "2.1")
        #expect(driver.allocator.nextDeadline <= driver.now + .milliseconds(100))
        driver.run(for: .milliseconds(100), 1_400)
        #expect(driver.layer() == "1.2")
        driver.run(for: .milliseconds(4_800), 3_000)
        #expect(driver.layer() == "1.2")
        #expect(driver.decisions[0].reason == .recovering)
        driver.run(for: .milliseconds(1_000), 3_000)
        #expect(driver.layer() == "2.2")
    }

    @Test("dips that come again and again use the three seconds up")
    func dips() {
        var driver = Self.settled(3_000)
        var dips = 0
        while driver.layer().hasPrefix("2"), dips < 10 {
            driver.run(for: .seconds(2), 1_400)
            driver.run(for: .seconds(1), 3_000)
            dips += 1
        }
        #expect(dips == 2)
        // A while later they are there again.
        driver.run(for: .seconds(30), 3_000)
        #expect(driver.layer() == "2.2")
        driver.run(for: .seconds(2), 1_400)
        #expect(driver.layer() == "2.1")
    }

    @Test("a share of the estimate that is too small for fewer frames, too, costs pixels at once")
    func farTooLow() {
        var driver = Self.settled(3_000)
        driver.run(for: .milliseconds(350), 1_000)
        #expect(driver.layer() == "1.2")
    }

    @Test("when one track rises those rise with it that have room as well")
    func together() {
        var driver = AllocatorDriver((1...6).map { .camera($0) })
        driver.run(for: .seconds(10), 520)
        #expect((0..<6).allSatisfy { driver.layer($0) == "0.0" })
        let changes = driver.run(for: .seconds(10), 1_300)
        #expect((0..<6).allSatisfy { driver.layer($0) == "0.2" })
        #expect(changes == 1, "\(changes)")
    }
}
