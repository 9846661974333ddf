import Basics
import CongestionControl
import Testing

@Suite("Bandwidth allocator: what is to be probed")
struct AllocatorGoalTests {
    @Test("a path that carries exactly the goal always gets the next layer: no deadlock")
    func reached() {
        for scale in stride(from: 0.3, through: 3, by: 0.13) {
            var driver = AllocatorDriver([.camera(1, scale: scale), .camera(2, weight: 4, scale: scale)])
            var kilobits: Int64 = 50
            driver.run(for: .seconds(10), kilobits)
            for _ in 0..<40 {
                let summary = driver.allocate(kilobits)
                guard driver.decisions.contains(where: { $0.nextNeeds > .zero }) else { break }
                #expect(summary.goal.bitrate > .kbps(kilobits))
                let before = driver.decisions
                // The proof, less 4 % of noise.
                kilobits = max((summary.goal.bitrate.bitsPerSecond * 96 / 100 + 999) / 1_000, kilobits)
                driver.run(for: .seconds(7), kilobits)
                #expect(driver.decisions.map(\.bitrate) != before.map(\.bitrate), "scale \(scale), \(kilobits) kbit/s")
            }
            #expect(driver.layer(0) == "2.2" && driver.layer(1) == "2.2", "scale \(scale)")
        }
    }

    @Test("nothing is probed when all have their best, when nothing is visible, and while a fall is fresh")
    func nothing() {
        var driver = AllocatorDriver([.camera(1)])
        #expect(driver.allocate(5_000).goal.bitrate == .zero)
        driver.run(for: .seconds(10), 5_000)
        driver.run(for: .milliseconds(250), 700, isCongested: true)
        #expect(driver.allocate(700).goal.bitrate == .zero)
        driver.run(for: .seconds(6), 700)
        #expect(driver.allocate(700).goal.bitrate > .kbps(1_090))
        driver.requests[0].weight = 0
        #expect(driver.allocate(700).goal == ProbeGoal(bitrate: .zero, wanted: .kbps(40)))
    }

    @Test("a paused track is probed for, first of all")
    func paused() {
        var driver = AllocatorDriver([.camera(1), .camera(2)])
        driver.run(for: .seconds(2), 400)
        driver.run(for: .seconds(20), 150)
        let goal = driver.allocate(150).goal
        // 40 of audio, 75 that are sent, 75 that are wanted and 0.3 times that on top; all with 10 % of margin.
        #expect(goal.bitrate.bitsPerSecond == (40_000 + 75_000 + 75_000 + 22_500) * 110 / 100)
        #expect(goal.wanted == .kbps(3_040))
        #expect(goal.isUrgent)
        driver.run(for: .seconds(10), 600)
        #expect(!driver.allocate(600).goal.isUrgent)
    }

    @Test("what is on stage is probed for before the others")
    func stage() {
        var driver = AllocatorDriver([.camera(1), .camera(2, weight: 8, isOnStage: true)])
        driver.run(for: .seconds(20), 420)
        #expect(driver.layer(1) == "0.2")
        let goal = driver.allocate(420).goal
        // To 1.2: 500 with 75 of the other and 40 of audio.
        #expect(goal.bitrate.bitsPerSecond == 615_000 * 105 / 100 * 1_100 / 1_000)
    }

    @Test("a seventh more than is sent is to be known to fit, a third more where packets are lost")
    func headroom() {
        var driver = AllocatorDriver([.camera(1)])
        driver.run(for: .seconds(10), 1_700)
        #expect(driver.layer() == "2.2")
        #expect(driver.allocate(1_700).goal.bitrate.bitsPerSecond == 1_540_000 * 115 / 100)
        #expect(driver.allocate(1_800).goal.bitrate == .zero)
        var estimate = AllocatorDriver.estimate(1_800)
        estimate.lossFraction = 0.1
        let goal = driver.allocate(estimate).goal
        #expect(goal.bitrate.bitsPerSecond == 1_540_000 * 135 / 100)
        #expect(goal.wanted == goal.bitrate)
    }
}
