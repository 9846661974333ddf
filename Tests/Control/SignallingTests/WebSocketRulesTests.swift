import Basics
import ControlTestSupport
import Rooms
import Signalling
import Testing

/// RFC 6455 and ATTACKS A-70, A-71 against the listener.
@Suite(.timeLimit(.minutes(2))) struct WebSocketRulesTests {
    struct Violation: Sendable, CustomTestStringConvertible {
        let name: String
        let code: UInt16
        let bytes: [UInt8]
        var testDescription: String { self.name }

        init(_ name: String, _ code: UInt16, _ frames: [UInt8]...) {
            self.name = name
            self.code = code
            self.bytes = frames.flatMap { $0 }
        }
    }

    private typealias Client = WebSocketClient

    static let violations: [Violation] = [
        Violation("not masked", 1002, Client.frame(opcode: 1, Array("{}".utf8), isMasked: false)),
        Violation("a reserved bit", 1002, Client.frame(opcode: 1, Array("{}".utf8), reserved: 4)),
        Violation("a reserved opcode", 1002, Client.frame(opcode: 3, [])),
        Violation("a reserved control opcode", 1002, Client.frame(opcode: 11, [])),
        Violation("a long ping", 1002, Client.frame(opcode: 9, Array(repeating: 0, count: 126))),
        Violation("a fragmented ping", 1002, Client.frame(opcode: 9, [], isFinal: false)),
        Violation("a continuation of nothing", 1002, Client.frame(opcode: 0, [1])),
        Violation(
            "a message within a message",
            1002,
            Client.frame(opcode: 1, [0x7B], isFinal: false),
            Client.frame(opcode: 1, [0x7D])
        ),
        Violation("no UTF-8", 1007, Client.frame(opcode: 1, [0x22, 0xC3, 0x28, 0x22])),
        Violation(
            "no UTF-8 over two frames",
            1007,
            Client.frame(opcode: 1, [0xE2, 0x82], isFinal: false),
            Client.frame(opcode: 0, [0x22])
        ),
        Violation("too large a frame", 1009, Client.frame(opcode: 1, Array(repeating: 0x20, count: 65_537))),
        Violation(
            "too large a message",
            1009,
            Client.frame(opcode: 1, Array(repeating: 0x20, count: 40_000), isFinal: false),
            Client.frame(opcode: 0, Array(repeating: 0x20, count: 40_000))
        ),
        Violation("a close of one byte", 1002, Client.frame(opcode: 8, [3])),
        Violation("a close with a code of nobody", 1002, Client.frame(opcode: 8, [0x03, 0xED])),
        Violation("a close with no UTF-8", 1007, Client.frame(opcode: 8, [0x03, 0xE8, 0xFF])),
    ]

    @Test(arguments: violations) func whatBreaksTheProtocolIsClosed(violation: Violation) async throws {
        try await TestServer.run { server in
            try await WebSocketClient.open(port: server.port) { client in
                try await client.connection.send(violation.bytes)
                #expect(try await client.expectClose() == violation.code)
            }
        }
    }

    @Test func aBinaryFrameIsABadMessageAndTheConnectionStays() async throws {
        try await TestServer.run { server in
            try await WebSocketClient.open(port: server.port) { client in
                try await client.send(opcode: 2, [1, 2, 3])
                #expect(try await client.expect("error")["code"] == "badMessage")
                try await client.send(text: #"{"type":"join","payload":{"roomId":"r"},"id":1}"#)
                _ = try await client.expect("joined")
            }
        }
    }

    @Test func aMessageInPiecesIsOneMessageAndPingsMayComeBetween() async throws {
        try await TestServer.run { server in
            try await WebSocketClient.open(port: server.port) { client in
                let text = Array(#"{"type":"join","payload":{"roomId":"é"},"id":1}"#.utf8)
                try await client.send(opcode: 1, Array(text[..<34]), isFinal: false)
                try await client.send(opcode: 9, [1, 2, 3])
                try await client.send(opcode: 0, Array(text[34...]))
                #expect(try await client.receive() == .pong([1, 2, 3]))
                #expect(try await client.expect("joined")["roomId"] == "é")
            }
        }
    }

    @Test func oneByteFragmentsEnd() async throws {
        try await TestServer.run { server in
            try await WebSocketClient.open(port: server.port) { client in
                var bytes = WebSocketClient.frame(opcode: 1, [0x20], isFinal: false)
                for _ in 0..<300 { bytes += WebSocketClient.frame(opcode: 0, [0x20], isFinal: false) }
                try await client.connection.send(bytes)
                #expect(try await client.expectClose() == 1008)
            }
        }
    }

    @Test func theCloseOfTheClientIsAnswered() async throws {
        try await TestServer.run { server in
            try await WebSocketClient.open(port: server.port) { client in
                try await client.send(opcode: 8, [0x0F, 0xA0])
                #expect(try await client.expectClose() == 4000)
            }
        }
    }

    @Test func tenBadMessagesInARowEndTheConnection() async throws {
        try await TestServer.run { server in
            try await WebSocketClient.open(port: server.port) { client in
                for _ in 0..<9 { try await client.send(text: "{") }
                // A good one starts the count again.
                _ = try await client.join(identity: "alice")
                for _ in 0..<9 { try await client.send(text: "[]") }
                try await client.send("stats")
                _ = try await client.expect("stats")
                for _ in 0..<10 { try await client.send(text: "nonsense") }
                #expect(try await client.expectClose() == 1008)
            }
        }
    }

    @Test(arguments: [
        String(repeating: "[", count: 60_000), "{" + (0..<6_000).map { "\"k\($0)\":1" }.joined(separator: ",") + "}",
        #"{"type":"join","payload":{"roomId":"r"},"id":"# + String(repeating: "9", count: 60_000) + "}",
        #"{"type":"join","type":"leave","payload":{}}"#, #"{"type":"\ud800","payload":{}}"#,
        #"{"type":"join","payload":{"roomId":"\u0000"}}"#, #"{"type":"join","payload":[]}"#, #"{"type":1}"#, "null",
        #"{"type":"join","payload":{"roomId":""}}"#,
        #"{"type":"join","payload":{"roomId":"r","metadata":""# + String(repeating: "x", count: 5_000) + #""}}"#,
    ])
    func aMalformedMessageIsAnsweredAndTheConnectionStays(text: String) async throws {
        try await TestServer.run { server in
            try await WebSocketClient.open(port: server.port) { client in
                try await client.send(text: text)
                #expect(try await client.expect("error")["code"] == "badMessage")
                _ = try await client.join(identity: "alice")
            }
        }
    }

    @Test func tooManyMessagesAreRefusedAndThenEnded() async throws {
        try await TestServer.run { server in
            try await WebSocketClient.open(port: server.port) { client in
                _ = try await client.join(identity: "alice")
                let stats = WebSocketClient.frame(opcode: 1, Array(#"{"type":"stats","payload":{}}"#.utf8))
                try await client.connection.send(Array(repeating: stats, count: 150).flatMap { $0 })
                #expect(try await client.expect("error")["code"] == "rateLimited")
                try await client.connection.send(Array(repeating: stats, count: 2_000).flatMap { $0 })
                #expect(try await client.expectClose() == 1008)
            }
        }
    }

    @Test func aFloodOfPingsEnds() async throws {
        try await TestServer.run { server in
            try await WebSocketClient.open(port: server.port) { client in
                let pings = Array(repeating: WebSocketClient.frame(opcode: 9, []), count: 2_000).flatMap { $0 }
                try await client.connection.send(pings)
                #expect(try await client.expectClose() == 1008)
            }
        }
    }

    @Test func whoNeverJoinsIsClosed() async throws {
        let limits = SignallingLimits(joinsPerSecondPerAddress: 0, joinTimeout: .milliseconds(500))
        try await TestServer.run(limits: limits) { server in
            try await WebSocketClient.open(port: server.port) { client in
                let code = try await client.expectClose()
                #expect(code == 1008)
            }
        }
    }

    @Test func aClientThatDoesNotReadIsClosedAndOthersGoOn() async throws {
        let limits = SignallingLimits(
            joinsPerSecondPerAddress: 0,
            messagesPerSecond: 100_000,
            sendTimeout: .seconds(1),
            handshakeTimeout: .seconds(30)
        )
        try await TestServer.run(limits: limits) { server in
            try await WebSocketClient.open(port: server.port) { deaf in
                let id = try await deaf.join(identity: "deaf")["participantId"] ?? .null
                try await deaf.connection.stopReading()
                try await WebSocketClient.open(port: server.port) { talker in
                    _ = try await talker.join(identity: "talker")
                    let text = JSONValue.string(String(repeating: "x", count: 60_000))
                    let room = try #require(await server.directory.room(RoomID("r")))
                    // The server gives up on it: the participant waits for `resume`, its socket is closed. How much that
                    // takes depends on the kernel's buffers, and on how much is refused while the queue is half full.
                    let deafID = ParticipantID(id.stringValue ?? "")
                    for _ in 0..<500 where await room.isConnected(deafID) {
                        for _ in 0..<10 { try await talker.send("offer", ["to": id, "sdp": text]) }
                        try await Task.sleep(for: .milliseconds(20))
                    }
                    #expect(await room.isConnected(deafID) == false)
                    try await talker.send("stats")
                    _ = try await talker.expect("stats")
                }
            }
        }
    }

    @Test(arguments: [
        ["Sec-WebSocket-Protocol": "sluice.v1, other"], ["Sec-WebSocket-Protocol": "other"], [:],
    ])
    func anySubprotocolIsTaken(headers: [String: String]) async throws {
        try await TestServer.run { server in
            try await WebSocketClient.open(port: server.port, headers: headers) { client in
                #expect(client.handshake.status == 101)
                let wanted = headers.values.contains { $0.contains("sluice.v1") } ? "sluice.v1" : nil
                #expect(client.handshake.headers["sec-websocket-protocol"] == wanted)
                _ = try await client.join(identity: "alice")
            }
        }
    }

    @Test func aPlainGETIsToldToUpgrade() async throws {
        try await TestServer.run { server in
            let reply = try await HTTPReply.request("GET", "/v1/signal", port: server.port)
            #expect(reply.status == 426)
        }
    }
}
