package import Basics

/// What an offer says of a track that the client publishes, for the room to announce.
package struct PublishedSection: Sendable, Equatable {
    package var mid: String
    package var kind: MediaKind
    /// In the client's order of preference: it most likely sends the first.
    package var codecs: [NegotiatedCodec]
    /// Simulcast layers in the order of the offer; empty without simulcast.
    package var rids: [String]
    /// Those of `rids` that the client announced as paused.
    package var pausedRIDs: [String]
    /// The client's own names of its MediaStream and track (`a=msid`); `nil` where it gave none.
    package var streamID: String?
    package var trackID: String?

    package init(
        mid: String,
        kind: MediaKind,
        codecs: [NegotiatedCodec],
        rids: [String] = [],
        pausedRIDs: [String] = [],
        streamID: String? = nil,
        trackID: String? = nil
    ) {
        self.mid = mid
        self.kind = kind
        self.codecs = codecs
        self.rids = rids
        self.pausedRIDs = pausedRIDs
        self.streamID = streamID
        self.trackID = trackID
    }
}
