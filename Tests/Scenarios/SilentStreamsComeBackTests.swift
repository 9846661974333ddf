import Basics
import DTLS
import ICE
import PeerSession
import RTP
import SRTP
import TestSupport
import Testing

/// The table of inbound streams: what happens to a track that was muted while others came and went.
@Suite struct SilentStreamsComeBackTests {
    @Test func `a stream that made room for others comes back with its roll-over counter`() throws {
        let pair = try ConnectedPair()
        // Four wraps of the sequence numbers, then silence.
        for rollover in 0...3 as ClosedRange<UInt32> {
            #expect(pair.send(ssrc: 7, sequence: 40_000, rollover: rollover) == .accepted)
            #expect(pair.send(ssrc: 7, sequence: 65_000, rollover: rollover) == .accepted)
            #expect(pair.send(ssrc: 7, sequence: 25_000, rollover: rollover + 1) == .accepted)
        }
        pair.now = pair.now + .seconds(20)
        // Tracks are replaced for hours: each has a new SSRC.
        for ssrc in 100..<164 as Range<UInt32> {
            #expect(pair.send(ssrc: ssrc, sequence: 1, rollover: 0) == .accepted)
            if ssrc % 32 == 3 { pair.now = pair.now + .seconds(11) }
        }
        #expect(pair.index(of: 7) == nil)
        pair.now = pair.now + .seconds(11)
        #expect(pair.send(ssrc: 7, sequence: 25_000, rollover: 4) == .dropped(.replayed))
        #expect(pair.send(ssrc: 7, sequence: 25_001, rollover: 4) == .accepted)
        #expect(pair.lastPacketIndex(of: 7) == 4 << 16 | 25_001)
    }

    @Test func `a flood of SSRCs does not make the counters of long streams be forgotten`() throws {
        let pair = try ConnectedPair()
        #expect(pair.send(ssrc: 7, sequence: 65_000, rollover: 0) == .accepted)
        #expect(pair.send(ssrc: 7, sequence: 5, rollover: 1) == .accepted)
        for ssrc in 1_000..<3_000 as Range<UInt32> {
            if ssrc % 16 == 0 { pair.now = pair.now + .seconds(11) }
            _ = pair.send(ssrc: ssrc, sequence: 1, rollover: 0)
        }
        #expect(pair.index(of: 7) == nil)
        pair.now = pair.now + .seconds(11)
        #expect(pair.send(ssrc: 7, sequence: 6, rollover: 1) == .accepted)
    }

    @Test func `a connected session names its cipher suite and has no DTLS timer left once media flows`() throws {
        let pair = try ConnectedPair()
        let cipher = pair.server.dtlsCipher
        #expect(cipher == "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")
        let sent = pair.serverDatagramCount
        #expect(pair.send(ssrc: 7, sequence: 1, rollover: 0) == .accepted)
        pair.run(for: .seconds(3))
        #expect(pair.serverDatagramCount == sent)

        let silent = try ConnectedPair()
        let before = silent.serverDatagramCount
        silent.run(for: .seconds(3))
        #expect(silent.serverDatagramCount == before + 3)
    }

    @Test func `a handshake that does not finish is told from a path that never was`() throws {
        let pair = try ConnectedPair(connects: false)
        pair.losesHandshake = true
        pair.run(for: .seconds(31))
        #expect(pair.serverEnd == .handshakeTimedOut)
        let silent = try ConnectedPair(connects: false)
        silent.isSilent = true
        silent.run(for: .seconds(31))
        #expect(silent.serverEnd == .connectTimeout)
    }
}

/// A client's session and a server's with nothing between them, in virtual time.
private final class ConnectedPair {
    struct NotConnected: Error {}

    enum Outcome: Equatable {
        case accepted
        case dropped(PeerSession.DropReason)
        case other
    }

    var client: PeerSession
    var server: PeerSession
    var now = Instant(nanoseconds: 1_000_000_000)
    /// DTLS from the client is lost after its first datagram.
    var losesHandshake = false
    /// All is lost.
    var isSilent = false
    private(set) var serverDatagramCount = 0
    private(set) var serverEnd: PeerSession.EndReason?
    private var handshakeDatagramCount = 0
    private var clientDeadline: Instant?
    private var serverDeadline: Instant?
    private var isConnected = false

    private static let clientAddress = TransportAddress(ipv4: 0x0A00_0001, port: 1)
    private static let serverAddress = TransportAddress(ipv4: 0x0A00_0002, port: 2)

    init(connects: Bool = true) throws {
        let unixSeconds: Int64 = 1_790_000_000
        let certificates = try (
            DTLSCertificate(unixSeconds: unixSeconds), DTLSCertificate(unixSeconds: unixSeconds)
        )
        var random = SeededRandom(seed: 11)
        let local = ICECredentials.random(using: &random)
        let remote = ICECredentials.random(using: &random)
        var agent = ICEAgent(local: remote, remote: local, locals: [Self.clientAddress], using: &random)
        agent.add(ICECandidate(host: Self.serverAddress, foundation: "1", component: 1, priority: 100))
        self.client = PeerSession(
            client: agent,
            certificate: certificates.0,
            fingerprints: [certificates.1.fingerprint],
            random: .seeded(state: 5),
            at: self.now
        )
        self.server = PeerSession(
            server: local,
            remote: remote,
            certificate: certificates.1,
            fingerprints: [certificates.0.fingerprint],
            at: self.now
        )
        self.clientDeadline = self.now
        guard connects else { return }
        self.run(for: .seconds(10)) { $0.isConnected && $1.isConnected }
        guard self.isConnected else { throw NotConnected() }
    }

    func run(
        for duration: Nanoseconds,
        until isDone: (borrowing PeerSession, borrowing PeerSession) -> Bool = { _, _ in false }
    ) {
        let end = self.now + duration
        for _ in 0..<100_000 {
            self.drain()
            self.isConnected = self.client.isConnected && self.server.isConnected
            if isDone(self.client, self.server) { return }
            let next = min(self.clientDeadline ?? .distantFuture, self.serverDeadline ?? .distantFuture)
            guard next <= end else { break }
            self.now = max(self.now, next)
            self.client.handleTimeout(at: self.now)
            self.server.handleTimeout(at: self.now)
        }
        self.now = end
    }

    private func drain() {
        var isIdle = false
        while !isIdle {
            isIdle = true
            loop: while true {
                switch self.client.nextOutput() {
                case .transmit(let bytes, _, _):
                    isIdle = false
                    if bytes.first == 22 { self.handshakeDatagramCount += 1 }
                    if self.isSilent || self.losesHandshake && self.handshakeDatagramCount > 1 { continue }
                    var bytes = bytes
                    bytes.withUnsafeMutableBytes {
                        _ = self.server.receive($0, from: Self.clientAddress, at: self.now)
                    }
                case .wait(let deadline):
                    self.clientDeadline = deadline
                    break loop
                default: break
                }
            }
            loop: while true {
                switch self.server.nextOutput() {
                case .transmit(var bytes, _, _):
                    isIdle = false
                    self.serverDatagramCount += 1
                    bytes.withUnsafeMutableBytes {
                        _ = self.client.receive($0, from: Self.serverAddress, to: Self.clientAddress, at: self.now)
                    }
                case .ended(let reason): self.serverEnd = reason
                case .wait(let deadline):
                    self.serverDeadline = deadline
                    break loop
                default: break
                }
            }
        }
    }

    func index(of ssrc: UInt32) -> Int? { self.server.streams.index(of: SSRC(ssrc)) }

    func lastPacketIndex(of ssrc: UInt32) -> UInt64? {
        self.index(of: ssrc).map { self.server.streams.lastPacketIndex(at: $0) }
    }

    /// Sends one packet of a stream from the client to the server.
    func send(ssrc: UInt32, sequence: UInt16, rollover: UInt32) -> Outcome {
        var header = ByteWriter()
        header.write(UInt16(0x8060))
        header.write(sequence)
        header.write(UInt32(1))
        header.write(ssrc)
        var packet = header.bytes + [UInt8](repeating: 0, count: 64)
        let payload: [UInt8] = [1, 2, 3, 4]
        let length = packet.withUnsafeMutableBytes { slot in
            payload.withUnsafeBytes {
                self.client.sealRTP(headerLength: 12, payload: $0, rolloverCounter: rollover, into: slot)
            }
        }
        guard length > 0 else { return .other }
        let received = packet.withUnsafeMutableBytes {
            self.server.receive(
                UnsafeMutableRawBufferPointer(rebasing: $0[0..<length]),
                from: Self.clientAddress,
                at: self.now
            )
        }
        switch received {
        case .rtp: return .accepted
        case .dropped(let reason): return .dropped(reason)
        default: return .other
        }
    }
}
