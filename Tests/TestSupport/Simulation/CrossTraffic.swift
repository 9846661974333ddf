/// Takes packets and forgets them; counts what arrives.
package final class Sink: Endpoint {
    package let metrics = FlowMetrics()

    package override func receive(_ packet: SimulatedPacket, in simulation: Simulation) {
        self.metrics.received(
            bytes: Int(packet.wireBytes),
            isPadding: false,
            delay: packet.delay,
            at: simulation.now
        )
    }
}

/// UDP at a rate that changes by a schedule and by nothing else.
package final class ConstantBitrateFlow: Endpoint {
    private static let packetBytes = 1_200

    private let rate: Schedule<Int64>
    private let path: SimulatedPath
    private let sink: Sink
    private var next: Microseconds = 0

    /// - Parameter sink: already part of the simulation.
    package init(rate: Schedule<Int64>, path: SimulatedPath, sink: Sink) {
        self.rate = rate
        self.path = path
        self.sink = sink
    }

    package override func start(in simulation: Simulation) { simulation.wake(self, at: 0) }

    package override func wake(in simulation: Simulation) {
        let rate = self.rate.value(at: simulation.now)
        self.next = simulation.now + (rate > 0 ? Int64(Self.packetBytes) * 8_000_000 / rate : 10_000)
        if rate > 0 {
            let packet = SimulatedPacket(.crossTraffic, to: self.sink.index, wireBytes: Self.packetBytes)
            simulation.transmit(packet, over: self.path)
        }
        simulation.wake(self, at: self.next)
    }
}
