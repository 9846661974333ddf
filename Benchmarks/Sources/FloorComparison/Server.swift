import Basics
import CTraffic
import CongestionControl
import DTLS
import ICE
import MediaControl
import MediaPlane
import Negotiation
import PeerSession
import RouterHarness

/// The server's media plane with one worker on core 0: its sockets, its loop, its sessions, as in the server.
final class Server: Forwarder {
    let port: UInt16
    private(set) var thread: CInt = 0
    private(set) var publisherSockets: [CInt] = []
    let sinks: OpaquePointer
    private let scenario: Scenario
    private let plane: MediaPlane
    private var publishers: [Client] = []
    private var subscribers: [Client] = []

    init(_ scenario: Scenario, cipher: String) async throws {
        self.scenario = scenario
        var configuration = MediaPlane.Configuration(hosts: [TransportAddress(ipv4: 0x7F00_0001, port: 0)], port: 0)
        // Nobody sends feedback here: the paths carry everything from the start.
        configuration.estimator = EstimatorConfiguration(
            start: .kbps(2_000_000),
            maximum: .kbps(2_000_000),
            rules: EstimatorRules.sluice.subtracting(.feedbackSilence)
        )
        configuration.encryption = cipher == "evp" ? .openSSL : .multiBuffer
        self.plane = try MediaPlane(configuration)
        let worker = self.plane.workers[0]
        guard let address = worker.endpoint.candidates.first else { throw Failure("no address") }
        self.port = address.port
        _ = ct_run_on(0)
        try self.plane.start()
        _ = ct_run_on(1)
        let certificate = try DTLSCertificate(unixSeconds: 1_795_000_000)
        let isVideo = scenario.kind == .video
        let mid = isVideo ? "1" : "0"
        func client(_ id: Int, _ sections: [NegotiatedSection]) async throws -> Client {
            let client = try Client(SessionID(UInt64(id)), sections, server: worker.endpoint, certificate: certificate)
            try await worker.apply(client.configuration, to: client.id)
            return client
        }
        for index in 0..<scenario.publishers {
            let ssrc = UInt32(index)
            self.publishers.append(
                try await client(
                    1 + index,
                    [isVideo ? .video(mid, .receive, ssrc: ssrc + 2_000) : .audio(mid, .receive, ssrc: ssrc + 1_000)]
                )
            )
        }
        for index in 0..<scenario.subscribers {
            let sections = (0..<scenario.publishers).map { publisher -> NegotiatedSection in
                let ssrc = UInt32(100_000 + index * 100 + publisher * 2)
                return isVideo
                    ? .video("\(publisher)", .send, ssrc: ssrc) : .audio("\(publisher)", .send, ssrc: ssrc)
            }
            self.subscribers.append(try await client(1_000 + index, sections))
        }
        try Self.connect(self.publishers + self.subscribers)
        for subscriber in self.subscribers {
            for (number, publisher) in self.publishers.enumerated() {
                try await worker.bind(
                    PublishedTrack(session: publisher.id, mid: mid),
                    to: SectionReference(session: subscriber.id, mid: "\(number)")
                )
            }
        }
        guard let sinks = ct_sinks_make(self.subscribers.map(\.socket.descriptor), CInt(self.subscribers.count)) else {
            throw Failure("no epoll")
        }
        self.sinks = sinks
        self.publisherSockets = self.publishers.map(\.socket.descriptor)
        self.thread = ct_thread_named("sluice-media-0")
    }

    /// ICE and DTLS of all of them side by side.
    private static func connect(_ clients: [Client]) throws {
        let deadline = ct_now_nanoseconds() + 20_000_000_000
        while !clients.allSatisfy(\.isConnected) {
            guard ct_now_nanoseconds() < deadline else { throw Failure("clients do not connect") }
            for client in clients where !client.isConnected { client.exchange() }
        }
    }

    func stop() async {
        await self.plane.stop()
        ct_sinks_free(self.sinks)
    }

    /// Connectivity checks, so that the sessions live on.
    func refresh() { for client in self.publishers + self.subscribers { client.exchange() } }

    func seal(publisher: Int, index: Int, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        let ssrc = UInt32(publisher + (self.scenario.kind == .video ? 2_000 : 1_000))
        let packet = self.scenario.packet(publisher: publisher, ssrc: ssrc, index: index)
        buffer.copyBytes(from: packet)
        return self.publishers[publisher].seal(
            buffer,
            length: packet.count,
            rolloverCounter: UInt32(truncatingIfNeeded: index >> 16)
        )
    }
}

/// A client's end of ICE, DTLS and SRTP over a socket.
private final class Client {
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
            )
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
