import Basics
import CongestionControl
import TestSupport
import Testing

@Suite("Bandwidth allocator: who gets what")
struct BandwidthAllocatorTests {
    @Test(
        "one camera on its own, with 40 kbit/s of audio",
        arguments: [
            (30, "-"), (100, "-"), (121, "0.0"), (160, "0.1"), (200, "0.2"), (310, "0.2"), (566, "0.2"), (568, "1.2"),
            (1_145, "1.2"), (1_616, "1.2"), (1_617, "2.2"), (50_000, "2.2"),
        ] as [(Int64, String)]
    )
    func single(kilobits: Int64, layer: String) {
        var driver = AllocatorDriver([.camera(1)])
        driver.allocate(kilobits)
        #expect(driver.layer() == layer)
        let decision = driver.decisions[0]
        #expect(decision.isPausedForBandwidth == (layer == "-"))
        #expect((decision.nextNeeds == .zero) == (layer == "2.2"))
        #expect(decision.nextNeeds == .zero || decision.nextNeeds > .kbps(kilobits))
    }

    @Test("everybody has a base layer before anybody has more; then the heavier rise first")
    func order() {
        var driver = AllocatorDriver([.camera(1), .camera(2, weight: 4), .camera(3), .camera(4)])
        driver.allocate(380)
        #expect((0..<4).map { driver.layer($0) } == ["0.0", "0.0", "0.0", "0.0"])
        driver = AllocatorDriver([.camera(1), .camera(2, weight: 4), .camera(3), .camera(4)])
        driver.allocate(300)
        #expect(driver.layer(1) == "0.0")
        #expect((0..<4).filter { driver.layer($0) == "-" }.count == 1)
        #expect(driver.layer(3) == "-")
        driver = AllocatorDriver([.camera(1), .camera(2, weight: 4), .camera(3), .camera(4)])
        driver.allocate(1_200)
        #expect(driver.layer(1) == "1.2")
    }

    @Test("until the stage has 360p, the others stay at their base; they give way first")
    func stage() {
        var driver = AllocatorDriver([.camera(1), .camera(2, weight: 8, isOnStage: true), .camera(3)])
        driver.allocate(640)
        #expect(driver.layer(1) == "0.2")
        #expect(driver.layer(0) == "0.0")
        #expect(driver.decisions[0].reason == .stageFirst)
        #expect(driver.decisions[1].reason == .bandwidth)
        driver.run(for: .seconds(10), 5_000)
        #expect((0..<3).map { driver.layer($0) } == ["2.2", "2.2", "2.2"])
        driver.run(for: .milliseconds(250), 800, isCongested: true)
        #expect((0..<3).map { driver.layer($0) } == ["0.1", "1.2", "0.1"])
    }

    @Test("a screen share gives up frames before pixels")
    func screenShare() {
        for (kilobits, layer) in [(3_000, "1.2"), (1_600, "1.1"), (900, "1.0"), (700, "0.2")] as [(Int64, String)] {
            var driver = AllocatorDriver([.screen(1)])
            driver.allocate(kilobits)
            #expect(driver.layer() == layer, "\(kilobits)")
        }
    }

    @Test("what nobody can see is not sent, and limits are kept")
    func limits() {
        var hidden = AllocatorDriver([.camera(1, weight: 0), .camera(2, weight: .nan)])
        let summary = hidden.allocate(9_000)
        #expect(hidden.layer(0) == "-" && hidden.layer(1) == "-")
        #expect(hidden.decisions[0].reason == .notVisible)
        #expect(!hidden.decisions[0].isPausedForBandwidth)
        #expect(summary.goal.bitrate == .zero)
        #expect(summary.wanted == .kbps(40))

        var small = AllocationRequest.camera(1)
        (small.viewportWidth, small.viewportHeight) = (480, 270)
        var limited = AllocationRequest.camera(2)
        limited.maximumTemporal = 1
        var low = AllocationRequest.camera(3)
        low.maximumSpatial = 0
        var driver = AllocatorDriver([small, limited, low])
        let second = driver.allocate(9_000)
        #expect((0..<3).map { driver.layer($0) } == ["1.2", "2.1", "0.2"])
        #expect(driver.decisions.map(\.reason) == [.fillsTile, .limitedByRequest, .limitedByRequest])
        #expect(second.wanted == .kbps(40 + 500 + 1_050 + 150))
        #expect(second.goal.bitrate == .zero)
    }

    @Test("a track of which only a too large layer is sent still shows something")
    func onlyLargeLayer() {
        var request = AllocationRequest(id: 1, maximumSpatial: 0)
        request.addLadder(scale: 1, layers: [2])
        var driver = AllocatorDriver([request, AllocationRequest(id: 2)])
        driver.allocate(5_000)
        #expect(driver.layer(0) == "2.0")
        #expect(driver.decisions[1].reason == .nothingOffered)
    }

    @Test("audio comes before all video")
    func audioFirst() {
        var driver = AllocatorDriver([.camera(1, isOnStage: true)])
        driver.audio = .kbps(200)
        let summary = driver.allocate(150)
        #expect(driver.layer() == "-")
        #expect(summary.allocated == .zero)
        #expect(!summary.isOversending)
    }

    @Test("the base layer on stage is sent beyond the estimate while the path bears it")
    func oversend() {
        var driver = AllocatorDriver([.camera(1), .camera(2, weight: 8, scale: 2, isOnStage: true)])
        let summary = driver.allocate(100)
        #expect(summary.isOversending)
        #expect(driver.layer(0) == "-")
        #expect(driver.layer(1) == "0.0")
        #expect(driver.decisions[1].reason == .oversending)
        var estimate = AllocatorDriver.estimate(100)
        estimate.lossFraction = 0.06
        driver.run(for: .seconds(6), 100)
        driver.allocate(estimate)
        driver.now = driver.now + .milliseconds(300)
        let lossy = driver.allocate(estimate)
        #expect(driver.layer(1) == "-")
        #expect(!lossy.isOversending)
    }

    @Test("more tracks than there are places for get nothing, and a place becomes free again")
    func places() {
        var driver = AllocatorDriver((0..<5).map { .camera($0) }, maximumTracks: 3)
        driver.allocate(90_000)
        #expect((0..<5).map { driver.layer($0) } == ["2.2", "2.2", "2.2", "-", "-"])
        #expect(driver.decisions[4].reason == .tooManyTracks)
        driver.requests = [.camera(7), .camera(3), .camera(4)]
        driver.allocator.remove(id: 0)
        driver.allocate(90_000)
        #expect((0..<3).map { driver.layer($0) } == ["2.2", "2.2", "2.2"])
    }

    @Test("says in words why there is no more")
    func words() {
        var driver = AllocatorDriver([.camera(1)])
        driver.allocate(820)
        #expect(
            driver.decisions[0].sentence(estimate: .kbps(820))
                == "your connection carries 820 kbit/s; the next layer needs 1,617"
        )
        driver = AllocatorDriver([.camera(1)])
        driver.allocate(60)
        #expect(
            driver.decisions[0].sentence(estimate: .kbps(60))
                == "paused: your connection carries 60 kbit/s; this video needs 120"
        )
        let sentences = Set(AllocationReason.allCases.map(\.sentence.description))
        #expect(sentences.count == AllocationReason.allCases.count)
        #expect(sentences.allSatisfy { $0.count > 10 && $0.count < 100 })
    }

    @Test("nonsense from the network neither stops it nor harms the other tracks")
    func numbersFromTheNetwork() {
        var request = AllocationRequest(id: 1, weight: .infinity, viewportWidth: -5, viewportHeight: .min)
        request.add(
            LayerOffer(
                spatial: 255,
                temporal: 255,
                bitrate: Bitrate(bitsPerSecond: .min),
                width: .max,
                height: .max,
                framesPerSecond: .nan
            )
        )
        request.add(
            LayerOffer(spatial: 9, temporal: 0, bitrate: Bitrate(bitsPerSecond: .max), framesPerSecond: -1)
        )
        request.offerCount = .max
        var driver = AllocatorDriver([request, .camera(2)])
        driver.audio = Bitrate(bitsPerSecond: .min)
        driver.allocate(BandwidthEstimate(bitrate: Bitrate(bitsPerSecond: .max), pacingRate: .zero))
        driver.audio = Bitrate(bitsPerSecond: .max)
        driver.allocate(BandwidthEstimate(bitrate: Bitrate(bitsPerSecond: .min), pacingRate: .zero))
        #expect(driver.layer(1) == "-")
    }
}
