package import Basics
import CongestionControl
import DTLS
import ICE
import MediaControl
package import MediaPlane
package import Negotiation
import PeerSession

/// A router with clients in memory: real ICE, DTLS and SRTP, no sockets, and time that goes on when it is told to.
package struct RouterHarness: ~Copyable {
    package var router: MediaRouter
    package var now = Instant(nanoseconds: 1_000_000_000_000)
    package let outbox = Outbox()

    package static let serverAddress = TransportAddress(ipv4: 0xC000_0201, port: 7_882)
    package static let serverPassword = "serverPasswordOf24Chars+"
    /// Made once: a key and a signature take longer than all the rest.
    private static let certificates = (try? DTLSCertificate(unixSeconds: Self.time)).flatMap { server in
        (try? DTLSCertificate(unixSeconds: Self.time)).map { (server: server, client: $0) }
    }
    private static let time: Int64 = 1_795_000_000

    /// `nil` only when memory is short.
    package init?() {
        let outbox = self.outbox
        guard let certificates = Self.certificates,
            let egress = EgressQueue(
                descriptors: [],
                sink: { bytes, destination, _, _ in outbox.take(bytes, to: destination) }
            )
        else { return nil }
        var configuration = MediaRouter.Configuration(certificate: certificates.server)
        // Nobody sends feedback here: the paths carry everything from the start.
        configuration.estimator = EstimatorConfiguration(start: .kbps(500_000), maximum: .kbps(500_000))
        self.router = MediaRouter(
            configuration: configuration,
            egress: egress,
            wallClock: NTPTime(unixNanoseconds: Self.time * 1_000_000_000),
            randomSeed: 1,
            at: self.now
        )
    }

    /// The local username fragment of a session: 8 characters.
    package static func usernameFragment(_ id: SessionID) -> String {
        "S" + String(String(id.value + 10_000_000).suffix(7))
    }

    /// Makes a session and its client, which is not connected yet.
    package mutating func addClient(_ id: SessionID, sections: [NegotiatedSection]) -> RouterClient? {
        guard let certificates = Self.certificates else { return nil }
        let address = TransportAddress(
            ipv4: 0xC633_6400 + UInt32(truncatingIfNeeded: id.value >> 14),
            port: UInt16(10_000 + id.value % 16_384)
        )
        let remote = ICECredentials(usernameFragment: "cli1", password: Redacted("clientPasswordOf24Chars+"))
        let local = ICECredentials(
            usernameFragment: Self.usernameFragment(id),
            password: Redacted(Self.serverPassword)
        )
        let fingerprint = Fingerprint(hash: .sha256, digest: certificates.client.fingerprint.digest)
        let configuration = SessionConfiguration(
            localUsernameFragment: local.usernameFragment,
            localPassword: local.password,
            negotiated: NegotiatedSession(
                transport: RemoteTransport(
                    usernameFragment: remote.usernameFragment,
                    password: remote.password,
                    fingerprints: [fingerprint]
                ),
                sections: sections
            )
        )
        do { try self.router.apply(configuration, to: id, at: self.now) } catch { return nil }
        var random = RandomSource.seeded(state: id.value)
        var agent = ICEAgent(local: remote, remote: local, locals: [address], using: &random)
        agent.add(ICECandidate(host: Self.serverAddress))
        let peer = PeerSession(
            client: agent,
            certificate: certificates.client,
            fingerprints: [certificates.server.fingerprint],
            random: random,
            at: self.now
        )
        return RouterClient(id: id, address: address, peer: peer, configuration: configuration)
    }

    /// Runs ICE and DTLS to the end. Returns whether they came up, within 5 s of virtual time.
    package mutating func connect(_ client: RouterClient) -> Bool {
        let deadline = self.now + .seconds(5)
        client.peer.handleTimeout(at: self.now)
        while !client.isConnected || !self.isConnected(client.id) {
            guard self.now < deadline else { return false }
            if !self.exchange(client) {
                self.now = self.now + .milliseconds(10)
                client.peer.handleTimeout(at: self.now)
                self.router.handleTimers(at: self.now)
            }
        }
        _ = self.router.takeEvents()
        return true
    }

    private func isConnected(_ id: SessionID) -> Bool {
        self.router.statistics(of: id)?.transport.connected ?? false
    }

    /// Carries what waits on both sides. Returns whether there was anything.
    package mutating func exchange(_ client: RouterClient) -> Bool {
        var hasMoved = false
        outputs: while true {
            switch client.peer.nextOutput() {
            case .transmit(let bytes, _, _):
                hasMoved = true
                self.deliver(bytes, from: client.address)
            case .connected: client.isConnected = true
            case .wait: break outputs
            default: break
            }
        }
        self.router.flush()
        for datagram in self.outbox.removeAll() where datagram.destination == client.address {
            hasMoved = true
            client.receive(datagram.bytes, from: Self.serverAddress, at: self.now)
        }
        return hasMoved
    }

    /// Hands the router a datagram of exactly this size.
    package mutating func deliver(_ bytes: [UInt8], from source: TransportAddress) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        defer { buffer.deallocate() }
        buffer.copyBytes(from: bytes)
        self.router.receive(buffer, from: source, socket: 0, at: self.now)
    }
}
