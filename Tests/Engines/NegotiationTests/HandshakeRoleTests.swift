import Basics
import Negotiation
import SDP
import TestSupport
import Testing

/// Who begins the DTLS handshake (RFC 8842 §5.3; CONFORMANCE D-04).
@Suite struct HandshakeRoleTests {
    private static func offer(_ setup: String, _ more: String = "") -> String {
        let offer = Offer.make([("a", Offer.audio()), ("v", Offer.video())], setup: setup)
        return setup.isEmpty ? offer.replacing("a=setup:\r\n", with: more) : offer
    }

    @Test(arguments: [
        ("actpass", SDPAttribute.Setup.passive), ("active", .passive), ("passive", .active), ("", .passive),
    ])
    func `the server waits unless the client does`(offered: String, answered: SDPAttribute.Setup) throws {
        var server = Server()
        let session = try server.receive(Self.offer(offered))
        #expect(session.transport.isPassive == (answered == .active))
        #expect(try server.answer().media.map { $0.first(SDPAttribute.Setup.self) } == [answered, answered])
    }

    @Test func `the session's part says it for m-lines that do not`() throws {
        var server = Server()
        let offer = Self.offer("").replacing("t=0 0\r\n", with: "t=0 0\r\na=setup:passive\r\n")
        #expect(try server.receive(offer).transport.isPassive)
    }

    @Test func `the m-line that carries the bundle may be the only one that says it`() throws {
        var server = Server()
        let parts = Self.offer("passive").split(separator: "a=setup:passive\r\n")
        let offer = parts.dropLast().joined(separator: "a=setup:passive\r\n") + (parts.last ?? "")
        #expect(try server.receive(offer).transport.isPassive)
        #expect(try server.answer().media.map { $0.first(SDPAttribute.Setup.self) } == [.active, .active])
    }

    @Test(arguments: [("passive", "active"), ("active", "passive"), ("actpass", "passive")])
    func `later offers keep the roles, and those that turn them round are refused`(first: String, other: String) throws
    {
        var server = Server()
        let session = try server.receive(Self.offer(first))
        let before = try server.answer().media.map { $0.first(SDPAttribute.Setup.self) }
        for again in ["actpass", first] {
            #expect(try server.receive(Self.offer(again)) == session)
            #expect(try server.answer().media.map { $0.first(SDPAttribute.Setup.self) } == before)
        }
        let error = #expect(throws: NegotiationError.self) { try server.receive(Self.offer(other)) }
        #expect(error?.description.contains("a=setup") == true)
        #expect(server.negotiator.session == session)
    }

    @Test func `one association carries all m-lines, so they cannot have two beginnings`() throws {
        var server = Server()
        let parts = Self.offer("passive").split(separator: "a=setup:passive")
        let offer = parts.dropLast().joined(separator: "a=setup:passive") + "a=setup:active" + (parts.last ?? "")
        #expect(throws: NegotiationError.self) { try server.receive(offer) }
    }

    @Test func `a client that waits takes only a server that begins`() throws {
        var generator = SeededRandom(seed: 8)
        var client = ClientOffer(local: ClientOfferTests.local, using: &generator)
        client.setup = .passive
        _ = client.add(.audio, direction: .send, using: &generator)
        var server = Server()
        try server.receive(client.makeOffer())
        var answer = server.negotiator.answer(local: serverTransport, labels: [:])
        #expect(try !client.read(answer: answer).session.transport.isPassive)
        answer.replace("a=setup:active", with: "a=setup:passive")
        #expect(throws: NegotiationError.self) { try client.read(answer: answer) }
    }
}
