package import Basics
package import MediaControl
import Negotiation
import Synchronization

/// A media worker that does nothing but remember what it was told, in order.
package final class RecordingWorker: MediaWorkerControl {
    package enum Call: Equatable, Sendable {
        case apply(SessionID, [String])
        case close(SessionID)
        case bind(PublishedTrack, SectionReference)
        case unbind(SectionReference)
        case paused(Bool, PauseReason, SectionReference)
        case muted(Bool, PublishedTrack)
        case preference(SubscriberPreference, SectionReference)
        case purpose(TrackPurpose, PublishedTrack)
        case speechRole(SpeechRole, PublishedTrack)
    }

    package let index: Int
    package let endpoint = MediaEndpoint(
        candidates: [TransportAddress(ipv4: 0x7F00_0001, port: 7_880)],
        fingerprint: Fingerprint(hash: .sha256, digest: (0..<32).map { $0 })
    )
    private let state = Mutex((calls: [Call](), configurations: [SessionID: SessionConfiguration]()))
    private let known = Mutex<[SessionID: SessionStatistics]>([:])
    private let requests = Mutex(0)
    private let refusal = Mutex<MediaError?>(nil)
    private let held = Mutex<(session: SessionID?, continuation: CheckedContinuation<Void, Never>?)>((nil, nil))

    package init(index: Int = 0) { self.index = index }

    package var calls: [Call] { self.state.withLock { $0.calls } }
    package func configuration(of session: SessionID) -> SessionConfiguration? {
        self.state.withLock { $0.configurations[session] }
    }
    package var sessions: [SessionID] { self.state.withLock { $0.configurations.keys.sorted { $0.value < $1.value } } }
    package func refuseApply(_ error: MediaError?) { self.refusal.withLock { $0 = error } }
    package func forgetCalls() { self.state.withLock { $0.calls = [] } }

    private func note(_ call: Call) { self.state.withLock { $0.calls.append(call) } }

    package func apply(_ configuration: SessionConfiguration, to session: SessionID) async throws(MediaError) {
        if let refusal = self.refusal.withLock({ $0 }) { throw refusal }
        self.note(.apply(session, configuration.negotiated.sections.map(\.mid)))
        self.state.withLock { $0.configurations[session] = configuration }
    }

    /// Makes `close` of this session wait for `releaseClose`.
    package func holdClose(of session: SessionID) { self.held.withLock { $0.session = session } }
    package var isHolding: Bool { self.held.withLock { $0.continuation != nil } }
    package func releaseClose() {
        let continuation = self.held.withLock { held in
            defer { held = (nil, nil) }
            return held.continuation
        }
        continuation?.resume()
    }

    package func close(_ session: SessionID) async {
        if self.held.withLock({ $0.session == session }) {
            await withCheckedContinuation { continuation in self.held.withLock { $0.continuation = continuation } }
        }
        self.note(.close(session))
        self.state.withLock { _ = $0.configurations.removeValue(forKey: session) }
    }

    package func bind(_ track: PublishedTrack, to section: SectionReference) async throws(MediaError) {
        // The rule that the order of calls must keep: the worker knows both ends.
        let (source, target) = self.state.withLock {
            ($0.configurations[track.session], $0.configurations[section.session])
        }
        guard source?.negotiated.sections.contains(where: { $0.mid == track.mid }) == true else { throw .noSuchTrack }
        guard target?.negotiated.sections.contains(where: { $0.mid == section.mid }) == true else {
            throw .noSuchSection
        }
        self.note(.bind(track, section))
    }

    package func unbind(_ section: SectionReference) async { self.note(.unbind(section)) }
    package func setPaused(_ paused: Bool, because reason: PauseReason, for section: SectionReference) async {
        self.note(.paused(paused, reason, section))
    }
    package func setPreference(_ preference: SubscriberPreference, for section: SectionReference) async {
        self.note(.preference(preference, section))
    }
    package func setPurpose(_ purpose: TrackPurpose, for track: PublishedTrack) async {
        self.note(.purpose(purpose, track))
    }
    package func setSpeechRole(_ role: SpeechRole, for track: PublishedTrack) async {
        self.note(.speechRole(role, track))
    }
    package func setMuted(_ muted: Bool, for track: PublishedTrack) async { self.note(.muted(muted, track)) }

    package func set(_ statistics: SessionStatistics, of session: SessionID) {
        self.known.withLock { $0[session] = statistics }
    }

    /// How often it was asked for statistics: each time wakes a real worker.
    package var statisticsRequestCount: Int { self.requests.withLock { $0 } }

    package func statistics(of session: SessionID) async -> SessionStatistics? {
        self.requests.withLock { $0 += 1 }
        return self.current(session)
    }

    package func statistics(of sessions: [SessionID]) async -> [SessionID: SessionStatistics] {
        self.requests.withLock { $0 += 1 }
        return sessions.reduce(into: [:]) { $0[$1] = self.current($1) }
    }

    private func current(_ session: SessionID) -> SessionStatistics? {
        if let known = self.known.withLock({ $0[session] }) { return known }
        guard self.configuration(of: session) != nil else { return nil }
        var statistics = SessionStatistics()
        statistics.transport.connected = true
        return statistics
    }
}

package struct OneWorker: MediaWorkers {
    package let worker: RecordingWorker

    package init(worker: RecordingWorker) { self.worker = worker }

    package func workerForNewRoom() -> any MediaWorkerControl { self.worker }
    package var all: [any MediaWorkerControl] { [self.worker] }
}
