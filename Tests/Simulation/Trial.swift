import Basics
import CongestionControl
import TestSupport

/// One run of one scenario with one system and one seed.
final class Trial {
    let system: System
    let simulation: Simulation
    let seed: UInt64
    /// Everything that was added, for `--verbose`.
    private(set) var flows: [SendingEndpoint] = []
    private(set) var links: [LinkConfiguration] = []

    init(system: System, seed: UInt64) {
        self.system = system
        self.seed = seed
        self.simulation = Simulation(seed: seed)
    }

    func addLink(_ configuration: LinkConfiguration) -> Int {
        self.links.append(configuration)
        return self.simulation.addLink(configuration)
    }

    func note(_ flow: SendingEndpoint) { self.flows.append(flow) }

    func run(_ seconds: Double) { self.simulation.run(until: Microseconds(seconds * 1e6)) }

    /// Receivers differ by seed: half of them have a clock that wraps during the run.
    func receiver(interval: Microseconds = 50_000, drift: Int64 = 0) -> ReceiverConfiguration {
        var configuration = ReceiverConfiguration()
        configuration.feedback = .transportWide(interval: interval)
        configuration.drift = drift
        if self.seed % 2 == 0 { configuration.clockOffset = ReceiverConfiguration.wrappingClock }
        return configuration
    }

    func control(
        _ system: System? = nil,
        start: Int64 = 300_000,
        maximum: Int64 = 30_000_000,
        hasTransportFeedback: Bool = true
    ) -> SimulatedSubscriber {
        let system = system ?? self.system
        var configuration = EstimatorConfiguration(
            start: Bitrate(bitsPerSecond: start),
            maximum: Bitrate(bitsPerSecond: maximum),
            rules: system.rules,
            // Sequence numbers wrap within the first seconds.
            firstSequence: 65_000
        )
        if !system.isOurs { configuration.minimum = .kbps(5) }
        return SimulatedSubscriber(
            configuration,
            hasTransportFeedback: hasTransportFeedback,
            at: self.simulation.instant
        )
    }

    /// A publisher that follows its only subscriber, with links of their own unless they are given.
    @discardableResult
    func addEncoderFlow(
        over forward: SimulatedPath,
        back: SimulatedPath? = nil,
        source: EncoderSource = EncoderSource(),
        startsAt start: Double = 0,
        control: SimulatedSubscriber? = nil,
        receiver: ReceiverConfiguration? = nil
    ) -> EncoderFlow {
        let flow = EncoderFlow(
            control: control ?? self.control(),
            path: forward,
            source: source,
            startsAt: Microseconds(start * 1e6),
            seed: self.simulation.makeSeed()
        )
        let reverse = back ?? SimulatedPath(link: self.addLink(.ample()), extraDelay: forward.extraDelay)
        self.simulation.add(flow)
        self.simulation.add(
            ReceivingEndpoint(receiver ?? self.receiver(), sender: flow, reversePath: reverse)
        )
        self.flows.append(flow)
        return flow
    }

    /// As above, alone on a link whose way back has the same delay.
    func addEncoderFlow(
        on link: LinkConfiguration,
        back: LinkConfiguration? = nil,
        source: EncoderSource = EncoderSource(),
        control: SimulatedSubscriber? = nil,
        receiver: ReceiverConfiguration? = nil
    ) -> EncoderFlow {
        let forward = SimulatedPath(link: self.addLink(link))
        var reverse = back ?? .ample()
        if back == nil { reverse.delay = link.delay }
        return self.addEncoderFlow(
            over: forward,
            back: SimulatedPath(link: self.addLink(reverse)),
            source: source,
            control: control,
            receiver: receiver
        )
    }

    /// - Returns: what the receiver counts.
    func addTCP(
        _ algorithm: CongestionWindow.Algorithm,
        _ demand: TCPDemand,
        over forward: SimulatedPath,
        back: SimulatedPath
    ) -> (sender: TCPSender, metrics: FlowMetrics) {
        let sender = TCPSender(algorithm, demand: demand, path: forward, seed: self.simulation.makeSeed())
        self.simulation.add(sender)
        let receiver = self.simulation.add(TCPReceiver(sender: sender, reversePath: back))
        return (sender, receiver.metrics)
    }
}
