import Basics
import DTLS
import Testing

@Suite("DTLS peer verification (CONFORMANCE D-03, ATTACKS A-05)")
struct PeerVerificationTests {
    private static let stranger = Certificates.stranger.fingerprint

    @Test("a client certificate that the SDP does not name gets no keys on either side")
    func wrongClient() throws {
        var pair = try VirtualPair(expectedByServer: [Self.stranger])
        pair.connect()
        #expect(pair.serverOutcome.failure == .fingerprintMismatch)
        #expect(pair.serverOutcome.keys == nil && pair.clientOutcome.keys == nil)
        // The last datagram is the fatal alert bad_certificate, in the clear.
        let alert = try #require(pair.serverOutcome.transmitted.last)
        #expect(alert.first == 21 && alert.suffix(2) == [2, 42])
    }

    @Test("a server certificate that the SDP does not name gets no keys on either side")
    func wrongServer() throws {
        var pair = try VirtualPair(expectedByClient: [Self.stranger])
        pair.connect()
        #expect(pair.clientOutcome.failure == .fingerprintMismatch)
        #expect(pair.serverOutcome.keys == nil && pair.clientOutcome.keys == nil)
    }

    @Test("refuses everybody when the SDP has no usable fingerprint")
    func noFingerprint() throws {
        let own = Certificates.client.fingerprint
        let useless: [[DTLSFingerprint]] = [
            [],
            [DTLSFingerprint(hash: .sha256, digest: [])],
            [DTLSFingerprint(hash: .sha256, digest: Array(own.digest.dropLast()))],
            [DTLSFingerprint(hash: .sha256, digest: own.digest + [0])],
            [DTLSFingerprint(hash: .sha384, digest: own.digest)],
        ]
        for expected in useless {
            var pair = try VirtualPair(expectedByServer: expected)
            pair.connect()
            #expect(pair.serverOutcome.failure == .fingerprintMismatch)
            #expect(pair.serverOutcome.keys == nil && pair.clientOutcome.keys == nil)
        }
    }

    @Test("one match among several fingerprints is enough")
    func several() throws {
        var pair = try VirtualPair(expectedByServer: [Self.stranger, Certificates.client.fingerprint])
        pair.connect()
        #expect(haveEqualKeys(pair.clientOutcome, pair.serverOutcome))
    }

    @Test("accepts SHA-384 and SHA-512 fingerprints", arguments: [DTLSHash.sha384, .sha512])
    func otherHashes(hash: DTLSHash) throws {
        var pair = try VirtualPair(
            expectedByServer: [DTLSFingerprint(hash: hash, digest: Certificates.client.digest(hash))])
        pair.connect()
        #expect(haveEqualKeys(pair.clientOutcome, pair.serverOutcome))
        #expect(Certificates.client.digest(hash).count == hash.length)
    }

    @Test("a client without a certificate is told so and gets nothing")
    func noCertificate() throws {
        var server = try DTLSSession(
            role: .server,
            certificate: Certificates.server,
            expectedFingerprints: [Certificates.client.fingerprint],
            at: .zero
        )
        var outcome = Outcome()
        let client = try PlainOpenSSLClient()
        for _ in 0..<5 {
            for datagram in client.step() { server.handle(datagram, at: .zero) }
            for datagram in server.drain(into: &outcome, at: .zero) { client.take(datagram) }
        }
        #expect(outcome.failure == .noCertificate)
        #expect(outcome.keys == nil)
    }
}
