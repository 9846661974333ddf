import Basics
import CongestionControl
import PeerSession
import RTP

/// The last steps of every RTP packet that leaves: its transport-wide number, its seal, its place in the queue.
extension MediaRouter {
    /// Seals a packet whose header stands at the front of `slot`, and queues it.
    ///
    /// - Parameters:
    ///   - payload: anywhere, also in `slot` behind the header.
    ///   - sequence: the outgoing one, unwrapped: its upper bits are the roll-over counter.
    ///   - probe: the probe that the packet is part of; 0 = none.
    ///   - isPadding: it is sent only to see whether the path carries it.
    ///   - keepsNumber: its transport-wide number is in its place already: the same datagram is sent again.
    /// - Returns: the datagram's length; 0 when there are no keys or there is no room.
    @inline(__always)
    mutating func dispatch(
        _ layout: OutgoingHeader.Layout,
        payload: UnsafeRawBufferPointer,
        sequence: Int64,
        in slot: UnsafeMutableRawBufferPointer,
        to leg: LegPointer,
        probe: UInt16 = 0,
        isPadding: Bool = false,
        keepsNumber: Bool = false,
        at now: Instant
    ) -> Int {
        let session = unsafe leg.pointee.session
        guard unsafe session.pointee.isConnected else { return 0 }
        if let bandwidth = unsafe session.pointee.bandwidth {
            let byteCount = unsafe layout.headerLength + payload.count + session.pointee.tagLength
            guard byteCount <= slot.count else { return 0 }
            if layout.transportSequenceNumberOffset > 0, !keepsNumber {
                let number = unsafe bandwidth.pointee.estimator.sent(
                    byteCount: byteCount,
                    probe: probe,
                    isPadding: isPadding,
                    at: now
                )
                unsafe slot.storeBytes(
                    of: number.value.bigEndian,
                    toByteOffset: layout.transportSequenceNumberOffset,
                    as: UInt16.self
                )
            } else if unsafe leg.pointee.isReportedByNumber, !keepsNumber {
                unsafe self.noteSent(
                    slot,
                    byteCount: byteCount,
                    leg: leg,
                    bandwidth,
                    probe: probe,
                    isPadding: isPadding,
                    at: now
                )
            } else {
                unsafe bandwidth.pointee.estimator.sentUntracked(byteCount: byteCount, at: now)
            }
            unsafe self.wakeBandwidth(session, by: bandwidth.pointee.estimator.nextDeadline)
        }
        let length = unsafe session.pointee.peer.sealRTP(
            headerLength: layout.headerLength,
            payload: payload,
            rolloverCounter: UInt32(truncatingIfNeeded: sequence >> 16),
            into: slot
        )
        guard length > 0 else { return 0 }
        unsafe self.commit(length, to: session)
        return length
    }

    /// Writes RTP padding behind a packet's payload (RFC 3550 §5.1) and says so in the header at the front of `slot`:
    /// datagrams of one size leave as one message.
    ///
    /// The padding is not kept with the packet: what is sent again later goes without.
    ///
    /// - Parameters:
    ///   - length: of the payload.
    ///   - room: bytes behind it that may be written to.
    ///   - least: that its run of packets asks for.
    /// - Returns: how many bytes.
    @inline(__always)
    func pad(
        _ payload: UnsafeMutableRawPointer?,
        length: Int,
        room: Int,
        by least: Int,
        headerLength: Int,
        in slot: UnsafeMutableRawBufferPointer,
        of session: SessionPointer
    ) -> Int {
        guard room > 0, let payload = unsafe payload else { return 0 }
        let sealed = unsafe headerLength + length + least + session.pointee.tagLength
        let padding = unsafe least + self.egress.padding(for: sealed, in: session.pointee.chain)
        guard padding > 0, padding <= room else { return 0 }
        let end = unsafe payload + length
        unsafe end.initializeMemory(as: UInt8.self, repeating: 0, count: padding)
        unsafe end.storeBytes(of: UInt8(truncatingIfNeeded: padding), toByteOffset: padding - 1, as: UInt8.self)
        unsafe slot.storeBytes(of: slot[0] | 0x20, as: UInt8.self)
        return padding
    }

    @inline(__always)
    mutating func commit(_ length: Int, to session: SessionPointer) {
        unsafe self.egress.commit(
            length: length,
            to: session.pointee.destination,
            socket: session.pointee.socket,
            chain: &session.pointee.chain
        )
        unsafe session.pointee.packetsSent &+= 1
        unsafe session.pointee.bytesSent &+= UInt64(length)
    }
}
