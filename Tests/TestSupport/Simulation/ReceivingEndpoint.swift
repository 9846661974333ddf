import Basics
import CongestionControl
import RTP

/// How a receiver reports.
package struct ReceiverConfiguration: Sendable {
    package enum Feedback: Sendable {
        /// Transport-wide, this long after the first packet that is not reported yet.
        case transportWide(interval: Microseconds)
        /// RFC 8888, with marks, each 50 ms. Packets are taken to leave with ECT(1).
        case congestionControl
        /// REMB: the receiver estimates for itself.
        case receiverEstimate
    }

    package var feedback = Feedback.transportWide(interval: 50_000)
    /// What the receiver's clock shows at the start of the run.
    package var clockOffset: Microseconds = 1_000_000_000
    /// Parts per million that its clock is too fast.
    package var drift: Int64 = 0

    package init() {}

    /// A clock whose 24-bit reference time (64 ms units) wraps 20 s into the run.
    package static let wrappingClock: Microseconds = (1 << 23) * 64_000 - 20_000_000
}

/// A subscriber's browser, as far as congestion control sees it: real transport-wide feedback, or REMB, over a path of
/// its own; a receiver report every second.
package class ReceivingEndpoint: Endpoint {
    private static let reportInterval: Microseconds = 1_000_000
    /// IP, UDP and SRTCP index and tag.
    private static let feedbackOverhead = 28 + 14

    private let configuration: ReceiverConfiguration
    package let reversePath: SimulatedPath
    package let sender: SendingEndpoint
    private var recorder: TransportFeedbackRecorder
    /// Numbers of marked packets that are not reported yet, and the number after the last reported one.
    private var marked: Set<SequenceNumber> = []
    private var nextReported: SequenceNumber?
    private var builder = TransportFeedbackBuilder(senderSSRC: SSRC(1), mediaSSRC: SSRC(2))
    private var scratch: [PacketArrival] = []
    private var remote = ReceiverEstimateModel()
    private var nextReport = Microseconds.max
    /// The first number that has not come, and how many have come since the last report.
    private var highestSequence: Int64 = -1
    private var reportedSequence: Int64 = -1
    private var receivedSinceReport: Int64 = 0
    private var lastForwardTime: Microseconds = 0

    package init(_ configuration: ReceiverConfiguration, sender: SendingEndpoint, reversePath: SimulatedPath) {
        self.configuration = configuration
        self.sender = sender
        self.reversePath = reversePath
        self.scratch = Array(
            repeating: PacketArrival(SequenceNumber(0), microseconds: nil),
            count: TransportFeedbackRecorder.capacity
        )
        switch configuration.feedback {
        case .transportWide(let interval) where interval > 50_000:
            // Slower receivers collect later than it asks for.
            self.recorder = TransportFeedbackRecorder(interval: .milliseconds(100))
        case .transportWide, .congestionControl, .receiverEstimate:
            self.recorder = TransportFeedbackRecorder(interval: .milliseconds(50))
        }
    }

    package override func start(in simulation: Simulation) { self.sender.receiver = self.index }

    /// Media, whose congestion control is dealt with; subclasses override.
    package func receiveMedia(_ packet: SimulatedPacket, in simulation: Simulation) {}
    package var mediaDeadline: Microseconds { .max }
    package func runMedia(in simulation: Simulation) {}

    package final override func receive(_ packet: SimulatedPacket, in simulation: Simulation) {
        let now = simulation.now
        self.sender.metrics.received(
            bytes: Int(packet.wireBytes),
            isPadding: packet.kind == .padding,
            delay: packet.delay,
            at: now
        )
        if self.nextReport == .max { self.nextReport = now + Self.reportInterval }
        self.highestSequence = max(self.highestSequence, packet.sequence)
        self.receivedSinceReport += 1
        self.lastForwardTime = now - packet.sentAt
        switch self.configuration.feedback {
        case .transportWide, .congestionControl:
            if packet.isMarked { self.marked.insert(packet.transportSequence) }
            self.recorder.received(packet.transportSequence, at: self.localTime(now))
        case .receiverEstimate:
            self.remote.received(
                bytes: Int(packet.wireBytes),
                sentAt: packet.sentAt,
                delay: packet.delay,
                at: now
            )
        }
        self.receiveMedia(packet, in: simulation)
        self.schedule(in: simulation)
    }

    package final override func wake(in simulation: Simulation) {
        let now = simulation.now
        switch self.configuration.feedback {
        case .transportWide, .congestionControl:
            if self.feedbackDeadline <= now { self.sendFeedback(in: simulation) }
        case .receiverEstimate:
            if let bitrate = self.remote.message(at: now) {
                self.send(in: simulation) { _ = $0.appendMaximumBitrate(bitrate, from: SSRC(1), ssrcs: [SSRC(2)].span) }
            }
        }
        if self.nextReport <= now { self.sendReport(in: simulation) }
        if self.mediaDeadline <= now { self.runMedia(in: simulation) }
        self.schedule(in: simulation)
    }

    package final func schedule(in simulation: Simulation) {
        simulation.wake(self, at: min(self.feedbackDeadline, self.nextReport, self.mediaDeadline))
    }

    // MARK: The receiver's clock

    private func localTime(_ time: Microseconds) -> Instant {
        let drifted = time + time * self.configuration.drift / 1_000_000
        return Instant(nanoseconds: (drifted + self.configuration.clockOffset) * 1_000)
    }

    private func simulatedTime(_ local: Instant) -> Microseconds {
        let drifted = local.nanoseconds / 1_000 - self.configuration.clockOffset
        return drifted * 1_000_000 / (1_000_000 + self.configuration.drift) + 2
    }

    private var feedbackDeadline: Microseconds {
        switch self.configuration.feedback {
        case .receiverEstimate: return self.remote.nextDeadline
        case .transportWide(let interval):
            let deadline = self.recorder.nextDeadline
            guard deadline != .distantFuture else { return .max }
            return self.simulatedTime(deadline) + max(0, interval - 100_000)
        case .congestionControl:
            let deadline = self.recorder.nextDeadline
            return deadline == .distantFuture ? .max : self.simulatedTime(deadline)
        }
    }

    // MARK: Sending

    private func sendFeedback(in simulation: Simulation) {
        let local = self.localTime(simulation.now)
        var count: Int
        do {
            var span = self.scratch.mutableSpan
            count = self.recorder.collect(at: local, into: &span)
        }
        guard count > 0 else { return }
        if case .congestionControl = self.configuration.feedback {
            self.sendCongestionControlFeedback(count, at: local, in: simulation)
            return self.recorder.reported(count, at: local)
        }
        var taken = 0
        var builder = self.builder
        let scratch = self.scratch
        self.send(in: simulation) { writer in
            taken = builder.append(scratch.span.extracting(first: count), to: &writer)
        }
        self.builder = builder
        self.recorder.reported(taken, at: local)
    }

    /// - Parameter count: how many arrivals of `scratch` it is about.
    private func sendCongestionControlFeedback(_ count: Int, at local: Instant, in simulation: Simulation) {
        // 1/65,536 s, as the middle of an NTP time.
        let timestamp = local.nanoseconds / 1_000 * 1_024 / 15_625
        var reports: [PacketReport] = []
        for arrival in self.scratch.prefix(count) {
            let number = arrival.sequenceNumber
            if let next = self.nextReported, number.distance(from: next) > 0 {
                for offset in 0..<min(number.distance(from: next), 500) {
                    let lost = next.advanced(by: offset)
                    reports.append(PacketReport(SSRC(2), lost, arrival: .none, mark: .notCapable))
                }
            }
            self.nextReported = number.advanced(by: 1)
            let mark = self.marked.remove(number) == nil ? ECNMark.capable1 : .congestionExperienced
            let units = arrival.microseconds.map { (timestamp - $0 * 1_024 / 15_625) >> 6 }
            let time = units.map { ReportedArrival.before(UInt16(clamping: $0)) } ?? .none
            reports.append(PacketReport(SSRC(2), number, arrival: time, mark: units == nil ? .notCapable : mark))
        }
        self.send(in: simulation) {
            let stamp = UInt32(truncatingIfNeeded: timestamp)
            _ = $0.appendCongestionControlFeedback(from: SSRC(1), about: reports.span, timestamp: stamp)
        }
    }

    private func sendReport(in simulation: Simulation) {
        self.nextReport = simulation.now + Self.reportInterval
        let expected = max(self.highestSequence - self.reportedSequence, 1)
        let lost = max(expected - self.receivedSinceReport, 0)
        var packet = SimulatedPacket(.receiverReport, to: self.sender.index, wireBytes: 80 + Self.feedbackOverhead)
        packet.media.reference = Int32(lost * 256 / expected)
        packet.media.frame = Int32(expected)
        packet.media.sequence = Int32(clamping: self.lastForwardTime)
        self.reportedSequence = self.highestSequence
        self.receivedSinceReport = 0
        simulation.transmit(packet, over: self.reversePath)
    }

    private func send(in simulation: Simulation, _ build: (inout RTCPWriter) -> Void) {
        var bytes = [UInt8](repeating: 0, count: 1_200)
        var count = 0
        do {
            var span = bytes.mutableSpan
            var writer = RTCPWriter(span.mutableBytes)
            build(&writer)
            count = writer.count
        }
        bytes.removeLast(bytes.count - count)
        var packet = SimulatedPacket(.feedback, to: self.sender.index, wireBytes: count + Self.feedbackOverhead)
        packet.payload = simulation.keep(bytes)
        simulation.transmit(packet, over: self.reversePath)
    }
}
