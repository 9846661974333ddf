extension SDPAttribute {
    /// `a=rid:h send pt=96;max-width=640` (RFC 8851 §4).
    package struct RID: SDPAttributeValue {
        /// `send` and `recv` are from the writer's point of view.
        package enum Direction: String, Sendable, Hashable { case send, receive = "recv" }

        package struct Restriction: Sendable, Hashable {
            package var key: String
            package var value: String?

            package init(key: String, value: String?) {
                self.key = key
                self.value = value
            }

            /// The restrictions of RFC 8851 §5; a line with any other is skipped.
            package var isKnown: Bool {
                switch self.key {
                case "max-width", "max-height", "max-fps", "max-fs", "max-br", "max-pps", "max-bpp", "depend": true
                default: false
                }
            }
        }

        package static let attributeName = "rid"
        package var id: String
        package var direction: Direction
        /// Empty when the stream may use every format of the m-line.
        package var payloadTypes: [UInt8]
        package var restrictions: [Restriction]

        package init(
            id: String,
            direction: Direction,
            payloadTypes: [UInt8] = [],
            restrictions: [Restriction] = []
        ) {
            self.id = id
            self.direction = direction
            self.payloadTypes = payloadTypes
            self.restrictions = restrictions
        }

        package init?(attributeValue: Substring) {
            let parts = attributeValue.split(at: UInt8(ascii: " "))
            guard parts.count == 2 || parts.count == 3, parts[0].isRIDSyntax,
                let direction = Direction(rawValue: String(parts[1]))
            else { return nil }
            self.init(id: String(parts[0]), direction: direction)
            guard parts.count == 3 else { return }
            for part in parts[2].split(at: UInt8(ascii: ";")) {
                let (key, value) = part.cut(at: UInt8(ascii: "=")).map { ($0, Optional($1)) } ?? (part, nil)
                guard key.isToken else { return nil }
                if key == "pt" {
                    for format in (value ?? "").split(at: UInt8(ascii: ",")) {
                        guard let payloadType = format.decimal(UInt8.self, upTo: 127) else { return nil }
                        self.payloadTypes.append(payloadType)
                    }
                    guard !self.payloadTypes.isEmpty else { return nil }
                } else {
                    self.restrictions.append(Restriction(key: String(key), value: value.map { String($0) }))
                }
            }
        }

        package var attributeValue: String {
            var parameters = self.restrictions.map { $0.key + ($0.value.map { "=\($0)" } ?? "") }
            if !self.payloadTypes.isEmpty {
                parameters.insert("pt=" + self.payloadTypes.map { String($0) }.joined(separator: ","), at: 0)
            }
            let suffix = parameters.isEmpty ? "" : " " + parameters.joined(separator: ";")
            return "\(self.id) \(self.direction.rawValue)\(suffix)"
        }
    }

    /// `a=simulcast:send 1;~2,3 recv 4` (RFC 8853 §5.1).
    package struct Simulcast: SDPAttributeValue {
        package struct Alternative: Sendable, Hashable {
            package var rid: String
            /// Written with `~`: negotiated, but not sent for now.
            package var isPaused: Bool

            package init(rid: String, isPaused: Bool = false) {
                self.rid = rid
                self.isPaused = isPaused
            }
        }

        package static let attributeName = "simulcast"
        /// One element per simulcast stream, each the formats among which the sender may choose, best first.
        package var send: [[Alternative]]
        package var receive: [[Alternative]]

        package init(send: [[Alternative]] = [], receive: [[Alternative]] = []) {
            self.send = send
            self.receive = receive
        }

        package init?(attributeValue: Substring) {
            let parts = attributeValue.split(at: UInt8(ascii: " "))
            guard parts.count == 2 || parts.count == 4 else { return nil }
            self.init()
            for index in stride(from: 0, to: parts.count, by: 2) {
                guard let streams = Self.streams(parts[index + 1]) else { return nil }
                switch parts[index] {
                case "send" where self.send.isEmpty: self.send = streams
                case "recv" where self.receive.isEmpty: self.receive = streams
                default: return nil
                }
            }
        }

        private static func streams(_ text: Substring) -> [[Alternative]]? {
            var streams: [[Alternative]] = []
            for stream in text.split(at: UInt8(ascii: ";")) {
                var alternatives: [Alternative] = []
                for item in stream.split(at: UInt8(ascii: ",")) {
                    let isPaused = item.utf8.first == UInt8(ascii: "~")
                    let rid = isPaused ? Substring(item.utf8.dropFirst()) : item
                    guard rid.isRIDSyntax else { return nil }
                    alternatives.append(Alternative(rid: String(rid), isPaused: isPaused))
                }
                guard !alternatives.isEmpty else { return nil }
                streams.append(alternatives)
            }
            return streams.isEmpty ? nil : streams
        }

        package var attributeValue: String {
            var parts: [String] = []
            for (name, streams) in [("send", self.send), ("recv", self.receive)] where !streams.isEmpty {
                let list = streams.map { stream in
                    stream.map { ($0.isPaused ? "~" : "") + $0.rid }.joined(separator: ",")
                }
                parts.append("\(name) \(list.joined(separator: ";"))")
            }
            return parts.joined(separator: " ")
        }
    }
}

extension Substring {
    /// `rid-id` of RFC 8851 §10.
    fileprivate var isRIDSyntax: Bool {
        !self.isEmpty
            && self.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x5F: true
                default: false
                }
            }
    }
}
