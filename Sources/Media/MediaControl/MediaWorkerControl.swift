package import Basics
package import Negotiation

/// One media worker as the control plane sees it. The implementation is an actor on the worker's own thread; tests of
/// rooms and signalling use a recording fake.
///
/// All sessions of a room live on one worker. Calls for a session that has gone are ignored: it may have ended while
/// the command was on its way.
package protocol MediaWorkerControl: AnyObject, Sendable {
    /// Position of the worker: 0 to `media.workers` - 1.
    nonisolated var index: Int { get }
    /// What answers say of this worker: candidates and certificate.
    nonisolated var endpoint: MediaEndpoint { get }

    /// Creates the session on first use, and applies a renegotiation or an ICE restart afterwards.
    ///
    /// Sections that are no longer listed end: a published one stops for all its subscribers, a bound one is unbound.
    func apply(_ configuration: SessionConfiguration, to session: SessionID) async throws(MediaError)

    /// Ends the session: BYE for what it was sent, DTLS close, all state freed.
    func close(_ session: SessionID) async

    /// Forwards a published track on a `send` section. A section holds one track: the new one replaces the old.
    func bind(_ track: PublishedTrack, to section: SectionReference) async throws(MediaError)
    func unbind(_ section: SectionReference) async

    /// Stops and resumes forwarding on a section at the wish of its subscriber (`prefer.paused`).
    func setPaused(_ paused: Bool, for section: SectionReference) async
    /// The largest picture that the subscriber has use for, in pixels (`prefer.maxWidth`, `prefer.maxHeight`); `nil` =
    /// any. A new binding starts without a limit.
    func setMaximumSize(width: Int?, height: Int?, for section: SectionReference) async
    /// Stops and resumes forwarding a track at its source (`mute`). On unmute a key frame is asked for.
    func setMuted(_ muted: Bool, for track: PublishedTrack) async

    func statistics(of session: SessionID) async -> SessionStatistics?
}

/// All workers of the process.
package protocol MediaWorkers: Sendable {
    /// The worker for a room that does not exist yet: the one with the least load.
    func workerForNewRoom() -> any MediaWorkerControl
    var all: [any MediaWorkerControl] { get }
}

/// Where a worker can be reached and how it proves itself.
package struct MediaEndpoint: Sendable, Equatable {
    package var candidates: [TransportAddress]
    package var fingerprint: Fingerprint

    package init(candidates: [TransportAddress], fingerprint: Fingerprint) {
        self.candidates = candidates
        self.fingerprint = fingerprint
    }
}

/// The state that a session should have after an offer was answered.
package struct SessionConfiguration: Sendable, Equatable {
    /// The server's own ICE credentials. New ones together with new remote ones are an ICE restart (RFC 8445 §9).
    /// `usernameFragment` is exactly 8 characters: the worker finds the session by them.
    package var localUsernameFragment: String
    package var localPassword: Redacted<String>
    package var negotiated: NegotiatedSession
    /// Cap on what this subscriber is sent; `nil` = none.
    package var maxBitrate: Bitrate?

    package init(
        localUsernameFragment: String,
        localPassword: Redacted<String>,
        negotiated: NegotiatedSession,
        maxBitrate: Bitrate? = nil
    ) {
        self.localUsernameFragment = localUsernameFragment
        self.localPassword = localPassword
        self.negotiated = negotiated
        self.maxBitrate = maxBitrate
    }
}

/// A track at its source: the m-line of the session that publishes it.
package struct PublishedTrack: Sendable, Hashable {
    package var session: SessionID
    package var mid: String

    package init(session: SessionID, mid: String) {
        self.session = session
        self.mid = mid
    }
}

/// An m-line of a subscriber on which the server sends.
package struct SectionReference: Sendable, Hashable {
    package var session: SessionID
    package var mid: String

    package init(session: SessionID, mid: String) {
        self.session = session
        self.mid = mid
    }
}

/// Why the media plane refused a command.
package enum MediaError: Error, Equatable, Sendable {
    case noSuchSession
    case noSuchSection
    case noSuchTrack
    /// The subscriber's m-line has none of the codecs that the track may be sent in.
    case noCommonCodec
    /// The worker holds as many sessions as it may.
    case tooManySessions
    /// Changed fingerprints or DTLS role on a running session.
    case transportChanged
}
