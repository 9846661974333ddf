package import Basics
package import DTLS
package import ICE
import RTP
package import SRTP

/// One peer: ICE, DTLS and SRTP composed behind one `receive`, `handleTimeout` and `nextOutput`.
///
/// The server runs it with an ICE-lite agent, and as DTLS server unless its client waits for a handshake; the headless
/// client with a full, controlling agent, and the other way round. It reads no clock and opens no socket. After each
/// call that changes it, outputs are drained until `.wait`.
///
/// The order of trust: only STUN may come from anywhere. DTLS and SRTP are looked at only when they come from an
/// address that an authenticated check of this very session has validated (ATTACKS ), and there are no keys
/// before the peer's certificate was found to be the announced one.
@safe
package struct PeerSession: ~Copyable {
    package enum Output {
        /// `from` is the local address of a client's socket; the server sends from the socket that it received on.
        case transmit([UInt8], to: TransportAddress, from: TransportAddress?)
        /// Datagrams from this address are this session's from now on.
        case validated(TransportAddress)
        /// An address is no longer this session's.
        case invalidated(TransportAddress)
        /// Media goes to this address from now on.
        case selected(TransportAddress)
        /// DTLS is up and verified: media can flow both ways.
        case connected(SRTPProfile)
        /// Run this, on any thread, and give it back with `finish`. Only where handshakes are off-loaded.
        case handshake(HandshakeJob)
        /// Terminal: nothing is sent or accepted any more.
        case ended(EndReason)
        case wait(until: Instant?)
    }

    package enum EndReason: Equatable, Sendable {
        case connectTimeout
        case consentExpired
        case handshakeFailed
        /// There was a path, and the DTLS handshake over it did not finish in `connectTimeout`.
        case handshakeTimedOut
        case fingerprintMismatch
        case closedByPeer
    }

    /// What became of a datagram.
    package enum Received: Equatable {
        /// STUN or DTLS; there may be outputs now.
        case handled
        /// An RTP packet, opened in place: `length` bytes of plaintext, of the inbound stream at index `stream`.
        case rtp(length: Int, stream: Int)
        /// A compound RTCP packet, opened in place.
        case rtcp(length: Int)
        case dropped(DropReason)
    }

    package enum DropReason: Equatable, Sendable {
        case malformed
        case unknownSource
        case beforeKeys
        case replayed
        case authentication
        case tooManySSRCs
        case badCheck
    }

    package static let connectTimeout = Nanoseconds.seconds(30)

    /// First, because of all of this every packet touches nothing else.
    var keys: SRTPContexts?
    var ice: ICERole
    /// Made when the handshake starts: it holds 42 KB of OpenSSL's until that is finished, and a peer that never gets
    /// so far costs nothing.
    var dtls: DTLSSession?
    let dtlsRole: DTLSSession.Role
    /// Whether handshakes are handed out as jobs rather than done in place.
    let offloadsHandshakes: Bool
    /// A job is out; what comes meanwhile waits, up to `largestHandshakeBacklog` datagrams.
    var isHandshakeOut = false
    var handshakeBacklog: [[UInt8]] = []
    static let largestHandshakeBacklog = 16
    /// A flight with a chain of certificates in one datagram; what is larger no peer of ours sends (ATTACKS A-07).
    static let largestHandshakeDatagram = 4_096
    let certificate: DTLSCertificate
    let fingerprints: [DTLSFingerprint]
    let srtpLibrary: SRTPLibrary
    var dtlsDeadline: Instant?
    var agentDeadline: Instant?
    package internal(set) var streams = InboundStreams()
    var outputs: [Output] = []
    let startedAt: Instant
    package internal(set) var isConnected = false
    package internal(set) var hasEnded = false
    package internal(set) var selected: TransportAddress?
    /// The client's socket that the selected path starts at.
    var selectedLocal: TransportAddress?
    /// The client's: addresses that answered a check of ours.
    var answeredAddresses: [TransportAddress] = []
    var random: RandomSource
    /// When the first handshake record was seen or sent, and the time that the handshake took once it is over.
    var handshakeStartedAt: Instant?
    package internal(set) var handshakeDuration: Nanoseconds?
    /// IANA's name of the DTLS cipher suite; empty before `.connected`.
    package internal(set) var dtlsCipher = ""

    /// A server's session: ICE-lite.
    ///
    /// - Parameters:
    ///   - role: who waits for the other's ClientHello (`.server`), or begins as soon as there is a path (`.client`).
    ///   - srtpLibrary: protects its packets; must be usable.
    ///   - offloadsHandshakes: hands handshakes out as `.handshake` jobs; else they are done in `receive`.
    package init(
        server local: ICECredentials,
        remote: ICECredentials,
        certificate: DTLSCertificate,
        fingerprints: [DTLSFingerprint],
        role: DTLSSession.Role = .server,
        srtpLibrary: SRTPLibrary = .fastest,
        offloadsHandshakes: Bool = false,
        at now: Instant
    ) {
        self.init(
            ice: ICERole(ICELiteAgent(local: local, remote: remote)),
            role: role,
            certificate: certificate,
            fingerprints: fingerprints,
            srtpLibrary: srtpLibrary,
            offloadsHandshakes: offloadsHandshakes,
            random: .system,
            at: now
        )
    }

    /// A client's session: full ICE, controlling.
    ///
    /// - Parameters:
    ///   - agent: with the server's candidates, not started yet.
    ///   - role: who begins the handshake (`.client`), or waits for it (`.server`).
    package init(
        client agent: ICEAgent,
        certificate: DTLSCertificate,
        fingerprints: [DTLSFingerprint],
        role: DTLSSession.Role = .client,
        srtpLibrary: SRTPLibrary = .fastest,
        random: RandomSource = .system,
        at now: Instant
    ) {
        var agent = agent
        agent.start(at: now)
        self.init(
            ice: ICERole(agent),
            role: role,
            certificate: certificate,
            fingerprints: fingerprints,
            srtpLibrary: srtpLibrary,
            offloadsHandshakes: false,
            random: random,
            at: now
        )
        self.agentDeadline = now
    }

    private init(
        ice: ICERole,
        role: DTLSSession.Role,
        certificate: DTLSCertificate,
        fingerprints: [DTLSFingerprint],
        srtpLibrary: SRTPLibrary,
        offloadsHandshakes: Bool,
        random: RandomSource,
        at now: Instant
    ) {
        self.ice = ice
        self.dtlsRole = role
        self.certificate = certificate
        self.fingerprints = fingerprints
        self.srtpLibrary = srtpLibrary
        self.offloadsHandshakes = offloadsHandshakes
        self.random = random
        self.startedAt = now
    }
}
