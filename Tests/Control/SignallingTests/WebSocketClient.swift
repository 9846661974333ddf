import ControlTestSupport
import Rooms

/// A WebSocket client made by hand, so that it can also do what no client should.
struct WebSocketClient {
    enum Received: Equatable {
        case text(JSONValue)
        case ping
        case pong([UInt8])
        case close(UInt16)
        /// The connection ended without a close frame.
        case end
    }

    let connection: RawConnection
    var input: RawConnection.Input
    private(set) var handshake: HTTPReply

    static func open<T: Sendable>(
        port: Int,
        path: String = "/v1/signal",
        headers: [String: String] = ["Sec-WebSocket-Protocol": "sluice.v1"],
        after requests: [String] = [],
        _ body: @escaping @Sendable (inout WebSocketClient) async throws -> T
    ) async throws -> T {
        try await RawConnection.open(port: port) { connection, input in
            for request in requests {
                try await connection.send("GET \(request) HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                let reply = try await HTTPReply.read(&input)
                guard reply.status == 200 else { throw RawConnection.Failure.unexpected("\(reply.status)") }
            }
            try await connection.send(Self.upgradeRequest(path: path, headers: headers))
            let handshake = try await HTTPReply.read(&input)
            var client = WebSocketClient(connection: connection, input: input, handshake: handshake)
            return try await body(&client)
        }
    }

    static func upgradeRequest(path: String = "/v1/signal", headers: [String: String] = [:]) -> String {
        var lines = [
            "GET \(path) HTTP/1.1", "Host: 127.0.0.1", "Upgrade: websocket", "Connection: keep-alive, Upgrade",
            "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ]
        lines += headers.map { "\($0.key): \($0.value)" }
        return lines.map { $0 + "\r\n" }.joined() + "\r\n"
    }

    init(connection: RawConnection, input: RawConnection.Input, handshake: HTTPReply) {
        self.connection = connection
        self.input = input
        self.handshake = handshake
    }

    // MARK: Sending

    func send(_ type: String, _ payload: JSONValue = [:], id: Int64? = nil) async throws {
        var frame: [String: JSONValue] = ["type": .string(type), "payload": payload]
        if let id { frame["id"] = .integer(id) }
        try await self.send(text: JSONValue.object(frame).text)
    }

    func send(text: String) async throws { try await self.send(opcode: 1, Array(text.utf8)) }

    func send(opcode: UInt8, _ payload: [UInt8], isFinal: Bool = true, isMasked: Bool = true, reserved: UInt8 = 0)
        async throws
    {
        try await self.connection.send(
            Self.frame(opcode: opcode, payload, isFinal: isFinal, isMasked: isMasked, reserved: reserved)
        )
    }

    static func frame(
        opcode: UInt8,
        _ payload: [UInt8],
        isFinal: Bool = true,
        isMasked: Bool = true,
        reserved: UInt8 = 0
    ) -> [UInt8] {
        var frame: [UInt8] = [(isFinal ? 0x80 : 0) | reserved << 4 | opcode]
        let mask: UInt8 = isMasked ? 0x80 : 0
        switch payload.count {
        case 0..<126: frame.append(mask | UInt8(payload.count))
        case 126..<65_536:
            frame += [mask | 126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
        default:
            frame.append(mask | 127)
            frame += (0..<8).reversed().map { UInt8(truncatingIfNeeded: payload.count >> ($0 * 8)) }
        }
        let key: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]
        if isMasked { frame += key }
        frame += payload.enumerated().map { isMasked ? $0.element ^ key[$0.offset % 4] : $0.element }
        return frame
    }

    // MARK: Receiving

    mutating func receive() async throws -> Received {
        guard let first = try? await self.input.take(2) else { return .end }
        let short = Int(first[1] & 0x7F)
        let extended = try await self.input.take(short == 126 ? 2 : short == 127 ? 8 : 0)
        let length = short < 126 ? short : extended.reduce(0) { $0 << 8 | Int($1) }
        let payload = try await self.input.take(length)
        switch first[0] & 0x0F {
        case 1: return .text(try JSONValue(parsing: payload, limits: .init(bytes: 1_000_000)))
        case 8: return .close(payload.count >= 2 ? UInt16(payload[0]) << 8 | UInt16(payload[1]) : 1005)
        case 9: return .ping
        case 10: return .pong(payload)
        default: throw RawConnection.Failure.unexpected("opcode \(first[0] & 0x0F)")
        }
    }

    /// The payload of the next message of this type; others are passed over.
    mutating func expect(_ type: String) async throws -> JSONValue {
        while true {
            switch try await self.receive() {
            case .text(let frame) where frame["type"]?.stringValue == type: return frame["payload"] ?? .null
            case .text, .ping, .pong: continue
            case .close(let code): throw RawConnection.Failure.unexpected("closed with \(code), waiting for \(type)")
            case .end: throw RawConnection.Failure.closed
            }
        }
    }

    /// The code that the connection is closed with; 1006 when there was none.
    mutating func expectClose() async throws -> UInt16 {
        while true {
            switch try await self.receive() {
            case .text, .ping, .pong: continue
            case .close(let code): return code
            case .end: return 1006
            }
        }
    }

    mutating func join(_ room: String = "r", identity: String, token: String? = nil) async throws -> JSONValue {
        var payload: [String: JSONValue] = ["roomId": .string(room), "identity": .string(identity)]
        if let token { payload["token"] = .string(token) }
        try await self.send("join", .object(payload), id: 1)
        return try await self.expect("joined")
    }
}
