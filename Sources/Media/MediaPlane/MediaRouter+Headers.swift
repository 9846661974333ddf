import Basics
import Forwarding
import Negotiation
import RTP

/// The headers of packets that leave.
extension MediaRouter {
    /// Writes a leg's header of a packet to the start of a slot: from the leg's template, which is made anew where the
    /// packet has other values than those before it.
    ///
    /// - Returns: `nil` when the subscriber cannot take the packet.
    @inline(__always)
    mutating func writeHeader(
        _ packet: UnsafePointer<SourcePacket>,
        _ rewritten: RewrittenPacket,
        _ patch: PacketPatch,
        _ leg: LegPointer,
        into slot: UnsafeMutableRawBufferPointer,
        at now: Instant
    ) -> OutgoingHeader.Layout? {
        guard unsafe self.prepareTemplate(packet, leg, at: now) else { return nil }
        var target = unsafe MutableRawSpan(_unsafeBytes: slot)
        let layout = unsafe leg.pointee.template.write(
            marker: packet.pointee.header.marker || patch.setsMarker,
            sequenceNumber: rewritten.wireSequence.value,
            timestamp: rewritten.timestamp,
            sendTime: self.sendTime(now),
            value: packet.pointee.headerValue ?? 0,
            into: &target
        )
        guard layout != nil, patch.descriptor == nil else {
            return unsafe self.writeDescriptor(packet, rewritten, patch, leg, layout, into: slot, at: now)
        }
        return layout
    }

    /// Makes a leg's template that of a packet.
    ///
    /// - Returns: whether the subscriber can take the packet.
    @inline(__always)
    func prepareTemplate(_ packet: UnsafePointer<SourcePacket>, _ leg: LegPointer, at now: Instant) -> Bool {
        let shape = unsafe RTPHeaderTemplate.Shape(
            payloadType: packet.pointee.header.payloadType,
            hasValue: packet.pointee.headerValue != nil,
            isNumbered: leg.pointee.usesTransportFeedback && leg.pointee.session.pointee.bandwidth != nil
        )
        guard unsafe leg.pointee.template.shape != shape else { return true }
        return unsafe self.makeTemplate(packet, shape, leg, at: now)
    }

    /// - Returns: whether the subscriber can take the packet.
    @inline(never)
    private func makeTemplate(
        _ packet: UnsafePointer<SourcePacket>,
        _ shape: RTPHeaderTemplate.Shape,
        _ leg: LegPointer,
        at now: Instant
    ) -> Bool {
        let payloadType = unsafe leg.pointee.payloadTypes[Int(packet.pointee.header.payloadType & 0x7F)]
        guard payloadType != Leg.noPayloadType else { return false }
        let header = unsafe Self.outgoingHeader(
            packet.pointee.header,
            of: RawSpan(_unsafeBytes: UnsafeRawBufferPointer(packet.pointee.bytes)),
            leg: leg,
            payloadType: payloadType,
            sequence: 0,
            timestamp: 0,
            at: now
        )
        unsafe leg.pointee.template = RTPHeaderTemplate(header, shape: shape)
        return true
    }

    // Mutating from here on, though they change nothing of the router: to lend it to a function that is not inlined,
    // Swift 6.3 copies it, 2 KiB for every packet (docs/performance.md).

    /// Writes what a template does not have: the leg's own dependency descriptor, or a header that is too long for one.
    ///
    /// - Parameter layout: of the header that the template has written; `nil` = it could not.
    @inline(never)
    private mutating func writeDescriptor(
        _ packet: UnsafePointer<SourcePacket>,
        _ rewritten: RewrittenPacket,
        _ patch: PacketPatch,
        _ leg: LegPointer,
        _ layout: OutgoingHeader.Layout?,
        into slot: UnsafeMutableRawBufferPointer,
        at now: Instant
    ) -> OutgoingHeader.Layout? {
        let header = unsafe packet.pointee.header
        let bytes = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(packet.pointee.bytes))
        if layout != nil {
            guard let count = self.makeDescriptor(patch, header, of: bytes) else { return layout }
            let descriptor = unsafe RawSpan(
                _unsafeBytes: UnsafeRawBufferPointer(rebasing: self.descriptorScratch[0..<count])
            )
            var target = unsafe MutableRawSpan(_unsafeBytes: slot)
            let extended = unsafe leg.pointee.template.append(descriptor: descriptor, into: &target)
            if let extended { return extended }
        }
        var outgoing = unsafe Self.outgoingHeader(
            header,
            of: bytes,
            leg: leg,
            payloadType: leg.pointee.payloadTypes[Int(header.payloadType & 0x7F)],
            sequence: rewritten.wireSequence.value,
            timestamp: rewritten.timestamp,
            at: now
        )
        if patch.setsMarker { outgoing.marker = true }
        return unsafe self.writeHeader(&outgoing, patch, header, of: bytes, into: slot)
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
        // Room for the number, which is known only when the packet's length is.
        if unsafe leg.pointee.usesTransportFeedback, unsafe leg.pointee.session.pointee.bandwidth != nil {
            outgoing.transportSequenceNumber = 0
        }
        if unsafe leg.pointee.kind == .audio {
            outgoing.audioLevel = header.audioLevel(in: packet)
        } else {
            outgoing.videoOrientation = header.videoOrientation(in: packet)
        }
        return outgoing
    }

    /// Writes a header to the start of a slot, with the leg's own dependency descriptor where it has one.
    mutating func writeHeader(
        _ outgoing: inout OutgoingHeader,
        _ patch: PacketPatch,
        _ header: RTPHeaderInfo,
        of packet: RawSpan,
        into slot: UnsafeMutableRawBufferPointer
    ) -> OutgoingHeader.Layout? {
        var target = unsafe MutableRawSpan(_unsafeBytes: slot)
        guard let count = self.makeDescriptor(patch, header, of: packet) else { return outgoing.write(into: &target) }
        outgoing.dependencyDescriptor = 0..<count
        let scratch = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(self.descriptorScratch))
        return outgoing.write(into: &target, source: scratch)
    }

    /// Makes the leg's dependency descriptor in `descriptorScratch`. Returns its length; `nil` = the packet has none.
    private mutating func makeDescriptor(_ patch: PacketPatch, _ header: RTPHeaderInfo, of packet: RawSpan) -> Int? {
        guard let change = patch.descriptor, let range = header.range(of: .dependencyDescriptor),
            range.upperBound <= packet.byteCount
        else { return nil }
        var changed = unsafe MutableRawSpan(_unsafeBytes: self.descriptorScratch)
        return change.write(packet.extracting(range), into: &changed)
    }
}
