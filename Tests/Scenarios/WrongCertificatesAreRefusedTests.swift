import Basics
import MediaControl
import MediaPlane
import Negotiation
import PeerSession
import TestSupport
import Testing

/// ATTACKS A-05.
@Suite struct WrongCertificatesAreRefusedTests {
    @Test func `a client whose certificate is not the announced one gets no media and sends none`() throws {
        let call = SimulatedCall(seed: 61)
        let scene = try AudioCall(in: call)
        let liar = call.addClient()
        let uplink = liar.add(.audio, direction: .send)
        let downlink = liar.add(.audio, direction: .receive)
        var digest = liar.offer.local.fingerprint.digest
        digest[31] ^= 1
        liar.offer.local.fingerprint = Fingerprint(hash: .sha256, digest: digest)
        let listener = call.addClient()
        let listening = listener.add(.audio, direction: .receive)
        try call.negotiate(liar)
        try call.negotiate(listener)
        try call.bind(scene.publisher, scene.uplink, to: liar, downlink)
        try call.bind(liar, uplink, to: listener, listening)
        var talker = Talker(client: liar, mid: uplink)
        var sentMedia = 0
        call.watchesServer = { bytes, to, _ in if to == liar.address, bytes[0] >= 128 { sentMedia += 1 } }
        try scene.connect()
        scene.talk(for: .seconds(3)) { talker.talk(in: call, at: $0) }
        #expect(call.end(of: liar) == .fingerprintMismatch)
        #expect(!call.events.contains(.connected(liar.id)))
        #expect(sentMedia == 0)
        #expect(listener.packets.isEmpty)
        let counters = call.router.currentCounters()
        #expect(counters.handshakesWrongFingerprint == 1)
        #expect(counters.sessions == 3)
        #expect(scene.isHeard())
    }

    @Test func `a client refuses a server whose certificate is not the announced one`() throws {
        let call = SimulatedCall(seed: 62)
        let client = call.addClient()
        let uplink = client.add(.audio, direction: .send)
        call.tampersWithAnswer = { answer in
            let lines = answer.split(separator: "\r\n", omittingEmptySubsequences: false).map { line -> String in
                guard line.hasPrefix("a=fingerprint:"), let last = line.last else { return String(line) }
                return line.dropLast() + (last == "0" ? "1" : "0")
            }
            return lines.joined(separator: "\r\n")
        }
        try call.negotiate(client)
        var talker = Talker(client: client, mid: uplink)
        call.run(for: .seconds(5)) { talker.talk(in: call, at: $0) }
        #expect(client.end == .fingerprintMismatch)
        #expect(!client.isConnected)
        #expect(!call.events.contains(.connected(client.id)))
        let received = call.router.currentCounters().packetsIn.audio
        #expect(received == 0)
    }
}
