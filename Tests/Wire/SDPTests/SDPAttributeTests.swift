import SDP
import Testing

@Suite struct SDPAttributeTests {
    @Test func rtpmapKeepsTheCaseOfTheName() {
        let map = SDPAttribute.RTPMap(attributeValue: "111 OPUS/48000/2")
        #expect(map == SDPAttribute.RTPMap(payloadType: 111, encoding: "OPUS", clockRate: 48_000, channels: 2))
        #expect(map?.attributeValue == "111 OPUS/48000/2")
    }

    @Test(arguments: [
        ("apt=96", ["apt:96"]), (" A=1; b=2 ;c", ["a:1", "b:2", "c:"]), ("111/111", ["111/111:"]), (";;", []),
        ("sprop-parameter-sets=Z0IA==,aM4=;x=y=z", ["sprop-parameter-sets:Z0IA==,aM4=", "x:y=z"]),
    ])
    func formatParameters(_ text: String, _ expected: [String]) {
        #expect(SDPAttribute.FormatParameters.pairs(of: text).map { "\($0.key):\($0.value)" } == expected)
    }

    @Test func formatParametersWithoutEndAreCutShort() {
        let pairs = SDPAttribute.FormatParameters.pairs(of: "apt=96;" + String(repeating: "a;", count: 30_000))
        #expect(pairs.first?.value == "96")
        #expect((2_000...2_100).contains(pairs.count))
    }

    @Test func feedbackForAllFormats() {
        #expect(SDPAttribute.RTCPFeedback(attributeValue: "* NACK  pli")?.kind == "nack pli")
        #expect(SDPAttribute.RTCPFeedback(attributeValue: "* nack")?.payloadType == nil)
        #expect(SDPAttribute.RTCPFeedback(attributeValue: "96 ccm fir")?.payloadType == 96)
    }

    @Test func extensionMappingWithDirection() {
        let mapping = SDPAttribute.ExtensionMapping(attributeValue: "8/sendonly urn:x a b")
        #expect(mapping?.id == 8)
        #expect(mapping?.direction == .sendOnly)
        #expect(mapping?.uri == "urn:x")
        #expect(mapping?.parameters == "a b")
        #expect(mapping?.attributeValue == "8/sendonly urn:x a b")
    }

    @Test func sources() {
        let cname = SDPAttribute.SourceAttribute(attributeValue: "4294967295 cname:{a:b}")
        #expect(cname?.ssrc == .max && cname?.name == "cname" && cname?.value == "{a:b}")
        #expect(SDPAttribute.SourceGroup(attributeValue: "FID 1 2")?.ssrcs == [1, 2])
    }

    @Test func fingerprintIsRewrittenInCapitals() {
        let fingerprint = SDPAttribute.CertificateFingerprint(attributeValue: "SHA-256 0a:Ff")
        #expect(fingerprint?.digest == [0x0A, 0xFF])
        #expect(fingerprint?.attributeValue == "sha-256 0A:FF")
    }

    @Test(arguments: [
        "1 send", "hi_1-a recv", "q send pt=96,97", "q send max-width=640;max-fps=30",
        "q send pt=96;max-br=5;depend=a,b",
        "q send frob",
    ])
    func rid(_ value: String) {
        #expect(SDPAttribute.RID(attributeValue: Substring(value))?.attributeValue == value)
    }

    @Test(arguments: ["", "q", "q both", "q! send", "q send pt=", "q send pt=128", "q send pt=x", "q send a=b c=d"])
    func ridThatIsNone(_ value: String) {
        #expect(SDPAttribute.RID(attributeValue: Substring(value)) == nil)
    }

    @Test func unknownRestrictionIsTold() {
        let rid = SDPAttribute.RID(attributeValue: "q send max-width=1;x=2")
        #expect(rid?.restrictions.map { $0.isKnown } == [true, false])
    }

    @Test(arguments: [
        "send q;h;f", "recv 1", "send 1;~4,3 recv 6;~7", "recv 1;2 send 4", "send 1,2;3,~4",
    ])
    func simulcast(_ value: String) throws {
        let simulcast = try #require(SDPAttribute.Simulcast(attributeValue: Substring(value)))
        let again = SDPAttribute.Simulcast(attributeValue: Substring(simulcast.attributeValue))
        #expect(again == simulcast)
    }

    @Test func simulcastAlternativesAndPause() throws {
        let simulcast = try #require(SDPAttribute.Simulcast(attributeValue: "send 1;~4,3"))
        #expect(
            simulcast.send == [
                [.init(rid: "1")], [.init(rid: "4", isPaused: true), .init(rid: "3")],
            ]
        )
        #expect(simulcast.receive.isEmpty)
    }

    @Test(arguments: ["", "send", "both 1", "send 1 send 2", "send ;", "send ~", "send 1 recv", "send a!b"])
    func simulcastThatIsNone(_ value: String) {
        #expect(SDPAttribute.Simulcast(attributeValue: Substring(value)) == nil)
    }

    @Test func candidate() {
        let text = "1 1 udp 2130706431 2001:db8::1 7880 typ host generation 0"
        let candidate = SDPAttribute.Candidate(attributeValue: Substring(text))
        #expect(candidate?.attributeValue == text)
        #expect(candidate?.address == "2001:db8::1" && candidate?.port == 7880)
        #expect(SDPAttribute.Candidate(attributeValue: "1 1 udp 4294967296 192.0.2.1 1 typ host") == nil)
        #expect(SDPAttribute.Candidate(attributeValue: "1 1 udp 1 192.0.2.1 65536 typ host") == nil)
        #expect(SDPAttribute.Candidate(attributeValue: "1 1 udp") == nil)
    }

    @Test func aCombiningMarkAfterASeparatorHidesNothing() throws {
        // As `Character`s, "=" with U+0301 is one element that is not "=".
        let text = "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=\u{301}\nm=audio 9 RTP/AVP 0\na=mid:a\na=x:\u{301}y\n"
        let session = try SessionDescription(parsing: text)
        #expect(session.media.first?.value(of: "x") == "\u{301}y")
        #expect(session.media.first?.mid == "a")
    }
}

@Suite struct TrickleFragmentTests {
    @Test func candidatesOfAWHIPClient() throws {
        let fragment = try TrickleFragment(
            parsing: "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n"
                + "a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host\r\na=end-of-candidates\r\n"
        )
        #expect(fragment.usernameFragment == "EsAw")
        #expect(fragment.password == "P2uYro0UCOQ4zxjKXaWCBui1")
        #expect(fragment.mids == ["0"])
        #expect(fragment.candidates == ["candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host"])
        #expect(fragment.hasEndOfCandidates)
    }

    @Test func printsWhatItParses() throws {
        let fragment = TrickleFragment(
            usernameFragment: "abcd",
            password: "0123456789012345678901",
            options: ["trickle", "ice2"],
            isICELite: true,
            mids: ["0"],
            candidates: ["candidate:1 1 udp 1 192.0.2.1 7880 typ host"],
            hasEndOfCandidates: true
        )
        #expect(try TrickleFragment(parsing: fragment.description) == fragment)
    }

    @Test func isBounded() {
        let flood = "m=audio 9 RTP/AVP 0\n" + String(repeating: "a=candidate:1\n", count: 65)
        #expect(throws: SDPParseError(line: 66, reason: .tooManyCandidates)) { try TrickleFragment(parsing: flood) }
        #expect(throws: SDPParseError.self) { try TrickleFragment(parsing: "hello") }
    }
}
