/// Who wants to join, and what their token lets them do.
package struct JoinRequest: Sendable {
    package var kind: SessionKind
    package var identity: String
    /// The token says who this is; else they chose the identity themselves, and replace nobody whose token does.
    package var isIdentityAsserted: Bool
    package var name: String
    package var metadata: JSONValue
    package var grants: Grants
    /// Bind published tracks to free recvonly m-lines without being asked.
    package var autoSubscribe: Bool
    /// Only tracks of this identity are bound (WHEP); `nil` = of everybody.
    package var publisherIdentity: String?
    /// Called when the operator takes the participant out, so that their token can be refused from then on.
    package var onRemoved: @Sendable () -> Void

    package init(
        kind: SessionKind,
        identity: String,
        isIdentityAsserted: Bool = false,
        name: String = "",
        metadata: JSONValue = .null,
        grants: Grants = Grants(),
        autoSubscribe: Bool = true,
        publisherIdentity: String? = nil,
        onRemoved: @escaping @Sendable () -> Void = {}
    ) {
        self.onRemoved = onRemoved
        self.kind = kind
        self.identity = identity
        self.isIdentityAsserted = isIdentityAsserted
        self.name = name
        self.metadata = metadata
        self.grants = grants
        self.autoSubscribe = autoSubscribe
        self.publisherIdentity = publisherIdentity
    }

    /// Largest metadata, as JSON text, in bytes.
    package static let maxMetadataBytes = 4_096
    /// Longest identity, name or track name, in bytes.
    package static let maxNameBytes = 256
}

/// How a participant is connected.
package enum SessionKind: String, Sendable, CaseIterable {
    case websocket, whip, whep
}

/// What a token lets its bearer do in its room.
package struct Grants: Sendable, Equatable {
    package var publish: Bool
    package var subscribe: Bool
    package var data: Bool
    /// May mute the tracks of others.
    package var admin: Bool
    /// The sources that may be published; `nil` = all.
    package var publishSources: Set<TrackSource>?

    package init(
        publish: Bool = true,
        subscribe: Bool = true,
        data: Bool = true,
        admin: Bool = false,
        publishSources: Set<TrackSource>? = nil
    ) {
        self.publish = publish
        self.subscribe = subscribe
        self.data = data
        self.admin = admin
        self.publishSources = publishSources
    }
}

/// What a track shows or sounds of.
package enum TrackSource: String, Sendable, CaseIterable {
    case camera, microphone, screen, screenAudio, other
}
