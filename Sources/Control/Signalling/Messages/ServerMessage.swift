import Basics
import MediaControl
import Rooms

/// A frame from the server. Built as JSON right away: it is written once and read by nobody here.
struct ServerMessage: Sendable, Equatable {
    let type: String
    let payload: JSONValue
    var id: Int64?
    /// What may become of it while it waits to be sent.
    var standing = Outbox.Standing.required
    /// The type where it is one of the server's own: a metric's label, so bounded.
    var label: String { self.standing == .expendable ? "relay" : self.type }

    init(_ type: String, _ payload: JSONValue, id: Int64? = nil) {
        self.type = type
        self.payload = payload
        self.id = id
    }

    var bytes: [UInt8] {
        var frame: [String: JSONValue] = ["type": .string(self.type), "payload": self.payload]
        if let id = self.id { frame["id"] = .integer(id) }
        return JSONValue.object(frame).bytes
    }
}

extension ServerMessage {
    static func error(_ error: RoomError, id: Int64? = nil) -> Self {
        Self("error", ["code": .string(error.code.rawValue), "message": .string(error.message)], id: id)
    }

    static func joined(_ joined: JoinedRoom, iceServers: [ICEServer], version: String, id: Int64?) -> Self {
        let payload: JSONValue = [
            "roomId": .string(joined.room.id.value), "participantId": .string(joined.participant.value),
            "resumeToken": .string(joined.resumeToken),
            "participants": .array(joined.participants.map(\.json)),
            "iceServers": .array(iceServers.map(\.json)), "serverVersion": .string(version),
        ]
        return Self("joined", payload, id: id)
    }

    static func answer(_ answer: AnsweredOffer, id: Int64?) -> Self {
        let bindings = answer.bindings.map { binding -> JSONValue in
            ["mid": .string(binding.mid), "trackId": .string(binding.track.value)]
        }
        return Self("answer", ["sdp": .string(answer.sdp), "bindings": .array(bindings)], id: id)
    }

    static func subscribed(track: String, mid: String?, id: Int64? = nil) -> Self {
        Self("subscribed", ["trackId": .string(track), "mid": mid.map { .string($0) } ?? .null], id: id)
    }

    /// `nil` for what ends the connection.
    init?(_ event: RoomEvent) {
        switch event {
        case .participantJoined(let info): self.init("participantJoined", ["participant": info.json])
        case .participantLeft(let id, let reason):
            self.init("participantLeft", ["participantId": .string(id.value), "reason": .string(reason.rawValue)])
        case .participantChanged(let info):
            self.init("participantChanged", ["participant": info.json], latestOf: info.id.value)
        case .trackPublished(let id, let track, let mid):
            var payload: [String: JSONValue] = ["participantId": .string(id.value), "track": track.json]
            if let mid { payload["mid"] = .string(mid) }
            self.init("trackPublished", .object(payload))
        case .trackUnpublished(let id): self.init("trackUnpublished", ["trackId": .string(id.value)])
        case .subscribed(let track, let mid): self = .subscribed(track: track.value, mid: mid)
        case .layer(let track, let selection):
            var payload = selection.json.objectValue ?? [:]
            payload["trackId"] = .string(track.value)
            self.init("layer", .object(payload), latestOf: track.value)
        case .activeSpeakers(let speakers):
            let payload: JSONValue = [
                "participantIds": .array(speakers.map { .string($0.participant.value) }),
                "levels": .array(speakers.map { JSONValue($0.level) }),
            ]
            self.init("activeSpeakers", payload, latestOf: "")
        case .bitrateHint(let track, let bitrate):
            let payload: JSONValue = ["trackId": .string(track.value), "bitrate": .integer(bitrate.bitsPerSecond)]
            self.init("bitrateHint", payload, latestOf: track.value)
        case .layersWanted(let track, let rids):
            let payload: JSONValue = ["trackId": .string(track.value), "rids": .array(rids.map { .string($0) })]
            self.init("layersWanted", payload, latestOf: track.value)
        case .quality(let id, let score):
            var payload = score.json.objectValue ?? [:]
            payload["participantId"] = .string(id.value)
            self.init("quality", .object(payload), latestOf: id.value)
        case .relayed(let type, let sender, let payload):
            var members = payload.objectValue ?? [:]
            members["from"] = .string(sender.value)
            self.init(type, .object(members))
            self.standing = .expendable
        case .draining(let deadline):
            self.init("draining", ["deadline": .string(WallClock.text(secondsSince1970: deadline))])
        case .removed, .resumedElsewhere: return nil
        }
    }

    /// A message that tells a state: only the last one about a subject is of use.
    private init(_ type: String, _ payload: JSONValue, latestOf subject: String) {
        self.init(type, payload)
        self.standing = .latest(Outbox.Topic(type: type, subject: subject))
    }
}

/// A STUN or TURN server as `RTCPeerConnection` takes it.
package struct ICEServer: Sendable, Equatable {
    package var urls: [String]
    package var username: String?
    package var credential: String?

    package init(urls: [String], username: String? = nil, credential: String? = nil) {
        self.urls = urls
        self.username = username
        self.credential = credential
    }

    var json: JSONValue {
        var members: [String: JSONValue] = ["urls": .array(self.urls.map { .string($0) })]
        if let username = self.username { members["username"] = .string(username) }
        if let credential = self.credential { members["credential"] = .string(credential) }
        return .object(members)
    }

    /// As WHIP hands it out (RFC 9725 §4.6), one for each URL.
    var links: [String] {
        self.urls.map { url in
            var link = "<\(url)>; rel=\"ice-server\""
            if let username = self.username { link += "; username=\"\(Self.quoted(username))\"" }
            if let credential = self.credential {
                link += "; credential=\"\(Self.quoted(credential))\"; credential-type=\"password\""
            }
            return link
        }
    }

    private static func quoted(_ text: String) -> String {
        String(text.unicodeScalars.filter { 0x20...0x7E ~= $0.value && $0 != "\"" && $0 != "\\" }.map(Character.init))
    }
}
