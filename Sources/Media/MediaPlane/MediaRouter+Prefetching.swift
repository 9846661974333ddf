import Basics
import CLinux
import CongestionControl
import Forwarding
import PeerSession

/// Memory of the subscribers whose turn comes next. A room of hundreds of them is larger than a core's cache, and each
/// one's packets would wait for dozens of its lines, one after the other; so these are on their way meanwhile.
extension MediaRouter {
    private static let lineByteCount = 64
    // How much of each is worth fetching.
    /// Of video, up to the front of its VP8 rewriter; of audio, up to its statistics.
    private static let videoLegByteCount = 656
    private static let audioLegByteCount = 208
    /// Without the numbers that it remembers.
    private static let rewriterByteCount = 128
    /// With the keys, which come first in its peer.
    private static let sessionByteCount = 320
    /// The pacer, and the front of the estimator.
    private static let bandwidthByteCount = 1_024
    /// An expanded key of AES-GCM.
    private static let keyByteCount = 1_024
    /// Transport-wide numbers of 32 packets.
    private static let numberByteCount = 384

    /// Each step follows a pointer that the step before has fetched, a subscriber ago.
    @inline(__always)
    static func prefetch(_ legs: UnsafeBufferPointer<LegPointer>, of kind: MediaKind, after position: Int) {
        if position + 4 < legs.count {
            let leg = unsafe legs[position + 4]
            unsafe self.prefetch(leg, byteCount: kind == .video ? Self.videoLegByteCount : Self.audioLegByteCount)
            unsafe self.prefetch(&leg.pointee.rewriter, byteCount: Self.rewriterByteCount)
            unsafe self.prefetch(&leg.pointee.gate, byteCount: Self.lineByteCount)
        }
        if position + 3 < legs.count {
            unsafe self.prefetch(legs[position + 3].pointee.session, byteCount: Self.sessionByteCount)
        }
        if position + 2 < legs.count {
            let leg = unsafe legs[position + 2]
            unsafe cl_prefetch(leg.pointee.rewriter.nextNote())
            if let mark = unsafe leg.pointee.nextMark { unsafe cl_prefetch(mark) }
            let session = unsafe leg.pointee.session
            if let bandwidth = unsafe session.pointee.bandwidth {
                unsafe self.prefetch(bandwidth, byteCount: Self.bandwidthByteCount)
            }
            if let key = unsafe session.pointee.peer.sealingKey() {
                unsafe self.prefetch(key, byteCount: Self.keyByteCount)
            }
        }
        guard position + 1 < legs.count,
            let bandwidth = unsafe legs[position + 1].pointee.session.pointee.bandwidth,
            let entry = unsafe bandwidth.pointee.estimator.nextEntry()
        else { return }
        unsafe self.prefetch(entry, byteCount: Self.numberByteCount)
    }

    @inline(__always)
    private static func prefetch(_ start: UnsafeRawPointer, byteCount: Int) {
        var offset = 0
        while offset < byteCount {
            unsafe cl_prefetch(start + offset)
            offset += Self.lineByteCount
        }
    }
}
