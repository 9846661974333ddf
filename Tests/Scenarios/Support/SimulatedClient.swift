import Basics
import CongestionControl
import DTLS
import ICE
import MediaControl
import Negotiation
import PeerSession
import RTP
import SDP
import SRTP
import STUN

/// A client in virtual time: a real offer, a controlling ICE agent, a DTLS client, and SRTP, with packets made by hand.
final class SimulatedClient {
    /// An RTP packet as it arrived, decrypted.
    struct Packet {
        let at: Instant
        let header: RTPHeaderInfo
        let mid: String?
        let transportSequence: UInt16?
        let sendTime: AbsoluteSendTime?
        /// The dependency descriptor; empty = none.
        let descriptor: [UInt8]
        let payload: [UInt8]
    }

    let id: SessionID
    let address: TransportAddress
    /// What the network makes of `address`: a NAT that forgot its binding gives another one.
    var translatedAddress: TransportAddress?
    /// Where others see this client.
    var wireAddress: TransportAddress { self.translatedAddress ?? self.address }
    /// Keeps back what the peer wants to send when it says no: for clients that stop half-way.
    var sends: (_ datagram: [UInt8]) -> Bool = { _ in true }
    var offer: ClientOffer
    var answer: ClientAnswer?
    var peer: PeerSession?
    private(set) var isConnected = false
    private(set) var connectedAt: Instant?
    private(set) var end: PeerSession.EndReason?
    private(set) var profile: SRTPProfile?
    /// Media, without retransmissions and padding.
    var packets: [Packet] = []
    var retransmissions: [Packet] = []
    private(set) var paddingCount = 0
    private(set) var paddingBytes = 0
    var rtcp: [[UInt8]] = []
    /// When each of `rtcp` came.
    private(set) var rtcpArrivals: [Instant] = []
    /// Of everything that came, in order of arrival.
    private(set) var transportSequences: [UInt16] = []
    /// Sends transport-wide feedback about what has a number, as browsers do, or about all (RFC 8888) where that was
    /// negotiated.
    var sendsFeedback = true
    /// The ECN bits of what it sends.
    var marksSent = ECNMark.notCapable
    /// How many RTP packets came with which ECN bits.
    private(set) var marksReceived: [ECNMark: Int] = [:]
    private var congestionRecorder = CongestionFeedbackRecorder()
    /// The place of each SSRC in that.
    private var streams: [SSRC: Int] = [:]
    private var recorder = TransportFeedbackRecorder()
    private var feedbackBuilder = TransportFeedbackBuilder(senderSSRC: SSRC(1), mediaSSRC: SSRC(1))
    private let certificate: DTLSCertificate
    private var random: SeededRandomSource

    /// Wraps the source so that the class can hand it on by reference.
    struct SeededRandomSource { var source: RandomSource }

    init(id: UInt64, address: TransportAddress, certificate: DTLSCertificate, seed: UInt64) {
        self.id = SessionID(id)
        self.address = address
        self.certificate = certificate
        var source = RandomSource.seeded(state: seed &* 7_919 &+ id)
        let credentials = ICECredentials.random(using: &source)
        self.offer = ClientOffer(
            local: LocalTransport(
                usernameFragment: credentials.usernameFragment,
                password: credentials.password,
                fingerprint: Fingerprint(hash: .sha256, digest: certificate.fingerprint.digest),
                candidates: [address]
            ),
            using: &source
        )
        self.random = SeededRandomSource(source: source)
    }

    func add(
        _ kind: MediaKind,
        direction: NegotiatedSection.Direction,
        codecs: [Codec] = [.opus, .vp8],
        rids: [String] = []
    ) -> String {
        self.offer.add(kind, direction: direction, codecs: codecs, rids: rids, using: &self.random.source)
    }

    var localCredentials: ICECredentials {
        ICECredentials(usernameFragment: self.offer.local.usernameFragment, password: self.offer.local.password)
    }

    /// Takes the answer to the first offer and starts to connect.
    func start(_ text: String, at now: Instant) throws {
        let answer = try self.offer.read(answer: text)
        self.answer = answer
        let remote = answer.session.transport
        var agent = ICEAgent(
            local: self.localCredentials,
            remote: ICECredentials(usernameFragment: remote.usernameFragment, password: remote.password),
            locals: [self.address],
            using: &self.random.source
        )
        for (index, candidate) in answer.candidates.enumerated() {
            agent.add(
                ICECandidate(host: candidate, foundation: "\(index)", component: 1, priority: 100 - UInt32(index))
            )
        }
        self.peer = PeerSession(
            client: agent,
            certificate: self.certificate,
            fingerprints: remote.fingerprints.map { DTLSFingerprint(hash: .sha256, digest: $0.digest) },
            role: self.offer.setup == .passive ? .server : .client,
            random: self.random.source,
            at: now
        )
    }

    /// Takes the answer to a later offer; restarts ICE where the server's credentials are new.
    func update(_ text: String, at now: Instant) throws {
        let answer = try self.offer.read(answer: text)
        let old = self.answer?.session.transport
        self.answer = answer
        let remote = answer.session.transport
        guard remote.usernameFragment != old?.usernameFragment else { return }
        self.peer?.restart(
            local: self.localCredentials,
            remote: ICECredentials(usernameFragment: remote.usernameFragment, password: remote.password),
            candidates: answer.candidates,
            at: now
        )
    }

    /// Gives the next offer new ICE credentials (RFC 8839 §4.4.1.1.1).
    func renewCredentials() {
        let credentials = ICECredentials.random(using: &self.random.source)
        self.offer.local.usernameFragment = credentials.usernameFragment
        self.offer.local.password = credentials.password
    }

    /// A Binding request as this client's ICE makes it, by hand.
    /// - Parameter password: in place of the server's, for forgeries.
    func makeCheck(
        nominates: Bool,
        priority: UInt32 = 0x6EFF_FFFF,
        usernameFragment: String? = nil,
        password: String? = nil,
        isSigned: Bool = true
    ) -> [UInt8] {
        let remote = self.answer?.session.transport
        var builder = STUNMessageBuilder(.request, transactionID: .random(using: &self.random.source))
        let name = "\(usernameFragment ?? remote?.usernameFragment ?? ""):\(self.offer.local.usernameFragment)"
        builder.addUsername(Array(name.utf8))
        builder.addPriority(priority)
        builder.addICEControlling(tieBreaker: 7)
        if nominates { builder.addUseCandidate() }
        let key = STUNIntegrityKey((password ?? remote?.password.value ?? "").utf8)
        return builder.finish(key: isSigned ? key : nil)
    }

    /// Hands on what the peer wants to send.
    func drain(at now: Instant, send: ([UInt8], TransportAddress) -> Void) -> Instant? {
        while let output = self.peer?.nextOutput() {
            switch output {
            case .transmit(let bytes, let to, _): send(bytes, to)
            case .connected(let profile):
                self.isConnected = true
                self.connectedAt = now
                self.profile = profile
            case .ended(let reason): self.end = reason
            case .validated, .invalidated, .selected, .handshake: break
            case .wait(let deadline): return deadline
            }
        }
        return nil
    }

    func receive(
        _ bytes: [UInt8],
        from source: TransportAddress,
        mark: ECNMark = .notCapable,
        at now: Instant
    ) {
        var bytes = bytes
        let received = bytes.withUnsafeMutableBytes { buffer in
            self.peer?.receive(buffer, from: source, to: self.address, at: now)
        }
        switch received {
        case .rtp(let length, _): self.note(Array(bytes[0..<length]), mark: mark, at: now)
        case .rtcp(let length):
            self.rtcp.append(Array(bytes[0..<length]))
            self.rtcpArrivals.append(now)
        default: break
        }
    }

    private func note(_ bytes: [UInt8], mark: ECNMark, at now: Instant) {
        var map = HeaderExtensionMap()
        for section in self.answer?.session.sections ?? [] {
            for kind in HeaderExtension.allCases where section.extensions[kind] != 0 {
                map[kind] = section.extensions[kind]
            }
        }
        guard let header = RTPHeaderInfo(bytes.span.bytes, extensions: map) else { return }
        let number = header.transportSequenceNumber(in: bytes.span.bytes)
        self.marksReceived[mark, default: 0] += 1
        if self.usesCongestionControlFeedback {
            let stream = self.streams[header.ssrc, default: self.streams.count]
            self.streams[header.ssrc] = stream
            self.congestionRecorder.received(
                header.sequenceNumber,
                of: header.ssrc,
                stream: stream,
                mark: mark,
                at: now
            )
        }
        if let number {
            self.recorder.received(number, at: now)
            self.transportSequences.append(number.value)
        }
        let padding = header.paddingLength(ofPlaintext: bytes.span.bytes) ?? 0
        let packet = Packet(
            at: now,
            header: header,
            mid: header.mid(in: bytes.span.bytes)?.string,
            transportSequence: number?.value,
            sendTime: header.absoluteSendTime(in: bytes.span.bytes),
            descriptor: Array(bytes[header.range(of: .dependencyDescriptor) ?? 0..<0]),
            payload: Array(bytes[header.headerLength...].dropLast(padding))
        )
        let isRetransmission =
            self.answer?.session.sections.contains { section in
                section.remoteSSRCs.contains { $0.retransmission == header.ssrc }
            } ?? false
        if packet.payload.isEmpty {
            self.paddingCount += 1
            self.paddingBytes += bytes.count
        }
        if isRetransmission {
            if !packet.payload.isEmpty { self.retransmissions.append(packet) }
        } else {
            self.packets.append(packet)
        }
    }

    var usesCongestionControlFeedback: Bool {
        self.answer?.session.sections.contains { $0.usesCongestionControlFeedback } ?? false
    }

    /// The next congestion control feedback, if it is due.
    private func takeCongestionFeedback(at now: Instant) -> [UInt8]? {
        var reports = [PacketReport](
            repeating: PacketReport(SSRC(0), SequenceNumber(0), arrival: .none, mark: .notCapable),
            count: 256
        )
        var room = reports.mutableSpan
        let count = self.congestionRecorder.collect(at: now, into: &room)
        guard count > 0 else { return nil }
        let told = Array(reports[..<count])
        // The client's clock has its own zero.
        let clock = UInt32(truncatingIfNeeded: (now.nanoseconds + 77_000_000_000) / 1_000 * 65_536 / 1_000_000)
        return self.sealRTCP {
            _ = $0.appendCongestionControlFeedback(from: SSRC(1), about: told.span, timestamp: clock)
        }
    }

    /// The next feedback of the kind that was negotiated, if it is due.
    func takeFeedback(at now: Instant) -> [UInt8]? {
        if self.sendsFeedback, self.isConnected, self.usesCongestionControlFeedback {
            return self.takeCongestionFeedback(at: now)
        }
        guard self.sendsFeedback, self.isConnected, now >= self.recorder.nextDeadline else { return nil }
        var arrivals = [PacketArrival](repeating: PacketArrival(SequenceNumber(0), microseconds: nil), count: 256)
        var room = arrivals.mutableSpan
        let count = self.recorder.collect(at: now, into: &room)
        guard count > 0 else { return nil }
        let named = Array(arrivals[..<count])
        var taken = 0
        let sealed = self.sealRTCP { taken = self.feedbackBuilder.append(named.span, to: &$0) }
        guard taken > 0 else { return nil }
        self.recorder.reported(taken, at: now)
        return sealed
    }

    // MARK: Publishing

    /// Seals one RTP packet of a section that this client publishes; `nil` before the keys are there.
    func seal(
        mid: String,
        rid: String? = nil,
        repairedRID: String? = nil,
        audioLevel: AudioLevel? = nil,
        descriptor: [UInt8] = [],
        payloadType: UInt8,
        sequence: UInt64,
        timestamp: UInt32,
        ssrc: SSRC,
        marker: Bool,
        payload: [UInt8],
        transportSequence: UInt16? = nil,
        writtenMID: String? = nil
    ) -> [UInt8]? {
        guard let section = self.answer?.session.sections.first(where: { $0.mid == mid }) else { return nil }
        var header = OutgoingHeader(
            marker: marker,
            payloadType: payloadType,
            sequenceNumber: UInt16(truncatingIfNeeded: sequence),
            timestamp: timestamp,
            ssrc: ssrc,
            extensions: section.extensions
        )
        header.mid = ShortText(writtenMID ?? mid)
        header.rid = rid.flatMap { ShortText($0) }
        header.repairedRID = repairedRID.flatMap { ShortText($0) }
        header.audioLevel = audioLevel
        header.transportSequenceNumber = transportSequence
        header.dependencyDescriptor = descriptor.indices
        var slot = [UInt8](repeating: 0, count: 1_500)
        var span = slot.mutableSpan
        var bytes = span.mutableBytes
        guard let layout = header.write(into: &bytes, source: descriptor.span.bytes) else { return nil }
        return self.seal(
            Array(slot[0..<layout.headerLength]),
            payload,
            rolloverCounter: UInt32(truncatingIfNeeded: sequence >> 16)
        )
    }

    /// Seals a packet whose header was made by hand.
    func seal(_ header: [UInt8], _ payload: [UInt8], rolloverCounter: UInt32) -> [UInt8]? {
        var slot = header + [UInt8](repeating: 0, count: 1_500)
        let length = slot.withUnsafeMutableBytes { slot in
            payload.withUnsafeBytes { payload in
                self.peer?.sealRTP(
                    headerLength: header.count,
                    payload: payload,
                    rolloverCounter: rolloverCounter,
                    into: slot
                ) ?? -1
            }
        }
        return length > 0 ? Array(slot[0..<length]) : nil
    }

    /// Seals one compound RTCP packet.
    func sealRTCP(upTo size: Int = 1_500, _ build: (inout RTCPWriter) -> Void) -> [UInt8]? {
        var slot = [UInt8](repeating: 0, count: size)
        var count = 0
        do {
            var span = slot.mutableSpan
            var writer = RTCPWriter(span.mutableBytes)
            build(&writer)
            count = writer.count
        }
        let length = slot.withUnsafeMutableBytes { self.peer?.sealRTCP(length: count, in: $0) ?? -1 }
        return length > 0 ? Array(slot[0..<length]) : nil
    }

    func section(_ mid: String) -> NegotiatedSection? { self.answer?.session.sections.first { $0.mid == mid } }
}
