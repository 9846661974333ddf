import Basics
import CongestionControl

/// The SFU's side of one subscriber's path: drives its congestion control and measures.
package class SendingEndpoint: Endpoint {
    package let control: any SubscriberControl
    package let path: SimulatedPath
    package let metrics = FlowMetrics()
    /// The index of the endpoint that packets go to.
    package var receiver = -1
    private var sequence: Int64 = 0

    package init(control: any SubscriberControl, path: SimulatedPath) {
        self.control = control
        self.path = path
    }

    /// When the source has something to do; subclasses override.
    package var sourceDeadline: Microseconds { .max }
    /// Whatever the source has to do now; subclasses override.
    package func runSource(in simulation: Simulation) {}
    /// The estimate has been updated; subclasses override.
    package func estimateChanged(in simulation: Simulation) {}

    package override func wake(in simulation: Simulation) {
        if self.control.nextDeadline <= simulation.instant {
            self.control.advance(to: simulation.instant)
            self.estimateChanged(in: simulation)
        }
        if self.sourceDeadline <= simulation.now { self.runSource(in: simulation) }
        self.settle(in: simulation)
    }

    package override func receive(_ packet: SimulatedPacket, in simulation: Simulation) {
        switch packet.kind {
        case .feedback:
            self.control.handleFeedback(simulation.takePayload(of: packet), at: simulation.instant)
        case .receiverReport:
            let roundTrip = Int64(packet.media.sequence) + simulation.now - packet.sentAt
            self.control.handleReceiverReport(
                fractionLost: Double(packet.media.reference) / 256,
                packetCount: Int(packet.media.frame),
                roundTripTime: .microseconds(roundTrip),
                at: simulation.instant
            )
        default: return
        }
        self.estimateChanged(in: simulation)
        self.settle(in: simulation)
    }

    /// Sends what has become ready, and asks to be woken for what comes next.
    package final func settle(in simulation: Simulation) {
        for packet in self.control.outgoing {
            var packet = packet
            packet.destination = Int32(self.receiver)
            packet.sequence = self.sequence
            self.sequence += 1
            let isPadding = packet.kind == .padding
            self.metrics.sent(bytes: Int(packet.wireBytes), isPadding: isPadding, at: simulation.now)
            guard case .arrives = simulation.transmit(packet, over: self.path) else {
                self.metrics.lost(at: simulation.now)
                continue
            }
        }
        self.control.outgoing.removeAll(keepingCapacity: true)
        let bitrate = self.control.estimate.bitrate.bitsPerSecond
        simulation.note(UInt64(bitPattern: bitrate))
        self.metrics.estimate(bitrate, at: simulation.now)
        simulation.wake(self, at: min(self.control.nextDeadline.simulated, self.sourceDeadline))
    }
}
