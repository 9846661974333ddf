package import Basics

/// What one worker counts. Plain integers, added to on the packet path by the one thread that owns them.
///
/// Every field is made of `UInt64`s, so that `SharedCounters` can publish the whole as a row of words.
package struct RouterCounters: BitwiseCopyable, Sendable {
    /// Audio and video, in the order of `MediaKind`.
    package struct ByKind: BitwiseCopyable, Sendable {
        package var audio: UInt64 = 0
        package var video: UInt64 = 0

        @inline(__always)
        mutating func add(_ amount: UInt64, _ kind: MediaKind) {
            if kind == .audio { self.audio &+= amount } else { self.video &+= amount }
        }
    }

    // RTP.
    package var packetsIn = ByKind()
    package var bytesIn = ByKind()
    package var packetsOut = ByKind()
    package var bytesOut = ByKind()
    package var packetsLostIn: UInt64 = 0
    package var packetsLostOut: UInt64 = 0

    // Why packets were dropped.
    package var droppedInReplay: UInt64 = 0
    package var droppedInAuthentication: UInt64 = 0
    package var droppedInUnknownSSRC: UInt64 = 0
    package var droppedInMalformed: UInt64 = 0
    package var droppedInRateLimited: UInt64 = 0
    /// From an address that ICE has not authenticated.
    package var droppedInUnknownSource: UInt64 = 0
    package var droppedOutLayer: UInt64 = 0
    package var droppedOutNoRoom: UInt64 = 0
    package var droppedOutSendError: UInt64 = 0

    // Repair.
    package var nacksIn: UInt64 = 0
    package var nacksOut: UInt64 = 0
    package var retransmissionsIn: UInt64 = 0
    package var retransmissionsSent: UInt64 = 0
    package var retransmissionsMissed: UInt64 = 0
    package var pictureLossForwarded: UInt64 = 0
    package var pictureLossThrottled: UInt64 = 0
    package var fullIntraForwarded: UInt64 = 0
    package var fullIntraThrottled: UInt64 = 0
    package var keyFrameRequestsOut: UInt64 = 0
    package var switchesUp: UInt64 = 0
    package var switchesDown: UInt64 = 0

    // Transport.
    package var stunRejected: UInt64 = 0
    package var iceConnectedIPv4: UInt64 = 0
    package var iceConnectedIPv6: UInt64 = 0
    package var iceFailed: UInt64 = 0
    package var iceLost: UInt64 = 0
    package var handshakesOK: UInt64 = 0
    package var handshakesFailed: UInt64 = 0
    package var handshakesWrongFingerprint: UInt64 = 0
    package var handshakesTimedOut: UInt64 = 0
    package var handshakeDuration = DurationHistogram()
    package var forwardDuration = DurationHistogram()
    package var socketDropped: UInt64 = 0

    // Gauges.
    package var sessions: UInt64 = 0
    package var tracksPublished = ByKind()
    package var tracksForwarded = ByKind()
    /// Bound, and held back at the wish of the subscriber.
    package var tracksPaused: UInt64 = 0
    /// Of the last second, in thousandths.
    package var busyPermille: UInt64 = 0

    package init() {}
}

/// Durations in buckets from 100 microseconds to 10 s, cumulative as Prometheus wants them only when they are printed.
package struct DurationHistogram: BitwiseCopyable, Sendable {
    /// Upper bounds in seconds.
    package static let bounds: [Double] = [
        0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
    ]

    /// The last one counts what is above all bounds.
    package var buckets = InlineArray<16, UInt64>(repeating: 0)
    package var count: UInt64 = 0
    package var sumNanoseconds: UInt64 = 0

    package init() {}

    package mutating func record(_ duration: Nanoseconds) {
        let nanoseconds = max(0, duration.count)
        var index = 0
        // Compared as integers: 100 us, 200 us, 500 us, then the same times ten.
        while index < 15, nanoseconds > Self.bound(index) { index += 1 }
        self.buckets[index] &+= 1
        self.count &+= 1
        self.sumNanoseconds &+= UInt64(nanoseconds)
    }

    private static func bound(_ index: Int) -> Int64 {
        switch index {
        case 0: 100_000
        case 1: 200_000
        case 2: 500_000
        case 3: 1_000_000
        case 4: 2_000_000
        case 5: 5_000_000
        case 6: 10_000_000
        case 7: 20_000_000
        case 8: 50_000_000
        case 9: 100_000_000
        case 10: 250_000_000
        case 11: 500_000_000
        case 12: 1_000_000_000
        case 13: 2_500_000_000
        default: 5_000_000_000
        }
    }
}
