package import Basics

/// What one peer has seen so far.
package struct PeerReport: Sendable, Equatable {
    /// When the peer was made, with its offer.
    package var madeAt = Instant.zero
    /// From the making of the offer to ICE and DTLS being up, signalling included; `nil` = not yet.
    package var connectedAfter: Nanoseconds?
    /// From then to the first media packet that was received.
    package var firstMediaAfter: Nanoseconds?
    /// From then to the first packet of a key frame.
    package var firstKeyFrameAfter: Nanoseconds?
    /// To the server and back, smoothed, as its echoes of our reference times tell (RFC 3611 §4.5): also of a peer that only
    /// receives. `nil` before the first; the wait in the server is not part of it.
    package var roundTripTime: Nanoseconds?
    /// Why the session is over; `nil` while it goes on.
    package var end: String?
    /// Its WebSocket ended although nobody left, whatever became of its media.
    package var hasLostSignalling = false
    /// The mids of m-lines that the server's answer rejected or made inactive.
    package var rejectedSections: [String] = []
    /// Of `PeerPlan`.
    package var group = 0
    /// Closed by us. All else is then as it was before that.
    package var hasLeft = false
    /// The server answered its offer.
    package var isAnswered = false
    /// From the making of the peer to this report, or until it left.
    package var age = Nanoseconds.zero
    package var streams: [StreamReport] = []
    /// That came twice, or so late that the replay window had passed (RFC 3711 §3.3.2).
    package var packetsDuplicated: UInt64 = 0
    /// That did not open with the session's keys.
    package var packetsUnreadable: UInt64 = 0
    package var packetsSent: UInt64 = 0
    package var bytesSent: UInt64 = 0
    /// PLI and FIR that the server sent to this publisher.
    package var keyFrameRequests: UInt64 = 0
    /// Packets that the server asked this publisher for again.
    package var retransmissionsAsked: UInt64 = 0

    package init() {}
}

extension PeerReport {
    /// The echo of a reference time that this peer had sent (RFC 3611 §4.5): now less when it was sent, less how long it lay.
    /// - Parameters:
    ///   - sent: the middle 32 bits of that time.
    ///   - delay: in 1/65536 s.
    package mutating func noteEcho(of sent: UInt32, delay: UInt32, ntpNow: NTPTime) {
        // A clock that was set meanwhile makes it negative.
        let units = Int32(bitPattern: UInt32(truncatingIfNeeded: ntpNow.rawValue >> 16) &- sent &- delay)
        guard units >= 0 else { return }
        let sample = Nanoseconds(Int64(units) * 1_000_000_000 / 65_536)
        self.roundTripTime = self.roundTripTime.map { $0 + (sample - $0) / 8 } ?? sample
    }
}

/// One stream that a peer receives.
package struct StreamReport: Sendable, Equatable {
    /// Whether packets are to come, as far as the client knows.
    package enum State: Sendable, Equatable {
        /// No track is bound to the m-line.
        case unbound
        case flowing
        /// Muted, or held back by the server, which said so.
        case paused
    }

    package var mid: String
    package var kind: MediaKind
    package var state = State.flowing
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
    /// For how long nothing has come although it should.
    package var silence = Nanoseconds.zero

    package init(mid: String, kind: MediaKind) {
        self.mid = mid
        self.kind = kind
    }
}
