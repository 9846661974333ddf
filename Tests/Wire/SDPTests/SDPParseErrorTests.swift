import SDP
import Testing

/// A text that is refused, where and why.
struct RefusedSDP: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let text: String
    let line: Int
    let reason: SDPParseError.Reason

    init(_ name: String, _ text: String, line: Int, _ reason: SDPParseError.Reason) {
        self.testDescription = name
        self.text = text
        self.line = line
        self.reason = reason
    }

    static let head = "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\n"
    static let media = head + "m=audio 9 UDP/TLS/RTP/SAVPF 111\n"

    static let grammar: [RefusedSDP] = [
        RefusedSDP("nothing", "", line: 1, .expected(field: "v")),
        RefusedSDP("only a version", "v=0\n", line: 2, .expected(field: "o")),
        RefusedSDP("a later version", "v=1\n", line: 1, .expected(field: "v")),
        RefusedSDP("no origin", "v=0\ns=-\n", line: 2, .expected(field: "o")),
        RefusedSDP("no name", "v=0\no=- 1 1 IN IP4 0.0.0.0\nt=0 0\n", line: 3, .expected(field: "s")),
        RefusedSDP("origin in words", "v=0\no=- one 1 IN IP4 0.0.0.0\n", line: 2, .malformedOrigin),
        RefusedSDP("two names", head + "s=-\n", line: 5, .repeated(field: "s")),
        RefusedSDP("a capital letter", head + "A=b\n", line: 5, .malformedLine),
        RefusedSDP("no equals sign", head + "a:b\n", line: 5, .malformedLine),
        RefusedSDP("no value", head + "a=\n", line: 5, .malformedLine),
        RefusedSDP("attribute without a name", head + "a=:x\n", line: 5, .malformedLine),
        RefusedSDP("a zero byte", head + "a=x\u{0}y\n", line: 5, .controlCharacter),
        RefusedSDP("a bare carriage return", head + "a=x\ra=y\n", line: 5, .controlCharacter),
        RefusedSDP("an escape sequence", head + "a=x:\u{1B}[2J\n", line: 5, .controlCharacter),
    ]

    static let numbers: [RefusedSDP] =
        [
            "audio 9 RTP/AVP 4294967296", "audio 9 RTP/AVP 128", "audio 9 RTP/AVP -1", "audio 65536 RTP/AVP 0",
            "audio -9 RTP/AVP 0", "audio 9/70000 RTP/AVP 0", "audio 9 RTP/AVP", "audio 9", "audio +9 RTP/AVP 0",
            "audio 9 UDP/TLS/RTP/SAVPF 18446744073709551616",
        ].map { RefusedSDP("m=\($0)", head + "m=\($0)\n", line: 5, .malformedMediaLine) }
        + [
            "rtpmap:4294967296 opus/48000/2", "rtpmap:96 VP8", "rtpmap:96 VP8/0", "rtpmap:96 VP8/4294967296",
            "rtpmap:96 VP8/90000/256", "rtpmap:96", "fmtp:256 a=b", "rtcp-fb:96", "rtcp-fb:x nack", "extmap:0 uri",
            "extmap:65536 uri", "extmap:1/both uri", "extmap:1", "ssrc:4294967296 cname:a", "ssrc:-1 cname:a",
            "ssrc-group:FID 1 4294967296", "fingerprint:sha-256 AB:C", "fingerprint:sha-256 ABC", "fingerprint:sha-256",
            "fingerprint:sha-256 +1:-1", "setup:sideways", "mid:", "mid:a b", "sctp-port:65536",
            "max-message-size:18446744073709551616",
        ].map { value in
            let name = String(value.prefix { $0 != ":" })
            return RefusedSDP("a=\(value)", media + "a=\(value)\n", line: 6, .malformedAttribute(name: name))
        }

    /// ATTACKS A-72.
    static let bombs: [RefusedSDP] = [
        RefusedSDP("65,537 bytes", String(repeating: "a", count: 65_537), line: 1, .tooManyBytes),
        RefusedSDP("2,001 lines", head + repeated("a=x\n", 1_997), line: 2_001, .tooManyLines),
        RefusedSDP("2,001 blank lines", repeated("\n", 2_001), line: 2_001, .tooManyLines),
        RefusedSDP("257 m-lines", head + repeated("m=audio 0 RTP/AVP 0\n", 257), line: 261, .tooManyMediaSections),
        RefusedSDP("65 candidates", media + repeated("a=candidate:1\n", 65), line: 70, .tooManyCandidates),
        RefusedSDP("257 formats", head + "m=audio 9 RTP/AVP" + repeated(" 0", 257) + "\n", line: 5, .tooManyFormats),
    ]

    static func repeated(_ text: String, _ count: Int) -> String { String(repeating: text, count: count) }
}

@Suite struct SDPParseErrorTests {
    @Test(arguments: RefusedSDP.grammar + RefusedSDP.numbers + RefusedSDP.bombs)
    func refuses(_ refused: RefusedSDP) {
        #expect(throws: SDPParseError(line: refused.line, reason: refused.reason)) {
            try SessionDescription(parsing: refused.text)
        }
    }

    @Test func acceptsWhatIsJustWithinTheLimits() throws {
        let lines = RefusedSDP.head + RefusedSDP.repeated("a=x\n", 1_996)
        #expect(try SessionDescription(parsing: lines).attributes.count == 1_996)
        let sections = RefusedSDP.head + RefusedSDP.repeated("m=audio 0 RTP/AVP 0\na=candidate:1\n", 256)
        #expect(try SessionDescription(parsing: sections).media.count == 256)
        let candidates = RefusedSDP.media + RefusedSDP.repeated("a=candidate:1\n", 64)
        #expect(try SessionDescription(parsing: candidates).media.first?.candidates.count == 64)
        let long = RefusedSDP.head + "a=x:" + String(repeating: "y", count: 65_000) + "\n"
        #expect(try SessionDescription(parsing: long).value(of: "x")?.utf8.count == 65_000)
    }

    @Test func errorNamesTheLineAndTheMend() {
        let error = SDPParseError(line: 7, reason: .malformedMediaLine)
        #expect(error.description.hasPrefix("line 7: "))
        #expect(error.description.contains("payload types 0 to 127"))
    }
}
