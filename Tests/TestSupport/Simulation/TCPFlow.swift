/// What a TCP flow sends.
package enum TCPDemand: Sendable {
    /// As much as goes, from one time to another, in microseconds.
    case unlimited(from: Microseconds, to: Microseconds)
    /// One file after the other, each on a new connection, with pauses of exponential length in between.
    case files(bytes: ClosedRange<Int>, meanPause: Microseconds, startsOn: Bool)
}

/// A TCP sender: NewReno or CUBIC, selective acknowledgements, loss found by time (RFC 8985), 1,500-byte packets. It and
/// its `TCPReceiver` are a model of how TCP shares a queue: no handshake, no receive window, every segment acknowledged.
package final class TCPSender: Endpoint {
    private enum State: UInt8 {
        case outstanding, acknowledged, lost
    }

    private struct Segment {
        var state = State.outstanding
        var sentAt: Microseconds
    }

    private static let wireBytes = 1_500
    private static let payloadBytes = 1_448
    private static let minimumTimeout: Microseconds = 200_000
    private static let reorderWindow: Microseconds = 1_000

    private let algorithm: CongestionWindow.Algorithm
    private let path: SimulatedPath
    private let demand: TCPDemand
    private var random: SeededRandom
    package var receiver = -1

    private var window: CongestionWindow
    /// Everything from the first number that is not acknowledged on.
    private var segments: [Segment] = []
    private var firstSequence: Int64 = 0
    /// Segments that may still be sent for the first time.
    private var remaining = 0
    private var inFlight = 0
    private var recoveryEnd: Int64 = 0
    private var smoothedRoundTrip: Microseconds = 0
    private var roundTripDeviation: Microseconds = 0
    private var timeout: Microseconds = 1_000_000
    private var timesOutAt = Microseconds.max
    private var startsAt = Microseconds.max

    package init(
        _ algorithm: CongestionWindow.Algorithm,
        demand: TCPDemand,
        path: SimulatedPath,
        seed: UInt64
    ) {
        self.algorithm = algorithm
        self.window = CongestionWindow(algorithm)
        self.demand = demand
        self.path = path
        self.random = SeededRandom(seed: seed)
    }

    package override func start(in simulation: Simulation) {
        switch self.demand {
        case .unlimited(let from, _): self.startsAt = from
        case .files(_, let meanPause, let startsOn): self.startsAt = startsOn ? 0 : self.pause(meanPause)
        }
        simulation.wake(self, at: self.startsAt)
    }

    private func pause(_ mean: Microseconds) -> Microseconds {
        Microseconds(self.random.exponential() * Double(mean))
    }

    package override func wake(in simulation: Simulation) {
        let now = simulation.now
        if now >= self.startsAt {
            self.startsAt = .max
            switch self.demand {
            case .unlimited: self.remaining = .max
            case .files(let bytes, _, _):
                self.window = CongestionWindow(self.algorithm)
                self.remaining =
                    (Int.random(in: bytes, using: &self.random) + Self.payloadBytes - 1) / Self.payloadBytes
            }
        }
        if now >= self.timesOutAt {
            for index in self.segments.indices where self.segments[index].state == .outstanding {
                self.segments[index].state = .lost
            }
            self.inFlight = 0
            self.window.timedOut()
            self.recoveryEnd = self.firstSequence + Int64(self.segments.count)
            self.timeout = min(self.timeout * 2, 10_000_000)
            self.timesOutAt = .max
        }
        self.sendWhatFits(in: simulation)
    }

    package override func receive(_ packet: SimulatedPacket, in simulation: Simulation) {
        let now = simulation.now
        let index = Int(packet.sequence - self.firstSequence)
        guard index >= 0, index < self.segments.count, self.segments[index].state != .acknowledged else { return }
        self.measureRoundTrip(Microseconds(packet.media.sequence) + now - packet.sentAt)
        if self.segments[index].state == .outstanding { self.inFlight -= 1 }
        self.segments[index].state = .acknowledged
        self.findLosses(sentBefore: self.segments[index].sentAt - Self.reorderWindow)
        if packet.sequence >= self.recoveryEnd {
            self.window.acknowledged(roundTripTime: self.smoothedRoundTrip, at: now)
        }
        self.forgetAcknowledged()
        self.timesOutAt = self.segments.isEmpty ? .max : now + self.timeout
        if self.segments.isEmpty, self.remaining == 0, case .files(_, let meanPause, _) = self.demand {
            self.startsAt = now + self.pause(meanPause)
        }
        self.sendWhatFits(in: simulation)
    }

    private func measureRoundTrip(_ sample: Microseconds) {
        if self.smoothedRoundTrip == 0 {
            self.smoothedRoundTrip = sample
            self.roundTripDeviation = sample / 2
        } else {
            self.roundTripDeviation += (abs(sample - self.smoothedRoundTrip) - self.roundTripDeviation) / 4
            self.smoothedRoundTrip += (sample - self.smoothedRoundTrip) / 8
        }
        self.timeout = max(Self.minimumTimeout, self.smoothedRoundTrip + 4 * self.roundTripDeviation)
    }

    private func findLosses(sentBefore limit: Microseconds) {
        var isNewLoss = false
        for index in self.segments.indices
        where self.segments[index].state == .outstanding && self.segments[index].sentAt < limit {
            self.segments[index].state = .lost
            self.inFlight -= 1
            if self.firstSequence + Int64(index) >= self.recoveryEnd { isNewLoss = true }
        }
        guard isNewLoss else { return }
        self.window.lost()
        self.recoveryEnd = self.firstSequence + Int64(self.segments.count)
    }

    private func forgetAcknowledged() {
        var count = 0
        while count < self.segments.count, self.segments[count].state == .acknowledged { count += 1 }
        self.segments.removeFirst(count)
        self.firstSequence += Int64(count)
    }

    private func sendWhatFits(in simulation: Simulation) {
        let now = simulation.now
        if case .unlimited(_, let end) = self.demand, now >= end { self.remaining = 0 }
        var lost = 0
        while Double(self.inFlight) < self.window.segments {
            while lost < self.segments.count, self.segments[lost].state != .lost { lost += 1 }
            if lost < self.segments.count {
                self.segments[lost] = Segment(sentAt: now)
                self.transmit(self.firstSequence + Int64(lost), in: simulation)
            } else if self.remaining > 0 {
                self.remaining -= 1
                self.segments.append(Segment(sentAt: now))
                self.transmit(self.firstSequence + Int64(self.segments.count) - 1, in: simulation)
            } else {
                break
            }
        }
        simulation.wake(self, at: min(self.timesOutAt, self.startsAt))
    }

    private func transmit(_ sequence: Int64, in simulation: Simulation) {
        self.inFlight += 1
        var packet = SimulatedPacket(.segment, to: self.receiver, wireBytes: Self.wireBytes)
        packet.sequence = sequence
        simulation.transmit(packet, over: self.path)
        if self.timesOutAt == .max { self.timesOutAt = simulation.now + self.timeout }
    }
}

/// Acknowledges every segment by its number.
package final class TCPReceiver: Endpoint {
    private static let wireBytes = 52

    private let sender: TCPSender
    private let reversePath: SimulatedPath
    package let metrics = FlowMetrics()

    /// - Parameter sender: already part of the simulation.
    package init(sender: TCPSender, reversePath: SimulatedPath) {
        self.sender = sender
        self.reversePath = reversePath
    }

    package override func start(in simulation: Simulation) { self.sender.receiver = self.index }

    package override func receive(_ packet: SimulatedPacket, in simulation: Simulation) {
        let now = simulation.now
        self.metrics.received(bytes: Int(packet.wireBytes), isPadding: false, delay: packet.delay, at: now)
        var acknowledgement = SimulatedPacket(.acknowledgement, to: self.sender.index, wireBytes: Self.wireBytes)
        acknowledgement.sequence = packet.sequence
        acknowledgement.media.sequence = Int32(clamping: now - packet.sentAt)
        simulation.transmit(acknowledgement, over: self.reversePath)
    }
}
