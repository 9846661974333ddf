import Basics
import Foundation
import Negotiation
import SDP
import TestSupport
import Testing

/// An offer to answer: captured from a real client, or written by hand after one.
struct Offer: Sendable, CustomTestStringConvertible {
    let name: String
    let text: String

    var testDescription: String { self.name }

    /// The captured descriptions of Tests/Fixtures/sdp, offers and others.
    static let fixtures: [Offer] = {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Fixtures/sdp")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path())) ?? []
        return names.filter { $0.hasSuffix(".sdp") }.sorted().compactMap { name in
            (try? String(contentsOf: folder.appending(path: name), encoding: .utf8)).map {
                Offer(name: String(name.dropLast(4)), text: $0)
            }
        }
    }()

    /// Those that the lab's clients sent and that carry media.
    static let real = fixtures.filter { offer in
        offer.name.contains("-offer") && !offer.name.contains("datachannel-only")
    }

    static func named(_ name: String) throws -> String {
        try #require(Self.fixtures.first { $0.name == name }).text
    }

    static let password = "0123456789abcdefghijkl"
    static let digest = Array(repeating: "AB", count: 32).joined(separator: ":")

    /// A session part and m-lines: `sections` by mid, each the m-line and its own attributes; `transport` is repeated
    /// in every one.
    static func make(
        _ sections: [(mid: String, lines: [String])],
        session: [String] = [],
        group: [String]? = nil,
        ufrag: String = "abcd",
        password: String = Offer.password,
        setup: String = "actpass",
        fingerprint: String = "sha-256 \(Offer.digest)"
    ) -> String {
        var lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0"]
        let mids = group ?? sections.map { $0.mid }
        if !mids.isEmpty { lines.append("a=group:BUNDLE " + mids.joined(separator: " ")) }
        lines += session
        for section in sections {
            lines.append(section.lines.first ?? "")
            lines += [
                "c=IN IP4 0.0.0.0", "a=mid:\(section.mid)", "a=ice-ufrag:\(ufrag)", "a=ice-pwd:\(password)",
                "a=fingerprint:\(fingerprint)", "a=setup:\(setup)", "a=rtcp-mux",
            ]
            lines += section.lines.dropFirst()
        }
        return lines.map { $0 + "\r\n" }.joined()
    }

    static func audio(_ direction: String = "sendonly", port: Int = 9, _ more: [String] = []) -> [String] {
        ["m=audio \(port) UDP/TLS/RTP/SAVPF 111", "a=rtpmap:111 opus/48000/2", "a=\(direction)"] + more
    }

    static func video(_ direction: String = "sendonly", port: Int = 9, _ more: [String] = []) -> [String] {
        [
            "m=video \(port) UDP/TLS/RTP/SAVPF 96 97", "a=rtpmap:96 VP8/90000", "a=rtpmap:97 rtx/90000",
            "a=fmtp:97 apt=96", "a=\(direction)",
        ] + more
    }
}

let allCodecs: [Codec] = [.opus, .vp8, .vp9, .h264, .av1]

let serverTransport = LocalTransport(
    usernameFragment: "srvu",
    password: Redacted("serverpasswordserverpass"),
    fingerprint: Fingerprint(hash: .sha256, digest: Array(0..<32)),
    candidates: [
        TransportAddress(ipv4: 0xC000_0201, port: 7880),
        TransportAddress(high: 0x2001_0DB8_0000_0000, low: 1, port: 7880),
    ]
)

/// One session of the server with its own seed.
struct Server {
    var generator = SeededRandom(seed: 7)
    var negotiator: Negotiator

    init(codecs: [Codec] = allCodecs, seed: UInt64 = 7) {
        self.generator = SeededRandom(seed: seed)
        self.negotiator = Negotiator(codecs: codecs, using: &self.generator)
    }

    @discardableResult
    mutating func receive(
        _ offer: String,
        canPublish: Bool = true,
        canSubscribe: Bool = true
    ) throws(NegotiationError) -> NegotiatedSession {
        try self.negotiator.receive(
            offer: offer,
            canPublish: canPublish,
            canSubscribe: canSubscribe,
            using: &self.generator
        )
    }

    func answer(_ labels: [String: SectionLabel] = [:]) throws -> SessionDescription {
        try SessionDescription(parsing: self.negotiator.answer(local: serverTransport, labels: labels))
    }
}
