import Basics
import CongestionControl
import Forwarding
import Negotiation
import PeerSession
import RTP

/// Packets that subscribers ask for again (RFC 4585 §6.2.1).
extension MediaRouter {
    /// Packets that one datagram may ask for (ATTACKS A-51).
    static let largestNACK = 256

    mutating func receiveNACK(
        _ view: borrowing RTCPPacketView,
        session: SessionPointer,
        budget: inout Int,
        at now: Instant
    ) {
        guard let media = view.mediaSSRC, let leg = unsafe session.pointee.leg(media),
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
        for index in 0..<count { unsafe self.repeatPacket(numbers[index], leg: leg, track: track, at: now) }
    }

    /// Sends a packet again: through RTX (RFC 4588), or audio without RTX as the very same datagram.
    ///
    /// Other packets without RTX are not repeated: their number would have to be sealed twice, and unless every byte of
    /// the packet is the same as the first time, that gives the AES-GCM key stream away.
    private mutating func repeatPacket(
        _ number: SequenceNumber,
        leg: LegPointer,
        track: TrackPointer,
        at now: Instant
    ) {
        guard let position = unsafe leg.pointee.rewriter.source(of: number) else {
            self.counters.retransmissionsMissed &+= 1
            return
        }
        // The way is too narrow for this layer, and the key frame of a smaller one is on its way.
        guard unsafe !leg.pointee.isLeaving(rank: position.source) else { return }
        let roundTrip = unsafe leg.pointee.session.pointee.roundTripTime ?? .milliseconds(100)
        let layer = unsafe track.pointee.layer(rank: position.source)
        let source = unsafe track.pointee.layers + layer
        // Asked before anything is copied or numbered: refusals must cost nothing and leave no gap.
        guard let byteCount = unsafe source.pointee.cache.byteCount(of: position.sequence) else {
            self.counters.retransmissionsMissed &+= 1
            return
        }
        let decision = unsafe leg.pointee.gate.request(
            position.outgoingSequence,
            byteCount: byteCount,
            roundTripTime: roundTrip,
            at: now
        )
        guard decision == .send else { return }
        let maximumAge = PacketCache<RTPHeaderInfo>.retention(roundTripTime: roundTrip)
        if unsafe self.waits(position, byteCount: byteCount, leg: leg, at: now) { return }
        let length = unsafe self.sendAgain(
            position,
            from: source,
            leg: leg,
            track: track,
            maximumAge: maximumAge,
            at: now
        )
        if length == 0 { self.counters.retransmissionsMissed &+= 1 }
    }

    /// Asks the pacer; returns whether the packet has to wait, or is not sent at all.
    private mutating func waits(_ position: SourcePosition, byteCount: Int, leg: LegPointer, at now: Instant) -> Bool {
        guard unsafe leg.pointee.kind == .video, let bandwidth = unsafe leg.pointee.session.pointee.bandwidth else {
            return false
        }
        let reference = unsafe PacedPacket(
            binding: leg.pointee.binding,
            position: position,
            patch: PacketPatch(),
            isRetransmission: true
        )
        switch unsafe bandwidth.pointee.pacer.admit(
            .retransmission,
            byteCount: byteCount,
            reference: reference,
            at: now
        )
        {
        case .sendNow: return false
        case .queued: unsafe self.wakePacer(of: leg.pointee.session, bandwidth, at: now)
        case .refused: self.counters.droppedOutPacer &+= 1
        }
        return true
    }

    /// - Parameters:
    ///   - probe: the probe that the packet is part of; 0 = none.
    ///   - isPadding: nobody asked for it.
    /// - Returns: the datagram's length; 0 when the packet is not kept any more.
    mutating func sendAgain(
        _ position: SourcePosition,
        from source: UnsafeMutablePointer<SourceLayer>,
        leg: LegPointer,
        track: TrackPointer,
        maximumAge: Nanoseconds,
        probe: UInt16 = 0,
        isPadding: Bool = false,
        at now: Instant
    ) -> Int {
        let slot = unsafe self.egress.nextSlot()
        let copy = unsafe self.copyPacket(
            position,
            from: source,
            leg: leg,
            form: .again,
            maximumAge: maximumAge,
            into: slot,
            at: now
        )
        guard let copy else { return 0 }
        let headerLength = copy.layout.headerLength
        let length = unsafe self.dispatch(
            copy.layout,
            payload: UnsafeRawBufferPointer(rebasing: slot[headerLength..<copy.length]),
            sequence: copy.sequence,
            in: slot,
            to: leg,
            probe: probe,
            isPadding: isPadding,
            keepsNumber: copy.isSameDatagram,
            at: now
        )
        guard length > 0 else { return 0 }
        if !isPadding {
            unsafe leg.pointee.statistics.retransmitted(byteCount: copy.length - headerLength)
            self.counters.retransmissionsSent &+= 1
        }
        return length
    }

    enum Form {
        /// It has waited; its number was never sealed.
        case first(PacketPatch)
        /// Through RTX, or as the same datagram.
        case again
    }

    /// A packet that was made anew in a slot and is to be sealed there.
    struct Copy {
        let layout: OutgoingHeader.Layout
        /// Behind the original sequence number, where there is one.
        let payloadOffset: Int
        let length: Int
        /// Extended, of the stream that it goes out on.
        let sequence: Int64
        /// Its number was sealed before, over the same bytes.
        let isSameDatagram: Bool
    }

    mutating func copyPacket(
        _ position: SourcePosition,
        from source: UnsafeMutablePointer<SourceLayer>,
        leg: LegPointer,
        form: Form,
        maximumAge: Nanoseconds,
        into slot: UnsafeMutableRawBufferPointer,
        at now: Instant
    ) -> Copy? {
        guard let track = unsafe leg.pointee.track,
            let cached = unsafe source.pointee.cache.lookup(position.sequence, within: maximumAge, at: now)
        else { return nil }
        let format = unsafe track.pointee.format(cached.facts.payloadType).payload
        let payload = cached.bytes.extracting(cached.headerLength..<cached.bytes.byteCount)
        let descriptor = PayloadDescriptor(payload, format: format)
        let mediaType = unsafe leg.pointee.payloadTypes[Int(cached.facts.payloadType & 0x7F)]
        guard mediaType != Leg.noPayloadType else { return nil }
        let rtxType = unsafe leg.pointee.retransmissionTypes[Int(mediaType & 0x7F)]
        let patch: PacketPatch
        var usesRTX = false
        var mark: HeaderMark?
        switch form {
        case .first(let given): patch = given
        case .again:
            usesRTX = rtxType != Leg.noPayloadType
            if !usesRTX {
                mark = unsafe leg.pointee.mark(of: position.outgoingSequence)
                guard mark != nil else { return nil }
            }
            patch = unsafe leg.pointee.patchAgain(
                descriptor,
                descriptor: cached.bytes.extracting(cached.facts.range(of: .dependencyDescriptor) ?? 0..<0),
                generation: position.generation
            )
        }
        let outgoing = usesRTX ? unsafe leg.pointee.takeRetransmissionSequence() : position.outgoingSequence
        var header = unsafe Self.outgoingHeader(
            cached.facts,
            of: cached.bytes,
            leg: leg,
            payloadType: usesRTX ? rtxType : mediaType,
            sequence: UInt16(truncatingIfNeeded: outgoing),
            timestamp: cached.facts.timestamp &+ position.timestampOffset,
            at: now
        )
        if usesRTX { header.ssrc = unsafe leg.pointee.retransmissionSSRC }
        if patch.setsMarker { header.marker = true }
        if let mark {
            header.absoluteSendTime = AbsoluteSendTime(rawValue: mark.sendTime)
            header.transportSequenceNumber = mark.transportSequence
        }
        guard let layout = unsafe self.writeHeader(&header, patch, cached.facts, of: cached.bytes, into: slot) else {
            return nil
        }
        var target = unsafe MutableRawSpan(_unsafeBytes: slot)
        var payloadOffset = layout.headerLength
        if usesRTX {
            let original = SequenceNumber(UInt16(truncatingIfNeeded: position.outgoingSequence))
            guard let offset = RTXPayload.writeOriginalSequenceNumber(original, into: &target, at: payloadOffset) else {
                return nil
            }
            payloadOffset = offset
        }
        let payloadLength = cached.bytes.byteCount - cached.headerLength
        // Room for the tag too.
        guard payloadOffset + payloadLength + 32 <= slot.count else { return nil }
        let copied = unsafe UnsafeMutableRawBufferPointer(
            rebasing: slot[payloadOffset..<(payloadOffset + payloadLength)]
        )
        unsafe payload.withUnsafeBytes { bytes in unsafe copied.copyMemory(from: bytes) }
        unsafe descriptor.apply(patch.payload, in: copied)
        return Copy(
            layout: layout,
            payloadOffset: payloadOffset,
            length: payloadOffset + payloadLength,
            sequence: outgoing,
            isSameDatagram: mark != nil
        )
    }
}
