import Basics
import CongestionControl
import Forwarding
import PeerSession
import RTP
import SRTP

/// Packets of one frame, and audio that came together, leave together: what is asked and noted of each of them is asked
/// and noted once for all. What reaches the subscriber is byte for byte what `carryOut` would send one by one.
extension MediaRouter {
    /// Off: each packet of a batch is forwarded by itself, for the test that this changes nothing.
    package var forwardsTogether: Bool {
        get { self.collected.goesTogether }
        set { self.collected.goesTogether = newValue }
    }

    /// How many packets went to a subscriber with others, for the test that they do.
    package var packetsForwardedTogether: UInt64 { self.collected.sentTogether }
    /// Packets that took the same way alone.
    package var packetsForwardedAlone: UInt64 { self.collected.sentAlone }

    /// Forwards the packets of a run to one subscriber.
    mutating func forward(_ run: ForwardingBatch.Run, to leg: LegPointer, at now: Instant) {
        guard unsafe leg.pointee.takesPackets else { return }
        let rank = unsafe run.track.pointee.rank(layer: run.layer)
        var index = run.first
        while index >= 0 {
            let packet = unsafe self.collected.packet(index)
            let decision = unsafe self.decide(packet, rank: rank, leg: leg, at: now)
            let source = unsafe run.track.pointee.layers + run.layer
            let entry = unsafe self.collected.entry(index)
            var count = 0
            switch decision.action {
            // One alone costs less here too where it has a descriptor.
            case .forward
            where unsafe entry.pointee.together > 1
                || leg.pointee.usesDescriptors && entry.pointee.flags.contains(.descriptor):
                count = unsafe self.forwardTogether(index, decision, from: source, rank: rank, leg: leg, at: now)
                if count > 1 { self.collected.sentTogether &+= UInt64(count) }
                if count == 1 { self.collected.sentAlone &+= 1 }
            case .forward: break
            case .drop: count = unsafe self.leaveOutTogether(index, rank: rank, leg: leg)
            case .switchAndForward: break
            }
            if count == 0 {
                unsafe self.carryOut(
                    decision,
                    packet,
                    to: leg,
                    track: run.track,
                    layer: run.layer,
                    padding: Int(self.collected.entry(index).pointee.padding),
                    at: now
                )
                count = 1
            }
            for _ in 0..<count { index = unsafe Int(self.collected.entry(index).pointee.next) }
        }
    }

    /// Leaves out packets of a layer that the subscriber is not on.
    ///
    /// - Returns: how many; 0 = the first one is to be left out by itself.
    @inline(__always)
    private mutating func leaveOutTogether(_ first: Int, rank: Int, leg: LegPointer) -> Int {
        let entry = unsafe self.collected.entry(first)
        // Those behind a key frame's first packet may be of a frame that was sent.
        guard unsafe leg.pointee.rewriter.source != rank, unsafe !entry.pointee.flags.contains(.keyStart) else {
            return 0
        }
        let count = unsafe Int(entry.pointee.together)
        self.counters.droppedOutLayer &+= UInt64(count)
        return count
    }

    /// Sends packets of the layer that the subscriber is on, which leave at once and as what they are: neither late, nor
    /// part of a probe, nor with more of the leg's own in their descriptor than the frame's number, nor reported by their
    /// numbers.
    ///
    /// - Parameters:
    ///   - first: that was decided about.
    ///   - decision: to forward it.
    /// - Returns: how many; 0 = the first one is to be sent by itself.
    private mutating func forwardTogether(
        _ first: Int,
        _ decision: FrameDecision,
        from source: UnsafeMutablePointer<SourceLayer>,
        rank: Int,
        leg: LegPointer,
        at now: Instant
    ) -> Int {
        let packet = unsafe self.collected.packet(first)
        let entry = unsafe self.collected.entry(first)
        var count = unsafe Int(entry.pointee.together)
        guard count > 0, unsafe leg.pointee.rewriter.isInOrder(source: rank, sequence: packet.pointee.sequence),
            unsafe !leg.pointee.isReportedByNumber,
            unsafe self.prepareTemplate(packet, leg, at: now), unsafe leg.pointee.template.hasHeader
        else { return 0 }
        let isDescribed = unsafe leg.pointee.usesDescriptors && entry.pointee.flags.contains(.descriptor)
        if isDescribed, unsafe !leg.pointee.changesOnlyFrameNumber(entry, from: source, at: now) { return 0 }
        let isVideo = unsafe leg.pointee.kind == .video
        var endsPicture = false
        if isVideo, count > 1 {
            let behind = unsafe leg.pointee.selector.decideAgain(
                layer: rank,
                frame: packet.pointee.frame.frame,
                flags: entry.pointee.flagsBehind,
                at: now
            )
            if let behind, behind.action == .forward { endsPicture = behind.setsMarker } else { count = 1 }
        }
        let bandwidth = unsafe leg.pointee.session.pointee.bandwidth
        if isVideo, let bandwidth = unsafe bandwidth {
            var index = first
            count = unsafe bandwidth.pointee.pacer.admit(upTo: count, at: now) { _ in
                let entry = unsafe self.collected.entry(index)
                index = unsafe Int(entry.pointee.next)
                return unsafe entry.pointee.payloadLength + Self.typicalOverhead
            }
            guard count > 0 else { return 0 }
        }
        let rewritten = unsafe leg.pointee.rewriter.rewrite(
            source: rank,
            sequence: packet.pointee.sequence,
            timestamp: entry.pointee.timestamp,
            marker: entry.pointee.marker || decision.setsMarker,
            at: now
        )
        guard let rewritten else { return 0 }
        if isVideo, unsafe entry.pointee.flags.contains(.keyStart) {
            unsafe leg.pointee.noteKeyFrame(rewritten.sequence)
        }
        let sent = unsafe self.writePackets(
            count,
            from: first,
            rewritten,
            setsMarker: (decision.setsMarker, endsPicture),
            isDescribed: isDescribed,
            leg: leg,
            at: now
        )
        if !sent, isVideo, let bandwidth = unsafe bandwidth {
            unsafe self.takeBackCharge(of: count, from: first, bandwidth, at: now)
        }
        return count
    }

    /// Packets that the pacer let pass were not sent.
    @inline(never)
    private mutating func takeBackCharge(
        of count: Int,
        from first: Int,
        _ bandwidth: BandwidthPointer,
        at now: Instant
    ) {
        var index = first
        for _ in 0..<count {
            let entry = unsafe self.collected.entry(index)
            let byteCount = unsafe entry.pointee.payloadLength + Self.typicalOverhead
            unsafe bandwidth.pointee.pacer.sent(byteCount: -byteCount, kind: .video, at: now)
            index = unsafe Int(entry.pointee.next)
        }
    }

    /// Writes the headers of all, then seals all: a cipher that reads what was only just written would wait for it.
    ///
    /// - Parameters:
    ///   - rewritten: of the first one.
    ///   - setsMarker: of the first one, and of the last packet of its picture if that is behind it.
    ///   - isDescribed: they have dependency descriptors.
    /// - Returns: whether they were sent.
    @inline(__always)
    private mutating func writePackets(
        _ count: Int,
        from first: Int,
        _ rewritten: RewrittenPacket,
        setsMarker: (first: Bool, behind: Bool),
        isDescribed: Bool,
        leg: LegPointer,
        at now: Instant
    ) -> Bool {
        let session = unsafe leg.pointee.session
        let bandwidth = unsafe session.pointee.bandwidth
        var patch = VP8Patch(pictureID: 0, tl0PictureIndex: 0, keyIndex: 0)
        if unsafe self.collected.entry(first).pointee.hasNumbers {
            let descriptor = unsafe self.collected.packet(first).pointee.payloadDescriptor
            patch = unsafe leg.pointee.patch(descriptor, generation: rewritten.generation)
        }
        var frameNumber: UInt16 = 0
        if isDescribed {
            let number = unsafe self.collected.packet(first).pointee.frame.frameNumber
            frameNumber = unsafe leg.pointee.descriptor.rewrite(number, generation: rewritten.generation)
        }
        self.egress.reserve(count)
        let mark = self.egress.mark(unsafe session.pointee.chain)
        let sendTime = self.sendTime(now)
        let tagLength = unsafe session.pointee.tagLength
        let timestampOffset = unsafe leg.pointee.rewriter.timestampOffset
        let unsealed = unsafe self.collected.unsealed
        var sequence = rewritten.sequence
        var index = first
        var payloadLength = 0
        var length = 0
        var firstLength = 0
        var lastTimestamp: UInt32 = 0
        var marker = false
        var isNumbered = false
        for place in 0..<count {
            let entry = unsafe self.collected.entry(index)
            marker =
                unsafe entry.pointee.marker
                || (place == 0 ? setsMarker.first : setsMarker.behind && entry.pointee.flags.contains(.last))
            lastTimestamp = unsafe entry.pointee.timestamp
            let slot = unsafe self.egress.nextSlot()
            var target = unsafe MutableRawSpan(_unsafeBytes: slot)
            var layout = unsafe leg.pointee.template.write(
                marker: marker,
                sequenceNumber: UInt16(truncatingIfNeeded: sequence),
                timestamp: lastTimestamp &+ timestampOffset,
                sendTime: sendTime,
                value: entry.pointee.headerValue,
                into: &target
            )
            if isDescribed {
                layout = unsafe leg.pointee.template.append(
                    descriptor: RawSpan(_unsafeBytes: entry.pointee.descriptor),
                    frameNumber: frameNumber,
                    into: &target
                )
            }
            guard let layout, let start = slot.baseAddress, let payload = unsafe entry.pointee.payload else {
                // The template has a header and room for the descriptor, and the entry fits: see `forwardTogether`.
                unsafe self.egress.takeBack(to: mark, chain: &session.pointee.chain)
                return false
            }
            if unsafe entry.pointee.hasNumbers { unsafe self.collected.packet(index).pointee.apply(patch) }
            let ownLength = unsafe entry.pointee.payloadLength
            let padding =
                unsafe leg.pointee.repeatsDatagrams
                ? 0
                : self.pad(
                    payload,
                    length: ownLength,
                    room: Int(entry.pointee.paddingRoom),
                    by: Int(entry.pointee.padding),
                    headerLength: layout.headerLength,
                    in: slot,
                    of: session
                )
            let sealedLength = layout.headerLength + ownLength + padding + tagLength
            isNumbered = layout.transportSequenceNumberOffset > 0
            if let bandwidth = unsafe bandwidth, isNumbered {
                let number = unsafe bandwidth.pointee.estimator.takeNumber(byteCount: sealedLength, at: now)
                unsafe slot.storeBytes(
                    of: number.value.bigEndian,
                    toByteOffset: layout.transportSequenceNumberOffset,
                    as: UInt16.self
                )
            }
            unsafe (unsealed + place).initialize(
                to: UnsealedPacket(
                    at: start,
                    headerLength: layout.headerLength,
                    payload: payload,
                    payloadLength: ownLength + padding,
                    rolloverCounter: UInt32(truncatingIfNeeded: sequence >> 16)
                )
            )
            if unsafe leg.pointee.repeatsDatagrams { unsafe self.mark(leg, sequence, layout, in: slot, at: now) }
            unsafe self.egress.commit(
                length: sealedLength,
                to: session.pointee.destination,
                socket: session.pointee.socket,
                chain: &session.pointee.chain
            )
            if place == 0 { firstLength = sealedLength }
            payloadLength += ownLength
            length += sealedLength
            sequence += 1
            index = unsafe Int(entry.pointee.next)
        }
        unsafe leg.pointee.rewriter.rewriteNext(count - 1, lastTimestamp: lastTimestamp, marker: marker, at: now)
        if let bandwidth = unsafe bandwidth {
            if isNumbered {
                unsafe bandwidth.pointee.estimator.noteSent(count, first: firstLength, byteCount: length, at: now)
            } else {
                unsafe bandwidth.pointee.estimator.sentUntracked(count, first: firstLength, byteCount: length, at: now)
            }
            unsafe self.wakeBandwidth(session, by: bandwidth.pointee.estimator.nextDeadline)
        }
        guard unsafe session.pointee.peer.sealRTP(UnsafeBufferPointer(start: unsealed, count: count)) else {
            unsafe self.egress.takeBack(to: mark, chain: &session.pointee.chain)
            return false
        }
        unsafe session.pointee.packetsSent &+= UInt64(count)
        unsafe session.pointee.bytesSent &+= UInt64(length)
        unsafe leg.pointee.lastTimestamp = lastTimestamp &+ timestampOffset
        unsafe self.noteSent(count, leg, payloadLength: payloadLength, length: length, at: now)
        return true
    }
}
