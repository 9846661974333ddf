import Basics
import CongestionControl
import Forwarding
import MediaControl
import Negotiation
import PeerSession
import RTP

/// The packet path: from a publisher's opened packet to a sealed one in every subscriber's egress slot. Nothing here
/// allocates, counts references, takes a lock or logs.
extension MediaRouter {
    /// Takes an RTP packet that was opened in place.
    mutating func receiveRTP(
        _ packet: UnsafeMutableRawBufferPointer,
        stream: Int,
        session: SessionPointer,
        arrival: Instant,
        at now: Instant
    ) {
        let bytes = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(packet))
        guard let header = unsafe RTPHeaderInfo(bytes, extensions: session.pointee.extensions),
            let padding = header.paddingLength(ofPlaintext: bytes)
        else {
            self.counters.droppedInMalformed &+= 1
            return
        }
        if unsafe session.pointee.routes[stream].ssrc != header.ssrc {
            guard let route = unsafe self.resolve(header, in: bytes, session: session, at: now) else {
                self.counters.droppedInUnknownSSRC &+= 1
                return
            }
            unsafe session.pointee.routes[stream] = route
        }
        let route = unsafe session.pointee.routes[stream]
        guard let track = unsafe route.track else { return }
        self.counters.packetsIn.add(1, unsafe track.pointee.kind)
        self.counters.bytesIn.add(UInt64(packet.count), unsafe track.pointee.kind)
        if unsafe session.pointee.usesTransportFeedback, let number = header.transportSequenceNumber(in: bytes) {
            unsafe session.pointee.feedback.received(number, at: arrival)
            unsafe session.pointee.feedbackSSRC = header.ssrc
            unsafe self.wake(session, by: session.pointee.feedback.nextDeadline)
        }
        if route.role == .media {
            let payloadLength = packet.count - header.headerLength - padding
            unsafe self.receiveMedia(
                SourcePacket(bytes: packet, header: header, payloadLength: payloadLength),
                track: track,
                layer: route.layer,
                isRecovered: false,
                arrival: arrival,
                at: now
            )
            return
        }
        unsafe self.receiveRetransmission(packet, header: header, padding: padding, route: route, at: now)
    }

    /// Undoes RTX (RFC 4588 §4): the header moves up over the original number, in place, and becomes the original's.
    private mutating func receiveRetransmission(
        _ packet: UnsafeMutableRawBufferPointer,
        header: RTPHeaderInfo,
        padding: Int,
        route: InboundRoute,
        at now: Instant
    ) {
        guard let track = unsafe route.track, let ssrc = unsafe track.pointee.layers[route.layer].ssrc,
            let base = packet.baseAddress,
            let payload = unsafe RTXPayload(
                RawSpan(_unsafeBytes: UnsafeRawBufferPointer(packet)),
                headerLength: header.headerLength,
                paddingLength: padding
            )
        else { return }
        let format = unsafe track.pointee.format(header.payloadType)
        guard format.role == .retransmission else { return }
        unsafe (base + 2).copyMemory(from: base, byteCount: header.headerLength)
        let restored = unsafe UnsafeMutableRawBufferPointer(
            start: base + 2,
            count: header.headerLength + payload.payloadLength
        )
        unsafe restored.storeBytes(of: restored[0] & ~0x20, as: UInt8.self)
        unsafe restored.storeBytes(of: restored[1] & 0x80 | format.repaired, toByteOffset: 1, as: UInt8.self)
        unsafe restored.storeBytes(
            of: payload.originalSequenceNumber.value.bigEndian,
            toByteOffset: 2,
            as: UInt16.self
        )
        unsafe restored.storeBytes(of: ssrc.value.bigEndian, toByteOffset: 8, as: UInt32.self)
        guard
            let original = unsafe RTPHeaderInfo(
                RawSpan(_unsafeBytes: UnsafeRawBufferPointer(restored)),
                extensions: track.pointee.owner.pointee.extensions
            )
        else { return }
        unsafe track.pointee.layers[route.layer].retransmittedPackets &+= 1
        self.counters.retransmissionsIn &+= 1
        unsafe self.receiveMedia(
            SourcePacket(bytes: restored, header: original, payloadLength: payload.payloadLength),
            track: track,
            layer: route.layer,
            isRecovered: true,
            arrival: now,
            at: now
        )
    }

    private mutating func receiveMedia(
        _ received: SourcePacket,
        track: TrackPointer,
        layer: Int,
        isRecovered: Bool,
        arrival: Instant,
        at now: Instant
    ) {
        var packet = received
        let header = packet.header
        let source = unsafe track.pointee.layers + layer
        let format = unsafe track.pointee.format(header.payloadType)
        guard format.role == .media else {
            self.counters.droppedInUnknownSSRC &+= 1
            return
        }
        let sequence: Int64
        if isRecovered {
            sequence = unsafe source.pointee.sequences.peek(header.sequenceNumber)
            // It came by itself meanwhile, or nobody waits for it any more.
            guard unsafe source.pointee.nacks.received(sequence, isRecovered: true, at: now) == .filled else { return }
            unsafe source.pointee.reception.recovered(byteCount: packet.payloadLength)
        } else {
            sequence = unsafe source.pointee.sequences.unwrap(header.sequenceNumber)
            unsafe source.pointee.reception.received(
                sequence: sequence,
                timestamp: header.timestamp,
                arrival: arrival,
                byteCount: packet.payloadLength
            )
            unsafe source.pointee.clock.packet(timestamp: header.timestamp, at: arrival)
            _ = unsafe source.pointee.nacks.received(sequence, isRecovered: false, at: now)
            unsafe source.pointee.lastPacket = now
            if unsafe !source.pointee.isActive {
                unsafe source.pointee.isActive = true
                unsafe track.pointee.hasNews = true
            }
            unsafe self.wake(track.pointee.owner, by: source.pointee.nacks.nextDeadline)
        }
        // Padding alone probes the way to us; nobody else needs it, and its number must leave no gap.
        if packet.payloadLength == 0 {
            let rank = unsafe track.pointee.rank(layer: layer)
            for leg in unsafe Each(track.pointee.legs) {
                unsafe leg.pointee.rewriter.leaveOut(source: rank, sequence: sequence)
            }
            return
        }
        var isKeyFrameStart = false
        if unsafe track.pointee.kind == .video {
            let payload = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(packet.payload))
            if format.payload == .vp8 { packet.vp8 = VP8Descriptor(payload) }
            let keyFrame = packet.vp8?.keyFrame ?? keyFrameStart(in: payload, format: format.payload)
            if let keyFrame {
                isKeyFrameStart = true
                unsafe self.keyFrameArrived(keyFrame, track: track, layer: layer, at: now)
            }
        }
        if unsafe track.pointee.codec != format.codec {
            unsafe track.pointee.codec = format.codec
            unsafe track.pointee.hasNews = true
        }
        unsafe source.pointee.cache.store(
            sequence,
            bytes: RawSpan(_unsafeBytes: UnsafeRawBufferPointer(packet.withoutPadding)),
            headerLength: header.headerLength,
            facts: header,
            at: now
        )
        guard unsafe !track.pointee.isMuted else { return }
        unsafe self.forward(
            packet,
            sequence: sequence,
            format: format,
            isKeyFrameStart: isKeyFrameStart,
            track: track,
            layer: layer,
            at: now
        )
    }

    private mutating func keyFrameArrived(
        _ keyFrame: KeyFrameInfo,
        track: TrackPointer,
        layer: Int,
        at now: Instant
    ) {
        let source = unsafe track.pointee.layers + layer
        unsafe source.pointee.keyFrames.keyFrameArrived()
        unsafe source.pointee.keyFrameCount &+= 1
        guard keyFrame.hasSize else { return }
        let width = Int(keyFrame.width)
        let height = Int(keyFrame.height)
        let hasChanged = unsafe source.pointee.width != width || source.pointee.height != height
        guard hasChanged else { return }
        unsafe source.pointee.width = width
        unsafe source.pointee.height = height
        unsafe track.pointee.hasNews = true
        if unsafe track.pointee.orderLayers() {
            // Ranks mean other layers now: everyone starts anew at a key frame.
            for leg in unsafe Each(track.pointee.legs) {
                unsafe leg.pointee.startAnew()
                unsafe leg.pointee.reportedLayer = nil
            }
        }
        for leg in unsafe Each(track.pointee.legs) { unsafe leg.pointee.limitLayers(at: now) }
    }

    /// Sends one packet to everyone who is to have it.
    private mutating func forward(
        _ packet: SourcePacket,
        sequence: Int64,
        format: Track.Format,
        isKeyFrameStart: Bool,
        track: TrackPointer,
        layer: Int,
        at now: Instant
    ) {
        let header = packet.header
        let rank = unsafe track.pointee.rank(layer: layer)
        let isVideo = unsafe track.pointee.kind == .video
        for leg in unsafe Each(track.pointee.legs) {
            guard unsafe leg.pointee.session.pointee.isConnected, unsafe !leg.pointee.isPaused,
                unsafe !leg.pointee.isOnHold
            else { continue }
            var starts = unsafe leg.pointee.rewriter.source == nil
            if isVideo {
                switch unsafe leg.pointee.selector.accepts(layer: rank, isKeyFrameStart: isKeyFrameStart, at: now) {
                case .forward: starts = false
                case .switchAndForward: starts = true
                case .drop:
                    self.counters.droppedOutLayer &+= 1
                    continue
                }
            }
            if starts {
                guard
                    unsafe self.switchSource(
                        leg,
                        to: rank,
                        sequence: sequence,
                        timestamp: header.timestamp,
                        track: track,
                        layer: layer,
                        at: now
                    )
                else { continue }
            }
            let rewritten = unsafe leg.pointee.rewriter.rewrite(
                source: rank,
                sequence: sequence,
                timestamp: header.timestamp,
                marker: header.marker,
                at: now
            )
            guard let rewritten else { continue }
            unsafe self.send(packet, rewritten: rewritten, format: format, leg: leg, at: now)
        }
    }

    /// Makes the outgoing packet in an egress slot: header anew, payload sealed straight from the receive buffer.
    private mutating func send(
        _ packet: SourcePacket,
        rewritten: RewrittenPacket,
        format: Track.Format,
        leg: LegPointer,
        at now: Instant
    ) {
        let payloadType = unsafe leg.pointee.payloadTypes[Int(packet.header.payloadType & 0x7F)]
        guard payloadType != Leg.noPayloadType else { return }
        let slot = unsafe self.egress.nextSlot()
        let outgoing = unsafe Self.outgoingHeader(
            packet.header,
            of: RawSpan(_unsafeBytes: UnsafeRawBufferPointer(packet.bytes)),
            leg: leg,
            payloadType: payloadType,
            sequence: rewritten.wireSequence.value,
            timestamp: rewritten.timestamp,
            at: now
        )
        var target = unsafe MutableRawSpan(_unsafeBytes: slot)
        guard
            let layout = unsafe outgoing.write(
                into: &target,
                source: RawSpan(_unsafeBytes: UnsafeRawBufferPointer(packet.bytes))
            )
        else { return }
        // The descriptor's continuity fields are changed where the packet lies: each leg writes its own over the last.
        if let descriptor = packet.vp8 {
            unsafe Self.rewrite(descriptor, in: packet.payload, leg: leg, generation: rewritten.generation)
        }
        let length = unsafe leg.pointee.session.pointee.peer.sealRTP(
            headerLength: layout.headerLength,
            payload: UnsafeRawBufferPointer(packet.payload),
            rolloverCounter: UInt32(truncatingIfNeeded: rewritten.sequence >> 16),
            into: slot
        )
        guard length > 0 else { return }
        unsafe self.commit(length, to: leg.pointee.session)
        unsafe leg.pointee.statistics.sent(byteCount: packet.payloadLength)
        unsafe leg.pointee.gate.mediaSent(byteCount: length)
        self.counters.packetsOut.add(1, unsafe leg.pointee.kind)
        self.counters.bytesOut.add(UInt64(length), unsafe leg.pointee.kind)
        if unsafe !leg.pointee.session.pointee.hasReportedFirstMedia {
            unsafe self.reportFirstMedia(leg.pointee.session, at: now)
        }
    }

    /// Writes a leg's picture id, TL0PICIDX and KEYIDX over the publisher's.
    static func rewrite(
        _ descriptor: VP8Descriptor,
        in payload: UnsafeMutableRawBufferPointer,
        leg: LegPointer,
        generation: UInt32
    ) {
        let patch = unsafe leg.pointee.vp8.rewrite(
            pictureID: descriptor.pictureIDOffset == 0 ? nil : descriptor.pictureID,
            isLong: descriptor.isPictureIDLong,
            tl0PictureIndex: descriptor.tl0PicIdxOffset == 0 ? nil : descriptor.tl0PicIdx,
            keyIndex: descriptor.keyIndexOffset == 0 ? nil : descriptor.keyIndex,
            generation: generation
        )
        var span = unsafe MutableRawSpan(_unsafeBytes: payload)
        descriptor.rewrite(
            &span,
            payloadOffset: 0,
            pictureID: patch.pictureID,
            tl0PicIdx: patch.tl0PictureIndex,
            keyIndex: patch.keyIndex
        )
    }

    @inline(__always)
    mutating func commit(_ length: Int, to session: SessionPointer) {
        unsafe self.egress.commit(length: length, to: session.pointee.destination, socket: session.pointee.socket)
        unsafe session.pointee.packetsSent &+= 1
        unsafe session.pointee.bytesSent &+= UInt64(length)
    }

    /// The header that a leg's packet has: extensions with the leg's ids, none that the leg did not negotiate.
    static func outgoingHeader(
        _ header: RTPHeaderInfo,
        of packet: RawSpan,
        leg: LegPointer,
        payloadType: UInt8,
        sequence: UInt16,
        timestamp: UInt32,
        at now: Instant
    ) -> OutgoingHeader {
        var outgoing = unsafe OutgoingHeader(
            marker: header.marker,
            payloadType: payloadType,
            sequenceNumber: sequence,
            timestamp: timestamp,
            ssrc: leg.pointee.ssrc,
            extensions: leg.pointee.section.extensions
        )
        outgoing.mid = unsafe leg.pointee.mid
        outgoing.absoluteSendTime = AbsoluteSendTime(now)
        if unsafe leg.pointee.kind == .audio {
            outgoing.audioLevel = header.audioLevel(in: packet)
        } else {
            outgoing.videoOrientation = header.videoOrientation(in: packet)
            outgoing.dependencyDescriptor = header.range(of: .dependencyDescriptor) ?? 0..<0
        }
        return outgoing
    }

    /// Starts a leg's stream at this packet, or goes over to another layer there.
    private mutating func switchSource(
        _ leg: LegPointer,
        to rank: Int,
        sequence: Int64,
        timestamp: UInt32,
        track: TrackPointer,
        layer: Int,
        at now: Instant
    ) -> Bool {
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
            sequence: sequence,
            timestamp: timestamp,
            referenceTimestamp: reference,
            at: now
        )
        {
        case .switched:
            if unsafe leg.pointee.kind == .video { unsafe self.reportSwitch(leg, to: rank) }
            return true
        case .refused(let asksKeyFrame):
            unsafe leg.pointee.selector.refuseSwitch()
            if asksKeyFrame { unsafe self.requestKeyFrame(of: track, layer: layer, at: now) }
            return false
        }
    }

    private mutating func reportSwitch(_ leg: LegPointer, to rank: Int) {
        let before = unsafe leg.pointee.reportedLayer
        guard before != rank else { return }
        unsafe leg.pointee.reportedLayer = rank
        if let before { if rank > before { self.counters.switchesUp &+= 1 } else { self.counters.switchesDown &+= 1 } }
        // Told by the next look at the track: a publisher that makes layers jump must not make messages of every packet.
        unsafe leg.pointee.hasSelectionNews = true
    }

    mutating func reportFirstMedia(_ session: SessionPointer, at now: Instant) {
        unsafe session.pointee.hasReportedFirstMedia = true
        self.emit(.firstMedia(unsafe session.pointee.id, after: unsafe now - session.pointee.createdAt))
    }
}
