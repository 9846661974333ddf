package import Basics
package import Negotiation

/// What happens on a worker that a room must know. Delivered in order per worker; never one per packet.
package enum MediaEvent: Sendable, Equatable {
    /// ICE and DTLS are up and the peer's certificate is the announced one.
    case connected(SessionID)
    /// The session ended by itself; the worker has freed it already.
    case ended(SessionID, SessionEndReason)
    /// The first media packet was received from or forwarded to the session; the time since `apply` was first called.
    case firstMedia(SessionID, after: Nanoseconds)
    /// The publisher's layers changed: one came, went silent, or changed its size.
    case layersChanged(PublishedTrack, codec: Codec, [LayerState])
    /// What a subscriber is sent on a section changed.
    case selectionChanged(SectionReference, LayerSelection)
    /// How loud the worker's audio tracks were (RFC 6464); at most every 100 ms, only tracks with packets in that time.
    case audioActivity([AudioActivity])
    /// The encodings of a simulcast track that somebody is to receive; more at once, fewer after 5 s.
    case layersWanted(PublishedTrack, rids: [String])
}

/// The loudness of one published audio track since the last event.
package struct AudioActivity: Sendable, Equatable {
    package var track: PublishedTrack
    /// 0 (loudest) to 127 (silence), in -dBov, the mean over the packets.
    package var level: UInt8
    /// How many packets it is the mean of.
    package var packetCount: Int

    package init(track: PublishedTrack, level: UInt8, packetCount: Int) {
        self.track = track
        self.level = level
        self.packetCount = packetCount
    }
}

package enum SessionEndReason: String, Sendable, Equatable {
    /// No authenticated check for 30 s after there had been one (RFC 7675).
    case consentExpired
    /// ICE or DTLS did not come up within 30 s.
    case connectTimeout
    case dtlsFailed
    case fingerprintMismatch
    /// The peer closed its DTLS association.
    case closedByPeer
    /// The control plane asked for it.
    case closed
}

/// One simulcast layer, or the whole track where there is no simulcast.
package struct LayerState: Sendable, Equatable {
    package var rid: String
    package var width: Int?
    package var height: Int?
    package var active: Bool
    /// As in WebRTC-SVC, by what is sent, such as "L3T3_KEY"; `nil` = nothing to choose from, or not known yet.
    package var scalabilityMode: String?

    package init(
        rid: String,
        width: Int? = nil,
        height: Int? = nil,
        active: Bool,
        scalabilityMode: String? = nil
    ) {
        self.rid = rid
        self.width = width
        self.height = height
        self.active = active
        self.scalabilityMode = scalabilityMode
    }
}

/// The layer that a subscriber is sent, with the reason in words.
package struct LayerSelection: Sendable, Equatable {
    /// 0 = lowest; -1 = nothing is sent.
    package var spatial: Int
    /// 0 = lowest; -1 = nothing is sent.
    package var temporal: Int
    package var width: Int?
    package var height: Int?
    /// What the layer takes, with its overhead.
    package var targetBitrate: Bitrate
    /// What the subscriber's link is thought to carry in all; `nil` = not known.
    package var estimate: Bitrate?
    /// What the subscriber's link must carry in all before the next higher layer is sent; `nil` = there is none.
    package var nextLayerNeeds: Bitrate?
    /// Nothing is sent for want of bandwidth.
    package var isPausedForBandwidth = false
    /// A sentence for a person.
    package var reason: String

    package init(
        spatial: Int,
        temporal: Int,
        width: Int? = nil,
        height: Int? = nil,
        targetBitrate: Bitrate = .zero,
        reason: String
    ) {
        self.spatial = spatial
        self.temporal = temporal
        self.width = width
        self.height = height
        self.targetBitrate = targetBitrate
        self.reason = reason
    }
}
