package import Basics
package import MediaControl
package import Negotiation

/// Takes what a room tells one participant. Must not block, and may be called from any thread.
///
/// Returns whether it was taken. Only what another participant says (`relayed`) may be refused for want of room; what
/// cannot be told otherwise ends the connection.
package typealias EventSink = @Sendable (RoomEvent) -> Bool

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
    /// Who speaks now, the latest to begin first; empty when nobody does.
    case activeSpeakers([SpeakerLevel])
    /// For a publisher of audio: what its encoder should send at most.
    case bitrateHint(TrackID, Bitrate)
    /// For a publisher of simulcast: the encodings that somebody is to receive.
    case layersWanted(TrackID, rids: [String])
    /// Once a second; the score is from 1 to 5.
    case quality(ParticipantID, QualityScore)
    /// A message of one participant to another: `type` and `payload` as they were sent.
    case relayed(type: String, from: ParticipantID, payload: JSONValue)
    /// In seconds since 1970.
    case draining(deadline: Int64)
    /// The participant is no longer in the room; nothing follows.
    case removed(LeaveReason)
    /// The same participant was taken over by a new connection; nothing follows.
    case resumedElsewhere
}

/// A speaker and how loud it is.
package struct SpeakerLevel: Sendable, Equatable {
    package var participant: ParticipantID
    /// Linear, 0 to 1, as `audioLevel` of webrtc-stats.
    package var level: Double

    package init(participant: ParticipantID, level: Double) {
        self.participant = participant
        self.level = level
    }
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
    /// The process stops. The room may go on: whoever comes back finds the next one there.
    case serverStopped
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
        var members: [String: JSONValue] = [
            "id": .string(self.id.value), "kind": .string(self.kind.name), "source": .string(self.source.rawValue),
            "name": .string(self.name), "muted": .bool(self.muted), "codec": .string(self.codec.rawValue),
            "simulcast": .array(self.layers.filter { !$0.rid.isEmpty }.map(\.json)),
        ]
        // With simulcast, what there is to choose from are the encodings.
        if self.layers.count == 1, let mode = self.layers[0].scalabilityMode { members["svc"] = .string(mode) }
        return .object(members)
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
