import Basics
import CongestionControl
import TestSupport
import Testing

@Suite("Probe clusters")
struct PacerProbeTests {
    private static func cluster(_ id: UInt16, kilobits: Int64, milliseconds: Int64 = 15) -> ProbeCluster {
        ProbeCluster(
            id: id,
            bitrate: .kbps(kilobits),
            minimumBytes: Int(kilobits * milliseconds / 8),
            minimumPackets: 5
        )
    }

    /// As the estimator sees it: the last packet's size is left out.
    private static func rate(of departures: [PacerDriver.Departure]) -> Double {
        guard let first = departures.first, let last = departures.last, last.at > first.at else { return 0 }
        let bytes = departures.dropLast().reduce(0) { $0 + $1.byteCount }
        return Double(bytes) * 8 / (last.at - first.at).inSeconds / 1_000
    }

    @Test(
        "have five packets or more, their bytes, and their rate within 5 %, with and without media",
        arguments: [100, 300, 900, 1_800, 5_000, 20_000] as [Int64],
        [0, 1, 4]
    )
    func rates(kilobits: Int64, mediaPackets: Int) {
        var driver = PacerDriver()
        driver.pacer.setRates(pacing: .kbps(kilobits / 2), padding: .zero, at: .zero)
        driver.pacer.start(Self.cluster(7, kilobits: kilobits), at: .zero)
        for _ in 0..<mediaPackets { driver.send(.video, byteCount: 1_100) }
        driver.run(for: .seconds(2))
        let members = driver.departures.filter { $0.probe == 7 }
        #expect(members.count >= 5)
        #expect(members.reduce(0) { $0 + $1.byteCount } >= Int(kilobits * 15 / 8))
        let rate = Self.rate(of: members)
        #expect(abs(rate - Double(kilobits)) <= 0.05 * Double(kilobits), "\(rate) kbit/s")
        // A cluster does not go on when it is complete.
        #expect(members.dropLast().reduce(0) { $0 + $1.byteCount } < Int(kilobits * 15 / 8) || members.count == 5)
    }

    @Test("use waiting media before padding, and media while they run")
    func mediaFirst() {
        var driver = PacerDriver()
        driver.pacer.setRates(pacing: .kbps(100), padding: .zero, at: .zero)
        for _ in 0..<30 { driver.send(.video, byteCount: 1_000) }
        driver.pacer.start(Self.cluster(1, kilobits: 2_000, milliseconds: 40), at: .zero)
        driver.run(for: .milliseconds(100))
        let members = driver.departures.filter { $0.probe == 1 }
        #expect(members.count == 10)
        #expect(members.allSatisfy { $0.kind == .media })
    }

    @Test("run one after the other, at most five wait")
    func several() {
        var driver = PacerDriver()
        driver.pacer.setRates(pacing: .kbps(300), padding: .zero, at: .zero)
        for id in 1...7 as ClosedRange<UInt16> { driver.pacer.start(Self.cluster(id, kilobits: 900), at: .zero) }
        driver.run(for: .seconds(2))
        #expect(Set(driver.departures.map(\.probe)).subtracting([0]) == [3, 4, 5, 6, 7])
        let order = driver.departures.map(\.probe)
        #expect(order == order.sorted())
    }

    @Test("are given up when a packet is 10 ms late, when nothing can be padded, or after 5 s")
    func abort() {
        var late = PacerDriver()
        late.pacer.start(Self.cluster(1, kilobits: 900), at: .zero)
        late.turn()
        #expect(late.departures.count == 1)
        late.now = late.now + .milliseconds(30)
        late.run(for: .seconds(1))
        #expect(late.departures.count == 1)
        let aborted = late.pacer.takeAbortedProbe()
        #expect(aborted == 1)

        var unable = PacerDriver()
        unable.canPad = false
        unable.pacer.setRates(pacing: .kbps(300), padding: .kbps(200), at: .zero)
        unable.pacer.start(Self.cluster(1, kilobits: 900), at: .zero)
        unable.run(for: .seconds(1))
        #expect(unable.departures.isEmpty)
        let given = unable.pacer.takeAbortedProbe()
        #expect(given == 1)

        var old = PacerDriver()
        old.pacer.start(Self.cluster(1, kilobits: 900), at: .zero)
        old.now = old.now + .milliseconds(5_001)
        old.run(for: .seconds(1))
        #expect(old.departures.isEmpty)
    }

    /// A machine on which others run too: packets that are late do not make those behind them late, nor the cluster slower.
    @Test("that are long go on when packets are late, each by itself", arguments: [600, 2_000] as [Int64])
    func lateness(kilobits: Int64) {
        var driver = PacerDriver()
        driver.pacer.start(Self.cluster(3, kilobits: kilobits, milliseconds: 160), at: .zero)
        var random = SeededRandom(seed: 31)
        while driver.now < .zero + .seconds(1) {
            driver.turn()
            driver.now = driver.now + .milliseconds(Int64.random(in: 1...20, using: &random))
        }
        let aborted = driver.pacer.takeAbortedProbe()
        #expect(aborted == 0)
        let rate = Self.rate(of: driver.departures)
        #expect(abs(rate - Double(kilobits)) <= 0.15 * Double(kilobits), "\(rate) kbit/s")
    }

    @Test("are told of once when they are given up")
    func told() {
        var driver = PacerDriver()
        driver.pacer.start(Self.cluster(9, kilobits: 900), at: .zero)
        driver.turn()
        let before = driver.pacer.takeAbortedProbe()
        driver.now = driver.now + .milliseconds(60)
        driver.turn()
        let after = driver.pacer.takeAbortedProbe()
        let again = driver.pacer.takeAbortedProbe()
        #expect([before, after, again] == [0, 9, 0])
    }

    @Test("nonsense clusters do nothing")
    func nonsense() {
        var driver = PacerDriver()
        driver.pacer.start(ProbeCluster(id: 0, bitrate: .kbps(1), minimumBytes: 9, minimumPackets: 1), at: .zero)
        driver.pacer.start(ProbeCluster(id: 1, bitrate: .zero, minimumBytes: 9, minimumPackets: 1), at: .zero)
        driver.pacer.start(ProbeCluster(id: 2, bitrate: .kbps(-5), minimumBytes: 9, minimumPackets: 1), at: .zero)
        driver.run(for: .seconds(1))
        #expect(driver.departures.isEmpty)
        driver.pacer.start(ProbeCluster(id: 3, bitrate: .kbps(9), minimumBytes: -9, minimumPackets: 0), at: driver.now)
        driver.run(for: .seconds(1))
        #expect(driver.departures.count == 1)
    }
}
