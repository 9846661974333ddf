package import Basics
package import CongestionControl
import RTP

/// Estimator and pacer of one subscriber, put together as the media plane does it:
///
///     a packet to send    pacer.admit: now or later -> estimator.sent stamps the transport-wide number -> out
///     feedback            estimator.handle -> rates to the pacer, probes to the pacer
///     a deadline          estimator.advance, pacer.next until it says `wait`
///     the allocator       reads estimator.estimate, says by estimator.setGoal what it would like proven
///
/// Both are told UDP payloads and add IP and UDP headers themselves, because those count on the path.
package final class SimulatedSubscriber: SubscriberControl {
    package var outgoing: [SimulatedPacket] = []
    private var estimator: BandwidthEstimator
    private var pacer: Pacer<Int32>
    private let hasTransportFeedback: Bool
    /// What waits in the pacer, by its reference.
    private var waiting: [SimulatedPacket] = []
    private var freeSlots: [Int32] = []
    private var pacerDeadline = Instant.distantFuture
    /// Padding that a baseline's own rule asks for, in place of the estimator's.
    package var paddingOverride: Bitrate?

    /// - Parameter hasTransportFeedback: false = packets carry no transport-wide numbers, and REMB is all there is.
    package init(_ configuration: EstimatorConfiguration, hasTransportFeedback: Bool = true, at now: Instant) {
        self.estimator = BandwidthEstimator(configuration: configuration, at: now)
        self.pacer = Pacer(capacity: 2_048, at: now)
        self.hasTransportFeedback = hasTransportFeedback
        self.apply(at: now)
    }

    package var estimate: BandwidthEstimate { self.estimator.estimate }
    package var nextDeadline: Instant { min(self.estimator.nextDeadline, self.pacerDeadline) }

    package func admit(_ packet: SimulatedPacket, at now: Instant) {
        let kind: PacedKind =
            switch packet.kind {
            case .audio: .audio
            case .retransmission: .retransmission
            default: .video
            }
        let slot = self.keep(packet)
        var verdict = self.pacer.admit(kind, byteCount: packet.payloadBytes, reference: slot, at: now)
        if verdict == .refused, kind == .video, let first = self.pacer.makeRoom(at: now) {
            self.release(first.reference, probe: first.probe, at: now)
            verdict = self.pacer.admit(kind, byteCount: packet.payloadBytes, reference: slot, at: now)
        }
        switch verdict {
        case .sendNow:
            self.freeSlots.append(slot)
            self.transmit(packet, probe: kind == .audio ? 0 : self.pacer.currentProbe, at: now)
        case .queued: break
        case .refused: self.freeSlots.append(slot)
        }
        self.drain(at: now)
    }

    package func handleFeedback(_ bytes: [UInt8], at now: Instant) {
        let isWellFormed = forEachRTCPPacket(in: bytes.span.bytes) { packet in
            if let feedback = packet.transportFeedback { self.estimator.handle(feedback, at: now) }
            if let feedback = packet.congestionControlFeedback {
                // One stream, whose RTP numbers are the transport-wide ones.
                self.estimator.handle(feedback, at: now) { _, number in number }
            }
            if let bitrate = packet.maximumBitrate { self.estimator.handleREMB(bitrate, at: now) }
        }
        precondition(isWellFormed, "the simulated receiver wrote RTCP that cannot be read")
        self.apply(at: now)
        self.drain(at: now)
    }

    package func handleReceiverReport(
        fractionLost: Double,
        packetCount: Int,
        roundTripTime: Nanoseconds?,
        at now: Instant
    ) {
        self.estimator.handleReceiverReport(
            fractionLost: fractionLost,
            packetCount: packetCount,
            roundTripTime: roundTripTime,
            at: now
        )
        self.apply(at: now)
        self.drain(at: now)
    }

    package func setGoal(_ goal: ProbeGoal, at now: Instant) {
        self.estimator.setGoal(goal, at: now)
        self.apply(at: now)
        self.drain(at: now)
    }

    package func routeChanged(at now: Instant) {
        self.estimator.routeChanged(at: now)
        self.apply(at: now)
    }

    package func advance(to now: Instant) {
        if now >= self.estimator.nextDeadline {
            self.estimator.advance(to: now)
            self.apply(at: now)
        }
        self.drain(at: now)
    }

    /// Rates and probes from the estimator to the pacer.
    private func apply(at now: Instant) {
        let estimate = self.estimator.estimate
        self.pacer.setRates(
            pacing: estimate.pacingRate,
            padding: self.paddingOverride ?? estimate.paddingRate,
            spacing: estimate.spacing,
            at: now
        )
        while let probe = self.estimator.nextProbe(at: now) {
            self.pacer.start(probe, at: now)
        }
    }

    private func drain(at now: Instant) {
        while true {
            switch self.pacer.next(at: now) {
            case .packet(let slot, let probe):
                self.release(slot, probe: probe, at: now)
            case .padding(let byteCount, let probe):
                let wireBytes = min(max(byteCount + SimulatedPacket.headerBytes, 80), SimulatedPacket.maximumBytes)
                let padding = SimulatedPacket(.padding, to: -1, wireBytes: wireBytes)
                self.pacer.sent(byteCount: padding.payloadBytes, kind: .padding, at: now)
                self.transmit(padding, probe: probe, at: now)
            case .wait(let until):
                self.pacerDeadline = until
                return
            }
        }
    }

    private func release(_ slot: Int32, probe: UInt16, at now: Instant) {
        self.freeSlots.append(slot)
        self.transmit(self.waiting[Int(slot)], probe: probe, at: now)
    }

    private func transmit(_ packet: SimulatedPacket, probe: UInt16, at now: Instant) {
        var packet = packet
        let byteCount = packet.payloadBytes
        if self.hasTransportFeedback {
            let isPadding = packet.kind == .padding
            packet.transportSequence = self.estimator.sent(
                byteCount: byteCount,
                probe: probe,
                isPadding: isPadding,
                at: now
            )
        } else {
            self.estimator.sentUntracked(byteCount: byteCount, at: now)
        }
        self.outgoing.append(packet)
    }

    private func keep(_ packet: SimulatedPacket) -> Int32 {
        if let slot = self.freeSlots.popLast() {
            self.waiting[Int(slot)] = packet
            return slot
        }
        self.waiting.append(packet)
        return Int32(self.waiting.count - 1)
    }
}
