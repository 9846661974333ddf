import Basics
import CongestionControl
import DTLS
import Forwarding
import ICE
import Negotiation
import PeerSession
import RTP
import SDP

/// A WebRTC client without a browser: an offer, a controlling ICE agent, a DTLS client, SRTP, and what a receiver and a
/// sender owe each other in RTCP. Lives on its loop's thread.
final class HeadlessPeer {
    let id: PeerID
    let descriptor: CInt
    let address: TransportAddress
    var random: RandomSource
    var offer: ClientOffer
    var answer: ClientAnswer?
    var session: PeerSession?
    var report = PeerReport()
    var streams: [SSRC: InboundStream] = [:]
    /// By the SSRC of retransmissions: that of the stream which they repair.
    var repairs: [SSRC: SSRC] = [:]
    /// The ids that the answer gave the extensions.
    var extensions = HeaderExtensionMap()
    var tells = ReceiverFeedback.all
    var feedback = TransportFeedbackRecorder()
    var feedbackBuilder: TransportFeedbackBuilder
    let rtcpSSRC: SSRC
    var transportSequence: UInt16 = 0
    var video: VideoPublisher?
    var audio: AudioPublisher?
    var isConnected = false
    var nextReport = Instant.zero
    var transportDeadline: Instant?
    var destination: TransportAddress?
    let latency: LatencySink
    let group: Int
    /// `nil` where the scenario leaves the network alone.
    var link: PeerLink?
    /// Of streams that the signalling said nothing of.
    var initialState = StreamReport.State.flowing
    /// By mid.
    private var states: [String: StreamReport.State] = [:]
    /// Datagrams that found the socket's buffer full.
    var overflownDatagrams: UInt64 = 0
    /// As it was when this client began to leave: the server may end the session at once then.
    private var lastReport: PeerReport?
    private let certificate: DTLSCertificate
    let startedAt: Instant

    /// Where the loop collects how long the packets of a group took, and how late they left.
    final class LatencySink {
        var histogram = LatencyHistogram()
        var lateness = LatencyHistogram()
    }

    /// When a datagram came.
    struct Arrival {
        /// To the peer: after its link.
        var peer: Instant
        /// To this machine, as the kernel says: before the link, and before the loop had time for it.
        var machine: Instant
    }

    init(
        id: PeerID,
        descriptor: CInt,
        address: TransportAddress,
        certificate: DTLSCertificate,
        latency: LatencySink,
        group: Int,
        link: PeerLink?,
        at now: Instant
    ) {
        self.id = id
        self.descriptor = descriptor
        self.address = address
        self.certificate = certificate
        self.latency = latency
        self.group = group
        self.link = link
        self.startedAt = now
        self.report.group = group
        self.report.madeAt = now
        var random = RandomSource.system
        let credentials = ICECredentials.random(using: &random)
        self.offer = ClientOffer(
            local: LocalTransport(
                usernameFragment: credentials.usernameFragment,
                password: credentials.password,
                fingerprint: Fingerprint(hash: .sha256, digest: certificate.fingerprint.digest),
                candidates: [address]
            ),
            using: &random
        )
        // Pion, for one, answers `actpass` with `active`, and this client can only be the one that begins.
        self.offer.setup = .active
        self.rtcpSSRC = SSRC(UInt32.random(in: 1 ... .max, using: &random))
        self.feedbackBuilder = TransportFeedbackBuilder(senderSSRC: self.rtcpSSRC, mediaSSRC: self.rtcpSSRC)
        self.random = random
    }

    /// Takes the server's answer and starts to connect.
    func start(answer text: String, at now: Instant) throws(NegotiationError) {
        let answer = try self.offer.read(answer: text)
        self.answer = answer
        self.report.isAnswered = true
        let refused = answer.session.sections.filter { section in
            section.direction == .inactive
                && self.offer.sections.contains { $0.mid == section.mid && $0.direction != .inactive }
        }
        self.report.rejectedSections = answer.rejected + refused.map(\.mid)
        let remote = answer.session.transport
        var agent = ICEAgent(
            local: ICECredentials(
                usernameFragment: self.offer.local.usernameFragment,
                password: self.offer.local.password
            ),
            remote: ICECredentials(usernameFragment: remote.usernameFragment, password: remote.password),
            locals: [self.address],
            using: &self.random
        )
        for (index, candidate) in answer.candidates.enumerated() {
            agent.add(ICECandidate(host: candidate, foundation: "\(index)", component: 1, priority: 100))
        }
        self.session = PeerSession(
            client: agent,
            certificate: self.certificate,
            fingerprints: remote.fingerprints.map { DTLSFingerprint(hash: .sha256, digest: $0.digest) },
            random: self.random,
            at: now
        )
        for section in answer.session.sections {
            for kind in HeaderExtension.allCases where section.extensions[kind] != 0 {
                self.extensions[kind] = section.extensions[kind]
            }
            if section.direction == .receive { self.expect(section) }
            if section.direction == .send { self.video?.start(section) }
            if section.direction == .send { self.audio?.start(section) }
        }
    }

    private func expect(_ section: NegotiatedSection) {
        let asksAgain = self.tells != .none && section.codecs.contains { $0.feedback.contains(.nack) }
        for remote in section.remoteSSRCs {
            var report = StreamReport(mid: section.mid, kind: section.kind)
            report.state = self.states[section.mid] ?? self.initialState
            self.streams[remote.media] = InboundStream(
                ssrc: remote.media,
                report: report,
                clockRate: section.kind == .audio ? 48_000 : 90_000,
                asksAgain: asksAgain
            )
            if let repair = remote.retransmission { self.repairs[repair] = remote.media }
        }
    }

    /// What happens from now on is our own doing.
    func beginToLeave(at now: Instant) {
        guard self.lastReport == nil else { return }
        var report = self.currentReport(at: now)
        report.hasLeft = true
        self.lastReport = report
    }

    func close(at now: Instant, into egress: inout LoopEgress) {
        self.beginToLeave(at: now)
        // The goodbye does not wait for the link, which is gone before it would be through.
        self.link = nil
        self.session?.close(at: now)
        self.drain(at: now, into: &egress)
    }

    func noteMedia(at now: Instant, isKeyFrame: Bool) {
        if self.report.firstMediaAfter == nil { self.report.firstMediaAfter = now - self.startedAt }
        if isKeyFrame, self.report.firstKeyFrameAfter == nil { self.report.firstKeyFrameAfter = now - self.startedAt }
    }

    var connectedAt: Instant? { self.report.connectedAfter.map { self.startedAt + $0 } }

    func setState(_ state: StreamReport.State, of mid: String, at now: Instant) {
        self.states[mid] = state
        for stream in self.streams.values where stream.report.mid == mid { stream.setState(state, at: now) }
    }

    func currentReport(at now: Instant) -> PeerReport {
        if let lastReport { return lastReport }
        var report = self.report
        report.age = now - self.startedAt
        let connected = self.isConnected ? self.connectedAt : nil
        report.streams = self.streams.values
            .map { $0.currentReport(at: now, connected: connected) }
            .sorted { $0.mid < $1.mid }
        return report
    }

    /// Adds what this peer has seen.
    func add(to totals: inout LoadTotals, at now: Instant) {
        totals.peers += 1
        if self.isConnected { totals.connected += 1 }
        if (self.lastReport ?? self.report).end != nil { totals.failed += 1 }
        totals.packetsDuplicated += self.report.packetsDuplicated
        totals.packetsUnreadable += self.report.packetsUnreadable
        totals.packetsSent += self.report.packetsSent
        totals.bytesSent += self.report.bytesSent
        totals.keyFrameRequests += self.report.keyFrameRequests
        for stream in self.streams.values { stream.add(to: &totals, at: now) }
    }
}

/// A peer of a loop.
package struct PeerID: Hashable, Sendable {
    package let value: Int
    package init(_ value: Int) { self.value = value }
}
