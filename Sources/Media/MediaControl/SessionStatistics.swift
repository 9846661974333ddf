package import Basics
package import Negotiation

/// A snapshot of one session. Field names are those of W3C webrtc-stats, so that a number means the same here and in
/// a browser's `getStats()`.
package struct SessionStatistics: Sendable, Equatable {
    package var transport = TransportStatistics()
    /// What the client publishes, one entry per SSRC.
    package var inbound: [InboundRTPStatistics] = []
    /// What the client is sent, one entry per bound section.
    package var outbound: [OutboundRTPStatistics] = []

    package init() {}
}

package struct TransportStatistics: Sendable, Equatable {
    package var connected = false
    package var selectedAddress: TransportAddress?
    package var bytesSent: UInt64 = 0
    package var bytesReceived: UInt64 = 0
    package var packetsSent: UInt64 = 0
    package var packetsReceived: UInt64 = 0
    /// Name of the DTLS cipher suite and of the SRTP profile; empty before the handshake.
    package var dtlsCipher = ""
    package var srtpCipher = ""
    /// `nil` until there is an estimate.
    package var availableOutgoingBitrate: Bitrate?

    package init() {}
}

package struct InboundRTPStatistics: Sendable, Equatable {
    package var mid: String
    package var rid: String?
    package var ssrc: SSRC
    package var kind: MediaKind
    package var codec: Codec?
    package var packetsReceived: UInt64 = 0
    package var bytesReceived: UInt64 = 0
    package var packetsLost: Int64 = 0
    /// In seconds.
    package var jitter: Double = 0
    package var nackCount: UInt64 = 0
    package var pliCount: UInt64 = 0
    package var firCount: UInt64 = 0
    package var retransmittedPacketsReceived: UInt64 = 0
    package var keyFramesReceived: UInt64 = 0
    package var frameWidth: Int?
    package var frameHeight: Int?

    package init(mid: String, rid: String?, ssrc: SSRC, kind: MediaKind) {
        self.mid = mid
        self.rid = rid
        self.ssrc = ssrc
        self.kind = kind
    }
}

package struct OutboundRTPStatistics: Sendable, Equatable {
    package var mid: String
    package var ssrc: SSRC
    package var kind: MediaKind
    package var codec: Codec?
    /// The track that is bound, as its source names it.
    package var source: PublishedTrack?
    package var packetsSent: UInt64 = 0
    package var bytesSent: UInt64 = 0
    package var retransmittedPacketsSent: UInt64 = 0
    package var retransmittedBytesSent: UInt64 = 0
    package var nackCount: UInt64 = 0
    package var pliCount: UInt64 = 0
    package var firCount: UInt64 = 0
    /// As the receiver reports it (RFC 3550 §6.4.1).
    package var packetsLost: Int64 = 0
    /// 0 to 1, since the receiver's previous report.
    package var fractionLost: Double = 0
    /// In seconds, as the receiver reports it.
    package var jitter: Double = 0
    /// In seconds; `nil` before the first report that answers one of ours.
    package var roundTripTime: Double?
    package var selection: LayerSelection?

    package init(mid: String, ssrc: SSRC, kind: MediaKind) {
        self.mid = mid
        self.ssrc = ssrc
        self.kind = kind
    }
}
