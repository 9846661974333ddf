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
        while let view = compound.next() {
            switch view.kind {
            case .senderReport, .receiverReport: unsafe self.receiveReport(view, session: session, at: now)
            case .nack: unsafe self.receiveNACK(view, session: session, budget: &budget, at: now)
            case .pictureLossIndication:
                // About a stream that this peer is sent: it cannot ask on behalf of others (ATTACKS A-54).
                guard let media = view.mediaSSRC, let leg = unsafe self.leg(media, of: session) else { continue }
                unsafe leg.pointee.pliCount &+= 1
                let passed = unsafe self.requestKeyFrame(for: leg, at: now)
                if passed { self.counters.pictureLossForwarded &+= 1 } else { self.counters.pictureLossThrottled &+= 1 }
            case .fullIntraRequest: unsafe self.receiveFullIntraRequest(view, session: session, at: now)
            case .goodbye: unsafe self.receiveGoodbye(view, session: session)
            case .malformed: self.counters.droppedInMalformed &+= 1
            // Transport-wide feedback and REMB are the bandwidth estimator's, which comes later.
            case .transportFeedback, .receiverEstimatedMaximumBitrate, .sourceDescription, .other: break
            }
        }
    }

    private func leg(_ ssrc: SSRC, of session: SessionPointer) -> LegPointer? {
        for leg in unsafe Each(session.pointee.legs) where unsafe leg.pointee.ssrc == ssrc { return unsafe leg }
        return nil
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
        }
        for index in 0..<view.reportBlockCount {
            guard let block = view.reportBlock(at: index), let leg = unsafe self.leg(block.ssrc, of: session) else {
                continue
            }
            unsafe leg.pointee.statistics.received(block, ntpNow: self.wallClock.ntp(at: now))
            let lost = Int64(block.cumulativeLost)
            if unsafe lost > leg.pointee.reportedLost {
                self.counters.packetsLostOut &+= UInt64(unsafe lost - leg.pointee.reportedLost)
                unsafe leg.pointee.reportedLost = lost
            }
        }
    }

    private mutating func receiveFullIntraRequest(
        _ view: borrowing RTCPPacketView,
        session: SessionPointer,
        at now: Instant
    ) {
        for index in 0..<view.fullIntraRequestCount {
            guard let entry = view.fullIntraRequest(at: index), let leg = unsafe self.leg(entry.ssrc, of: session)
            else {
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

    // MARK: Retransmission

    /// Packets that one datagram may ask for (ATTACKS A-51).
    private static let largestNACK = 256

    private mutating func receiveNACK(
        _ view: borrowing RTCPPacketView,
        session: SessionPointer,
        budget: inout Int,
        at now: Instant
    ) {
        guard let media = view.mediaSSRC, let leg = unsafe self.leg(media, of: session),
            let track = unsafe leg.pointee.track
        else { return }
        // Closures over a noncopyable `self` are not to be had, so the numbers are collected first: a bounded list.
        var numbers = InlineArray<256, SequenceNumber>(repeating: SequenceNumber(0))
        var count = 0
        let limit = min(budget, 256)
        view.forEachLostSequenceNumber { number in
            guard count < limit else { return }
            numbers[count] = number
            count += 1
        }
        budget -= count
        self.counters.nacksIn &+= UInt64(count)
        unsafe leg.pointee.nackCount &+= 1
        for index in 0..<count { unsafe self.retransmit(numbers[index], leg: leg, track: track, at: now) }
    }

    /// Sends a packet again through RTX (RFC 4588).
    ///
    /// Without RTX nothing is repeated: the same number would have to be sealed twice, and unless every byte of the
    /// packet is the same as the first time, that gives the AES-GCM key stream away.
    private mutating func retransmit(
        _ number: SequenceNumber,
        leg: LegPointer,
        track: TrackPointer,
        at now: Instant
    ) {
        guard let position = unsafe leg.pointee.rewriter.source(of: number) else {
            self.counters.retransmissionsMissed &+= 1
            return
        }
        let roundTrip = unsafe leg.pointee.statistics.roundTripTime ?? .milliseconds(100)
        let layer = unsafe track.pointee.layer(rank: position.source)
        let source = unsafe track.pointee.layers + layer
        // Asked before anything is copied or numbered: refusals must cost nothing and leave no gap.
        guard let byteCount = unsafe source.pointee.cache.byteCount(of: position.sequence) else {
            self.counters.retransmissionsMissed &+= 1
            return
        }
        guard
            unsafe leg.pointee.gate.request(
                position.outgoingSequence,
                byteCount: byteCount,
                roundTripTime: roundTrip,
                at: now
            ) == .send
        else { return }
        let slot = unsafe self.egress.nextSlot()
        guard
            let copy = unsafe Self.copyPacket(
                position.sequence,
                of: source,
                leg: leg,
                position: position,
                roundTrip: roundTrip,
                into: slot,
                at: now
            )
        else {
            self.counters.retransmissionsMissed &+= 1
            return
        }
        if copy.isVP8 {
            let payload = unsafe UnsafeMutableRawBufferPointer(rebasing: slot[copy.payloadOffset..<copy.length])
            if let descriptor = unsafe VP8Descriptor(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(payload))) {
                unsafe Self.rewrite(descriptor, in: payload, leg: leg, generation: position.generation)
            }
        }
        let length = unsafe leg.pointee.session.pointee.peer.sealRTP(
            headerLength: copy.headerLength,
            payload: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(slot)[copy.headerLength..<copy.length]),
            rolloverCounter: UInt32(truncatingIfNeeded: copy.sequence >> 16),
            into: slot
        )
        guard length > 0 else { return }
        unsafe self.commit(length, to: leg.pointee.session)
        unsafe leg.pointee.statistics.retransmitted(byteCount: copy.length - copy.headerLength)
        self.counters.retransmissionsSent &+= 1
    }

    /// A packet that was made anew in a slot and is to be sealed there.
    private struct Copy {
        let headerLength: Int
        /// Behind the original sequence number, where there is one.
        let payloadOffset: Int
        let length: Int
        /// Extended, of the stream that it goes out on.
        let sequence: Int64
        let isVP8: Bool
    }

    private static func copyPacket(
        _ sequence: Int64,
        of source: UnsafeMutablePointer<SourceLayer>,
        leg: LegPointer,
        position: SourcePosition,
        roundTrip: Nanoseconds,
        into slot: UnsafeMutableRawBufferPointer,
        at now: Instant
    ) -> Copy? {
        guard let cached = unsafe source.pointee.cache.lookup(sequence, roundTripTime: roundTrip, at: now),
            let track = unsafe leg.pointee.track
        else { return nil }
        let mediaType = unsafe leg.pointee.payloadTypes[Int(cached.facts.payloadType)]
        guard mediaType != Leg.noPayloadType else { return nil }
        let rtxType = unsafe leg.pointee.retransmissionTypes[Int(mediaType & 0x7F)]
        guard rtxType != Leg.noPayloadType else { return nil }
        let outgoing = unsafe leg.pointee.takeRetransmissionSequence()
        var header = unsafe Self.outgoingHeader(
            cached.facts,
            of: cached.bytes,
            leg: leg,
            payloadType: rtxType,
            sequence: UInt16(truncatingIfNeeded: outgoing),
            timestamp: cached.facts.timestamp &+ position.timestampOffset,
            at: now
        )
        header.ssrc = unsafe leg.pointee.retransmissionSSRC
        var target = unsafe MutableRawSpan(_unsafeBytes: slot)
        guard let layout = header.write(into: &target, source: cached.bytes),
            let payloadOffset = RTXPayload.writeOriginalSequenceNumber(
                SequenceNumber(UInt16(truncatingIfNeeded: position.outgoingSequence)),
                into: &target,
                at: layout.headerLength
            )
        else { return nil }
        let payloadLength = cached.bytes.byteCount - cached.headerLength
        // Room for the tag too.
        guard payloadOffset + payloadLength + 32 <= slot.count else { return nil }
        let payload = cached.bytes.extracting(cached.headerLength..<cached.bytes.byteCount)
        unsafe payload.withUnsafeBytes { bytes in
            unsafe UnsafeMutableRawBufferPointer(rebasing: slot[payloadOffset..<(payloadOffset + payloadLength)])
                .copyMemory(from: bytes)
        }
        return Copy(
            headerLength: layout.headerLength,
            payloadOffset: payloadOffset,
            length: payloadOffset + payloadLength,
            sequence: outgoing,
            isVP8: unsafe track.pointee.format(cached.facts.payloadType).payload == .vp8
        )
    }

    // MARK: Key frames

    /// A subscriber needs a key frame of what it is sent. Returns whether a request went to the publisher.
    @discardableResult
    mutating func requestKeyFrame(for leg: LegPointer, at now: Instant) -> Bool {
        guard let track = unsafe leg.pointee.track, unsafe leg.pointee.kind == .video else { return false }
        let layer: Int
        if let rank = unsafe leg.pointee.selector.current {
            layer = unsafe track.pointee.layer(rank: rank)
        } else {
            layer = unsafe leg.pointee.wantedLayer
        }
        return unsafe self.requestKeyFrame(of: track, layer: layer, at: now)
    }

    /// Asks the publisher for a key frame of one layer, unless one was asked for in the last 500 ms (ATTACKS A-52).
    @discardableResult
    mutating func requestKeyFrame(of track: TrackPointer, layer: Int, at now: Instant) -> Bool {
        guard layer >= 0, unsafe layer < track.pointee.layerCount else { return false }
        let source = unsafe track.pointee.layers + layer
        guard unsafe source.pointee.ssrc != nil else { return false }
        guard unsafe source.pointee.keyFrames.request(at: now) else {
            if let deadline = unsafe source.pointee.keyFrames.nextDeadline {
                unsafe self.wake(track.pointee.owner, by: deadline)
            }
            return false
        }
        unsafe self.sendKeyFrameRequest(to: track, layer: layer)
        return true
    }
}
