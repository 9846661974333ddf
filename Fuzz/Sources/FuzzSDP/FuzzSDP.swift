import Basics
import FuzzEntry
import ICE
import Negotiation
import SDP

/// Session descriptions, trickled fragments and candidates, and the server's answers to them.
///
/// The first byte of an input has switches; the rest is text. A NUL parts it into several offers of one session.
@main
enum FuzzSDP {
    /// Not random: a find must be one again.
    struct Generator: RandomNumberGenerator {
        var state: UInt64 = 1
        mutating func next() -> UInt64 {
            self.state = self.state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return self.state
        }
    }

    static let local = LocalTransport(
        usernameFragment: "SRVRfrag",
        password: Redacted("serverPasswordOf24Chars+"),
        fingerprint: Fingerprint(hash: .sha256, digest: Array(0..<32)),
        candidates: [TransportAddress(ipv4: 0xC000_0201, port: 7_882)]
    )

    static func main() {
        fuzz { bytes, count in
            var input = FuzzInput(bytes, count)
            let switches = input.byte()
            let texts = input.takeAll().split(separator: 0, maxSplits: 3).map { String(decoding: $0, as: UTF8.self) }
            for text in texts {
                FuzzSDP.checkDescription(text)
                FuzzSDP.checkFragment(text)
                if text.utf8.count < 1_024 { FuzzSDP.checkCandidate(text) }
            }
            FuzzSDP.negotiate(texts, switches)
            return 0
        }
    }

    private static func checkDescription(_ text: String) {
        guard let description = try? SessionDescription(parsing: text) else { return }
        require(description.media.count <= SDPLimits.mediaSections, "m-lines are bounded")
        let printed = description.description
        // With CRLF for LF a text that just fitted may not fit any more.
        guard printed.utf8.count <= SDPLimits.bytes else { return }
        do {
            require(try SessionDescription(parsing: printed) == description, "a printed description is the same")
        } catch {
            fatalError("a printed description does not parse: \(error)")
        }
    }

    private static func checkFragment(_ text: String) {
        guard let fragment = try? TrickleFragment(parsing: text) else { return }
        let printed = fragment.description
        // All candidates come under one m-line, which takes fewer of them.
        guard printed.utf8.count <= SDPLimits.bytes, fragment.candidates.count <= SDPLimits.candidates else { return }
        do {
            let copy = try TrickleFragment(parsing: printed)
            require(copy.usernameFragment == fragment.usernameFragment, "the username fragment survives")
            require(copy.password == fragment.password && copy.candidates == fragment.candidates, "the rest survives")
        } catch {
            fatalError("a printed fragment does not parse: \(error)")
        }
    }

    private static func checkCandidate(_ text: String) {
        guard let candidate = try? ICECandidate(parsing: text) else { return }
        do {
            let copy = try ICECandidate(parsing: candidate.description)
            require(copy.address == candidate.address && copy.priority == candidate.priority, "candidates survive")
        } catch {
            fatalError("a printed candidate does not parse: \(error)")
        }
    }

    private static func negotiate(_ texts: [String], _ switches: UInt8) {
        var generator = Generator()
        var codecs = Codec.allCases
        if switches & 4 != 0 { codecs = [.opus, .vp8] }
        var negotiator = Negotiator(codecs: codecs, using: &generator)
        for text in texts {
            let before = negotiator.answer(local: Self.local, labels: [:])
            do throws(NegotiationError) {
                let session = try negotiator.receive(
                    offer: text,
                    canPublish: switches & 1 == 0,
                    canSubscribe: switches & 2 == 0,
                    using: &generator
                )
                Self.checkAnswer(negotiator, session, offer: text)
            } catch {
                require(!error.reason.isEmpty, "a refusal says why")
                require(negotiator.answer(local: Self.local, labels: [:]) == before, "a refusal changes nothing")
            }
            if let fragment = try? TrickleFragment(parsing: text) {
                if (try? negotiator.receive(fragment: fragment)) != nil {
                    _ = negotiator.restartFragment(local: Self.local).description
                }
            }
        }
    }

    private static func checkAnswer(_ negotiator: Negotiator, _ session: NegotiatedSession, offer: String) {
        var labels: [String: SectionLabel] = [:]
        for section in session.sections where section.direction == .send {
            labels[section.mid] = SectionLabel(streamID: "PA_1", trackID: "TR_1", cname: "c")
        }
        do {
            let offered = try SessionDescription(parsing: offer)
            let answer = try SessionDescription(parsing: negotiator.answer(local: Self.local, labels: labels))
            require(answer.media.count == offered.media.count, "each m-line is answered (RFC 8829 §5.3.1)")
            for (own, media) in zip(answer.media, offered.media) {
                require(own.media == media.media && own.transport == media.transport, "m-lines keep their kind")
                require(own.formats.allSatisfy { media.formats.contains($0) }, "only offered formats are answered")
            }
        } catch {
            fatalError("the answer does not parse: \(error)")
        }
        require(negotiator.publications.count <= session.sections.count, "publications are sections")
    }
}
