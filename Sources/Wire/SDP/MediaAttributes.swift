extension SDPAttribute {
    /// Which way media may go, from the writer's point of view (RFC 8866 §6.7).
    package enum Direction: String, Sendable, Hashable, CaseIterable {
        case sendReceive = "sendrecv"
        case sendOnly = "sendonly"
        case receiveOnly = "recvonly"
        case inactive

        package var sends: Bool { self == .sendReceive || self == .sendOnly }
        package var receives: Bool { self == .sendReceive || self == .receiveOnly }
        /// The same from the other side.
        package var reversed: Self {
            switch self {
            case .sendOnly: .receiveOnly
            case .receiveOnly: .sendOnly
            case .sendReceive, .inactive: self
            }
        }
    }

    /// `a=rtpmap:111 opus/48000/2` (RFC 8866 §6.6).
    package struct RTPMap: SDPAttributeValue {
        package static let attributeName = "rtpmap"
        package var payloadType: UInt8
        /// Compared without regard to case: GStreamer writes `OPUS`.
        package var encoding: String
        /// 1 or more.
        package var clockRate: UInt32
        /// `nil` when not written, which means 1 for audio.
        package var channels: UInt8?

        package init(payloadType: UInt8, encoding: String, clockRate: UInt32, channels: UInt8? = nil) {
            self.payloadType = payloadType
            self.encoding = encoding
            self.clockRate = clockRate
            self.channels = channels
        }

        package init?(attributeValue: Substring) {
            let parts = attributeValue.split(at: UInt8(ascii: " "))
            guard parts.count == 2, let payloadType = parts[0].decimal(UInt8.self, upTo: 127) else { return nil }
            let encoding = parts[1].split(at: UInt8(ascii: "/"))
            guard encoding.count == 2 || encoding.count == 3, encoding[0].isToken,
                let clockRate = encoding[1].decimal(UInt32.self), clockRate > 0
            else { return nil }
            var channels: UInt8?
            if encoding.count == 3 {
                guard let count = encoding[2].decimal(UInt8.self) else { return nil }
                channels = count
            }
            self.init(
                payloadType: payloadType,
                encoding: String(encoding[0]),
                clockRate: clockRate,
                channels: channels
            )
        }

        package var attributeValue: String {
            "\(self.payloadType) \(self.encoding)/\(self.clockRate)" + (self.channels.map { "/\($0)" } ?? "")
        }
    }

    /// `a=fmtp:96 key=value;key=value` (RFC 8866 §6.15).
    package struct FormatParameters: SDPAttributeValue {
        package static let attributeName = "fmtp"
        package var payloadType: UInt8
        package var text: String

        package init(payloadType: UInt8, text: String) {
            self.payloadType = payloadType
            self.text = text
        }

        package init?(attributeValue: Substring) {
            let parts = attributeValue.split(at: UInt8(ascii: " "), maxSplits: 1)
            guard let payloadType = parts.first?.decimal(UInt8.self, upTo: 127) else { return nil }
            self.init(payloadType: payloadType, text: parts.count == 2 ? String(parts[1]) : "")
        }

        package var attributeValue: String { "\(self.payloadType) \(self.text)" }

        /// Of longer texts the rest is passed over: codecs have a dozen parameters, the longest are parameter sets.
        private static let longestText = 4_096

        /// The parameters in order, keys in lower case; the value is empty for one without `=`.
        package static func pairs(of text: String) -> [(key: String, value: String)] {
            Substring(text.utf8.prefix(self.longestText)).split(at: UInt8(ascii: ";")).compactMap { part in
                let trimmed = Substring(part.utf8.drop { $0 == 0x20 || $0 == 0x09 })
                guard !trimmed.isEmpty else { return nil }
                guard let (key, value) = trimmed.cut(at: UInt8(ascii: "=")) else {
                    return (trimmed.lowercased(), "")
                }
                return (key.lowercased(), String(value.split(at: 0x20).first ?? ""))
            }
        }
    }

    /// `a=rtcp-fb:96 nack pli` (RFC 4585 §4.2).
    package struct RTCPFeedback: SDPAttributeValue {
        package static let attributeName = "rtcp-fb"
        /// `nil` stands for `*`, all formats of the m-line.
        package var payloadType: UInt8?
        /// In lower case, single blanks: `nack pli`.
        package var kind: String

        package init(payloadType: UInt8?, kind: String) {
            self.payloadType = payloadType
            self.kind = kind
        }

        package init?(attributeValue: Substring) {
            let parts = attributeValue.split(at: UInt8(ascii: " "))
            guard parts.count >= 2 else { return nil }
            if parts[0] == "*" {
                self.payloadType = nil
            } else {
                guard let payloadType = parts[0].decimal(UInt8.self, upTo: 127) else { return nil }
                self.payloadType = payloadType
            }
            self.kind = parts[1...].joined(separator: " ").lowercased()
        }

        package var attributeValue: String { "\(self.payloadType.map { String($0) } ?? "*") \(self.kind)" }

        /// `a=rtcp-fb:* ack ccfb` (RFC 8888 §6): there is none for a single format.
        package static let congestionControlFeedback = Self(payloadType: nil, kind: "ack ccfb")
    }

    /// `a=extmap:8/sendonly URI attributes` (RFC 8285 §8).
    package struct ExtensionMapping: SDPAttributeValue {
        package static let attributeName = "extmap"
        /// 1 and up; only ids to 255 can stand in a packet.
        package var id: UInt16
        package var direction: Direction?
        package var uri: String
        /// What follows the URI.
        package var parameters: String

        package init(id: UInt16, direction: Direction? = nil, uri: String, parameters: String = "") {
            self.id = id
            self.direction = direction
            self.uri = uri
            self.parameters = parameters
        }

        package init?(attributeValue: Substring) {
            let parts = attributeValue.split(at: UInt8(ascii: " "), maxSplits: 2)
            guard parts.count >= 2 else { return nil }
            var idText = parts[0]
            if let (head, tail) = parts[0].cut(at: UInt8(ascii: "/")) {
                guard let direction = Direction(rawValue: String(tail)) else { return nil }
                idText = head
                self.direction = direction
            } else {
                self.direction = nil
            }
            guard let id = idText.decimal(UInt16.self), id > 0 else { return nil }
            self.id = id
            self.uri = String(parts[1])
            self.parameters = parts.count == 3 ? String(parts[2]) : ""
        }

        package var attributeValue: String {
            let suffix = self.direction.map { "/\($0.rawValue)" } ?? ""
            return "\(self.id)\(suffix) \(self.uri)" + (self.parameters.isEmpty ? "" : " \(self.parameters)")
        }
    }

    /// `a=msid:stream track` (RFC 8830 §2).
    package struct MediaStreamID: SDPAttributeValue {
        package static let attributeName = "msid"
        /// `-` means that the track is in no stream.
        package var stream: String
        package var track: String?

        package init(stream: String, track: String?) {
            self.stream = stream
            self.track = track
        }

        package init?(attributeValue: Substring) {
            let parts = attributeValue.split(at: UInt8(ascii: " "))
            guard parts.count == 1 || parts.count == 2 else { return nil }
            self.init(stream: String(parts[0]), track: parts.count == 2 ? String(parts[1]) : nil)
        }

        package var attributeValue: String { self.stream + (self.track.map { " \($0)" } ?? "") }
    }
}
