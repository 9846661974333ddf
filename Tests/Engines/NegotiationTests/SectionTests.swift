import Basics
import Negotiation
import RTP
import SDP
import Testing

@Suite struct CodecTests {
    @Test func allowedCodecsInTheClientsOrder() throws {
        var server = Server(codecs: [.vp8, .opus, .av1])
        let session = try server.receive(Offer.named("chromium-offer-recvonly"))
        #expect(session.sections.map { $0.codecs.map { $0.codec } } == [[.opus], [.vp8, .av1, .av1]])
    }

    @Test func redNeedsTheFormatThatItCarries() throws {
        let lines = ["m=audio 9 UDP/TLS/RTP/SAVPF 63 111", "a=rtpmap:63 red/48000/2", "a=rtpmap:111 opus/48000/2"]
        var server = Server(codecs: Codec.allCases)
        let good = try server.receive(Offer.make([("a", lines + ["a=fmtp:63 111/111"])]))
        #expect(good.sections.first?.codecs.map { $0.codec } == [.red, .opus])
        server = Server(codecs: Codec.allCases)
        let bad = try server.receive(Offer.make([("a", lines + ["a=fmtp:63 0/0"])]))
        #expect(bad.sections.first?.codecs.map { $0.codec } == [.opus])
    }

    @Test func payloadTypesThatLookLikeRTCPAreNotUsed() throws {
        let lines = [
            "m=video 9 UDP/TLS/RTP/SAVPF 72 96 96", "a=rtpmap:72 VP9/90000", "a=rtpmap:96 VP8/90000",
            "a=rtcp-fb:* nack",
        ]
        var server = Server()
        let codecs = try server.receive(Offer.make([("v", lines)])).sections.first?.codecs
        #expect(codecs?.map { $0.payloadType } == [96])
        #expect(codecs?.first?.feedback == .nack)
    }

    @Test(arguments: [
        ("sendonly", "opus/48000/2", "minptime=10; useinbandfec=1;usedtx=1", "minptime=10;useinbandfec=1;usedtx=1"),
        ("sendonly", "opus/48000/2", "sprop-stereo=1;sprop-maxcapturerate=48000", "stereo=1"),
        ("recvonly", "opus/48000/2", "stereo=1;maxaveragebitrate=128000", "stereo=1;maxaveragebitrate=128000"),
    ])
    func opusParameters(_ direction: String, _ codec: String, _ offered: String, _ expected: String) throws {
        let lines = [
            "m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=rtpmap:111 \(codec)", "a=fmtp:111 \(offered)", "a=\(direction)",
        ]
        var server = Server()
        try server.receive(Offer.make([("a", lines)]))
        let answered = try #require(try server.answer().media.first?.first(SDPAttribute.FormatParameters.self))
        #expect(answered.text == expected)
    }

    @Test func decoderLimitsAreKeptWhereTheClientReceives() throws {
        let lines = [
            "m=video 9 UDP/TLS/RTP/SAVPF 96", "a=rtpmap:96 VP8/90000", "a=fmtp:96 max-fs=12288;max-fr=60", "a=recvonly",
        ]
        var server = Server()
        let codec = try #require(try server.receive(Offer.make([("v", lines)])).sections.first?.codecs.first)
        #expect(codec.parameter("max-fs") == "12288")
    }
}

@Suite struct ExtensionTests {
    private static func session(_ direction: String, _ maps: [String], mixed: Bool = false) throws -> Server {
        let more = maps.map { "a=extmap:\($0)" }
        var server = Server()
        let session = mixed ? ["a=extmap-allow-mixed"] : []
        try server.receive(Offer.make([("v", Offer.video(direction, more))], session: session))
        return server
    }

    private static let mid = HeaderExtension.mid.uri
    private static let rid = HeaderExtension.rid.uri

    @Test(arguments: [
        ("sendonly", "3 \(mid)", "3 \(mid)"), ("sendonly", "3/sendonly \(mid)", "3/recvonly \(mid)"),
        ("sendonly", "3/sendrecv \(mid)", "3/sendrecv \(mid)"), ("sendonly", "3/recvonly \(mid)", nil),
        ("sendonly", "3/inactive \(mid)", nil), ("recvonly", "3/recvonly \(mid)", "3/sendonly \(mid)"),
        ("recvonly", "3/sendonly \(mid)", nil), ("recvonly", "3 \(rid)", nil), ("sendonly", "3 \(rid)", "3 \(rid)"),
        ("sendonly", "15 \(mid)", nil), ("sendonly", "16 \(mid)", nil), ("sendonly", "4096 \(mid)", nil),
        ("sendonly", "3 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay", nil),
    ])
    func answers(_ direction: String, _ offered: String, _ expected: String?) throws {
        let server = try Self.session(direction, [offered])
        let answered = try #require(try server.answer().media.first).all(SDPAttribute.ExtensionMapping.self)
        #expect(answered.map { $0.attributeValue } == [expected].compactMap { $0 })
        #expect(server.negotiator.session?.sections.first?.extensions.isEmpty == (expected == nil))
    }

    @Test func mixedHeadersOpenTheHighIDs() throws {
        let server = try Self.session("sendonly", ["16 \(Self.mid)", "15 \(Self.rid)"], mixed: true)
        let section = try #require(server.negotiator.session?.sections.first)
        #expect(section.extensions[.mid] == 16 && section.extensions[.rid] == 0)
        #expect(try server.answer().allowsMixedExtensions)
    }

    @Test func theFirstOfTwoIDsForOneExtensionCounts() throws {
        let server = try Self.session("sendonly", ["3 \(Self.mid)", "4 \(Self.mid)"])
        #expect(server.negotiator.session?.sections.first?.extensions[.mid] == 3)
    }
}

/// What a client offers of simulcast, and what comes back.
struct SimulcastCase: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let lines: [String]
    let rids: [String]
    let answered: String?

    static let all: [SimulcastCase] = [
        Self(
            "three layers",
            ["rid:q send", "rid:h send", "rid:f send", "simulcast:send q;h;f"],
            ["q", "h", "f"],
            "recv q;h;f"
        ),
        Self(
            "a paused layer stays paused",
            ["rid:q send", "rid:h send", "simulcast:send q;~h"],
            ["q", "h"],
            "recv q;~h"
        ),
        Self(
            "the first alternative that stands",
            ["rid:b send", "rid:c send", "simulcast:send a,b;c"],
            ["b", "c"],
            "recv b;c"
        ),
        Self(
            "an unknown restriction drops its layer",
            ["rid:a send", "rid:b send frob=1", "simulcast:send a;b"],
            ["a"],
            "recv a"
        ),
        Self(
            "a format that is not accepted drops its layer",
            ["rid:a send pt=96,99", "rid:b send pt=99", "simulcast:send a;b"],
            ["a"],
            "recv a"
        ),
        Self(
            "a repeated rid drops both",
            ["rid:a send", "rid:a send", "rid:b send", "simulcast:send a;b"],
            ["b"],
            "recv b"
        ),
        Self(
            "a layer to receive is none to send",
            ["rid:a recv", "rid:b send", "simulcast:send b recv a"],
            ["b"],
            "recv b"
        ),
        Self(
            "a name that no header can hold",
            ["rid:aaaaaaaaaaaaaaaaa send", "rid:b send", "simulcast:send aaaaaaaaaaaaaaaaa;b"],
            ["b"],
            "recv b"
        ),
        Self(
            "at most four layers",
            (1...6).map { "rid:\($0) send" } + ["simulcast:send 1;2;3;4;5;6"],
            ["1", "2", "3", "4"],
            "recv 1;2;3;4"
        ),
        Self("rid without simulcast", ["rid:a send"], [], nil),
        Self("simulcast without rid", ["simulcast:send a;b"], [], nil),
        Self("simulcast that cannot be read", ["rid:a send", "simulcast:send a!;b"], [], nil),
    ]

    private init(_ name: String, _ lines: [String], _ rids: [String], _ answered: String?) {
        self.testDescription = name
        self.lines = lines
        self.rids = rids
        self.answered = answered
    }
}

@Suite struct SimulcastTests {
    @Test(arguments: SimulcastCase.all)
    func answers(_ testCase: SimulcastCase) throws {
        let lines = Offer.video(
            "sendonly",
            ["a=extmap:1 \(HeaderExtension.rid.uri)"] + testCase.lines.map { "a=\($0)" }
        )
        let text = Offer.make([("v", lines)])
        var server = Server()
        #expect(try server.receive(text).sections.first?.rids == testCase.rids)
        let answer = try server.answer()
        #expect(answer.media.first?.value(of: "simulcast") == testCase.answered)
        #expect(brokenRules(offer: try SessionDescription(parsing: text), answer: answer) == [])
    }

    @Test func restrictionsComeBack() throws {
        let lines = Offer.video(
            "sendonly",
            ["a=extmap:1 \(HeaderExtension.rid.uri)", "a=rid:a send pt=96,99;max-width=640", "a=simulcast:send a"]
        )
        var server = Server()
        try server.receive(Offer.make([("v", lines)]))
        #expect(try server.answer().media.first?.value(of: "rid") == "a recv pt=96;max-width=640")
    }

    @Test func withoutTheExtensionLayersCannotBeTold() throws {
        let lines = Offer.video("sendonly", ["a=rid:a send", "a=rid:b send", "a=simulcast:send a;b"])
        var server = Server()
        #expect(try server.receive(Offer.make([("v", lines)])).sections.first?.rids == [])
    }

    @Test func legacyGroupGivesTheOrder() throws {
        let lines = Offer.video(
            "sendonly",
            ["a=ssrc-group:SIM 30 10", "a=ssrc-group:FID 10 11", "a=ssrc-group:FID 30 31", "a=ssrc-group:FEC-FR 10 12"]
                + [10, 11, 12, 20, 30, 31].map { "a=ssrc:\($0) cname:c" }
        )
        var server = Server()
        let section = try #require(try server.receive(Offer.make([("v", lines)])).sections.first)
        #expect(
            section.remoteSSRCs == [
                RemoteSSRC(media: SSRC(30), retransmission: SSRC(31)),
                RemoteSSRC(media: SSRC(10), retransmission: SSRC(11)), RemoteSSRC(media: SSRC(20)),
            ]
        )
    }

    @Test func sourcesAreBounded() throws {
        let lines = Offer.audio("sendonly", (1...500).map { "a=ssrc:\($0) cname:c" })
        var server = Server()
        #expect(try server.receive(Offer.make([("a", lines)])).sections.first?.remoteSSRCs.count == 8)
    }
}
