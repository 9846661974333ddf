import Basics
import Rooms

/// What a client may say over the WebSocket.
enum ClientMessage: Sendable, Equatable {
    struct Join: Sendable, Equatable {
        var roomID: String
        var token: String?
        var name: String?
        var metadata: JSONValue?
        var resume: String?
        var autoSubscribe: Bool
        /// Taken only where no token says who the client is.
        var identity: String?
    }

    case join(Join)
    case offer(sdp: String)
    /// The server is ICE-lite: a client's candidates are checked for their form and not used.
    case candidate
    case publish([PublishIntent])
    case subscribe(track: String, mid: String?)
    case unsubscribe(track: String)
    case prefer(track: String, TrackPreference)
    case mute(track: String, muted: Bool)
    case setMetadata(JSONValue)
    case stats
    case leave
    /// For another participant, with the payload as it was sent: any type, also those that the server knows.
    case relay(type: String, to: String, payload: JSONValue)

    /// The type as it stands on the wire: bounded, so fit for a metric's label.
    var name: String {
        switch self {
        case .join: "join"
        case .offer: "offer"
        case .candidate: "ice"
        case .publish: "publish"
        case .subscribe: "subscribe"
        case .unsubscribe: "unsubscribe"
        case .prefer: "prefer"
        case .mute: "mute"
        case .setMetadata: "setMetadata"
        case .stats: "stats"
        case .leave: "leave"
        case .relay: "relay"
        }
    }

    /// Longest type of a relayed message, in bytes.
    static let maxTypeBytes = 64
}

/// One frame, parsed as far as it could be: the `id` is echoed on the error as well.
struct ClientFrame: Sendable {
    var id: Int64?
    var message: Result<ClientMessage, RoomError>

    init(parsing text: [UInt8], limits: JSONValue.Limits) {
        do throws(JSONError) {
            let json = try JSONValue(parsing: text, limits: limits)
            self.id = json["id"]?.integerValue
            let frame = json
            self.message = Result { () throws(RoomError) in try ClientMessage(frame) }
        } catch {
            self.id = nil
            self.message = .failure(RoomError(.badMessage, "not the JSON that is taken: \(error)"))
        }
    }
}

extension ClientMessage {
    init(_ frame: JSONValue) throws(RoomError) {
        guard frame.objectValue != nil, let type = frame["type"]?.stringValue else {
            throw RoomError(.badMessage, "a frame is an object with 'type' and 'payload'")
        }
        if let id = frame["id"], id.integerValue == nil { throw RoomError(.badMessage, "'id' is an integer") }
        let payload = frame["payload"] ?? [:]
        if let target = payload["to"], !target.isNull {
            self = try Self.relay(type, payload, to: target)
            return
        }
        if type == "publish" {
            self = .publish(try Self.intents(payload))
            return
        }
        guard payload.objectValue != nil else { throw RoomError(.badMessage, "'payload' is an object") }
        let reader = PayloadReader(payload)
        switch type {
        case "join": self = .join(try Self.join(reader))
        case "offer": self = .offer(sdp: try reader.text("sdp", maxBytes: 65_536))
        case "answer":
            throw RoomError(.badMessage, "the server makes no offers: an answer needs 'to'")
        case "ice":
            _ = try reader.optionalText("candidate", maxBytes: 1_024)
            self = .candidate
        case "subscribe":
            self = .subscribe(track: try reader.text("trackId"), mid: try reader.optionalText("mid", maxBytes: 64))
        case "unsubscribe": self = .unsubscribe(track: try reader.text("trackId"))
        case "prefer": self = .prefer(track: try reader.text("trackId"), try Self.preference(reader))
        case "mute": self = .mute(track: try reader.text("trackId"), muted: try reader.flag("muted"))
        case "setMetadata":
            guard let metadata = payload["metadata"] else { throw RoomError(.badMessage, "'metadata' is missing") }
            self = .setMetadata(metadata)
        case "stats": self = .stats
        case "leave": self = .leave
        default: throw RoomError(.badMessage, "unknown type")
        }
    }

    private static func relay(_ type: String, _ payload: JSONValue, to target: JSONValue) throws(RoomError) -> Self {
        guard let to = target.stringValue else { throw RoomError(.badMessage, "'to' is a participant's id") }
        guard 1...Self.maxTypeBytes ~= type.utf8.count else {
            throw RoomError(.badMessage, "'type' has 1 to \(Self.maxTypeBytes) bytes")
        }
        return .relay(type: type, to: to, payload: .object((payload.objectValue ?? [:]).filter { $0.key != "to" }))
    }

    private static func join(_ reader: PayloadReader) throws(RoomError) -> Join {
        let roomID = try reader.text("roomId", maxBytes: 128)
        guard RoomID.isValidName(roomID) else {
            throw RoomError(.badMessage, "'roomId' has 1 to 128 bytes and no control characters")
        }
        return Join(
            roomID: roomID,
            token: try reader.optionalText("token", maxBytes: 65_536),
            name: try reader.optionalText("name", maxBytes: JoinRequest.maxNameBytes),
            metadata: try reader.metadata("metadata"),
            resume: try reader.optionalText("resume"),
            autoSubscribe: try reader.optionalFlag("autoSubscribe") ?? true,
            identity: try reader.optionalText("identity", maxBytes: JoinRequest.maxNameBytes)
        )
    }

    private static func preference(_ reader: PayloadReader) throws(RoomError) -> TrackPreference {
        TrackPreference(
            maxWidth: try reader.optionalInteger("maxWidth", in: 0...65_535),
            maxHeight: try reader.optionalInteger("maxHeight", in: 0...65_535),
            maxFps: try reader.optionalNumber("maxFps", in: 0...1_000),
            priority: try reader.optionalInteger("priority", in: 0...255),
            paused: try reader.optionalFlag("paused") ?? false
        )
    }

    /// A list, or an object that holds one: the frame's payload is an object by rule and a list by table.
    private static func intents(_ payload: JSONValue) throws(RoomError) -> [PublishIntent] {
        let list = payload.arrayValue ?? payload["tracks"]?.arrayValue ?? (payload["mid"] == nil ? nil : [payload])
        guard let list, list.count <= 256 else { throw RoomError(.badMessage, "'publish' is a list of tracks") }
        var intents: [PublishIntent] = []
        for entry in list {
            let reader = PayloadReader(entry)
            guard let source = TrackSource(rawValue: try reader.text("source")) else {
                throw RoomError(.badMessage, "'source' is camera, microphone, screen, screenAudio or other")
            }
            let name = try reader.optionalText("name", maxBytes: JoinRequest.maxNameBytes) ?? ""
            intents.append(PublishIntent(mid: try reader.text("mid", maxBytes: 64), source: source, name: name))
        }
        return intents
    }
}

/// Reads the members of a payload with one wording for what is wrong.
private struct PayloadReader {
    private let payload: JSONValue

    init(_ payload: JSONValue) { self.payload = payload }

    func text(_ name: String, maxBytes: Int = 256) throws(RoomError) -> String {
        guard let text = try self.optionalText(name, maxBytes: maxBytes) else {
            throw RoomError(.badMessage, "'\(name)' is missing")
        }
        return text
    }

    func optionalText(_ name: String, maxBytes: Int = 256) throws(RoomError) -> String? {
        guard let value = self.payload[name], !value.isNull else { return nil }
        guard let text = value.stringValue else { throw RoomError(.badMessage, "'\(name)' is a string") }
        guard text.utf8.count <= maxBytes else {
            throw RoomError(.badMessage, "'\(name)' is longer than \(maxBytes) bytes")
        }
        return text
    }

    func flag(_ name: String) throws(RoomError) -> Bool {
        guard let flag = try self.optionalFlag(name) else { throw RoomError(.badMessage, "'\(name)' is missing") }
        return flag
    }

    func optionalFlag(_ name: String) throws(RoomError) -> Bool? {
        guard let value = self.payload[name], !value.isNull else { return nil }
        guard let flag = value.boolValue else { throw RoomError(.badMessage, "'\(name)' is true or false") }
        return flag
    }

    func optionalInteger(_ name: String, in range: ClosedRange<Int64>) throws(RoomError) -> Int? {
        guard let value = self.payload[name], !value.isNull else { return nil }
        guard let number = value.integerValue, range.contains(number) else {
            throw RoomError(.badMessage, "'\(name)' is an integer from \(range.lowerBound) to \(range.upperBound)")
        }
        return Int(number)
    }

    func optionalNumber(_ name: String, in range: ClosedRange<Double>) throws(RoomError) -> Double? {
        guard let value = self.payload[name], !value.isNull else { return nil }
        guard let number = value.numberValue, range.contains(number) else {
            throw RoomError(.badMessage, "'\(name)' is a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func metadata(_ name: String) throws(RoomError) -> JSONValue? {
        guard let value = self.payload[name] else { return nil }
        guard value.bytes.count <= JoinRequest.maxMetadataBytes else {
            throw RoomError(.badMessage, "'\(name)' is larger than \(JoinRequest.maxMetadataBytes) bytes")
        }
        return value
    }
}
