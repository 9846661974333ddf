import Administration
import Basics
import ControlTestSupport
import Logging
import Rooms
import Testing

@Suite(.timeLimit(.minutes(2))) struct AdministrationTests {
    struct Server {
        let port: Int
        let directory: RoomDirectory
        let drain: DrainController
        static let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

        static func run(
            token: String? = nil,
            isOverloaded: Bool = false,
            _ body: @escaping @Sendable (Server) async throws -> Void
        ) async throws {
            let directory = RoomDirectory(workers: OneWorker(worker: RecordingWorker()), logger: Self.logger)
            let drain = DrainController(directory: directory, secondsSince1970: { 1_000 }, logger: Self.logger)
            let (ports, port) = AsyncStream<Int>.makeStream()
            let server = AdministrationServer(
                configuration: AdministrationConfiguration(port: 0, token: token.map { Redacted($0) }),
                directory: directory,
                drain: drain,
                metrics: { $0 == .openMetrics ? "open\n# EOF\n" : "plain\n" },
                isOverloaded: { isOverloaded },
                logger: Self.logger,
                onListening: { port.yield($0) }
            )
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run() }
                group.addTask {
                    for await number in ports {
                        try await body(Server(port: number, directory: directory, drain: drain))
                        return
                    }
                }
                try await group.next()
                group.cancelAll()
            }
        }

        func get(_ path: String, headers: [String: String] = [:]) async throws -> HTTPReply {
            try await HTTPReply.request("GET", path, port: self.port, headers: headers)
        }

        func json(_ path: String) async throws -> JSONValue { try JSONValue(parsing: try await self.get(path).body) }

        func publisher(_ identity: String = "alice") async throws -> JoinedRoom {
            let joined = try await self.directory.join(
                RoomID("my room"),
                JoinRequest(kind: .websocket, identity: identity)
            ) { _ in true }
            _ = try await joined.room.offer(Offer().publishing("audio", "video").sdp, from: joined.participant)
            return joined
        }
    }

    @Test(
        arguments: [
            (nil, "text/plain; version=0.0.4; charset=utf-8", "plain\n"),
            ("*/*", "text/plain; version=0.0.4; charset=utf-8", "plain\n"),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.4",
                "application/openmetrics-text; version=1.0.0; charset=utf-8", "open\n# EOF\n"
            ),
            (
                "application/openmetrics-text;q=0.1, text/plain;q=0.9", "text/plain; version=0.0.4; charset=utf-8",
                "plain\n"
            ),
        ] as [(String?, String, String)]
    )
    func metricsComeInTheFormatThatIsAskedFor(accept: String?, type: String, body: String) async throws {
        try await Server.run { server in
            let reply = try await server.get("/metrics", headers: accept.map { ["Accept": $0] } ?? [:])
            #expect(reply.status == 200)
            #expect(reply.headers["content-type"] == type)
            #expect(reply.body == body)
        }
    }

    @Test func drainingIsNotReadyAndStillHealthy() async throws {
        try await Server.run { server in
            #expect(try await server.get("/healthz").status == 200)
            #expect(try await server.get("/readyz").status == 200)
            let reply = try await HTTPReply.request("POST", "/v1/drain", port: server.port)
            #expect(reply.status == 202)
            #expect(try JSONValue(parsing: reply.body) == ["deadline": "1970-01-01T00:17:10Z"])
            #expect(try await server.get("/readyz").status == 503)
            #expect(try await server.get("/healthz").status == 200)
            await #expect(throws: RoomError.self) { try await server.publisher() }
        }
    }

    @Test func aMethodThatAResourceDoesNotHaveIsSaidToBeSo() async throws {
        try await Server.run { server in
            let cases = [
                ("POST", "/v1/rooms", 405, "GET, HEAD"), ("POST", "/v1/rooms/r", 405, "GET, HEAD, PUT, DELETE"),
                ("GET", "/v1/rooms/r/participants/p/mute", 405, "POST"), ("GET", "/v1/drain", 405, "POST"),
                ("DELETE", "/metrics", 405, "GET, HEAD"), ("POST", "/healthz", 405, "GET, HEAD"),
                ("PATCH", "/v1/workers", 405, "GET, HEAD"), ("GET", "/v1/nothing", 404, nil),
                ("HEAD", "/healthz", 200, nil),
            ]
            for (method, path, status, allow) in cases {
                let reply = try await HTTPReply.request(method, path, port: server.port)
                #expect(reply.status == status, "\(method) \(path)")
                #expect(reply.headers["allow"] == allow, "\(method) \(path)")
            }
        }
        try await Server.run(token: "secret") { server in
            // Who may not ask learns nothing.
            let reply = try await HTTPReply.request("POST", "/v1/rooms", port: server.port)
            #expect(reply.status == 401)
        }
    }

    @Test func aRoomCanBeMadeAndConfigured() async throws {
        try await Server.run { server in
            let put: @Sendable (String, String?) async throws -> Int = { path, body in
                try await HTTPReply.request("PUT", path, port: server.port, body: body).status
            }
            let made = try await put("/v1/rooms/my%20room", #"{"lastN":2}"#)
            #expect(made == 201)
            #expect(try await server.json("/v1/rooms/my%20room")["lastN"] == 2)
            let kept = try await put("/v1/rooms/my%20room", "{}")
            #expect(kept == 204)
            #expect(try await server.json("/v1/rooms/my%20room")["lastN"] == 2)
            let all = try await put("/v1/rooms/my%20room", #"{"lastN":-1}"#)
            #expect(all == 204)
            #expect(try await server.json("/v1/rooms/my%20room")["lastN"] == -1)
            for body in [#"{"lastN":-2}"#, #"{"lastN":"2"}"#, #"{"lastN":1001}"#, "{"] {
                let refused = try await put("/v1/rooms/my%20room", body)
                #expect(refused == 400, "\(body)")
            }
            let control = try await put("/v1/rooms/a%00b", "{}")
            #expect(control == 400)
            let large = try await put("/v1/rooms/my%20room", "{" + String(repeating: " ", count: 5_000) + "}")
            #expect(large == 413)
            await server.drain.drainInBackground()
            let late = try await put("/v1/rooms/another", "{}")
            #expect(late == 503)
        }
    }

    @Test func anOverloadedServerIsNotReady() async throws {
        try await Server.run(isOverloaded: true) { server in
            let reply = try await server.get("/readyz")
            #expect(reply.status == 503)
        }
    }

    @Test func theTokenGuardsWhatNamesPeople() async throws {
        try await Server.run(token: "secret") { server in
            let isRefused: @Sendable (String, String, String?) async throws -> Bool = { method, path, authorization in
                let headers = authorization.map { ["Authorization": $0] } ?? [:]
                let reply = try await HTTPReply.request(method, path, port: server.port, headers: headers)
                return reply.status == 401
            }
            for path in ["/v1/rooms", "/v1/rooms/r", "/v1/workers"] {
                for authorization in [nil, "Bearer secre", "Basic secret", "secret", "Bearer "] {
                    let refused = try await isRefused("GET", path, authorization)
                    #expect(refused)
                }
            }
            let refusals = [
                try await isRefused("POST", "/v1/drain", nil), try await isRefused("DELETE", "/v1/rooms/r", nil),
                try await isRefused("GET", "/v1/rooms", "bearer secret"), try await isRefused("GET", "/metrics", nil),
            ]
            #expect(refusals == [true, true, false, false])
            #expect(!server.drain.isDraining)
        }
    }

    @Test func roomsAndParticipantsCanBeSeenMutedAndEnded() async throws {
        try await Server.run { server in
            #expect(try await server.json("/v1/rooms") == ["rooms": []])
            let alice = try await server.publisher()
            let bob = try await server.publisher("bob")
            let room = try #require(try await server.json("/v1/rooms")["rooms"]?.arrayValue?.first)
            #expect(room["id"] == "my room" && room["participants"] == 2 && room["tracks"] == 4 && room["worker"] == 0)
            let participants = try await server.json("/v1/rooms/my%20room")["participants"]?.arrayValue
            #expect(participants?.map { $0["identity"] ?? .null } == ["alice", "bob"])
            #expect(try await server.json("/v1/workers")["workers"]?.arrayValue?.first?["rooms"] == 1)

            let path = "/v1/rooms/my%20room/participants/\(alice.participant.value)"
            let participant = try await server.json(path)
            #expect(participant["kind"] == "websocket")
            #expect(participant["stats"]?["transport"]?["packetsReceived"] == 0)
            #expect(
                try await server.json("/v1/rooms/my%20room/participants/alice")["id"]?.stringValue
                    == alice.participant.value
            )
            let sdp = try await server.json(path + "/sdp")
            #expect(sdp["offer"]?.stringValue?.contains("a=ice-pwd:[redacted]") == true)
            #expect(sdp["answer"]?.stringValue?.contains("a=ice-pwd:[redacted]") == true)

            let tracks = await alice.room.visibleParticipants[0].tracks.map(\.id.value)
            let mutes: [(body: String?, status: Int)] = [
                (#"{"trackId":"TR_none"}"#, 404), ("{", 400), (#"{"muted":1}"#, 400),
                ("{\"trackId\":\"\(tracks[0])\",\"muted\":true}", 204),
            ]
            for mute in mutes {
                let reply = try await HTTPReply.request("POST", path + "/mute", port: server.port, body: mute.body)
                #expect(reply.status == mute.status)
            }
            #expect(await alice.room.visibleParticipants[0].tracks.map(\.muted) == [true, false])
            #expect(try await HTTPReply.request("POST", path + "/mute", port: server.port).status == 204)
            #expect(await alice.room.visibleParticipants[0].tracks.map(\.muted) == [true, true])

            #expect(try await HTTPReply.request("DELETE", path, port: server.port).status == 204)
            #expect(try await HTTPReply.request("DELETE", path, port: server.port).status == 404)
            #expect(await bob.room.visibleParticipants.map(\.identity) == ["bob"])
            #expect(try await HTTPReply.request("DELETE", "/v1/rooms/my%20room", port: server.port).status == 204)
            #expect(try await HTTPReply.request("DELETE", "/v1/rooms/my%20room", port: server.port).status == 404)
            #expect(try await server.get("/v1/rooms/my%20room").status == 404)
        }
    }

    @Test func drainingEndsWhenEverybodyHasGone() async throws {
        let directory = RoomDirectory(workers: OneWorker(worker: RecordingWorker()), logger: Server.logger)
        let joined = try await directory.join(RoomID("r"), JoinRequest(kind: .websocket, identity: "alice")) { _ in true
        }
        let drain = DrainController(
            directory: directory,
            timeout: .seconds(20),
            secondsSince1970: { 0 },
            logger: Server.logger
        )
        async let isEmpty = drain.drain()
        await joined.room.leave(joined.participant)
        #expect(await isEmpty)
        #expect(drain.isDraining)
    }

    @Test func drainingEndsWhenItsTimeIsOver() async throws {
        let directory = RoomDirectory(workers: OneWorker(worker: RecordingWorker()), logger: Server.logger)
        _ = try await directory.join(RoomID("r"), JoinRequest(kind: .websocket, identity: "alice")) { _ in true }
        let drain = DrainController(
            directory: directory,
            timeout: .zero,
            secondsSince1970: { 0 },
            logger: Server.logger
        )
        #expect(await !drain.drain())
    }

    @Test func `a drain that nobody waits for ends the rooms all the same, and at the time that was told`() async throws
    {
        let directory = RoomDirectory(workers: OneWorker(worker: RecordingWorker()), logger: Server.logger)
        _ = try await directory.join(RoomID("r"), JoinRequest(kind: .websocket, identity: "alice")) { _ in true }
        let drain = DrainController(
            directory: directory,
            timeout: .zero,
            secondsSince1970: { 100 },
            logger: Server.logger
        )
        #expect(await drain.drainInBackground() == 100)
        // A stop that comes later does not wait anew.
        _ = await drain.drain()
        for _ in 0..<500 where await !directory.all.isEmpty { try await Task.sleep(for: .milliseconds(10)) }
        #expect(await directory.all.isEmpty)
    }

    @Test func aPortInUseIsSaidSo() async throws {
        try await Server.run { server in
            let second = AdministrationServer(
                configuration: AdministrationConfiguration(port: server.port),
                directory: server.directory,
                drain: server.drain,
                metrics: { _ in "" },
                logger: Server.logger
            )
            await #expect { try await second.run() } throws: { ($0 as? ListenError)?.listener == "admin" }
        }
    }
}
