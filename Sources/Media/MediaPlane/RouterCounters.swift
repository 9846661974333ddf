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
    /// RTCP of which nothing was read: see `Overload`.
    package var feedbackShed: UInt64 = 0
    /// From an address that ICE has not authenticated.
    package var droppedInUnknownSource: UInt64 = 0
    package var droppedOutLayer: UInt64 = 0
    /// The socket's buffer was full.
    package var droppedOutNoRoom: UInt64 = 0
    /// The subscriber's pacer was full, or the packet was not kept long enough for its turn.
    package var droppedOutPacer: UInt64 = 0
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
    package var layerSwitches = LayerSwitches()
    /// Sent only to see what a path carries: repeated packets and empty ones.
    package var paddingPacketsOut: UInt64 = 0
    package var paddingBytesOut: UInt64 = 0
    /// Key frames of the cache that were sent to a subscriber that had no picture yet.
    package var replaysSent: UInt64 = 0

    // Marks (ECN), where feedback tells of them.
    /// RTP packets that left with ECT(1).
    package var markedPacketsOut: UInt64 = 0
    /// Those of them that subscribers report to have come as CE.
    package var congestionMarksOut: UInt64 = 0
    /// Publishers' packets that came with ECT(1), and as CE.
    package var markedPacketsIn: UInt64 = 0
    package var congestionMarksIn: UInt64 = 0
    /// How trials of a subscriber's path ended.
    package var markedPathsCapable: UInt64 = 0
    package var markedPathsBleached: UInt64 = 0
    package var markedPathsDropped: UInt64 = 0

    // Between workers.
    /// Packets of tracks published here that were handed to other workers.
    package var crossedPackets: UInt64 = 0
    /// Those that found the other worker's ring full.
    package var crossingDropped: UInt64 = 0
    /// Packets of other workers' tracks that came.
    package var mirroredPackets: UInt64 = 0

    // Transport.
    package var stunRejected: UInt64 = 0
    package var iceConnectedIPv4: UInt64 = 0
    package var iceConnectedIPv6: UInt64 = 0
    package var iceFailed = ByFamily()
    package var iceLost = ByFamily()
    package var handshakesOK: UInt64 = 0
    package var handshakesFailed: UInt64 = 0
    package var handshakesWrongFingerprint: UInt64 = 0
    package var handshakesTimedOut: UInt64 = 0
    package var handshakeDuration = DurationHistogram<HandshakeScale>()
    package var forwardDuration = DurationHistogram<ForwardingScale>()
    /// How long the oldest datagram of a read had lain in the socket's buffer.
    package var socketWait = DurationHistogram<ForwardingScale>()
    package var socketDropped: UInt64 = 0
    package var socketErrors = SocketErrors()

    // Gauges.
    package var sessions: UInt64 = 0
    /// Tracks of other workers that this one has subscribers of.
    package var mirrors: UInt64 = 0
    package var tracksPublished = ByKind()
    package var tracksForwarded = ByKind()
    /// Bound, and held back at the wish of the subscriber.
    package var tracksPaused: UInt64 = 0
    /// Bound, and held back because the room shows others or the subscriber does not see it.
    package var tracksUnused: UInt64 = 0
    /// Bound, and not sent because the subscriber's path does not carry it.
    package var tracksPausedForBandwidth: UInt64 = 0
    /// Not sent because the worker is overloaded.
    package var tracksShed: UInt64 = 0
    /// Sent in a smaller layer for that reason.
    package var tracksReduced: UInt64 = 0
    /// Of the last second, in thousandths.
    package var busyPermille: UInt64 = 0

    // Of subscribers, once a second.
    package var bitrateEstimate = BitrateHistogram()
    package var bitrateUsed = BitrateHistogram()

    package init() {}

    /// By the family of a session's address; `unknown` when no check ever came.
    package struct ByFamily: BitwiseCopyable, Sendable {
        package var ipv4: UInt64 = 0
        package var ipv6: UInt64 = 0
        package var unknown: UInt64 = 0

        mutating func add(_ address: TransportAddress?) {
            guard let address else { return self.unknown &+= 1 }
            if address.isIPv4 { self.ipv4 &+= 1 } else { self.ipv6 &+= 1 }
        }
    }
}

/// Why a subscriber is sent another layer.
package enum LayerSwitchReason: UInt8, Sendable, CaseIterable {
    case bandwidth, preference, publisher, speaker
}

/// Changes of layer by axis, direction and reason.
package struct LayerSwitches: BitwiseCopyable, Sendable {
    private var counts = InlineArray<16, UInt64>(repeating: 0)

    package init() {}

    package func count(isSpatial: Bool, isUp: Bool, reason: LayerSwitchReason) -> UInt64 {
        self.counts[Self.index(isSpatial, isUp, reason)]
    }

    mutating func add(isSpatial: Bool, isUp: Bool, reason: LayerSwitchReason) {
        self.counts[Self.index(isSpatial, isUp, reason)] &+= 1
    }

    private static func index(_ isSpatial: Bool, _ isUp: Bool, _ reason: LayerSwitchReason) -> Int {
        (isSpatial ? 8 : 0) + (isUp ? 4 : 0) + Int(reason.rawValue & 3)
    }
}

/// Bitrates in buckets from 30 kbit/s to 50 Mbit/s.
package struct BitrateHistogram: BitwiseCopyable, Sendable {
    /// Upper bounds in bits per second.
    package static let bounds: [Double] = (0..<11).map { Double(Self.bound($0)) }

    /// The last one counts what is above all bounds.
    package var buckets = InlineArray<12, UInt64>(repeating: 0)
    /// In bits per second.
    package var sum: UInt64 = 0

    package init() {}

    package mutating func record(_ bitrate: Bitrate) {
        let value = max(0, bitrate.bitsPerSecond)
        var index = 0
        while index < 11, value > Self.bound(index) { index += 1 }
        self.buckets[index] &+= 1
        self.sum &+= UInt64(value)
    }

    private static func bound(_ index: Int) -> Int64 {
        switch index {
        case 0: 30_000
        case 1: 100_000
        case 2: 250_000
        case 3: 500_000
        case 4: 1_000_000
        case 5: 2_000_000
        case 6: 3_000_000
        case 7: 5_000_000
        case 8: 10_000_000
        case 9: 20_000_000
        default: 50_000_000
        }
    }
}
