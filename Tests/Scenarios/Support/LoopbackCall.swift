import Basics
import CongestionControl
import Glibc
import MediaControl
import MediaPlane
import Negotiation
import PeerSession

/// Clients on real sockets of the loopback interface, and a media plane with its own sockets and threads: for what only
/// threads can show. Everything else is a `SimulatedCall`.
final class LoopbackCall {
    private struct Endpoint {
        let client: SimulatedClient
        let descriptor: CInt
    }

    let plane: MediaPlane
    /// What a room has of the plane.
    let room: any MediaWorkerControl
    private let seed: UInt64
    private var endpoints: [Endpoint] = []
    private var random: RandomSource

    init(workerCount: Int, seed: UInt64) throws {
        var configuration = MediaPlane.Configuration(
            hosts: [TransportAddress(ipv4: 0x7F00_0001, port: 0)],
            port: 0,
            workerCount: workerCount
        )
        // Clients that get no time on a busy machine give no feedback and take packets late, as if their path were
        // congested: their video would be paused, and a test that waits for it would wait for good.
        configuration.estimator = EstimatorConfiguration(start: .kbps(10_000), minimum: .kbps(10_000))
        self.plane = try MediaPlane(configuration)
        self.seed = seed
        self.random = .seeded(state: seed)
        self.room = self.plane.workerForNewRoom()
        try self.plane.start()
    }

    func stop() async {
        await self.plane.stop()
        for endpoint in self.endpoints { close(endpoint.descriptor) }
    }

    var now: Instant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    func addClient() throws -> SimulatedClient {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        var address = Self.native(TransportAddress(ipv4: 0x7F00_0001, port: 0))
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, length) == 0 ? getsockname(descriptor, address, &length) : -1
            }
        }
        guard descriptor >= 0, result == 0 else { throw MediaPlaneError.noAddress }
        let number = self.endpoints.count + 1
        let client = SimulatedClient(
            id: UInt64(number),
            address: Self.address(address),
            certificate: SimulatedCall.clientCertificates[number % SimulatedCall.clientCertificates.count],
            seed: self.seed
        )
        self.endpoints.append(Endpoint(client: client, descriptor: descriptor))
        return client
    }

    /// Offer, answer, apply, on one of the plane's workers.
    func negotiate(_ client: SimulatedClient, on worker: Int) async throws {
        var negotiator = Negotiator(codecs: Codec.allCases, using: &self.random)
        let negotiated = try negotiator.receive(offer: client.offer.makeOffer(), using: &self.random)
        let letters = "abcdefghijklmnopqrstuvwxyz"
        let fragment = String((0..<8).map { _ in letters.randomElement(using: &self.random) ?? "a" })
        let password = Redacted(String((0..<24).map { _ in letters.randomElement(using: &self.random) ?? "a" }))
        try await self.room.apply(
            SessionConfiguration(
                localUsernameFragment: fragment,
                localPassword: password,
                negotiated: negotiated,
                worker: worker
            ),
            to: client.id
        )
        let endpoint = self.plane.workers[worker].endpoint
        let local = LocalTransport(
            usernameFragment: fragment,
            password: password,
            fingerprint: endpoint.fingerprint,
            candidates: endpoint.candidates
        )
        try client.start(negotiator.answer(local: local, labels: [:]), at: self.now)
    }

    func send(_ bytes: [UInt8]?, from client: SimulatedClient) {
        guard let bytes, let server = client.peer?.selected else { return }
        self.send(bytes, from: client, to: server)
    }

    /// Lets clients do what they have to, until the condition holds or it has taken too long. Returns whether it held.
    func run(until condition: () -> Bool) async -> Bool {
        let deadline = self.now + .seconds(60)
        while self.now < deadline {
            self.step()
            if condition() { return true }
            try? await Task.sleep(for: .milliseconds(1))
        }
        return false
    }

    private func step() {
        for endpoint in self.endpoints {
            let client = endpoint.client
            while let (bytes, source) = Self.receive(endpoint.descriptor) {
                client.receive(bytes, from: source, at: self.now)
            }
            client.peer?.handleTimeout(at: self.now)
            if let feedback = client.takeFeedback(at: self.now) { self.send(feedback, from: client) }
            _ = client.drain(at: self.now) { bytes, to in self.send(bytes, from: client, to: to) }
        }
    }

    // MARK: Sockets

    private func send(_ bytes: [UInt8], from client: SimulatedClient, to: TransportAddress) {
        guard let endpoint = self.endpoints.first(where: { $0.client === client }) else { return }
        var address = Self.native(to)
        _ = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(endpoint.descriptor, bytes, bytes.count, 0, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    private static func receive(_ descriptor: CInt) -> (bytes: [UInt8], source: TransportAddress)? {
        var bytes = [UInt8](repeating: 0, count: 2_048)
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let count = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                recvfrom(descriptor, &bytes, bytes.count, 0, $0, &length)
            }
        }
        return count > 0 ? (Array(bytes[..<count]), Self.address(address)) : nil
    }

    private static func native(_ address: TransportAddress) -> sockaddr_in {
        var native = sockaddr_in()
        native.sin_family = sa_family_t(AF_INET)
        native.sin_port = address.port.bigEndian
        native.sin_addr.s_addr = UInt32(truncatingIfNeeded: address.low).bigEndian
        return native
    }

    private static func address(_ native: sockaddr_in) -> TransportAddress {
        TransportAddress(ipv4: native.sin_addr.s_addr.bigEndian, port: native.sin_port.bigEndian)
    }
}
