import Basics
import ControlTestSupport
import Rooms
import Signalling
import Testing

/// How HTTP connections become WebSockets, at whichever request (RFC 9110 §7.8, RFC 6455 §4.2), and what slow requests
/// come to (ATTACKS A-70).
@Suite(.timeLimit(.minutes(2))) struct UpgradeTests {
    private static func get(_ path: String, _ lines: String...) -> String {
        (["GET \(path) HTTP/1.1", "Host: x"] + lines).map { $0 + "\r\n" }.joined() + "\r\n"
    }

    @Test(arguments: [[], ["/sluice.js"], ["/style.css", "/style.css", "/v1/ice-servers"]])
    func aConnectionThatWasInUseBecomesAWebSocket(requests: [String]) async throws {
        try await TestServer.run { server in
            try await WebSocketClient.open(port: server.port, after: requests) { client in
                #expect(client.handshake.status == 101)
                // The example of RFC 6455 §1.3.
                #expect(client.handshake.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
                #expect(client.handshake.headers["content-length"] == nil)
                #expect(client.handshake.headers["transfer-encoding"] == nil)
                _ = try await client.join(identity: "alice")
                try await client.send("leave")
                #expect(try await client.expectClose() == 1000)
            }
        }
    }

    @Test func anUpgradeBehindRequestsThatAreNotAnsweredYetWaitsForThem() async throws {
        try await TestServer.run { server in
            try await RawConnection.open(port: server.port) { connection, input in
                try await connection.send(
                    Self.get("/style.css") + Self.get("/none") + WebSocketClient.upgradeRequest()
                )
                #expect(try await HTTPReply.read(&input).status == 200)
                #expect(try await HTTPReply.read(&input).status == 404)
                let handshake = try await HTTPReply.read(&input)
                #expect(handshake.status == 101)
                var client = WebSocketClient(connection: connection, input: input, handshake: handshake)
                _ = try await client.join(identity: "alice")
            }
        }
    }

    @Test func otherProtocolsAreNotSpokenAndTheConnectionEndsWithTheAnswer() async throws {
        try await TestServer.run { server in
            let requests = [
                // What curl --http2 asks with.
                (Self.get("/style.css", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"), 200),
                (Self.get("/v1/signal", "Connection: Upgrade", "Upgrade: websocket"), 426),
                (WebSocketClient.upgradeRequest().replacing("Version: 13", with: "Version: 8"), 426),
                (WebSocketClient.upgradeRequest().replacing("Key: dGhl", with: "Key: "), 426),
                (WebSocketClient.upgradeRequest(path: "/other"), 404),
            ]
            for (request, status) in requests {
                try await RawConnection.open(port: server.port) { connection, input in
                    try await connection.send(Self.get("/style.css"))
                    #expect(try await HTTPReply.read(&input).headers["connection"] == nil)
                    try await connection.send(request)
                    let reply = try await HTTPReply.read(&input)
                    #expect(reply.status == status)
                    #expect(reply.headers["connection"] == "close")
                    await input.drain()
                }
            }
        }
    }

    enum Slowness: CaseIterable { case nothing, firstHeader, laterHeader, body }

    @Test(arguments: Slowness.allCases) func whatIsSlowIsNotWaitedFor(slowness: Slowness) async throws {
        let limits = SignallingLimits(
            joinsPerSecondPerAddress: 0,
            handshakeTimeout: .milliseconds(1_500),
            requestTimeout: .milliseconds(300)
        )
        try await TestServer.run(limits: limits) { server in
            try await RawConnection.open(port: server.port) { connection, input in
                switch slowness {
                case .nothing: break
                case .firstHeader: try await connection.send("GET /v1/signal HTTP/1.1\r\nHost: x\r\n")
                case .laterHeader:
                    try await connection.send(Self.get("/style.css"))
                    #expect(try await HTTPReply.read(&input).status == 200)
                    try await connection.send("GET /v1/signal HTTP/1.1\r\nHost: x\r\n")
                case .body:
                    try await connection.send(
                        "POST /whip/r HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\n"
                            + "Content-Length: 100\r\n\r\nv=0\r\n"
                    )
                }
                await input.drain()
            }
        }
    }

    /// Asks for more than all buffers between us hold, and reads nothing. Returns when the connection is gone.
    private static func askWithoutReading(
        port: Int,
        _ whenAsked: @escaping @Sendable () async -> Void = {}
    ) async throws {
        try await RawConnection.open(port: port) { connection, input in
            try await connection.send(Self.get("/style.css"))
            #expect(try await HTTPReply.read(&input).status == 200)
            try await connection.stopReading()
            do {
                try await connection.send(String(repeating: Self.get("/sluice.js"), count: 2_000))
                await whenAsked()
                // Of a connection that the other side has closed one learns by writing.
                while true {
                    try await connection.send("x")
                    try await Task.sleep(for: .milliseconds(20))
                }
            } catch is CancellationError { throw RawConnection.Failure.timeout } catch {}
        }
    }

    @Test func `a client that reads no answers is not waited for`() async throws {
        let limits = SignallingLimits(handshakeTimeout: .seconds(600), answerTimeout: .milliseconds(300))
        try await TestServer.run(limits: limits) { server in try await Self.askWithoutReading(port: server.port) }
    }

    @Test func `a client that reads no answers does not keep the server from stopping`() async throws {
        let limits = SignallingLimits(
            handshakeTimeout: .seconds(600),
            answerTimeout: .seconds(600),
            shutdownTimeout: .milliseconds(300)
        )
        try await TestServer.run(limits: limits) { server in
            try await Self.askWithoutReading(port: server.port) {
                // For the answers to be on their way; without it the test says less, and holds as well.
                try? await Task.sleep(for: .milliseconds(500))
                await server.stop()
            }
            await server.hasStopped()
        }
    }

    @Test func `who expects 100 before its body is told to go on, and answered once`() async throws {
        try await TestServer.run { server in
            try await RawConnection.open(port: server.port) { connection, input in
                try await connection.send(
                    "POST /whip/r/a HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\nContent-Length: 8\r\n"
                        + "Expect: 100-continue\r\n\r\n"
                )
                #expect(try await HTTPReply.read(&input, hasBody: false).status == 100)
                try await connection.send("nonsense")
                let answer = try await HTTPReply.read(&input)
                #expect((400..<500).contains(answer.status), "\(answer.status)")
                try await connection.send(Self.get("/style.css"))
                #expect(try await HTTPReply.read(&input).status == 200)
            }
        }
    }

    @Test func anIdleConnectionIsKept() async throws {
        let limits = SignallingLimits(joinsPerSecondPerAddress: 0, handshakeTimeout: .milliseconds(1_500))
        try await TestServer.run(limits: limits) { server in
            try await RawConnection.open(port: server.port) { connection, input in
                try await connection.send(Self.get("/style.css"))
                #expect(try await HTTPReply.read(&input).status == 200)
                try await Task.sleep(for: .milliseconds(2_000))
                try await connection.send(WebSocketClient.upgradeRequest())
                let handshake = try await HTTPReply.read(&input)
                #expect(handshake.status == 101)
                // Its own limits hold from here on, not those of a request.
                var client = WebSocketClient(connection: connection, input: input, handshake: handshake)
                try await Task.sleep(for: .milliseconds(2_000))
                _ = try await client.join(identity: "alice")
            }
        }
    }
}
