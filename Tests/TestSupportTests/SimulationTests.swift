import Basics
import CongestionControl
import TestSupport
import Testing

@Suite("A simulated network")
struct SimulationTests {
    @Test("events come in order of time, and of equal times in the order in which they were put in", arguments: 1...20)
    func eventOrder(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        var queue = EventQueue<Int>()
        var expected: [(time: Microseconds, value: Int)] = []
        for value in 0..<500 {
            let time = Microseconds.random(in: 0...40, using: &random)
            queue.insert(value, at: time)
            expected.append((time, value))
        }
        expected.sort { ($0.time, $0.value) < ($1.time, $1.value) }
        var order: [Int] = []
        while let (_, value) = queue.next() { order.append(value) }
        #expect(order == expected.map(\.value), "seed \(seed)")
    }

    @Test("TCP alone fills a link", arguments: [CongestionWindow.Algorithm.newReno, .cubic])
    func tcpFillsTheLink(algorithm: CongestionWindow.Algorithm) {
        let simulation = Simulation(seed: 1)
        let metrics = addTCP(
            algorithm,
            to: simulation,
            over: simulation.addLink(LinkConfiguration(capacity: [(0, 5_000_000)]))
        )
        simulation.run(until: 30_000_000)
        #expect(metrics.goodput(from: 5, to: 30) > 4_700_000)
    }

    @Test("two TCP flows share a link", arguments: [CongestionWindow.Algorithm.newReno, .cubic])
    func tcpIsFair(algorithm: CongestionWindow.Algorithm) {
        let simulation = Simulation(seed: 1)
        let link = simulation.addLink(LinkConfiguration(capacity: [(0, 5_000_000)]))
        let flows = [addTCP(algorithm, to: simulation, over: link), addTCP(algorithm, to: simulation, over: link)]
        simulation.run(until: 120_000_000)
        #expect(jainIndex(flows.map { $0.goodput(from: 20, to: 120) }) > 0.9)
    }

    @Test("cross traffic has the rate of its schedule")
    func constantBitrate() {
        let simulation = Simulation(seed: 1)
        let path = SimulatedPath(link: simulation.addLink(LinkConfiguration(capacity: [(0, 5_000_000)])))
        let sink = simulation.add(Sink())
        simulation.add(
            ConstantBitrateFlow(rate: Schedule([(0, 1_000_000), (10, 0), (20, 3_000_000)]), path: path, sink: sink)
        )
        simulation.run(until: 30_000_000)
        #expect(abs(sink.metrics.goodput(from: 1, to: 10) - 1_000_000) < 20_000)
        #expect(sink.metrics.goodput(from: 11, to: 20) == 0)
        #expect(abs(sink.metrics.goodput(from: 21, to: 30) - 3_000_000) < 40_000)
    }

    @Test(
        "a subscriber of layers never gets a frame without what it refers to, nor more than its estimate",
        arguments: [PublishedTrackConfiguration.Structure.simulcast, .scalable]
    )
    func layersAreIntact(structure: PublishedTrackConfiguration.Structure) {
        let simulation = Simulation(seed: 1)
        var configuration = PublishedTrackConfiguration()
        configuration.structure = structure
        let policy = AllocatorPolicy(maximumTracks: 4, at: simulation.instant)
        let steps: [(seconds: Double, value: Int64)] = [(0, 3_000_000), (10, 400_000), (20, 3_000_000), (30, 900_000)]
        let viewer = LayeredSubscriber(
            control: SimulatedSubscriber(EstimatorConfiguration(), at: simulation.instant),
            path: SimulatedPath(link: simulation.addLink(LinkConfiguration(capacity: steps))),
            policy: policy,
            startsAt: 1_000_000
        )
        simulation.add(viewer)
        let back = SimulatedPath(link: simulation.addLink(.ample()))
        let receiver = simulation.add(VideoReceiver(ReceiverConfiguration(), sender: viewer, reversePath: back))
        let publisher = simulation.add(LayeredPublisher(track: 0, configuration: configuration, seed: 5))
        viewer.subscribe(SimulatedSubscription(publisher), in: simulation)
        simulation.run(until: 40_000_000)
        #expect(viewer.tracks[0].danglingCount == 0)
        #expect(policy.violationCount == 0)
        #expect(Set(viewer.tracks[0].layers.map(\.spatial)).isSuperset(of: [0, 2]))
        #expect(receiver.screens[0].shown.count > 500)
    }

    @Test("a run is decided by its seed")
    func sameSeedSameTrace() {
        let first = RandomScenario(seed: 3).run()
        let again = RandomScenario(seed: 3).run()
        let other = RandomScenario(seed: 4).run()
        #expect(first.traceHash == again.traceHash)
        #expect(first.traceHash != other.traceHash)
    }

    @Test("estimates stay in their limits and use random paths")
    func randomPaths() {
        let results = (1...24).map { RandomScenario(seed: UInt64($0)).run() }
        let used = results.map(\.utilisation).sorted()[12]
        let delay = results.map(\.delay95).sorted()[12]
        #expect(used > 0.6)
        #expect(delay < 250)
        for result in results { #expect(!result.isBroken, "seed \(result.seed)") }
    }

    @Test("feedback that nobody sane would send does no harm", arguments: [1 as UInt64, 2])
    func fuzzedFeedback(seed: UInt64) { #expect(fuzzFeedback(count: 5_000, seed: seed) == 0, "seed \(seed)") }

    private func addTCP(
        _ algorithm: CongestionWindow.Algorithm,
        to simulation: Simulation,
        over link: Int
    ) -> FlowMetrics {
        let back = SimulatedPath(link: simulation.addLink(.ample()))
        let sender = simulation.add(
            TCPSender(
                algorithm,
                demand: .unlimited(from: 0, to: 1_000_000_000),
                path: SimulatedPath(link: link),
                seed: simulation.makeSeed()
            )
        )
        return simulation.add(TCPReceiver(sender: sender, reversePath: back)).metrics
    }
}
