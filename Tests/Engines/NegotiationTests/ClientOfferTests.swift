import Basics
import Negotiation
import RTP
import SDP
import TestSupport
import Testing

@Suite struct ClientOfferTests {
    static let local = LocalTransport(
        usernameFragment: "clnt",
        password: Redacted("clientpasswordclientpass"),
        fingerprint: Fingerprint(hash: .sha256, digest: Array(32..<64)),
        candidates: [TransportAddress(ipv4: 0x7F00_0001, port: 4000)]
    )

    @Test func publisherAndServerAgree() throws {
        var generator = SeededRandom(seed: 1)
        var client = ClientOffer(local: Self.local, using: &generator)
        _ = client.add(.audio, direction: .send, using: &generator)
        _ = client.add(.video, direction: .send, rids: ["q", "h", "f"], using: &generator)
        let offer = client.makeOffer()
        var server = Server()
        let session = try server.receive(offer)
        let text = server.negotiator.answer(local: serverTransport, labels: [:])
        #expect(brokenRules(offer: try SessionDescription(parsing: offer), answer: try server.answer()) == [])
        let answer = try client.read(answer: text)
        #expect(answer.session.transport.usernameFragment == serverTransport.usernameFragment)
        #expect(answer.session.transport.fingerprints == [serverTransport.fingerprint])
        #expect(answer.candidates == serverTransport.candidates)
        #expect(answer.rejected.isEmpty)
        #expect(session.transport.fingerprints == [Self.local.fingerprint])
        #expect(answer.session.sections.map { $0.direction } == [.send, .send])
        #expect(answer.session.sections.map { $0.codecs } == session.sections.map { $0.codecs })
        #expect(answer.session.sections.map { $0.extensions } == session.sections.map { $0.extensions })
        #expect(answer.session.sections.last?.rids == ["q", "h", "f"])
        #expect(session.sections.first?.remoteSSRCs.first?.media == answer.session.sections.first?.localSSRC)
    }

    @Test func subscriberReadsTheServersSSRCsAndLabels() throws {
        var generator = SeededRandom(seed: 2)
        var client = ClientOffer(local: Self.local, using: &generator)
        let mid = client.add(.video, direction: .receive, codecs: [.vp8], using: &generator)
        var server = Server()
        let section = try #require(try server.receive(client.makeOffer()).sections.first)
        let label = SectionLabel(streamID: "PA_1", trackID: "TR_1", cname: "cname")
        let answer = try client.read(
            answer: server.negotiator.answer(local: serverTransport, labels: [mid: label])
        )
        #expect(
            answer.session.sections.first?.remoteSSRCs == [
                RemoteSSRC(media: section.localSSRC, retransmission: section.localRTXSSRC)
            ]
        )
        #expect(answer.labels == [mid: label])
    }

    @Test func `frames are described only where the client offers it`() throws {
        var generator = SeededRandom(seed: 4)
        for isOffered in [true, false] {
            var client = ClientOffer(local: Self.local, using: &generator)
            client.offersDependencyDescriptor = isOffered
            _ = client.add(.video, direction: .receive, using: &generator)
            var server = Server()
            let section = try #require(try server.receive(client.makeOffer()).sections.first)
            #expect((section.extensions[.dependencyDescriptor] != 0) == isOffered)
            #expect(section.extensions[.absoluteSendTime] != 0)
        }
    }

    @Test func stopsReusesAndHolds() throws {
        var generator = SeededRandom(seed: 3)
        var client = ClientOffer(local: Self.local, using: &generator)
        let audio = client.add(.audio, direction: .receive, using: &generator)
        let video = client.add(.video, direction: .receive, using: &generator)
        var server = Server()
        for _ in 0..<3 {
            try server.receive(client.makeOffer())
            let answer = try client.read(answer: server.negotiator.answer(local: serverTransport, labels: [:]))
            #expect(answer.session.sections.count == 2)
        }
        client.stop(video)
        client.setDirection(.inactive, of: audio)
        #expect(try server.receive(client.makeOffer()).sections.map { $0.direction } == [.inactive])
        let fresh = client.add(.audio, direction: .send, using: &generator)
        #expect(fresh == "2" && client.sections.count == 2)
        #expect(try server.receive(client.makeOffer()).sections.map { $0.mid } == [audio, fresh])
    }

    @Test func rejectedMLinesAreNamed() throws {
        var generator = SeededRandom(seed: 4)
        var client = ClientOffer(local: Self.local, using: &generator)
        _ = client.add(.audio, direction: .receive, using: &generator)
        let video = client.add(.video, direction: .receive, codecs: [.av1], using: &generator)
        var server = Server(codecs: [.opus, .vp8])
        try server.receive(client.makeOffer())
        let answer = try client.read(answer: server.negotiator.answer(local: serverTransport, labels: [:]))
        #expect(answer.rejected == [video])
    }

    @Test func anAnswerToAnotherOfferIsRefused() throws {
        var generator = SeededRandom(seed: 5)
        var client = ClientOffer(local: Self.local, using: &generator)
        _ = client.add(.audio, direction: .send, using: &generator)
        _ = client.makeOffer()
        #expect(throws: NegotiationError.self) {
            try client.read(answer: try Offer.named("chromium-answer-to-vp9-svc"))
        }
        #expect(throws: NegotiationError.self) { try client.read(answer: "v=0") }
    }

    @Test func `who can be the DTLS client only says so, and an answer that would be one too is none`() throws {
        var generator = SeededRandom(seed: 7)
        var client = ClientOffer(local: Self.local, using: &generator)
        #expect(client.setup == .actpass)
        client.setup = .active
        _ = client.add(.audio, direction: .send, using: &generator)
        let offer = client.makeOffer()
        #expect(offer.contains("a=setup:active\r\n") && !offer.contains("actpass"))
        var server = Server()
        try server.receive(offer)
        var answer = server.negotiator.answer(local: serverTransport, labels: [:])
        #expect(throws: Never.self) { try client.read(answer: answer) }
        answer.replace("a=setup:passive", with: "a=setup:active")
        let error = #expect(throws: NegotiationError.self) { try client.read(answer: answer) }
        #expect(error?.description.contains("a=setup:active") == true)
    }
}
