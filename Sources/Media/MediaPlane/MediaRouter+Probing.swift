import Basics
import CongestionControl
import Forwarding
import Negotiation
import RTP

/// Packets that are sent to see whether a path carries more: first such that repair something as well, then empty ones.
extension MediaRouter {
    /// A repeated packet may be so much larger than what was asked for.
    private static let largestOvershoot = 3
    /// Less than this is not worth a repeated packet.
    private static let smallestRepeat = 50
    /// Packets that are looked for in the cache at a time.
    private static let largestSearch = 16
    /// RFC 3550 §5.1: the count of padding bytes is a byte.
    private static let largestPadding = 255

    /// - Parameter byteCount: how much to send, about.
    /// - Returns: how much was sent; 0 where no leg has a retransmission stream.
    mutating func sendPadding(_ byteCount: Int, of session: SessionPointer, probe: UInt16, at now: Instant) -> Int {
        guard let leg = unsafe self.paddingLeg(of: session) else { return 0 }
        if byteCount >= Self.smallestRepeat {
            let repeated = unsafe self.repeatForPadding(byteCount, leg: leg, probe: probe, at: now)
            if repeated > 0 { return repeated }
        }
        var sent = 0
        while sent < byteCount {
            let length = unsafe self.sendEmptyPacket(byteCount - sent, leg: leg, probe: probe, at: now)
            guard length > 0 else { break }
            sent += length
        }
        return sent
    }

    /// The leg with the most to repair: the one that was sent something last; else any that can carry padding.
    private func paddingLeg(of session: SessionPointer) -> LegPointer? {
        var best: LegPointer?
        for leg in unsafe Each(session.pointee.legs) {
            guard unsafe leg.pointee.paddingType != Leg.noPayloadType,
                unsafe leg.pointee.usesTransportFeedback || leg.pointee.isReportedByNumber,
                unsafe !leg.pointee.isOnHold
            else { continue }
            guard let other = unsafe best else {
                unsafe best = unsafe leg
                continue
            }
            if unsafe leg.pointee.lastSent > other.pointee.lastSent { unsafe best = unsafe leg }
        }
        return unsafe best
    }

    /// Repeats a packet of the newest key frame, or of what followed it.
    private mutating func repeatForPadding(
        _ byteCount: Int,
        leg: LegPointer,
        probe: UInt16,
        at now: Instant
    ) -> Int {
        guard let track = unsafe leg.pointee.track else { return 0 }
        for _ in 0..<Self.largestSearch {
            guard let position = unsafe leg.pointee.nextRepeatForPadding() else { return 0 }
            let source = unsafe track.pointee.layers + track.pointee.layer(rank: position.source)
            guard let size = unsafe source.pointee.cache.byteCount(of: position.sequence),
                size <= byteCount * Self.largestOvershoot
            else { continue }
            let length = unsafe self.sendAgain(
                position,
                from: source,
                leg: leg,
                track: track,
                maximumAge: .seconds(1),
                probe: probe,
                isPadding: true,
                at: now
            )
            if length > 0 {
                self.countPadding(length)
                return length
            }
        }
        return 0
    }

    /// A packet of the retransmission stream that is nothing but padding.
    private mutating func sendEmptyPacket(_ byteCount: Int, leg: LegPointer, probe: UInt16, at now: Instant) -> Int {
        let slot = unsafe self.egress.nextSlot()
        var header = unsafe OutgoingHeader(
            marker: false,
            payloadType: leg.pointee.paddingType,
            sequenceNumber: 0,
            timestamp: leg.pointee.lastTimestamp,
            ssrc: leg.pointee.retransmissionSSRC,
            extensions: leg.pointee.section.extensions
        )
        header.mid = unsafe leg.pointee.mid
        header.absoluteSendTime = AbsoluteSendTime(now)
        header.transportSequenceNumber = 0
        let sequence = unsafe leg.pointee.takeRetransmissionSequence()
        header.sequenceNumber = UInt16(truncatingIfNeeded: sequence)
        var target = unsafe MutableRawSpan(_unsafeBytes: slot)
        guard let layout = header.write(into: &target) else { return 0 }
        let overhead = unsafe layout.headerLength + leg.pointee.session.pointee.tagLength
        let padding = min(max(byteCount - overhead, 1), Self.largestPadding)
        unsafe slot.storeBytes(of: slot[0] | 0x20, as: UInt8.self)
        let payload = unsafe UnsafeMutableRawBufferPointer(
            rebasing: slot[layout.headerLength..<(layout.headerLength + padding)]
        )
        unsafe payload.initializeMemory(as: UInt8.self, repeating: 0)
        unsafe payload[padding - 1] = UInt8(truncatingIfNeeded: padding)
        let length = unsafe self.dispatch(
            layout,
            payload: UnsafeRawBufferPointer(payload),
            sequence: sequence,
            in: slot,
            to: leg,
            probe: probe,
            isPadding: true,
            at: now
        )
        if length > 0 { self.countPadding(length) }
        return length
    }

    /// A packet of padding alone in a place that was kept for one which is not to be sent (RFC 3550 §5.1).
    mutating func sendPlaceholder(
        _ place: RewrittenPacket,
        _ packet: borrowing SourcePacket,
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
            sequence: place.wireSequence.value,
            timestamp: place.timestamp,
            at: now
        )
        var target = unsafe MutableRawSpan(_unsafeBytes: slot)
        guard let layout = outgoing.write(into: &target) else { return }
        unsafe slot.storeBytes(of: slot[0] | 0x20, as: UInt8.self)
        let payload = unsafe UnsafeMutableRawBufferPointer(
            rebasing: slot[layout.headerLength..<(layout.headerLength + 1)]
        )
        unsafe payload[0] = 1
        _ = unsafe self.dispatch(
            layout,
            payload: UnsafeRawBufferPointer(payload),
            sequence: place.sequence,
            in: slot,
            to: leg,
            isPadding: true,
            at: now
        )
    }

    private mutating func countPadding(_ length: Int) {
        self.counters.paddingPacketsOut &+= 1
        self.counters.paddingBytesOut &+= UInt64(length)
    }
}
