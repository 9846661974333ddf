package import Basics
package import MediaControl
package import Negotiation

/// What a room tells one of its participants. Becomes a signalling message for those with a WebSocket.
package enum RoomEvent: Sendable, Equatable {
    case participantJoined(ParticipantInfo)
    case participantLeft(ParticipantID, LeaveReason)
    case participantChanged(ParticipantInfo)
    /// `mid` is set for the publisher itself: it has to know which of its m-lines became which track.
    case trackPublished(ParticipantID, TrackInfo, mid: String?)
    case trackUnpublished(TrackID)
    /// A track that came later was bound to a free m-line.
    case subscribed(TrackID, mid: String)
    case layer(TrackID, LayerSelection)
    /// Once a second; the score is from 1 to 5.
    case quality(ParticipantID, QualityScore)
    /// A message of one participant to another: `type` and `payload` as they were sent.
    case relayed(type: String, from: ParticipantID, payload: JSONValue)
    /// `deadline` in seconds since 1970.
    case draining(deadline: Int64)
    /// The participant is no longer in the room; nothing follows.
    case removed(LeaveReason)
    /// The same participant was taken over by a new connection; nothing follows.
    case resumedElsewhere
}

package enum LeaveReason: String, Sendable, CaseIterable {
    case left
    /// Somebody joined with the same identity; the newer one stays.
    case duplicateIdentity
    /// The WebSocket was lost and did not come back in time.
    case connectionLost
    /// WHIP and WHEP: the media session ended by itself.
    case mediaEnded
    /// The operator took the participant out.
    case removed
    case roomClosed
}

package struct ParticipantInfo: Sendable, Equatable {
    package var id: ParticipantID
    package var identity: String
    package var name: String
    package var metadata: JSONValue
    package var tracks: [TrackInfo]
}

package struct TrackInfo: Sendable, Equatable {
    package var id: TrackID
    package var kind: MediaKind
    package var source: TrackSource
    package var name: String
    package var muted: Bool
    /// What is being sent once there was a packet; before, the first of the negotiated codecs.
    package var codec: Codec
    /// One entry with an empty `rid` without simulcast.
    package var layers: [LayerState]
}

extension ParticipantInfo {
    package var json: JSONValue {
        [
            "id": .string(self.id.value), "identity": .string(self.identity), "name": .string(self.name),
            "metadata": self.metadata, "tracks": .array(self.tracks.map(\.json)),
        ]
    }
}

extension TrackInfo {
    package var json: JSONValue {
        [
            "id": .string(self.id.value), "kind": .string(self.kind.name), "source": .string(self.source.rawValue),
            "name": .string(self.name), "muted": .bool(self.muted), "codec": .string(self.codec.rawValue),
            "simulcast": .array(self.layers.filter { !$0.rid.isEmpty }.map(\.json)),
        ]
    }
}

extension LayerState {
    fileprivate var json: JSONValue {
        var members: [String: JSONValue] = ["rid": .string(self.rid), "active": .bool(self.active)]
        if let width = self.width { members["width"] = JSONValue(width) }
        if let height = self.height { members["height"] = JSONValue(height) }
        return .object(members)
    }
}
