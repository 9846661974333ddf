import NIOCore
import NIOWebSocket

/// Puts messages together from frames and checks the rules of RFC 6455 that are the server's to check.
struct MessageAssembler {
    enum Output: Equatable {
        /// Part of a message that is not complete.
        case nothing
        /// A text message; valid UTF-8.
        case text([UInt8])
        case ping([UInt8])
        case pong
        /// The peer closes; `nil` when it gave no code.
        case close(code: UInt16?)
        /// The connection has to be closed with this code.
        case violation(code: UInt16, reason: String)
    }

    /// Frames that one message may be cut into.
    static let maxFragments = 256

    private let maxBytes: Int
    private var fragments: [UInt8] = []
    private var fragmentCount = 0
    private var isText = false

    init(maxBytes: Int) { self.maxBytes = maxBytes }

    mutating func receive(_ frame: WebSocketFrame) -> Output {
        // RFC 6455 §5.1: a server closes the connection upon receiving a frame that is not masked.
        guard frame.maskKey != nil else { return .violation(code: 1002, reason: "frame not masked") }
        guard !frame.rsv1, !frame.rsv2, !frame.rsv3 else { return .violation(code: 1002, reason: "reserved bit set") }
        let bytes = Array(frame.unmaskedData.readableBytesView)
        switch frame.opcode {
        case .text, .binary:
            guard self.fragmentCount == 0 else { return .violation(code: 1002, reason: "message within a message") }
            self.isText = frame.opcode == .text
            return self.append(bytes, isLast: frame.fin)
        case .continuation:
            guard self.fragmentCount > 0 else { return .violation(code: 1002, reason: "continuation of nothing") }
            return self.append(bytes, isLast: frame.fin)
        case .ping: return self.control(frame, .ping(bytes))
        case .pong: return self.control(frame, .pong)
        case .connectionClose: return self.control(frame, Self.close(bytes))
        default: return .violation(code: 1002, reason: "unknown opcode")
        }
    }

    private func control(_ frame: WebSocketFrame, _ output: Output) -> Output {
        guard frame.fin, frame.length <= 125 else { return .violation(code: 1002, reason: "bad control frame") }
        return output
    }

    private mutating func append(_ bytes: [UInt8], isLast: Bool) -> Output {
        self.fragmentCount += 1
        guard self.fragments.count + bytes.count <= self.maxBytes else {
            return .violation(code: 1009, reason: "message larger than \(self.maxBytes) bytes")
        }
        guard self.fragmentCount <= Self.maxFragments else {
            return .violation(code: 1008, reason: "too many fragments")
        }
        self.fragments += bytes
        guard isLast else { return .nothing }
        let message = self.fragments
        self.fragments = []
        self.fragmentCount = 0
        // A frame like any other that is no message: answered with `badMessage`, which an empty text is too.
        guard self.isText else { return .text([]) }
        guard String(validating: message, as: UTF8.self) != nil else {
            return .violation(code: 1007, reason: "not UTF-8")
        }
        return .text(message)
    }

    /// RFC 6455 §5.5.1 and §7.4.
    private static func close(_ payload: [UInt8]) -> Output {
        guard !payload.isEmpty else { return .close(code: nil) }
        guard payload.count >= 2 else { return .violation(code: 1002, reason: "bad close frame") }
        let code = UInt16(payload[0]) << 8 | UInt16(payload[1])
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: break
        default: return .violation(code: 1002, reason: "bad close code")
        }
        guard String(validating: payload[2...], as: UTF8.self) != nil else {
            return .violation(code: 1007, reason: "not UTF-8")
        }
        return .close(code: code)
    }
}
