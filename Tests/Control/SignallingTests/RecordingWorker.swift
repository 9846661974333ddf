import Basics
import MediaControl
import Negotiation
import Synchronization

/// A media worker that does nothing but remember what it was told, in order.
final class RecordingWorker: MediaWorkerControl {
    enum Call: Equatable, Sendable {
        case apply(SessionID, [String])
        case close(SessionID)
        case bind(PublishedTrack, SectionReference)
        case unbind(SectionReference)
        case paused(Bool, SectionReference)
        case muted(Bool, PublishedTrack)
    }

    let index: Int
    let endpoint = MediaEndpoint(
        candidates: [TransportAddress(ipv4: 0x7F00_0001, port: 7_880)],
        fingerprint: Fingerprint(hash: .sha256, digest: (0..<32).map { $0 })
    )
    private let state = Mutex((calls: [Call](), configurations: [SessionID: SessionConfiguration]()))
    private let refusal = Mutex<MediaError?>(nil)

    init(index: Int = 0) { self.index = index }

    var calls: [Call] { self.state.withLock { $0.calls } }
    func configuration(of session: SessionID) -> SessionConfiguration? {
        self.state.withLock { $0.configurations[session] }
    }
    var sessions: [SessionID] { self.state.withLock { $0.configurations.keys.sorted { $0.value < $1.value } } }
    func refuseApply(_ error: MediaError?) { self.refusal.withLock { $0 = error } }
    func forgetCalls() { self.state.withLock { $0.calls = [] } }

    private func note(_ call: Call) { self.state.withLock { $0.calls.append(call) } }

    func apply(_ configuration: SessionConfiguration, to session: SessionID) async throws(MediaError) {
        if let refusal = self.refusal.withLock({ $0 }) { throw refusal }
        self.note(.apply(session, configuration.negotiated.sections.map(\.mid)))
        self.state.withLock { $0.configurations[session] = configuration }
    }

    func close(_ session: SessionID) async {
        self.note(.close(session))
        self.state.withLock { _ = $0.configurations.removeValue(forKey: session) }
    }

    func bind(_ track: PublishedTrack, to section: SectionReference) async throws(MediaError) {
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

    func unbind(_ section: SectionReference) async { self.note(.unbind(section)) }
    func setPaused(_ paused: Bool, for section: SectionReference) async { self.note(.paused(paused, section)) }
    func setMuted(_ muted: Bool, for track: PublishedTrack) async { self.note(.muted(muted, track)) }

    func statistics(of session: SessionID) async -> SessionStatistics? {
        guard self.configuration(of: session) != nil else { return nil }
        var statistics = SessionStatistics()
        statistics.transport.connected = true
        return statistics
    }
}

struct OneWorker: MediaWorkers {
    let worker: RecordingWorker
    func workerForNewRoom() -> any MediaWorkerControl { self.worker }
    var all: [any MediaWorkerControl] { [self.worker] }
}
