import Basics
import DTLS
import TestSupport

/// Certificates are slow to make and never change: one of each is enough for all tests.
enum Certificates {
    static let unixSeconds: Int64 = 1_790_000_000
    static let server = makeCertificate(.ecdsaP256)
    static let client = makeCertificate(.ecdsaP256)
    static let stranger = makeCertificate(.ecdsaP256)
    static let serverRSA = makeCertificate(.rsa2048)
    static let clientRSA = makeCertificate(.rsa2048)

    private static func makeCertificate(_ type: DTLSCertificate.KeyType) -> DTLSCertificate {
        do { return try DTLSCertificate(keyType: type, unixSeconds: Self.unixSeconds) } catch {
            fatalError("no certificate: \(error)")
        }
    }
}

/// What became of one side.
struct Outcome {
    var keys: DTLSKeys?
    var connectedAt: Instant?
    var failure: DTLSFailure?
    var isClosed = false
    var received: [[UInt8]] = []
    var transmitted: [[UInt8]] = []
    var deadline: Instant?
}

extension DTLSSession {
    /// Takes every output there is.
    mutating func drain(into outcome: inout Outcome, at now: Instant) -> [[UInt8]] {
        var datagrams: [[UInt8]] = []
        while true {
            switch self.nextOutput() {
            case .transmit(let bytes): datagrams.append(bytes)
            case .connected(let keys):
                outcome.keys = keys
                outcome.connectedAt = now
            case .applicationData(let bytes): outcome.received.append(bytes)
            case .failed(let failure): outcome.failure = failure
            case .closed: outcome.isClosed = true
            case .wait(let deadline):
                outcome.deadline = deadline
                outcome.transmitted += datagrams
                return datagrams
            }
        }
    }

    mutating func handle(_ bytes: [UInt8], at now: Instant) { self.handle(bytes.span.bytes, at: now) }
}

/// Our client and our server with a network in virtual time between them.
struct VirtualPair: ~Copyable {
    var client: DTLSSession
    var server: DTLSSession
    var clientOutcome = Outcome()
    var serverOutcome = Outcome()
    var network: SimulatedNetwork
    var now = Instant.zero
    /// The client repeats its flights as foreign ones do, at a time that doubles and for no other reason.
    private var foreign: ForeignTimer?

    private struct ForeignTimer {
        let first: Nanoseconds
        var interval: Nanoseconds
        var deadline: Instant?
        var flight: [[UInt8]] = []
    }

    static let clientAddress = TransportAddress(ipv4: 0x0A00_0001, port: 1)
    static let serverAddress = TransportAddress(ipv4: 0x0A00_0002, port: 2)

    init(
        impairment: SimulatedNetwork.Impairment = .perfect,
        seed: UInt64 = 1,
        clientCertificate: DTLSCertificate = Certificates.client,
        serverCertificate: DTLSCertificate = Certificates.server,
        expectedByClient: [DTLSFingerprint]? = nil,
        expectedByServer: [DTLSFingerprint]? = nil,
        clientConfiguration: DTLSConfiguration = DTLSConfiguration(),
        serverConfiguration: DTLSConfiguration = DTLSConfiguration(),
        foreignRetransmission: Nanoseconds? = nil
    ) throws {
        var clientConfiguration = clientConfiguration
        if let foreignRetransmission {
            self.foreign = ForeignTimer(first: foreignRetransmission, interval: foreignRetransmission)
            clientConfiguration.firstRetransmission = .seconds(1_000)
            clientConfiguration.longestRetransmission = .seconds(1_000)
            clientConfiguration.resendSpacing = .seconds(1_000)
            clientConfiguration.copySpacing = .seconds(1_000)
        }
        let client = try DTLSSession(
            role: .client,
            certificate: clientCertificate,
            expectedFingerprints: expectedByClient ?? [serverCertificate.fingerprint],
            configuration: clientConfiguration,
            at: .zero
        )
        let server = try DTLSSession(
            role: .server,
            certificate: serverCertificate,
            expectedFingerprints: expectedByServer ?? [clientCertificate.fingerprint],
            configuration: serverConfiguration,
            at: .zero
        )
        self.network = SimulatedNetwork(impairment: impairment, seed: seed)
        self.client = client
        self.server = server
    }

    mutating func flush() {
        let flight = self.client.drain(into: &self.clientOutcome, at: self.now)
        for bytes in flight {
            self.network.send(bytes, from: Self.clientAddress, to: Self.serverAddress, at: self.now)
        }
        if let first = self.foreign?.first, !flight.isEmpty {
            self.foreign?.flight = flight
            self.foreign?.interval = first
            self.foreign?.deadline = self.now + first
        }
        if self.clientOutcome.keys != nil { self.foreign?.deadline = nil }
        for bytes in self.server.drain(into: &self.serverOutcome, at: self.now) {
            self.network.send(bytes, from: Self.serverAddress, to: Self.clientAddress, at: self.now)
        }
    }

    /// Runs until both sides have keys or nothing is left to happen, at most to `limit`.
    mutating func connect(limit: Instant = Instant(nanoseconds: 60_000_000_000)) {
        self.run(until: limit) { $0.keys != nil && $1.keys != nil }
    }

    mutating func run(until limit: Instant, stop: (Outcome, Outcome) -> Bool = { _, _ in false }) {
        self.flush()
        while !stop(self.clientOutcome, self.serverOutcome) {
            let wake = min(self.clientOutcome.deadline ?? .distantFuture, self.serverOutcome.deadline ?? .distantFuture)
            let next = min(self.network.nextArrival ?? .distantFuture, wake, self.foreign?.deadline ?? .distantFuture)
            guard next <= limit else { break }
            self.now = max(self.now, next)
            while let delivery = self.network.receive(by: self.now) {
                if delivery.to == Self.clientAddress {
                    self.client.handle(delivery.bytes, at: self.now)
                } else {
                    self.server.handle(delivery.bytes, at: self.now)
                }
                self.flush()
            }
            if let foreign = self.foreign, let deadline = foreign.deadline, self.now >= deadline {
                for bytes in foreign.flight {
                    self.network.send(bytes, from: Self.clientAddress, to: Self.serverAddress, at: self.now)
                }
                self.foreign?.interval = foreign.interval * 2
                self.foreign?.deadline = self.now + foreign.interval * 2
            }
            self.client.handleTimeout(at: self.now)
            self.server.handleTimeout(at: self.now)
            self.flush()
        }
    }
}

/// Whether both sides are connected, in their roles and with the same keys.
func haveEqualKeys(_ client: Outcome, _ server: Outcome) -> Bool {
    guard let client = client.keys, let server = server.keys else { return false }
    return client.exporterBlock == server.exporterBlock && client.profile == server.profile
        && !client.isServer && server.isServer
}
