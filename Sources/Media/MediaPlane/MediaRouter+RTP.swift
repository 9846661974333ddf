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
    ///
    /// - Parameter room: bytes behind it that may be written to: where its tag was.
    mutating func receiveRTP(
        _ packet: UnsafeMutableRawBufferPointer,
        stream: Int,
        session: SessionPointer,
        room: Int,
        arrival: Instant,
        mark: ECNMark,
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
            self.forwardCollected(at: now)
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
        } else if unsafe session.pointee.usesCongestionControlFeedback {
            unsafe self.noteArrival(of: header, stream: stream, mark: mark, session: session, at: arrival)
        }
        if route.role == .media {
            var media = unsafe SourcePacket(
                bytes: packet,
                header: header,
                payloadLength: packet.count - header.headerLength - padding
            )
            media.paddingRoom = min(padding + room, SourcePacket.largestPadding)
            unsafe self.receiveMedia(
                media,
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
        guard format.role == .retransmission, let owner = unsafe track.pointee.owner else { return }
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
                extensions: owner.pointee.extensions
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
            if let sample = unsafe source.pointee.nacks.takeRoundTripTime() {
                unsafe track.pointee.owner?.pointee.noteRoundTrip(sample)
            }
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
            if unsafe track.pointee.kind == .video {
                unsafe source.pointee.spread.received(
                    timestamp: header.timestamp,
                    isLast: header.marker,
                    arrival: arrival
                )
            }
            unsafe self.noteAlive(track, layer: layer, at: now)
            if unsafe track.pointee.usesNACK { unsafe self.wake(track, by: source.pointee.nacks.nextDeadline) }
        }
        packet.sequence = sequence
        if unsafe track.pointee.linkCount > 0, unsafe !track.pointee.isMuted {
            unsafe self.cross(packet, track: track, layer: layer, isRecovered: isRecovered, arrival: arrival)
        }
        unsafe self.distribute(packet, format: format, track: track, layer: layer, at: now)
    }

    /// A packet came that was not asked for.
    @inline(__always)
    mutating func noteAlive(_ track: TrackPointer, layer: Int, at now: Instant) {
        let source = unsafe track.pointee.layers + layer
        unsafe source.pointee.lastPacket = now
        guard unsafe !source.pointee.isActive else { return }
        unsafe source.pointee.isActive = true
        unsafe track.pointee.hasNews = true
        guard unsafe track.pointee.kind == .video else { return }
        for leg in unsafe Each(track.pointee.legs) { unsafe self.giveGrace(leg.pointee.session, at: now) }
    }

    /// Keeps a packet and sends it to this worker's subscribers, wherever it was published.
    mutating func distribute(
        _ received: SourcePacket,
        format: Track.Format,
        track: TrackPointer,
        layer: Int,
        at now: Instant
    ) {
        var packet = received
        let sequence = packet.sequence
        let source = unsafe track.pointee.layers + layer
        // Padding alone probes the way to us; nobody else needs it, and its number must leave no gap.
        if packet.payloadLength == 0 {
            self.forwardCollected(at: now)
            let rank = unsafe track.pointee.rank(layer: layer)
            unsafe source.pointee.frames.notePadding(sequence: sequence)
            unsafe source.pointee.keyFrameCache.note(sequence, isKeyFrameStart: false, byteCount: 0, at: now)
            for leg in unsafe Each(track.pointee.legs) {
                unsafe leg.pointee.rewriter.leaveOut(source: rank, sequence: sequence)
            }
            return
        }
        if unsafe track.pointee.kind == .video {
            unsafe self.readFrame(&packet, format: format.payload, track: track, layer: layer, at: now)
        }
        packet.readHeaderValue(unsafe track.pointee.kind)
        if unsafe track.pointee.codec != format.codec {
            unsafe track.pointee.codec = format.codec
            unsafe track.pointee.hasNews = true
        }
        unsafe Self.keep(packet, in: source, at: now)
        guard unsafe !track.pointee.isMuted else { return }
        if unsafe track.pointee.kind == .audio, unsafe track.pointee.owner != nil {
            unsafe self.noteLevel(of: packet, track: track)
        }
        unsafe self.forwardInBatch(packet, track: track, layer: layer, at: now)
    }

    /// Finds out, once for all subscribers, what a packet is of its frame.
    private mutating func readFrame(
        _ packet: inout SourcePacket,
        format: PayloadFormat,
        track: TrackPointer,
        layer: Int,
        at now: Instant
    ) {
        let source = unsafe track.pointee.layers + layer
        // The packets before it were read by another structure, and others could be decoded then.
        if let range = packet.header.range(of: .dependencyDescriptor) {
            let bytes = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(packet.bytes))
            if DependencyDescriptor.changesTargets(bytes.extracting(range)) { self.forwardCollected(at: now) }
        }
        let keyFrame = unsafe Self.readFrame(&packet, format: format, from: source, at: now)
        unsafe source.pointee.rates.received(packet.frame, byteCount: packet.payloadLength, at: now)
        unsafe source.pointee.scalability.received(packet.frame)
        if packet.frame.isKeyFrameStart {
            // Whoever goes over to this layer there is to have had the other layers' packets from before it. A track with
            // one layer has all in one run.
            if unsafe track.pointee.layerCount > 1 { self.forwardCollected(at: now) }
            unsafe self.keyFrameArrived(keyFrame ?? KeyFrameInfo(), track: track, layer: layer, at: now)
        }
    }

    /// Reads a packet that has just come, and notes whether the last key frame begins with it.
    @inline(__always)
    static func readFrame(
        _ packet: inout SourcePacket,
        format: PayloadFormat,
        from source: UnsafeMutablePointer<SourceLayer>,
        at now: Instant
    ) -> KeyFrameInfo? {
        let keyFrame = unsafe Self.readFrame(&packet, format: format, with: &source.pointee.frames)
        unsafe source.pointee.keyFrameCache.note(
            packet.sequence,
            isKeyFrameStart: packet.frame.canStart,
            byteCount: packet.bytes.count,
            at: now
        )
        return keyFrame
    }

    /// Keeps a packet for those who will ask for it again, or join.
    @inline(__always)
    static func keep(_ packet: SourcePacket, in source: UnsafeMutablePointer<SourceLayer>, at now: Instant) {
        unsafe source.pointee.cache.store(
            packet.sequence,
            bytes: RawSpan(_unsafeBytes: UnsafeRawBufferPointer(packet.withoutPadding)),
            headerLength: packet.header.headerLength,
            facts: packet.header,
            at: now
        )
    }

    static func readFrame(
        _ packet: inout SourcePacket,
        format: PayloadFormat,
        with reader: inout FrameReader
    ) -> KeyFrameInfo? {
        let bytes = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(packet.bytes))
        let payload = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(packet.payload))
        packet.payloadDescriptor = PayloadDescriptor(payload, format: format)
        let keyFrame = packet.payloadDescriptor.keyFrame(in: payload, format: format)
        let range = packet.header.range(of: .dependencyDescriptor) ?? 0..<0
        packet.frame = reader.read(
            sequence: packet.sequence,
            timestamp: packet.header.timestamp,
            marker: packet.header.marker,
            payload: packet.payloadDescriptor,
            isKeyFrameStart: keyFrame != nil,
            hasParameters: format != .h264 && format != .h265 || keyFrame?.hasSize == true,
            descriptor: bytes.extracting(range)
        )
        return keyFrame
    }

    mutating func keyFrameArrived(
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
        self.forwardCollected(at: now)
        unsafe source.pointee.width = width
        unsafe source.pointee.height = height
        unsafe track.pointee.hasNews = true
        if unsafe track.pointee.orderLayers() {
            // Ranks mean other layers now: everyone starts anew at a key frame.
            for leg in unsafe Each(track.pointee.legs) {
                unsafe leg.pointee.startAnew()
                unsafe leg.pointee.reportedLayers = nil
            }
        }
        unsafe self.needsAllocation(of: track, because: .publisher, at: now)
    }
}
