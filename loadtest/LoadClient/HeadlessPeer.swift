import Basics
import CongestionControl
import DTLS
import Forwarding
import ICE
import Negotiation
import PeerSession
import RTP

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
    private let certificate: DTLSCertificate
    private let startedAt: Instant

    /// Where the loop collects how long packets took.
    final class LatencySink {
        var histogram = LatencyHistogram()
    }

    init(
        id: PeerID,
        descriptor: CInt,
        address: TransportAddress,
        certificate: DTLSCertificate,
        latency: LatencySink,
        at now: Instant
    ) {
        self.id = id
        self.descriptor = descriptor
        self.address = address
        self.certificate = certificate
        self.latency = latency
        self.startedAt = now
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
        self.rtcpSSRC = SSRC(UInt32.random(in: 1 ... .max, using: &random))
        self.feedbackBuilder = TransportFeedbackBuilder(senderSSRC: self.rtcpSSRC, mediaSSRC: self.rtcpSSRC)
        self.random = random
    }

    /// Takes the server's answer and starts to connect.
    func start(answer text: String, at now: Instant) throws(NegotiationError) {
        let answer = try self.offer.read(answer: text)
        self.answer = answer
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
        let asksAgain = section.codecs.contains { $0.feedback.contains(.nack) }
        for remote in section.remoteSSRCs {
            self.streams[remote.media] = InboundStream(
                ssrc: remote.media,
                report: StreamReport(mid: section.mid, kind: section.kind),
                clockRate: section.kind == .audio ? 48_000 : 90_000,
                asksAgain: asksAgain
            )
            if let repair = remote.retransmission { self.repairs[repair] = remote.media }
        }
    }

    // MARK: Transport

    func receive(
        _ datagram: UnsafeMutableRawBufferPointer,
        from source: TransportAddress,
        at now: Instant,
        into egress: inout LoopEgress
    ) {
        guard let received = unsafe self.session?.receive(datagram, from: source, to: self.address, at: now) else {
            return
        }
        switch received {
        case .rtp(let length, _):
            unsafe self.receiveRTP(UnsafeRawBufferPointer(rebasing: datagram[0..<length]), at: now)
        case .rtcp(let length):
            unsafe self.receiveRTCP(UnsafeRawBufferPointer(rebasing: datagram[0..<length]), at: now, into: &egress)
        default: break
        }
        self.drain(at: now, into: &egress)
    }

    /// Does what is due. Returns when to call again.
    func advance(at now: Instant, into egress: inout LoopEgress) -> Instant {
        if let deadline = self.transportDeadline, now >= deadline { self.session?.handleTimeout(at: now) }
        self.drain(at: now, into: &egress)
        if self.isConnected {
            self.publish(at: now, into: &egress)
            self.sendFeedback(at: now, into: &egress)
        }
        return min(self.transportDeadline ?? now + .milliseconds(100), self.nextMediaDeadline)
    }

    private func drain(at now: Instant, into egress: inout LoopEgress) {
        while let output = self.session?.nextOutput() {
            switch output {
            case .transmit(let bytes, let to, _): egress.send(bytes, from: self.descriptor, to: to)
            case .connected:
                self.isConnected = true
                self.report.connectedAfter = now - self.startedAt
                self.nextReport = now + .milliseconds(500)
            case .selected(let remote): self.destination = remote
            case .ended(let reason):
                self.isConnected = false
                self.report.end = "\(reason)"
            case .validated, .invalidated, .handshake: break
            case .wait(let deadline):
                self.transportDeadline = deadline
                return
            }
        }
    }

    func close(at now: Instant, into egress: inout LoopEgress) {
        self.session?.close(at: now)
        self.drain(at: now, into: &egress)
    }

    func noteMedia(at now: Instant, isKeyFrame: Bool) {
        if self.report.firstMediaAfter == nil { self.report.firstMediaAfter = now - self.startedAt }
        if isKeyFrame, self.report.firstKeyFrameAfter == nil { self.report.firstKeyFrameAfter = now - self.startedAt }
    }

    func currentReport(at now: Instant) -> PeerReport {
        var report = self.report
        report.streams = self.streams.values.map { $0.currentReport(at: now) }.sorted { $0.mid < $1.mid }
        return report
    }
}

/// A peer of a loop.
package struct PeerID: Hashable, Sendable {
    package let value: Int
    package init(_ value: Int) { self.value = value }
}
