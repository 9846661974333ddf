import Negotiation
import SDP
import Testing

/// An offer that gets an error, with the words that tell the client what to change.
struct RefusedOffer: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let text: String
    let isUnsupported: Bool
    let mend: String

    static let both = [("a", Offer.audio()), ("v", Offer.video())]
    static let shortDigest = Array(repeating: "AB", count: 20).joined(separator: ":")

    static let all: [RefusedOffer] = [
        unsupported("no BUNDLE", Offer.make(both, group: []), "a=group:BUNDLE"),
        unsupported("an m-line outside the bundle", Offer.make(both, group: ["a"]), "m-line 2"),
        unsupported("another group", Offer.make(both, session: ["a=group:LS a v"], group: []), "a=group:BUNDLE"),
        unsupported(
            "no rtcp-mux",
            Offer.make(both).replacing("a=rtcp-mux\r\n", with: ""),
            "a=rtcp-mux"
        ),
        unsupported("holdconn", Offer.make(both, setup: "holdconn"), "actpass or active"),
        unsupported("only SHA-1", Offer.make(both, fingerprint: "sha-1 \(shortDigest)"), "sha-256"),
        unsupported("only MD5", Offer.make(both, fingerprint: "md5 \(shortDigest)"), "sha-256"),
        unsupported(
            "SDES keys and no DTLS",
            Offer.make(both, session: ["a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA"])
                .replacing("a=fingerprint:sha-256 \(Offer.digest)\r\n", with: ""),
            "DTLS-SRTP"
        ),
        unsupported("a lite client", Offer.make(both, session: ["a=ice-lite"]), "lite"),
        unsupported("no m-line", Offer.make([]), "offer audio or video"),
        unsupported(
            "only a data channel",
            Offer.make([("0", ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=sctp-port:5000"])]),
            "offer audio or video"
        ),
        unsupported(
            "an unknown profile",
            Offer.make([("a", ["m=audio 9 UDP/RTP/XAVP 111", "a=rtpmap:111 opus/48000/2"])]),
            "UDP/TLS/RTP/SAVPF"
        ),
        unsupported(
            "no codec in common",
            Offer.make([("a", ["m=audio 9 UDP/TLS/RTP/SAVPF 0 8", "a=rtpmap:0 PCMU/8000"])]),
            "opus"
        ),
        invalid("not SDP", "{\"sdp\": 1}", "line 1"),
        invalid("a digest of the wrong length", Offer.make(both, fingerprint: "sha-256 AB:CD"), "32 bytes"),
        invalid("a short ufrag", Offer.make(both, ufrag: "abc"), "a=ice-ufrag"),
        invalid("a colon in the ufrag", Offer.make(both, ufrag: "ab:cd"), "a=ice-ufrag"),
        invalid("a short password", Offer.make(both, password: "short"), "a=ice-pwd"),
        invalid("no ICE", Offer.make(both).replacing("a=ice-ufrag:abcd\r\n", with: ""), "a=ice-ufrag"),
        invalid("one mid twice", Offer.make([("a", Offer.audio()), ("a", Offer.video())]), "a=mid:'a'"),
        invalid(
            "an extension id of two meanings",
            Offer.make([
                ("a", Offer.audio("sendonly", ["a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level"])),
                ("v", Offer.video("sendonly", ["a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid"])),
            ]),
            "a=extmap:1"
        ),
        invalid(
            "a payload type of two meanings",
            Offer.make([
                ("a", ["m=audio 9 UDP/TLS/RTP/SAVPF 96", "a=rtpmap:96 opus/48000/2"]), ("v", Offer.video()),
            ]),
            "payload type 96"
        ),
        invalid(
            "a payload type that is media here and retransmission there",
            Offer.make([
                ("v", Offer.video()), ("a", ["m=audio 9 UDP/TLS/RTP/SAVPF 97", "a=rtpmap:97 opus/48000/2"]),
            ]),
            "payload type 97"
        ),
    ]

    private static func unsupported(_ name: String, _ text: String, _ mend: String) -> Self {
        Self(testDescription: name, text: text, isUnsupported: true, mend: mend)
    }

    private static func invalid(_ name: String, _ text: String, _ mend: String) -> Self {
        Self(testDescription: name, text: text, isUnsupported: false, mend: mend)
    }
}

@Suite struct RefusalTests {
    @Test(arguments: RefusedOffer.all)
    func refuses(_ refused: RefusedOffer) throws {
        var server = Server()
        let error = #expect(throws: NegotiationError.self) { try server.receive(refused.text) }
        switch try #require(error) {
        case .unsupported(let reason): #expect(refused.isUnsupported && reason.contains(refused.mend), "\(reason)")
        case .invalid(let reason): #expect(!refused.isUnsupported && reason.contains(refused.mend), "\(reason)")
        }
        #expect(server.negotiator.session == nil)
        #expect(server.negotiator.answer(local: serverTransport, labels: [:]) == "")
    }

    @Test func aRefusedOfferChangesNothing() throws {
        var server = Server()
        try server.receive(Offer.make([("a", Offer.audio())]))
        let session = server.negotiator.session
        let answer = server.negotiator.answer(local: serverTransport, labels: [:])
        // Where a session stands already, an m-line of no use is answered with port 0, even if it was the last one.
        let onlyAtFirst = ["an unknown profile", "no codec in common"]
        for refused in RefusedOffer.all where !onlyAtFirst.contains(refused.testDescription) {
            #expect(throws: NegotiationError.self) { try server.receive(refused.text) }
        }
        #expect(server.negotiator.session == session)
        #expect(server.negotiator.answer(local: serverTransport, labels: [:]) == answer)
    }

    @Test func theWordsHoldNothingThatCouldForgeALogLine() throws {
        let mid = String(repeating: "m\u{7C}", count: 100)
        var server = Server()
        let error = #expect(throws: NegotiationError.self) {
            try server.receive(Offer.make([(mid, Offer.audio()), (mid, Offer.video())]))
        }
        let reason = try #require(error).reason
        #expect(reason.utf8.count < 200)
        #expect(reason.utf8.allSatisfy { (0x20...0x7E).contains($0) })
    }

    @Test(arguments: [
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "m=text 9 UDP/TLS/RTP/SAVPF 98",
        "m=video 9 UDP/RTP/XAVP 96",
        "m=video 9 UDP/TLS/RTP/SAVPF 100", "m=image 9 udptl t38", "m=video 0 UDP/TLS/RTP/SAVPF 96",
    ])
    func rejectsOneMLineAndKeepsTheOther(_ line: String) throws {
        let text = Offer.make([("x", [line, "a=rtpmap:96 VP8/90000"]), ("a", Offer.audio())])
        var server = Server()
        #expect(try server.receive(text).sections.map { $0.mid } == ["a"])
        let answer = try server.answer()
        #expect(answer.media.map { $0.port } == [0, 9])
        #expect(answer.bundle == ["a"])
        // The m-line that carries the transport is then the second.
        #expect(answer.media.map { $0.candidates.count } == [0, 2])
        #expect(brokenRules(offer: try SessionDescription(parsing: text), answer: answer) == [])
    }
}
