package import Basics

/// What one peer has seen so far.
package struct PeerReport: Sendable, Equatable {
    /// From `start` to ICE and DTLS being up; `nil` = not yet.
    package var connectedAfter: Nanoseconds?
    /// From `start` to the first media packet that was received.
    package var firstMediaAfter: Nanoseconds?
    /// From `start` to the first packet of a key frame.
    package var firstKeyFrameAfter: Nanoseconds?
    /// Why the session is over; `nil` while it goes on.
    package var end: String?
    package var streams: [StreamReport] = []
    package var packetsSent: UInt64 = 0
    package var bytesSent: UInt64 = 0
    /// PLI and FIR that the server sent to this publisher.
    package var keyFrameRequests: UInt64 = 0
    /// Packets that the server asked this publisher for again.
    package var retransmissionsAsked: UInt64 = 0

    package init() {}
}

/// One stream that a peer receives.
package struct StreamReport: Sendable, Equatable {
    package var mid: String
    package var kind: MediaKind
    package var packetsReceived: UInt64 = 0
    package var bytesReceived: UInt64 = 0
    /// That did not come by themselves, as RTCP counts them.
    package var packetsLost: Int64 = 0
    package var packetsRecovered: UInt64 = 0
    /// That came after a later one.
    package var packetsOutOfOrder: UInt64 = 0
    /// That neither came nor were recovered, however often they were asked for.
    package var packetsAbandoned: UInt64 = 0
    package var packetsPadding: UInt64 = 0
    /// Of the last key frame.
    package var width = 0
    package var height = 0
    package var sizeChanges = 0
    package var keyFrames: UInt64 = 0
    /// The longest time between two packets.
    package var longestGap = Nanoseconds.zero
    /// Whether a packet came in the last second.
    package var isAlive = false

    package init(mid: String, kind: MediaKind) {
        self.mid = mid
        self.kind = kind
    }
}
