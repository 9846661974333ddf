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
        to session: SessionPointer,
        probe: UInt16 = 0,
        isPadding: Bool = false,
        keepsNumber: Bool = false,
        at now: Instant
    ) -> Int {
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

    @inline(__always)
    mutating func commit(_ length: Int, to session: SessionPointer) {
        unsafe self.egress.commit(length: length, to: session.pointee.destination, socket: session.pointee.socket)
        unsafe session.pointee.packetsSent &+= 1
        unsafe session.pointee.bytesSent &+= UInt64(length)
    }
}
