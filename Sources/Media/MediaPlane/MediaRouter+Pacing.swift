import Basics
import CongestionControl
import Forwarding
import RTP

/// When packets leave: video and retransmissions of a subscriber in the time that its path takes for them, audio at
/// once. A packet that need not wait is sealed straight from the receive buffer; one that must is sealed later from its
/// source's cache.
extension MediaRouter {
    /// What headers, extensions and tag add to a payload, about: the pacer is asked before they are written.
    static let typicalOverhead = 48
    /// A packet that has waited for longer is of no use to a decoder.
    private static let longestUse = Nanoseconds.seconds(2)
    /// Between two key frames for one subscriber whose packets were lost here.
    private static let keyFrameInterval = Nanoseconds.seconds(2)
    /// The work of one session in one turn of the loop.
    private static let largestRun = 256

    /// Sends one packet to one subscriber, now or in its turn.
    mutating func admit(
        _ packet: UnsafeMutablePointer<SourcePacket>,
        rewritten: RewrittenPacket,
        patch: PacketPatch,
        rank: Int,
        leg: LegPointer,
        padding: Int,
        at now: Instant
    ) {
        var probe: UInt16 = 0
        let byteCount = unsafe packet.pointee.payloadLength + Self.typicalOverhead
        let pacing = unsafe leg.pointee.kind == .video ? leg.pointee.session.pointee.bandwidth : nil
        if let pacing = unsafe pacing {
            let reference = unsafe PacedPacket(
                binding: leg.pointee.binding,
                position: SourcePosition(
                    source: rank,
                    sequence: packet.pointee.sequence,
                    outgoingSequence: rewritten.sequence,
                    timestampOffset: rewritten.timestamp &- packet.pointee.header.timestamp,
                    generation: rewritten.generation
                ),
                patch: patch,
                isRetransmission: false
            )
            var verdict = unsafe pacing.pointee.pacer.admit(.video, byteCount: byteCount, reference: reference, at: now)
            if verdict == .refused, let first = unsafe pacing.pointee.pacer.makeRoom(at: now) {
                unsafe self.sendQueued(first.reference, of: leg.pointee.session, probe: first.probe, at: now)
                verdict = unsafe pacing.pointee.pacer.admit(.video, byteCount: byteCount, reference: reference, at: now)
            }
            switch verdict {
            case .sendNow: probe = unsafe pacing.pointee.pacer.currentProbe
            case .queued:
                unsafe self.wakePacer(of: leg.pointee.session, pacing, at: now)
                return
            case .refused:
                unsafe self.lostInPacer(reference, leg: leg, at: now)
                return
            }
        }
        let length = unsafe self.send(
            packet,
            rewritten: rewritten,
            patch: patch,
            leg: leg,
            padding: padding,
            probe: probe,
            at: now
        )
        if length == 0, let pacing = unsafe pacing {
            unsafe pacing.pointee.pacer.sent(byteCount: -byteCount, kind: .video, at: now)
        }
    }

    /// Something waits: its time is found out in the next millisecond.
    @inline(__always)
    mutating func wakePacer(of session: SessionPointer, _ bandwidth: BandwidthPointer, at now: Instant) {
        let soon = now + .milliseconds(1)
        guard unsafe bandwidth.pointee.pacerDeadline > soon else { return }
        // Unless it has been found out already.
        guard unsafe bandwidth.pointee.pacerDeadline == .distantFuture || !bandwidth.pointee.isPacing else { return }
        unsafe bandwidth.pointee.isPacing = true
        unsafe bandwidth.pointee.pacerDeadline = soon
        unsafe self.wakeBandwidth(session, by: soon)
    }

    /// Sends what has its turn, and finds out when the next one has.
    mutating func runPacer(of session: SessionPointer, _ bandwidth: BandwidthPointer, at now: Instant) {
        unsafe bandwidth.pointee.isPacing = bandwidth.pointee.pacer.queuedCount > 0
        for _ in 0..<Self.largestRun {
            switch unsafe bandwidth.pointee.pacer.next(at: now) {
            case .packet(let reference, let probe):
                unsafe self.sendQueued(reference, of: session, probe: probe, at: now)
            case .padding(let byteCount, let probe):
                let sent = unsafe self.sendPadding(byteCount, of: session, probe: probe, at: now)
                if sent > 0 { unsafe bandwidth.pointee.pacer.sent(byteCount: sent, kind: .padding, at: now) }
            case .wait(let deadline):
                unsafe bandwidth.pointee.pacerDeadline = deadline
                let aborted = unsafe bandwidth.pointee.pacer.takeAbortedProbe()
                if aborted != 0 { unsafe bandwidth.pointee.estimator.probeAborted(aborted, at: now) }
                return
            }
        }
        unsafe bandwidth.pointee.pacerDeadline = now + .milliseconds(1)
    }

    private mutating func sendQueued(
        _ reference: PacedPacket,
        of session: SessionPointer,
        probe: UInt16,
        at now: Instant
    ) {
        guard let leg = unsafe self.leg(binding: reference.binding, of: session),
            let track = unsafe leg.pointee.track
        else {
            self.counters.droppedOutPacer &+= 1
            return
        }
        let source = unsafe track.pointee.layers + track.pointee.layer(rank: reference.position.source)
        let length: Int
        if reference.isRetransmission {
            length = unsafe self.sendAgain(
                reference.position,
                from: source,
                leg: leg,
                track: track,
                maximumAge: Self.longestUse,
                probe: probe,
                at: now
            )
        } else {
            length = unsafe self.sendCached(reference, from: source, leg: leg, track: track, probe: probe, at: now)
        }
        // The cache has lost it, unless the packet could not be made at all.
        guard length == 0 else { return }
        guard unsafe source.pointee.cache.byteCount(of: reference.position.sequence) == nil else {
            self.counters.droppedOutPacer &+= 1
            return
        }
        unsafe self.lostInPacer(reference, leg: leg, at: now)
    }

    /// A packet that has its number is lost before it left: nobody can repeat it, and a decoder waits for seconds before it
    /// asks for the key frame that it needs now. So it is asked for here, unless one waits behind the packet, the layer
    /// is being left, or this subscriber has had one asked for just before: a path that is always too slow is not helped.
    private mutating func lostInPacer(_ reference: PacedPacket, leg: LegPointer, at now: Instant) {
        self.counters.droppedOutPacer &+= 1
        guard !reference.isRetransmission, let track = unsafe leg.pointee.track,
            unsafe leg.pointee.takesPackets,
            unsafe now >= leg.pointee.noKeyFrameBefore,
            unsafe reference.position.outgoingSequence >= leg.pointee.keyFrameStart,
            unsafe !leg.pointee.isLeaving(rank: reference.position.source)
        else { return }
        unsafe leg.pointee.noKeyFrameBefore = now + Self.keyFrameInterval
        let layer = unsafe track.pointee.layer(rank: reference.position.source)
        unsafe self.requestKeyFrame(of: track, layer: layer, at: now)
    }

    /// Seals a packet for the first time, from its source's cache. Its number was given to it alone.
    private mutating func sendCached(
        _ reference: PacedPacket,
        from source: UnsafeMutablePointer<SourceLayer>,
        leg: LegPointer,
        track: TrackPointer,
        probe: UInt16,
        at now: Instant
    ) -> Int {
        let slot = unsafe self.egress.nextSlot()
        let copy = unsafe self.copyPacket(
            reference.position,
            from: source,
            leg: leg,
            form: .first(reference.patch),
            maximumAge: Self.longestUse,
            into: slot,
            at: now
        )
        guard let copy else { return 0 }
        let payload = unsafe UnsafeMutableRawBufferPointer(rebasing: slot[copy.payloadOffset..<copy.length])
        let length = unsafe self.dispatch(
            copy.layout,
            payload: UnsafeRawBufferPointer(payload),
            sequence: copy.sequence,
            in: slot,
            to: leg,
            probe: probe,
            at: now
        )
        guard length > 0 else { return 0 }
        unsafe self.noteSent(1, leg, payloadLength: payload.count, length: length, at: now)
        return length
    }

    private func leg(binding: UInt32, of session: SessionPointer) -> LegPointer? {
        for leg in unsafe Each(session.pointee.legs) where unsafe leg.pointee.binding == binding { return unsafe leg }
        return nil
    }
}
