import Basics
import Negotiation
import RTP
import SDP
import TestSupport
import Testing

/// Which kind of congestion feedback an offer leads to.
struct CongestionFeedbackCase: Sendable, CustomTestStringConvertible {
    enum Outcome: Sendable { case byNumber, transportWide, neither }

    static let extensionLine = "extmap:5 \(HeaderExtension.transportSequenceNumber.uri)"
    static let bySSRC = "rtcp-fb:* ack ccfb"

    let testDescription: String
    let audio: [String]
    let video: [String]
    var audioPort = 9
    let outcome: Outcome

    static let all: [CongestionFeedbackCase] = [
        Self(
            testDescription: "both kinds on both m-lines: RFC 8888, as libwebrtc answers",
            audio: [bySSRC, extensionLine, "rtcp-fb:111 transport-cc"],
            video: [bySSRC, extensionLine, "rtcp-fb:96 transport-cc"],
            outcome: .byNumber
        ),
        Self(testDescription: "RFC 8888 alone", audio: [bySSRC], video: [bySSRC], outcome: .byNumber),
        Self(
            testDescription: "RFC 8888 on one of two m-lines of one transport",
            audio: [extensionLine, "rtcp-fb:111 transport-cc"],
            video: [bySSRC, extensionLine, "rtcp-fb:96 transport-cc"],
            outcome: .transportWide
        ),
        Self(
            testDescription: "an m-line that is stopped does not count",
            audio: [extensionLine],
            video: [bySSRC, extensionLine, "rtcp-fb:96 transport-cc"],
            audioPort: 0,
            outcome: .byNumber
        ),
        Self(
            testDescription: "RFC 8888 for single formats, which it does not have",
            audio: ["rtcp-fb:111 ack ccfb"],
            video: ["rtcp-fb:96 ack ccfb", extensionLine, "rtcp-fb:96 transport-cc"],
            outcome: .transportWide
        ),
        Self(testDescription: "another acknowledgement", audio: ["rtcp-fb:* ack"], video: [], outcome: .neither),
    ]
}

@Suite struct CongestionFeedbackTests {
    @Test(arguments: CongestionFeedbackCase.all)
    func `one kind of feedback is answered`(example: CongestionFeedbackCase) throws {
        var server = Server()
        let offer = Offer.make([
            ("a", Offer.audio("recvonly", port: example.audioPort, example.audio.map { "a=\($0)" })),
            ("v", Offer.video("recvonly", example.video.map { "a=\($0)" })),
        ])
        let session = try server.receive(offer)
        let answer = try server.answer()
        #expect(brokenRules(offer: try SessionDescription(parsing: offer), answer: answer) == [])
        let video = try #require(answer.media.last)
        let lines = video.all(SDPAttribute.RTCPFeedback.self).map { $0.attributeValue }
        #expect(lines.contains("* ack ccfb") == (example.outcome == .byNumber))
        #expect(lines.contains("96 transport-cc") == (example.outcome == .transportWide))
        #expect(session.sections.allSatisfy { $0.usesCongestionControlFeedback == (example.outcome == .byNumber) })
        // The numbers in the packets would be of no use.
        let hasNumbers = session.sections.contains { $0.extensions[.transportSequenceNumber] != 0 }
        #expect(hasNumbers == (example.outcome == .transportWide))
    }

    @Test func `the choice holds for the next offer, and goes when an m-line comes without it`() throws {
        var server = Server()
        let lines = [CongestionFeedbackCase.bySSRC, CongestionFeedbackCase.extensionLine].map { "a=\($0)" }
        let first = ("v", Offer.video("recvonly", lines))
        for _ in 0..<2 {
            let session = try server.receive(Offer.make([first]))
            #expect(session.sections.first?.usesCongestionControlFeedback == true)
        }
        let both = try server.receive(Offer.make([first, ("a", Offer.audio("recvonly"))]))
        #expect(both.sections.allSatisfy { !$0.usesCongestionControlFeedback })
        #expect(both.sections.first?.extensions[.transportSequenceNumber] == 5)
    }

    @Test(arguments: [false, true]) func `our own client offers it where it is told to, and reads the answer`(
        isOffered: Bool
    ) throws {
        var generator = SeededRandom(seed: 8_888)
        var client = ClientOffer(local: serverTransport, using: &generator)
        client.offersCongestionControlFeedback = isOffered
        _ = client.add(.audio, direction: .receive, using: &generator)
        _ = client.add(.video, direction: .send, using: &generator)
        var server = Server()
        try server.receive(client.makeOffer())
        let answer = try client.read(answer: server.negotiator.answer(local: serverTransport, labels: [:]))
        for section in answer.session.sections {
            #expect(section.usesCongestionControlFeedback == isOffered)
            #expect((section.extensions[.transportSequenceNumber] == 0) == isOffered)
            #expect(section.codecs.contains { $0.feedback.contains(.transportWide) } != isOffered)
        }
    }
}
