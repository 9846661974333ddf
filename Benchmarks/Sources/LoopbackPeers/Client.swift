import Basics
import CTraffic
import DTLS
import ICE
import MediaControl
import Negotiation
import PeerSession
import RouterHarness

/// A client's end of ICE, DTLS and SRTP over a socket.
final class Client {
    let id: SessionID
    let socket: LoopbackSocket
    let configuration: SessionConfiguration
    private let address: TransportAddress
    private let server: TransportAddress
    private var peer: PeerSession
    private(set) var isConnected = false
    private var buffer = [UInt8](repeating: 0, count: 2_048)

    init(
        _ id: SessionID,
        _ sections: [NegotiatedSection],
        server: MediaEndpoint,
        certificate: DTLSCertificate
    ) throws {
        self.id = id
        self.socket = try LoopbackSocket()
        self.address = TransportAddress(ipv4: 0x7F00_0001, port: self.socket.port)
        self.server = server.candidates[0]
        let remote = ICECredentials(usernameFragment: "cli1", password: Redacted("clientPasswordOf24Chars+"))
        let local = ICECredentials(
            usernameFragment: RouterHarness.usernameFragment(id),
            password: Redacted(RouterHarness.serverPassword)
        )
        self.configuration = SessionConfiguration(
            localUsernameFragment: local.usernameFragment,
            localPassword: local.password,
            negotiated: NegotiatedSession(
                transport: RemoteTransport(
                    usernameFragment: remote.usernameFragment,
                    password: remote.password,
                    fingerprints: [Fingerprint(hash: .sha256, digest: certificate.fingerprint.digest)]
                ),
                sections: sections
            ),
            worker: server.worker
        )
        var random = RandomSource.seeded(state: id.value)
        var agent = ICEAgent(local: remote, remote: local, locals: [self.address], using: &random)
        agent.add(ICECandidate(host: self.server))
        self.peer = PeerSession(
            client: agent,
            certificate: certificate,
            fingerprints: [DTLSFingerprint(hash: .sha256, digest: server.fingerprint.digest)],
            random: random,
            at: Self.now()
        )
    }

    private static func now() -> Instant { Instant(nanoseconds: ct_now_nanoseconds()) }

    /// Does what is due, and reads what has come.
    func exchange() {
        self.peer.handleTimeout(at: Self.now())
        self.transmit()
        while true {
            let length = ct_receive(self.socket.descriptor, &self.buffer, CInt(self.buffer.count))
            guard length > 0 else { return }
            _ = self.buffer.withUnsafeMutableBytes { bytes in
                self.peer.receive(
                    UnsafeMutableRawBufferPointer(rebasing: bytes[0..<Int(length)]),
                    from: self.server,
                    to: self.address,
                    at: Self.now()
                )
            }
            self.transmit()
        }
    }

    private func transmit() {
        while true {
            switch self.peer.nextOutput() {
            case .transmit(let bytes, _, _):
                _ = ct_send(self.socket.descriptor, self.server.port, bytes, CInt(bytes.count))
            case .connected: self.isConnected = true
            case .wait: return
            default: break
            }
        }
    }

    func seal(_ buffer: UnsafeMutableRawBufferPointer, length: Int, rolloverCounter: UInt32) -> Int {
        self.peer.sealRTP(
            headerLength: Scenario.headerLength,
            payload: UnsafeRawBufferPointer(rebasing: buffer[Scenario.headerLength..<length]),
            rolloverCounter: rolloverCounter,
            into: buffer
        )
    }
}
