import Basics
import CongestionControl
import Forwarding
import MediaControl
import Negotiation
import RTP

/// From a published packet in hand to a sealed one in every subscriber's egress slot. Nothing here allocates, counts
/// references, takes a lock or logs.
extension MediaRouter {
    /// Forwards a packet at the end of its batch, or at once where there is none.
    mutating func forwardInBatch(_ packet: SourcePacket, track: TrackPointer, layer: Int, at now: Instant) {
        guard self.collectsPackets else {
            unsafe self.forward(packet, track: track, layer: layer, at: now)
            return
        }
        if unsafe self.collected.append(packet, track: track, layer: layer) { return }
        self.forwardCollected(at: now)
        _ = unsafe self.collected.append(packet, track: track, layer: layer)
    }

    /// Forwards what was collected: subscriber by subscriber, to each the packets of one layer in order.
    ///
    /// With several layers, so many subscribers at a time that all of theirs fit the egress queue: a room's tracks have
    /// about the same subscribers in the same order, so those of one subscriber meet there.
    ///
    /// Called before anything that sessions, tracks or legs might not outlive, and before whatever changes how the
    /// packets that came first are to be forwarded.
    mutating func forwardCollected(at now: Instant) {
        guard self.collected.count > 0 else { return }
        let runCount = self.collected.openRuns
        if runCount > 1 { self.collected.sortRuns() }
        for number in 0..<runCount {
            let run = self.collected.run(number)
            self.collected.planPadding(of: run)
            self.collected.planTogether(of: run)
        }
        let step = runCount == 1 ? 1 : max(1, EgressQueue.preferredCount / self.collected.count)
        var now = now
        var start = 0
        var isLast = false
        while !isLast {
            isLast = true
            for number in 0..<runCount {
                let run = self.collected.run(number)
                let legs = unsafe run.track.pointee.legs
                let kind = unsafe run.track.pointee.kind
                let end = min(start + step, legs.count)
                if end < legs.count { isLast = false }
                var position = start
                while position < end {
                    unsafe Self.prefetch(legs, of: kind, after: position)
                    unsafe self.forward(run, to: legs[position], at: now)
                    position += 1
                }
            }
            start += step
            // A large audience takes many milliseconds. What the last of it is sent must not bear the time of the first:
            // the estimator would take our own work for delay on the way.
            if let time = self.egress.flushIfLarge(), time > now { now = time }
        }
        self.collected.removeAll()
    }

    /// Sends one packet to everyone who is to have it.
    mutating func forward(_ packet: SourcePacket, track: TrackPointer, layer: Int, at now: Instant) {
        for leg in unsafe Each(track.pointee.legs) {
            unsafe self.forward(packet, to: leg, track: track, layer: layer, at: now)
        }
    }

    /// Sends one packet to one subscriber, if it is to have it.
    mutating func forward(
        _ packet: SourcePacket,
        to leg: LegPointer,
        track: TrackPointer,
        layer: Int,
        at now: Instant
    ) {
        var packet = packet
        unsafe withUnsafeMutablePointer(to: &packet) { packet in
            unsafe self.forward(packet, to: leg, track: track, layer: layer, padding: 0, at: now)
        }
    }

    /// - Parameters:
    ///   - packet: not by value: it is large, and this is done for every subscriber.
    ///   - padding: bytes of RTP padding that it gets at least.
    private mutating func forward(
        _ packet: UnsafeMutablePointer<SourcePacket>,
        to leg: LegPointer,
        track: TrackPointer,
        layer: Int,
        padding: Int,
        at now: Instant
    ) {
        guard unsafe leg.pointee.takesPackets else { return }
        let rank = unsafe track.pointee.rank(layer: layer)
        let decision = unsafe self.decide(packet, rank: rank, leg: leg, at: now)
        unsafe self.carryOut(decision, packet, to: leg, track: track, layer: layer, padding: padding, at: now)
    }

    /// What to do with a packet, for a subscriber that takes packets.
    @inline(__always)
    func decide(
        _ packet: UnsafeMutablePointer<SourcePacket>,
        rank: Int,
        leg: LegPointer,
        at now: Instant
    ) -> FrameDecision {
        guard unsafe leg.pointee.kind == .video else {
            return FrameDecision(unsafe leg.pointee.rewriter.source == nil ? .switchAndForward : .forward)
        }
        let known = unsafe leg.pointee.selector.decideAgain(
            layer: rank,
            frame: packet.pointee.frame.frame,
            flags: packet.pointee.frame.flags,
            at: now
        )
        return unsafe known ?? leg.pointee.selector.decide(layer: rank, packet.pointee.frame, at: now)
    }

    /// Does with one packet what was decided.
    ///
    /// - Parameter padding: bytes of RTP padding that it gets at least.
    mutating func carryOut(
        _ decision: FrameDecision,
        _ packet: UnsafeMutablePointer<SourcePacket>,
        to leg: LegPointer,
        track: TrackPointer,
        layer: Int,
        padding: Int,
        at now: Instant
    ) {
        let rank = unsafe track.pointee.rank(layer: layer)
        let isVideo = unsafe leg.pointee.kind == .video
        switch decision.action {
        case .forward: break
        case .switchAndForward:
            guard unsafe self.switchSource(leg, to: rank, packet, track: track, layer: layer, at: now) else { return }
            if isVideo { unsafe leg.pointee.selector.takeSwitch(to: rank, packet.pointee.frame, at: now) }
            if isVideo { unsafe self.reportSwitch(leg) }
        case .drop:
            unsafe self.leaveOut(packet, rank: rank, leg: leg, at: now)
            return
        }
        let rewritten = unsafe leg.pointee.rewriter.rewrite(
            source: rank,
            sequence: packet.pointee.sequence,
            timestamp: packet.pointee.header.timestamp,
            marker: packet.pointee.header.marker || decision.setsMarker,
            at: now
        )
        guard let rewritten else { return }
        if isVideo, unsafe packet.pointee.frame.isKeyFrameStart { unsafe leg.pointee.noteKeyFrame(rewritten.sequence) }
        let patch = unsafe leg.pointee.patch(
            packet,
            from: track.pointee.layers + layer,
            generation: rewritten.generation,
            setsMarker: decision.setsMarker,
            at: now
        )
        unsafe self.admit(packet, rewritten: rewritten, patch: patch, rank: rank, leg: leg, padding: padding, at: now)
    }

    /// A packet that the subscriber is not sent on purpose: its number closes up.
    private mutating func leaveOut(
        _ packet: UnsafeMutablePointer<SourcePacket>,
        rank: Int,
        leg: LegPointer,
        at now: Instant
    ) {
        self.counters.droppedOutLayer &+= 1
        guard unsafe rank == leg.pointee.rewriter.source else { return }
        let isClosedUp = unsafe leg.pointee.rewriter.leaveOut(source: rank, sequence: packet.pointee.sequence)
        if case .vp8(let descriptor) = unsafe packet.pointee.payloadDescriptor, descriptor.pictureIDOffset != 0 {
            unsafe leg.pointee.vp8.leaveOut(
                pictureID: descriptor.pictureID,
                isLong: descriptor.isPictureIDLong,
                generation: leg.pointee.rewriter.generation
            )
        }
        guard !isClosedUp else { return }
        // It came late, so that its place was kept: the receiver would ask for it in vain.
        let place = unsafe leg.pointee.rewriter.fillPlace(
            source: rank,
            sequence: packet.pointee.sequence,
            timestamp: packet.pointee.header.timestamp
        )
        if let place { unsafe self.sendPlaceholder(place, packet.pointee, leg: leg, at: now) }
    }

    /// Makes the outgoing packet in an egress slot: header anew, payload sealed straight from the receive buffer.
    ///
    /// - Parameters:
    ///   - padding: bytes of RTP padding that the packet gets at least.
    ///   - probe: the probe that the packet is part of; 0 = none.
    /// - Returns: the datagram's length; 0 when it was not sent.
    @inline(__always)
    mutating func send(
        _ packet: UnsafeMutablePointer<SourcePacket>,
        rewritten: RewrittenPacket,
        patch: PacketPatch,
        leg: LegPointer,
        padding: Int,
        probe: UInt16,
        at now: Instant
    ) -> Int {
        let slot = unsafe self.egress.nextSlot()
        guard let layout = unsafe self.writeHeader(packet, rewritten, patch, leg, into: slot, at: now) else { return 0 }
        // The descriptor's continuity fields are changed where the packet lies: each leg writes its own over the last.
        unsafe packet.pointee.apply(patch.payload)
        let padding =
            unsafe leg.pointee.repeatsDatagrams
            ? 0
            : self.pad(
                packet.pointee.payload.baseAddress,
                length: packet.pointee.payloadLength,
                room: packet.pointee.paddingRoom,
                by: padding,
                headerLength: layout.headerLength,
                in: slot,
                of: leg.pointee.session
            )
        let length = unsafe self.dispatch(
            layout,
            payload: UnsafeRawBufferPointer(
                start: packet.pointee.payload.baseAddress,
                count: packet.pointee.payloadLength + padding
            ),
            sequence: rewritten.sequence,
            in: slot,
            to: leg,
            probe: probe,
            at: now
        )
        guard length > 0 else { return 0 }
        unsafe leg.pointee.lastTimestamp = rewritten.timestamp
        if unsafe leg.pointee.repeatsDatagrams { unsafe self.mark(leg, rewritten.sequence, layout, in: slot, at: now) }
        unsafe self.noteSent(1, leg, payloadLength: packet.pointee.payloadLength, length: length, at: now)
        return length
    }

    /// Keeps what a packet needs to be sent again as the very same datagram.
    @inline(__always)
    mutating func mark(
        _ leg: LegPointer,
        _ sequence: Int64,
        _ layout: OutgoingHeader.Layout,
        in slot: UnsafeMutableRawBufferPointer,
        at now: Instant
    ) {
        var mark = HeaderMark(outgoing: sequence, sendTime: self.sendTime(now).rawValue)
        let offset = layout.transportSequenceNumberOffset
        if offset > 0 { mark.transportSequence = unsafe UInt16(slot[offset]) << 8 | UInt16(slot[offset + 1]) }
        unsafe leg.pointee.note(mark)
    }

    /// Media packets left for the first time.
    ///
    /// - Parameters:
    ///   - payloadLength: bytes of payload of all of them.
    ///   - length: bytes of UDP payload of all of them.
    @inline(__always)
    mutating func noteSent(_ count: Int, _ leg: LegPointer, payloadLength: Int, length: Int, at now: Instant) {
        unsafe leg.pointee.statistics.sent(count, byteCount: payloadLength)
        unsafe leg.pointee.gate.mediaSent(byteCount: length)
        unsafe leg.pointee.lastSent = now
        self.counters.packetsOut.add(UInt64(count), unsafe leg.pointee.kind)
        self.counters.bytesOut.add(UInt64(length), unsafe leg.pointee.kind)
        if unsafe leg.pointee.kind == .audio, let bandwidth = unsafe leg.pointee.session.pointee.bandwidth {
            let overhead = unsafe count * bandwidth.pointee.pacer.overhead
            unsafe bandwidth.pointee.audio.received(byteCount: length + overhead, at: now)
        }
        if unsafe !leg.pointee.session.pointee.hasReportedFirstMedia {
            unsafe self.reportFirstMedia(leg.pointee.session, at: now)
        }
    }

    // MARK: Layers

    /// Starts a leg's stream at this packet, or goes over to another layer there.
    private mutating func switchSource(
        _ leg: LegPointer,
        to rank: Int,
        _ packet: UnsafeMutablePointer<SourcePacket>,
        track: TrackPointer,
        layer: Int,
        at now: Instant
    ) -> Bool {
        let timestamp = unsafe packet.pointee.header.timestamp
        var reference: UInt32?
        if let old = unsafe leg.pointee.rewriter.referenceSource, old != rank {
            let oldLayer = unsafe track.pointee.layer(rank: old)
            reference = unsafe track.pointee.layers[layer].clock.translate(
                timestamp,
                to: track.pointee.layers[oldLayer].clock
            )
        }
        switch unsafe leg.pointee.rewriter.switchSource(
            to: rank,
            sequence: packet.pointee.sequence,
            timestamp: timestamp,
            referenceTimestamp: reference,
            at: now
        )
        {
        case .switched: return true
        case .refused(let asksKeyFrame):
            if asksKeyFrame { unsafe self.requestKeyFrame(of: track, layer: layer, at: now) }
            return false
        }
    }

    /// The leg is sent other layers than its room was told.
    ///
    /// Told by the next look at the track: a publisher that makes layers jump must not make messages of every packet.
    mutating func reportSwitch(_ leg: LegPointer) {
        let layers = unsafe leg.pointee.selector.layers
        let before = unsafe leg.pointee.reportedLayers
        guard before != layers else { return }
        unsafe leg.pointee.reportedLayers = layers
        unsafe leg.pointee.hasSelectionNews = true
        guard let before, before.spatial >= 0, layers.spatial >= 0 else { return }
        let isSpatial = before.spatial != layers.spatial
        let isUp = isSpatial ? layers.spatial > before.spatial : layers.temporal > before.temporal
        self.counters.layerSwitches.add(isSpatial: isSpatial, isUp: isUp, reason: unsafe leg.pointee.switchReason)
    }

    mutating func reportFirstMedia(_ session: SessionPointer, at now: Instant) {
        unsafe session.pointee.hasReportedFirstMedia = true
        self.emit(.firstMedia(unsafe session.pointee.id, after: unsafe now - session.pointee.createdAt))
    }
}
