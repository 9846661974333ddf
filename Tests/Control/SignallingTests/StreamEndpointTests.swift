import Basics
import ControlTestSupport
import MediaControl
import Negotiation
import Rooms
import Signalling
import Testing

/// WHIP (RFC 9725) and WHEP over real HTTP: the table of methods, and who may touch what (ATTACKS A-74).
@Suite(.timeLimit(.minutes(2))) struct StreamEndpointTests {
    private static let sdp = "application/sdp"
    private static let fragment = "application/trickle-ice-sdpfrag"

    private static func post(
        _ path: String,
        _ server: TestServer,
        offer: Offer,
        token: String? = nil
    ) async throws -> HTTPReply {
        var headers = ["Content-Type": Self.sdp]
        if let token { headers["Authorization"] = "Bearer \(token)" }
        return try await HTTPReply.request("POST", path, port: server.port, headers: headers, body: offer.sdp)
    }

    private static func trickle(_ usernameFragment: String = "abcd", _ password: String = "0123456789abcdef01234567")
        -> String
    {
        [
            "a=ice-ufrag:\(usernameFragment)", "a=ice-pwd:\(password)", "m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=mid:0",
            "a=candidate:1 1 UDP 2130706431 192.0.2.1 3478 typ host", "",
        ].joined(separator: "\r\n")
    }

    @Test func aSessionFromPostToDelete() async throws {
        let turn = ICEServer(urls: ["turn:example.com:3478"], username: "u", credential: "c")
        try await TestServer.run(iceServers: [turn]) { server in
            let created = try await Self.post(
                "/whip/my%20room/alice",
                server,
                offer: Offer().publishing("audio", "video")
            )
            #expect(created.status == 201)
            #expect(created.headers["content-type"] == Self.sdp)
            #expect(
                created.headers["link"]
                    == #"<turn:example.com:3478>; rel="ice-server"; username="u"; credential="c"; credential-type="password""#
            )
            let location = try #require(created.headers["location"])
            let tag = try #require(created.headers["etag"])
            #expect(created.body.hasPrefix("v=0\r\n"))
            let room = try #require(await server.directory.room(RoomID("my room")))
            #expect(await room.visibleParticipants.map(\.identity) == ["alice"])
            #expect(await room.visibleParticipants.first?.tracks.count == 2)

            let patches: [(name: String, headers: [String: String], body: String, status: Int)] = [
                ("no If-Match", ["Content-Type": Self.fragment], Self.trickle(), 428),
                ("a stale tag", ["Content-Type": Self.fragment, "If-Match": "\"old\""], Self.trickle(), 412),
                ("a wrong type", ["Content-Type": Self.sdp, "If-Match": tag], Self.trickle(), 415),
                ("no fragment", ["Content-Type": Self.fragment, "If-Match": tag], "nonsense", 400),
                ("a candidate", ["Content-Type": Self.fragment, "If-Match": tag], Self.trickle(), 204),
            ]
            for patch in patches {
                let reply = try await HTTPReply.request(
                    "PATCH",
                    location,
                    port: server.port,
                    headers: patch.headers,
                    body: patch.body
                )
                #expect(reply.status == patch.status, "\(patch.name)")
                if patch.status >= 400 { #expect(reply.headers["content-type"] == "application/problem+json") }
            }

            let restart = try await HTTPReply.request(
                "PATCH",
                location,
                port: server.port,
                headers: ["Content-Type": Self.fragment, "If-Match": "*"],
                body: Self.trickle("wxyz", "76543210fedcba9876543210")
            )
            #expect(restart.status == 200)
            #expect(restart.headers["content-type"] == Self.fragment)
            #expect(restart.headers["etag"] != nil && restart.headers["etag"] != tag)
            // As the example of RFC 9725 has it.
            let quoted = try await HTTPReply.request(
                "PATCH",
                location,
                port: server.port,
                headers: ["Content-Type": Self.fragment, "If-Match": "\"*\""],
                body: Self.trickle("wxyz", "76543210fedcba9876543210")
            )
            #expect(quoted.status < 300, "\(quoted.status)")
            let session = try #require(server.worker.sessions.first)
            let configuration = try #require(server.worker.configuration(of: session))
            #expect(restart.body.contains("a=ice-ufrag:\(configuration.localUsernameFragment)"))
            #expect(configuration.negotiated.transport.usernameFragment == "wxyz")
            #expect(!created.body.contains(configuration.localUsernameFragment))

            #expect(try await HTTPReply.request("DELETE", location, port: server.port).status == 200)
            #expect(try await HTTPReply.request("DELETE", location, port: server.port).status == 404)
            #expect(await room.participantCount == 0)
            #expect(server.worker.sessions.isEmpty)
        }
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let method: String
        let path: String
        var headers: [String: String] = ["Content-Type": "application/sdp"]
        var body: String? = Offer().publishing("audio").sdp
        let status: Int
        var expectedHeaders: [String: String] = [:]
        var testDescription: String { self.name }
    }

    static let cases: [Case] = [
        Case(
            name: "OPTIONS",
            method: "OPTIONS",
            path: "/whip/r",
            headers: [:],
            body: nil,
            status: 204,
            expectedHeaders: ["accept-post": "application/sdp"]
        ),
        Case(
            name: "OPTIONS WHEP",
            method: "OPTIONS",
            path: "/whep/r/alice",
            headers: [:],
            body: nil,
            status: 204,
            expectedHeaders: ["accept-post": "application/sdp"]
        ),
        Case(
            name: "OPTIONS of a session",
            method: "OPTIONS",
            path: "/v1/whip/x",
            headers: [:],
            body: nil,
            status: 204,
            expectedHeaders: ["accept-patch": "application/trickle-ice-sdpfrag"]
        ),
        Case(
            name: "GET",
            method: "GET",
            path: "/whip/r",
            body: nil,
            status: 405,
            expectedHeaders: ["allow": "POST, OPTIONS"]
        ),
        Case(name: "HEAD", method: "HEAD", path: "/whip/r", body: nil, status: 405),
        Case(name: "PUT", method: "PUT", path: "/whep/r", status: 405),
        Case(name: "DELETE of an endpoint", method: "DELETE", path: "/whip/r", body: nil, status: 405),
        Case(name: "PATCH of an endpoint", method: "PATCH", path: "/whip/r", status: 405),
        Case(
            name: "GET of a session",
            method: "GET",
            path: "/v1/whip/x",
            body: nil,
            status: 405,
            expectedHeaders: ["allow": "PATCH, DELETE, OPTIONS"]
        ),
        Case(name: "POST to a session", method: "POST", path: "/v1/whep/x", status: 405),
        Case(name: "DELETE of no session", method: "DELETE", path: "/v1/whip/x", body: nil, status: 404),
        Case(name: "PATCH of no session", method: "PATCH", path: "/v1/whip/x", status: 404),
        Case(
            name: "no type",
            method: "POST",
            path: "/whip/r",
            headers: [:],
            status: 415,
            expectedHeaders: ["accept-post": "application/sdp"]
        ),
        Case(
            name: "a wrong type",
            method: "POST",
            path: "/whip/r",
            headers: ["Content-Type": "text/plain"],
            status: 415
        ),
        Case(
            name: "a type with parameters",
            method: "POST",
            path: "/whip/r",
            headers: ["Content-Type": "Application/SDP; charset=utf-8"],
            status: 201
        ),
        Case(
            name: "not acceptable",
            method: "POST",
            path: "/whip/r",
            headers: ["Content-Type": "application/sdp", "Accept": "text/html"],
            status: 406
        ),
        Case(
            name: "acceptable",
            method: "POST",
            path: "/whip/r",
            headers: ["Content-Type": "application/sdp", "Accept": "text/html, */*;q=0.1"],
            status: 201
        ),
        Case(name: "no SDP", method: "POST", path: "/whip/r", body: "hello", status: 400),
        Case(name: "an empty body", method: "POST", path: "/whip/r", body: "", status: 400),
        Case(
            name: "too large a body",
            method: "POST",
            path: "/whip/r",
            body: String(repeating: "a=x\r\n", count: 20_000),
            status: 413
        ),
        Case(
            name: "no rtcp-mux",
            method: "POST",
            path: "/whip/r",
            body: Offer().publishing("audio").sdp.replacing("a=rtcp-mux\r\n", with: ""),
            status: 422
        ),
        Case(name: "a broken escape", method: "POST", path: "/whip/%zz", status: 400),
        Case(name: "a control character", method: "POST", path: "/whip/a%00b", status: 400),
        Case(name: "too long a room", method: "POST", path: "/whip/" + String(repeating: "r", count: 129), status: 400),
        Case(name: "no such path", method: "POST", path: "/whop/r", status: 404),
    ]

    @Test(arguments: cases) func methodsAndErrors(entry: Case) async throws {
        try await TestServer.run { server in
            let reply = try await HTTPReply.request(
                entry.method,
                entry.path,
                port: server.port,
                headers: entry.headers,
                body: entry.body
            )
            #expect(reply.status == entry.status)
            for (name, value) in entry.expectedHeaders { #expect(reply.headers[name] == value) }
            if entry.status >= 400 { #expect(reply.headers["content-type"] == "application/problem+json") }
            if entry.status != 201 { #expect(await server.directory.participantCount == 0) }
        }
    }

    @Test func aViewerIsSentThePublishersTracksNowAndLater() async throws {
        try await TestServer.run { server in
            _ = try await Self.post("/whip/r/other", server, offer: Offer().publishing("video"))
            let viewer = try await Self.post("/whep/r/star", server, offer: Offer().taking("audio", "video"))
            let anyone = try await Self.post("/whep/r", server, offer: Offer().taking("audio", "video"))
            #expect(viewer.status == 201 && anyone.status == 201)
            let room = try #require(await server.directory.room(RoomID("r")))
            #expect(await room.visibleParticipants.map(\.identity) == ["other"])
            #expect(await room.reports().filter { $0.kind == .whep }.map(\.bindings.count) == [0, 1])
            _ = try await Self.post("/whip/r/star", server, offer: Offer().publishing("audio", "video"))
            #expect(await room.reports().filter { $0.kind == .whep }.map(\.bindings.count) == [2, 2])
        }
    }

    @Test func publishingAgainWithOneIdentityReplaces() async throws {
        try await TestServer.run { server in
            let first = try await Self.post("/whip/r/alice", server, offer: Offer().publishing("audio"))
            let second = try await Self.post("/whip/r/alice", server, offer: Offer().publishing("audio"))
            #expect(
                try await HTTPReply.request("DELETE", first.headers["location"] ?? "", port: server.port).status == 200
            )
            #expect(
                try await HTTPReply.request("DELETE", second.headers["location"] ?? "", port: server.port).status == 200
            )
        }
    }

    @Test func everyMethodNeedsTheTokenThatOpenedTheSession() async throws {
        try await TestServer.run(needsTokens: true) { server in
            #expect(try await Self.post("/whip/r/alice", server, offer: Offer().publishing("audio")).status == 401)
            let alice = try await server.token()
            let created = try await Self.post(
                "/whip/r/someone-else",
                server,
                offer: Offer().publishing("audio"),
                token: alice
            )
            #expect(created.status == 201)
            let room = try #require(await server.directory.room(RoomID("r")))
            #expect(await room.visibleParticipants.map(\.identity) == ["alice"])

            let location = try #require(created.headers["location"])
            let strangers: [(String?, Int)] = [
                (nil, 401), ("nonsense", 401), (try await server.token(identity: "mallory"), 404),
                (try await server.token(room: "other"), 404), (try await server.token(key: "other"), 404),
                (try await server.token(room: "*"), 404),
            ]
            for (token, status) in strangers {
                for method in ["PATCH", "DELETE"] {
                    var headers = ["Content-Type": Self.fragment, "If-Match": "*"]
                    if let token { headers["Authorization"] = "Bearer \(token)" }
                    let reply = try await HTTPReply.request(
                        method,
                        location,
                        port: server.port,
                        headers: headers,
                        body: Self.trickle()
                    )
                    #expect(reply.status == status)
                    if status == 401 { #expect(reply.headers["www-authenticate"] == "Bearer") }
                }
            }
            // The other protocol's path does not reach it either.
            let owner = ["Authorization": "bearer \(alice)"]
            let otherPath = location.replacing("/whip/", with: "/whep/")
            #expect(try await HTTPReply.request("DELETE", otherPath, port: server.port, headers: owner).status == 404)
            #expect(try await HTTPReply.request("DELETE", location, port: server.port, headers: owner).status == 200)
        }
    }

    @Test func grantsAreChecked() async throws {
        try await TestServer.run(needsTokens: true) { server in
            let viewer = try await server.token(grants: Grants(publish: false))
            let publisher = try await server.token(identity: "bob", grants: Grants(subscribe: false))
            #expect(
                try await Self.post("/whip/r", server, offer: Offer().publishing("audio"), token: viewer).status == 403
            )
            #expect(try await Self.post("/whep/r", server, offer: Offer().taking("audio"), token: viewer).status == 201)
            #expect(
                try await Self.post("/whep/r", server, offer: Offer().taking("audio"), token: publisher).status == 403
            )
            #expect(
                try await Self.post("/whip/r", server, offer: Offer().publishing("audio"), token: publisher).status
                    == 201
            )
            #expect(
                try await Self.post("/whip/r2", server, offer: Offer().publishing("audio"), token: publisher).status
                    == 403
            )
        }
    }

    @Test func aServerThatDrainsSendsPublishersElsewhere() async throws {
        try await TestServer.run { server in
            await server.directory.drain(deadline: 0)
            let reply = try await Self.post("/whip/r", server, offer: Offer().publishing("audio"))
            #expect(reply.status == 503)
            #expect(reply.headers["retry-after"] != nil)
        }
    }

    @Test(
        arguments: [
            (origins: ["https://a.example"], origin: "https://a.example", allowed: "https://a.example"),
            (["https://a.example"], "https://b.example", nil),
            (["*"], "https://b.example", "*"),
            ([], "https://a.example", nil),
        ] as [([String], String, String?)]
    )
    func pagesOfOtherOriginsAreLetInWhereTheOperatorSaysSo(origins: [String], origin: String, allowed: String?)
        async throws
    {
        try await TestServer.run(corsOrigins: origins) { server in
            let preflight = try await HTTPReply.request(
                "OPTIONS",
                "/whip/r",
                port: server.port,
                headers: ["Origin": origin, "Access-Control-Request-Method": "POST"]
            )
            #expect(preflight.headers["access-control-allow-origin"] == allowed)
            #expect(
                (preflight.headers["access-control-allow-headers"]?.contains("If-Match") == true) == (allowed != nil)
            )
            let created = try await HTTPReply.request(
                "POST",
                "/whip/r",
                port: server.port,
                headers: ["Origin": origin, "Content-Type": Self.sdp],
                body: Offer().publishing("audio").sdp
            )
            #expect(created.headers["access-control-allow-origin"] == allowed)
            let exposed = created.headers["access-control-expose-headers"] ?? ""
            for name in ["Location", "ETag", "Link"] { #expect(exposed.contains(name) == (allowed != nil)) }
            #expect(created.headers["vary"] == "Origin")
        }
    }

    @Test func aPortInUseIsSaidSo() async throws {
        try await TestServer.run { server in
            let second = try SignallingServer(
                configuration: SignallingConfiguration(port: server.port),
                directory: server.directory,
                accessControl: AccessControl(tokens: server.tokens, allowsAnyone: true),
                logger: TestServer.logger
            )
            await #expect { try await second.run() } throws: { error in
                (error as? ListenError)?.port == server.port && (error as? ListenError)?.listener == "http"
            }
        }
    }
}
