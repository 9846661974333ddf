import Basics
import DTLS
import TestSupport
import Testing

/// Associations that carry no data give OpenSSL's session back after the handshake.
@Suite("DTLS without data channels")
struct ReleaseTests {
    private static let configuration = DTLSConfiguration(carriesData: false)

    /// - Parameter isForServer: which side gives its session back; the other one keeps OpenSSL's.
    private static func pair(
        isForServer: Bool = true,
        serverCertificate: DTLSCertificate = Certificates.server
    ) throws -> VirtualPair {
        var pair = try VirtualPair(
            serverCertificate: serverCertificate,
            clientConfiguration: isForServer ? DTLSConfiguration() : Self.configuration,
            serverConfiguration: isForServer ? Self.configuration : DTLSConfiguration()
        )
        pair.connect()
        let isConnected = haveEqualKeys(pair.clientOutcome, pair.serverOutcome)
        try #require(isConnected)
        return pair
    }

    @Test("takes the peer's close_notify, answers it and ends", arguments: [true, false])
    func closedByPeer(isForServer: Bool) throws {
        var pair = try Self.pair(isForServer: isForServer)
        let sent = isForServer ? pair.serverOutcome.transmitted.count : pair.clientOutcome.transmitted.count
        if isForServer { pair.client.shutdown(at: pair.now) } else { pair.server.shutdown(at: pair.now) }
        pair.run(until: pair.now + .milliseconds(10))
        let outcome = isForServer ? pair.serverOutcome : pair.clientOutcome
        #expect(outcome.isClosed && outcome.failure == nil)
        #expect(outcome.transmitted.count == sent + 1)
        #expect(outcome.deadline == nil)
    }

    @Test("says close_notify so that OpenSSL takes it", arguments: [true, false])
    func closedByUs(isForServer: Bool) throws {
        var pair = try Self.pair(isForServer: isForServer)
        if isForServer { pair.server.shutdown(at: pair.now) } else { pair.client.shutdown(at: pair.now) }
        pair.run(until: pair.now + .milliseconds(10))
        let other = isForServer ? pair.clientOutcome : pair.serverOutcome
        #expect(other.isClosed)
    }

    @Test("does the same with AES-256 and SHA-384")
    func longKeys() throws {
        let client = try PlainOpenSSLClient(ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384", hasCertificate: true)
        var server = try DTLSSession(
            role: .server,
            certificate: Certificates.server,
            expectedFingerprints: [client.fingerprint],
            configuration: Self.configuration,
            at: .zero
        )
        var outcome = Outcome()
        for _ in 0..<10 where outcome.keys == nil {
            for datagram in client.step() { server.handle(datagram, at: .zero) }
            for datagram in server.drain(into: &outcome, at: .zero) { client.take(datagram) }
        }
        #expect(outcome.keys?.cipherSuite == "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384")
        _ = client.step()
        for datagram in client.close() { server.handle(datagram, at: .zero) }
        _ = server.drain(into: &outcome, at: .zero)
        #expect(outcome.isClosed)
    }

    @Test("a forged or changed alert does not end it, and the true one does")
    func forgedAlerts() throws {
        var pair = try Self.pair()
        pair.client.shutdown(at: pair.now)
        let alert = try #require(pair.client.drain(into: &pair.clientOutcome, at: pair.now).first)
        for bit in 0..<alert.count * 8 {
            var forged = alert
            forged[bit / 8] ^= 1 << UInt8(bit % 8)
            pair.server.handle(forged, at: pair.now)
        }
        for length in 0..<alert.count { pair.server.handle(Array(alert[0..<length]), at: pair.now) }
        _ = pair.server.drain(into: &pair.serverOutcome, at: pair.now)
        #expect(!pair.serverOutcome.isClosed && pair.serverOutcome.failure == nil)
        let ignored = pair.server.counters.ignoredAlerts
        #expect(ignored >= 8 * 16)
        pair.server.handle(alert, at: pair.now)
        _ = pair.server.drain(into: &pair.serverOutcome, at: pair.now)
        #expect(pair.serverOutcome.isClosed)
    }

    @Test("repeats its last flight to a client that missed it, within the bounds of before")
    func lostFinalFlight() throws {
        var pair = try VirtualPair(serverConfiguration: Self.configuration, foreignRetransmission: .milliseconds(50))
        pair.run(until: Instant(nanoseconds: 60_000_000_000)) { _, server in server.keys != nil }
        // The answer, and what the server repeats unasked.
        pair.network.setImpairment(.init(loss: 1), of: VirtualPair.serverAddress)
        while pair.network.receive(by: .distantFuture) != nil {}
        pair.server.confirm()
        pair.network.setImpairment(nil, of: VirtualPair.serverAddress)
        #expect(pair.clientOutcome.keys == nil)
        pair.connect()
        #expect(haveEqualKeys(pair.clientOutcome, pair.serverOutcome))
        let sent = pair.serverOutcome.transmitted.reduce(0) { $0 + $1.count }
        #expect(sent <= 3 * pair.clientOutcome.transmitted.reduce(0) { $0 + $1.count } + 4_096)
    }

    @Test("sends no data, and what the peer sends is nothing to it")
    func data() throws {
        var pair = try Self.pair()
        let isSent = pair.server.send([1], at: pair.now)
        #expect(!isSent)
        let isTaken = pair.client.send([1, 2, 3], at: pair.now)
        #expect(isTaken)
        pair.run(until: pair.now + .milliseconds(10))
        #expect(pair.serverOutcome.received.isEmpty && pair.serverOutcome.failure == nil)
    }

    @Test("broken records do it no harm")
    func brokenRecords() throws {
        let seed: UInt64 = 0x5eed_0201
        var random = SeededRandom(seed: seed)
        var pair = try Self.pair()
        for _ in 0..<20_000 {
            let body = random.bytes(Int.random(in: 0...60, using: &random))
            let type = UInt8.random(in: 20...24, using: &random)
            pair.server.handle(Forged.record(type: type, epoch: 1, sequence: 9, body), at: pair.now)
            _ = pair.server.drain(into: &pair.serverOutcome, at: pair.now)
        }
        #expect(pair.serverOutcome.failure == nil && !pair.serverOutcome.isClosed, "seed \(seed)")
        pair.server.shutdown(at: pair.now)
        pair.run(until: pair.now + .milliseconds(10))
        #expect(pair.clientOutcome.isClosed)
    }
}
