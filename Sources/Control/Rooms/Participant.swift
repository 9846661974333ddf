import Basics
import MediaControl
import Negotiation

/// A participant's state; owned by its room's actor and never leaves it.
final class Participant {
    let id = RandomIdentifiers.participant()
    let kind: SessionKind
    let identity: String
    let isIdentityAsserted: Bool
    let grants: Grants
    let publisherIdentity: String?
    let onRemoved: @Sendable () -> Void
    var autoSubscribe: Bool
    var name: String
    var metadata: JSONValue
    var resumeToken = RandomIdentifiers.token()
    var sink: EventSink
    /// Set while the WebSocket is lost.
    var detachedAt: Instant?
    /// `nil` before the first offer, and after the media session ended by itself.
    var negotiation: PeerNegotiation?
    /// What the client said of m-lines that it will publish, by mid.
    var intents: [String: PublishIntent] = [:]
    /// Asked for by `subscribe` before there was an m-line for them.
    var wanted: [TrackID] = []
    /// Taken off by `unsubscribe`: not bound again by itself.
    var unwanted: Set<TrackID> = []
    var preferences: [TrackID: TrackPreference] = [:]
    /// The tracks that last-N holds back, by the m-line on which they would be sent.
    var heldBack: [String: TrackID] = [:]
    var quality = QualityMonitor()
    /// By the audio track that is published.
    var audioAdvice: [TrackID: AudioAdvice] = [:]
    /// The whole points of its quality that the others were last told of; `nil` while it publishes nothing.
    var toldQuality: Double?
    /// Whether it was told how the others' connections are.
    var hasHeardQualities = false
    /// When the others were last told what it has changed, and whether there is something that they were not told of.
    var changeToldAt: Instant?
    var hasUntoldChange = false
    /// Tracks that it may begin, end or describe anew: everybody in the room is told of each, and no one may be left out.
    var trackChanges: TokenBucket

    /// - Parameter trackChanges: full, for this one participant.
    init(_ request: JoinRequest, trackChanges: TokenBucket, sink: @escaping EventSink) {
        self.trackChanges = trackChanges
        self.kind = request.kind
        self.identity = request.identity
        self.isIdentityAsserted = request.isIdentityAsserted
        self.grants = request.grants
        self.publisherIdentity = request.publisherIdentity
        self.onRemoved = request.onRemoved
        self.autoSubscribe = request.autoSubscribe
        self.name = request.name
        self.metadata = request.metadata
        self.sink = sink
    }

    /// Subscribers by WHEP are nobody's business but the operator's.
    var isHidden: Bool { self.kind == .whep }

    func tell(_ event: RoomEvent) { _ = self.sink(event) }
}

/// A published track; owned by its room's actor.
struct Track {
    let id: TrackID
    let publisher: ParticipantID
    let source: PublishedTrack
    var info: TrackInfo
    /// What the publisher may send.
    var codecs: [Codec]
    /// The encodings that somebody is to receive, as its publisher was last told; `nil` = it was told nothing.
    var layersWanted: [String]?
}

/// What a client says of an m-line on which it publishes.
package struct PublishIntent: Sendable, Equatable {
    package var mid: String
    package var source: TrackSource
    package var name: String

    package init(mid: String, source: TrackSource, name: String = "") {
        self.mid = mid
        self.source = source
        self.name = name
    }
}

/// What a subscriber wishes of a track (`prefer`).
package struct TrackPreference: Sendable, Equatable {
    package var maxWidth: Int?
    package var maxHeight: Int?
    package var maxFps: Double?
    /// 0...255; the highest is served first.
    package var priority: Int?
    package var paused: Bool

    /// The priority of a tile that the user has pinned.
    package static let pinned = 255

    package init(
        maxWidth: Int? = nil,
        maxHeight: Int? = nil,
        maxFps: Double? = nil,
        priority: Int? = nil,
        paused: Bool = false
    ) {
        self.maxWidth = maxWidth
        self.maxHeight = maxHeight
        self.maxFps = maxFps
        self.priority = priority
        self.paused = paused
    }

    /// The part of it that the media worker weighs.
    var forWorker: SubscriberPreference {
        SubscriberPreference(
            maximumWidth: self.maxWidth,
            maximumHeight: self.maxHeight,
            // A limit of "7.5" is the half of 15: what is left of a frame rate is still one more frame.
            maximumFrameRate: self.maxFps.map { Int($0.rounded(.up)) },
            priority: self.priority.map { UInt8(clamping: $0) }
        )
    }
}
