import Basics
import Forwarding
import MediaControl
import Negotiation
import PeerSession
import RTP

/// RTCP that peers send: reports, requests for packets and for key frames. Work is in proportion to its length.
extension MediaRouter {
    mutating func receiveRTCP(_ packet: UnsafeRawBufferPointer, session: SessionPointer, at now: Instant) {
        guard var compound = unsafe RTCPCompoundView(RawSpan(_unsafeBytes: packet)) else {
            self.counters.droppedInMalformed &+= 1
            return
        }
        // Of one datagram, however many NACKs it has.
        var budget = Self.largestNACK
        var feedbackCount = 0
        while let view = compound.next() {
            switch view.kind {
            case .senderReport, .receiverReport: unsafe self.receiveReport(view, session: session, at: now)
            case .nack: unsafe self.receiveNACK(view, session: session, budget: &budget, at: now)
            case .pictureLossIndication:
                // About a stream that this peer is sent: it cannot ask on behalf of others (ATTACKS A-54).
                guard let media = view.mediaSSRC, let leg = unsafe session.pointee.leg(media) else { continue }
                unsafe leg.pointee.pliCount &+= 1
                let passed = unsafe self.requestKeyFrame(for: leg, at: now)
                if passed { self.counters.pictureLossForwarded &+= 1 } else { self.counters.pictureLossThrottled &+= 1 }
            case .fullIntraRequest: unsafe self.receiveFullIntraRequest(view, session: session, at: now)
            case .goodbye: unsafe self.receiveGoodbye(view, session: session)
            case .transportFeedback, .congestionControlFeedback, .receiverEstimatedMaximumBitrate:
                feedbackCount += 1
                guard feedbackCount <= Self.mostFeedback else {
                    self.counters.droppedInMalformed &+= 1
                    continue
                }
                unsafe self.receiveBandwidthFeedback(view, session: session, at: now)
            case .extendedReport:
                guard let time = view.receiverReferenceTime, let receiver = view.senderSSRC else { continue }
                unsafe session.pointee.referenceTime = ReceiverReferenceTime(
                    receiver: receiver,
                    time: time,
                    arrival: now
                )
            case .malformed: self.counters.droppedInMalformed &+= 1
            case .sourceDescription, .other: break
            }
        }
    }

    private mutating func receiveBandwidthFeedback(
        _ view: borrowing RTCPPacketView,
        session: SessionPointer,
        at now: Instant
    ) {
        switch view.kind {
        case .transportFeedback: unsafe self.receiveTransportFeedback(view, session: session, at: now)
        case .congestionControlFeedback: unsafe self.receiveCongestionControlFeedback(view, session: session, at: now)
        default: unsafe self.receiveEstimate(view, session: session, at: now)
        }
    }

    private func layer(_ ssrc: SSRC, of session: SessionPointer) -> (track: TrackPointer, layer: Int)? {
        for track in unsafe Each(session.pointee.tracks) {
            for layer in unsafe 0..<track.pointee.layerCount
            where unsafe track.pointee.layers[layer].ssrc == ssrc { return unsafe (track, layer) }
        }
        return nil
    }

    private mutating func receiveReport(_ view: borrowing RTCPPacketView, session: SessionPointer, at now: Instant) {
        if let report = view.senderReport, let found = unsafe self.layer(report.ssrc, of: session) {
            let source = unsafe found.track.pointee.layers + found.layer
            unsafe source.pointee.clock.senderReport(ntp: report.ntpTime, rtp: report.rtpTimestamp)
            unsafe source.pointee.reception.senderReport(ntp: report.ntpTime, rtp: report.rtpTimestamp, at: now)
            unsafe session.pointee.clock.senderReport(ntp: report.ntpTime, at: now)
            unsafe self.crossClocks(of: session, track: found.track, layer: found.layer, at: now)
        }
        // Of all legs since their last reports; losses in 256ths.
        var expected = 0
        var lost = 0
        for index in 0..<view.reportBlockCount {
            guard let block = view.reportBlock(at: index), let leg = unsafe session.pointee.leg(block.ssrc) else {
                continue
            }
            let before = unsafe leg.pointee.statistics.highestSequenceNumberReceived
            if let sample = unsafe leg.pointee.statistics.received(block, ntpNow: self.wallClock.ntp(at: now)) {
                unsafe session.pointee.noteRoundTrip(sample)
            }
            let progress = block.extendedHighestSequenceNumber &- before
            // A first report, or a made-up one, says nothing of how many packets it is about.
            if before != 0, progress > 0, progress < 65_536 {
                expected += Int(progress)
                lost += Int(progress) * Int(block.fractionLost)
            }
            let total = Int64(block.cumulativeLost)
            if unsafe total > leg.pointee.reportedLost {
                self.counters.packetsLostOut &+= UInt64(unsafe total - leg.pointee.reportedLost)
                unsafe leg.pointee.reportedLost = total
            }
        }
        guard expected > 0 else { return }
        let fraction = Double(lost) / Double(expected) / 256
        unsafe self.receiveLoss(fraction, packetCount: expected, session: session, at: now)
    }

    private mutating func receiveFullIntraRequest(
        _ view: borrowing RTCPPacketView,
        session: SessionPointer,
        at now: Instant
    ) {
        for index in 0..<view.fullIntraRequestCount {
            guard let entry = view.fullIntraRequest(at: index), let leg = unsafe session.pointee.leg(entry.ssrc) else {
                continue
            }
            // The same number again is the same request, repeated in case it was lost (RFC 5104 §4.3.1.2).
            guard unsafe leg.pointee.lastFullIntraSequence != entry.sequenceNumber else { continue }
            unsafe leg.pointee.lastFullIntraSequence = entry.sequenceNumber
            unsafe leg.pointee.firCount &+= 1
            let passed = unsafe self.requestKeyFrame(for: leg, at: now)
            if passed { self.counters.fullIntraForwarded &+= 1 } else { self.counters.fullIntraThrottled &+= 1 }
        }
    }

    private mutating func receiveGoodbye(_ view: borrowing RTCPPacketView, session: SessionPointer) {
        for index in 0..<view.goodbyeCount {
            guard let ssrc = view.goodbyeSSRC(at: index), let found = unsafe self.layer(ssrc, of: session) else {
                continue
            }
            unsafe found.track.pointee.layers[found.layer].isActive = false
            unsafe found.track.pointee.hasNews = true
        }
    }

    // MARK: Key frames

    /// A subscriber without a picture may make us go through what is kept of one so often.
    private static let requestedReplayInterval = Nanoseconds.milliseconds(50)

    /// A subscriber needs a key frame of what it is sent. Returns whether a request went to the publisher.
    @discardableResult
    mutating func requestKeyFrame(for leg: LegPointer, at now: Instant) -> Bool {
        // Who is sent nothing needs none either: what pauses a leg asks for a picture when it lets it go on.
        guard let track = unsafe leg.pointee.track, unsafe leg.pointee.kind == .video, unsafe leg.pointee.takesPackets
        else { return false }
        let layer: Int
        if let rank = unsafe leg.pointee.selector.current {
            layer = unsafe track.pointee.layer(rank: rank)
        } else {
            // Who wants nothing needs none, and hundreds of packets are read for each request of the others.
            guard unsafe leg.pointee.selector.maximumLayer != nil, unsafe now >= leg.pointee.nextRequestedReplay else {
                return false
            }
            unsafe leg.pointee.nextRequestedReplay = now + Self.requestedReplayInterval
            layer = unsafe leg.pointee.wantedLayer
        }
        return unsafe self.getPicture(for: leg, layer: layer, at: now)
    }

    /// Asks the publisher for a key frame of one layer, as soon as its `KeyFrameLimiter` lets it (ATTACKS A-52).
    @discardableResult
    mutating func requestKeyFrame(
        of track: TrackPointer,
        layer: Int,
        patience: Nanoseconds = .zero,
        at now: Instant
    ) -> Bool {
        guard layer >= 0, unsafe layer < track.pointee.layerCount else { return false }
        let source = unsafe track.pointee.layers + layer
        // What a mirror's home worker keeps comes first.
        guard unsafe source.pointee.ssrc != nil, unsafe track.pointee.mirror?.isOpen != false else { return false }
        guard unsafe source.pointee.keyFrames.request(at: now, patience: patience) else {
            if let deadline = unsafe source.pointee.keyFrames.nextDeadline { unsafe self.wake(track, by: deadline) }
            return false
        }
        unsafe self.sendKeyFrameRequest(to: track, layer: layer)
        return true
    }
}
