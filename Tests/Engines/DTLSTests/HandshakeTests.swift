import Basics
import DTLS
import TestSupport
import Testing

@Suite("DTLS handshake")
struct HandshakeTests {
    @Test("agrees on each SRTP profile", arguments: [(UInt16(1), 60), (7, 56), (8, 88)])
    func profiles(profile: UInt16, length: Int) throws {
        var pair = try VirtualPair(clientConfiguration: DTLSConfiguration(profiles: [profile]))
        pair.connect()
        #expect(haveEqualKeys(pair.clientOutcome, pair.serverOutcome))
        #expect(pair.serverOutcome.keys?.profile == profile)
        #expect(pair.serverOutcome.keys?.exporterBlock.value.count == length)
        #expect(pair.serverOutcome.keys?.cipherSuite == "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")
    }

    @Test("the server's order of profiles wins")
    func preference() throws {
        var pair = try VirtualPair(clientConfiguration: DTLSConfiguration(profiles: [1, 8, 7]))
        pair.connect()
        #expect(pair.serverOutcome.keys?.profile == 7)
    }

    @Test("without a common profile both sides fail and neither gets keys")
    func noProfile() throws {
        var pair = try VirtualPair(
            clientConfiguration: DTLSConfiguration(profiles: [1]),
            serverConfiguration: DTLSConfiguration(profiles: [7])
        )
        pair.connect()
        #expect(pair.serverOutcome.failure == .noSRTPProfile)
        #expect(pair.clientOutcome.keys == nil && pair.serverOutcome.keys == nil)
    }

    @Test("takes ECDSA and RSA certificates on either side", arguments: [false, true], [false, true])
    func certificates(isServerRSA: Bool, isClientRSA: Bool) throws {
        var pair = try VirtualPair(
            clientCertificate: isClientRSA ? Certificates.clientRSA : Certificates.client,
            serverCertificate: isServerRSA ? Certificates.serverRSA : Certificates.server
        )
        pair.connect()
        #expect(haveEqualKeys(pair.clientOutcome, pair.serverOutcome))
    }

    @Test("no datagram is larger than 1,200 bytes, even with RSA certificates")
    func datagramSize() throws {
        var pair = try VirtualPair(
            clientCertificate: Certificates.clientRSA,
            serverCertificate: Certificates.serverRSA
        )
        pair.connect()
        let sizes = (pair.clientOutcome.transmitted + pair.serverOutcome.transmitted).map(\.count)
        #expect(sizes.max().map { $0 <= 1_200 && $0 > 300 } == true)
    }

    @Test(
        "finishes over any path that loses, reorders and repeats datagrams",
        arguments: [0, 0.1, 0.2, 0.3, 0.4],
        1...20 as ClosedRange<UInt64>
    )
    func lossyPath(loss: Double, seed: UInt64) throws {
        let path = SimulatedNetwork.Impairment(
            loss: loss,
            delay: .milliseconds(30),
            jitter: .milliseconds(20),
            reordering: 0.1,
            duplication: 0.1
        )
        var pair = try VirtualPair(impairment: path, seed: seed)
        pair.connect()
        #expect(haveEqualKeys(pair.clientOutcome, pair.serverOutcome), "loss \(loss), seed \(seed)")
    }

    @Test("gives up after 30 seconds without an answer, having sent no more than 25 flights")
    func timeout() throws {
        var pair = try VirtualPair(impairment: .init(loss: 1))
        pair.run(until: Instant(nanoseconds: 120_000_000_000))
        #expect(pair.clientOutcome.failure == .timeout)
        #expect(pair.serverOutcome.failure == .timeout)
        #expect(pair.now == Instant(nanoseconds: 30_000_000_000))
        #expect(pair.clientOutcome.transmitted.count < 25)
    }

    @Test("carries application data both ways, and ends with close_notify")
    func dataAndClose() throws {
        var pair = try VirtualPair()
        pair.connect()
        let message = [UInt8](repeating: 7, count: 1_100)
        let isSent = pair.client.send(message, at: pair.now)
        let isAnswered = pair.server.send([1, 2, 3], at: pair.now)
        let isTooLong = pair.server.send([UInt8](repeating: 0, count: 1_101), at: pair.now)
        #expect(isSent && isAnswered && !isTooLong)
        pair.run(until: pair.now + .seconds(1))
        #expect(pair.serverOutcome.received == [message])
        #expect(pair.clientOutcome.received == [[1, 2, 3]])

        pair.server.shutdown(at: pair.now)
        pair.run(until: pair.now + .seconds(1))
        #expect(pair.clientOutcome.isClosed)
        #expect(pair.clientOutcome.failure == nil && pair.serverOutcome.failure == nil)
    }

    @Test("is ready to move to another thread")
    func sending() async throws {
        let session = try DTLSSession(
            role: .server,
            certificate: Certificates.server,
            expectedFingerprints: [],
            at: .zero
        )
        let isServer = await Self.elsewhere(session)
        #expect(isServer)
    }

    @concurrent
    private static func elsewhere(_ session: consuming sending DTLSSession) async -> Bool {
        session.role == DTLSSession.Role.server
    }

    @Test(
        "knows which OpenSSL has the repairs",
        arguments: [
            (UInt(0x3000_00f0), false), (0x3000_0150, false), (0x3000_0160, true), (0x3050_0010, true),
        ]
    )
    func libraryVersion(number: UInt, isPatched: Bool) {
        #expect(DTLSLibrary.isPatched(number: number) == isPatched)
        #expect(DTLSLibrary.version.hasPrefix("OpenSSL 3"))
    }
}
