package import Basics
package import Negotiation

/// One media worker as the control plane sees it. The implementation is an actor on the worker's own thread; tests of
/// rooms and signalling use a recording fake.
///
/// A large room may have sessions on several workers: the one that the room knows then stands for all of them. Calls for
/// a session that has gone are ignored: it may have ended while the command was on its way.
package protocol MediaWorkerControl: AnyObject, Sendable {
    /// Position of the worker: 0 to `media.workers` - 1.
    nonisolated var index: Int { get }
    /// What answers say of this worker: candidates and certificate.
    nonisolated var endpoint: MediaEndpoint { get }
    /// What the answer to a session that does not exist yet is to say; `apply` is told the same endpoint's worker.
    nonisolated func endpointForNewSession() -> MediaEndpoint

    /// Creates the session on first use, and applies a renegotiation or an ICE restart afterwards.
    ///
    /// Sections that are no longer listed end: a published one stops for all its subscribers, a bound one is unbound.
    func apply(_ configuration: SessionConfiguration, to session: SessionID) async throws(MediaError)

    /// Ends the session: BYE for what it was sent, DTLS close, all state freed.
    func close(_ session: SessionID) async

    /// Forwards a published track on a `send` section. A section holds one track: the new one replaces the old.
    func bind(_ track: PublishedTrack, to section: SectionReference) async throws(MediaError)
    func unbind(_ section: SectionReference) async

    /// Stops and resumes forwarding on a section. Reasons are independent: it is forwarded when none holds it back.
    func setPaused(_ paused: Bool, because reason: PauseReason, for section: SectionReference) async
    /// What the subscriber has use for (`prefer`). A new binding starts with `SubscriberPreference()`.
    func setPreference(_ preference: SubscriberPreference, for section: SectionReference) async
    /// What a track shows: it decides the weight that the track has where bandwidth is short.
    func setPurpose(_ purpose: TrackPurpose, for track: PublishedTrack) async
    /// Whether the publisher of a video track speaks: the weight of its picture.
    func setSpeechRole(_ role: SpeechRole, for track: PublishedTrack) async
    /// Stops and resumes forwarding a track at its source (`mute`). On unmute a key frame is asked for.
    func setMuted(_ muted: Bool, for track: PublishedTrack) async

    func statistics(of session: SessionID) async -> SessionStatistics?
    /// Of several sessions, without those that have gone: asked for one by one, each costs two threads a wake-up.
    func statistics(of sessions: [SessionID]) async -> [SessionID: SessionStatistics]
}

extension MediaWorkerControl {
    package func statistics(of sessions: [SessionID]) async -> [SessionID: SessionStatistics] {
        var all: [SessionID: SessionStatistics] = [:]
        for session in sessions { all[session] = await self.statistics(of: session) }
        return all
    }

    package nonisolated func endpointForNewSession() -> MediaEndpoint { self.endpoint }
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
    /// The worker's index; `nil` = there is only one.
    package var worker: Int?

    package init(candidates: [TransportAddress], fingerprint: Fingerprint, worker: Int? = nil) {
        self.candidates = candidates
        self.fingerprint = fingerprint
        self.worker = worker
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
    /// Of the endpoint that the answer names, for a new session; `nil` = the room's first worker.
    package var worker: Int?

    package init(
        localUsernameFragment: String,
        localPassword: Redacted<String>,
        negotiated: NegotiatedSession,
        maxBitrate: Bitrate? = nil,
        worker: Int? = nil
    ) {
        self.localUsernameFragment = localUsernameFragment
        self.localPassword = localPassword
        self.negotiated = negotiated
        self.maxBitrate = maxBitrate
        self.worker = worker
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

/// Who holds a section back.
package enum PauseReason: UInt8, Sendable, Equatable, CaseIterable {
    /// `prefer.paused`.
    case subscriber
    /// The room shows the last N speakers only, and this is not one of theirs.
    case lastN
    /// The worker cannot send all that it is asked for (`LoadShedding`). Only the worker itself says so.
    case overload
}

/// What a subscriber has use for on one section.
package struct SubscriberPreference: Sendable, Equatable {
    /// The largest picture, in pixels; `nil` = any. 0 = it is not visible: nothing is sent.
    package var maximumWidth: Int?
    package var maximumHeight: Int?
    /// Frames per second; `nil` = any.
    package var maximumFrameRate: Int?
    /// 0 (nothing is sent) to 255 (as a pinned tile); `nil` = by the track's purpose and who speaks.
    package var priority: UInt8?

    package init(
        maximumWidth: Int? = nil,
        maximumHeight: Int? = nil,
        maximumFrameRate: Int? = nil,
        priority: UInt8? = nil
    ) {
        self.maximumWidth = maximumWidth
        self.maximumHeight = maximumHeight
        self.maximumFrameRate = maximumFrameRate
        self.priority = priority
    }
}

/// What a published track shows.
package enum TrackPurpose: UInt8, Sendable, Equatable {
    case camera
    /// Keeps its resolution and gives up frame rate first (forwarding.md).
    case screen
    case other
}

/// The part that a participant has in the conversation.
package enum SpeechRole: UInt8, Sendable, Equatable {
    case silent
    /// Spoke in the last 5 s.
    case recent
    case active
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
