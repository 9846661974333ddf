import Foundation

/// A frame of `sluice.v1` from the server: of its payload, what a headless client looks at.
package struct SignalMessage: Sendable, Decodable, Equatable {
    package struct Binding: Sendable, Decodable, Equatable {
        package var mid: String
        package var trackId: String
    }

    package struct Track: Sendable, Decodable, Equatable {
        package var id: String
        package var kind: String
        package var muted: Bool?
    }

    package struct Participant: Sendable, Decodable, Equatable {
        package var id: String
        package var tracks: [Track]?
    }

    package struct Payload: Sendable, Decodable, Equatable {
        package var sdp: String?
        package var bindings: [Binding]?
        package var participantId: String?
        package var trackId: String?
        package var mid: String?
        package var track: Track?
        package var participant: Participant?
        package var participants: [Participant]?
        package var paused: Bool?
        package var code: String?
        package var message: String?
    }

    package var type: String
    package var id: Int?
    package var payload: Payload?

    /// What comes often and tells a headless client nothing: told by the first or last bytes, without parsing the rest.
    private static let useless = ["quality", "activeSpeakers", "bitrateHint"].flatMap { type in
        [Array("{\"type\":\"\(type)\"".utf8), Array("\"type\":\"\(type)\"}".utf8)]
    }

    /// - Returns: `nil` for what is no such frame, and for what a headless client does not look at.
    package init?(_ bytes: [UInt8]) {
        for text in Self.useless {
            if bytes.starts(with: text) || bytes.suffix(text.count).elementsEqual(text) { return nil }
        }
        guard let message = try? JSONDecoder().decode(Self.self, from: Data(bytes)) else { return nil }
        self = message
    }
}

/// A frame to the server.
struct SignalRequest<Payload: Encodable & Sendable>: Encodable, Sendable {
    var type: String
    var id: Int
    var payload: Payload

    func bytes() throws -> [UInt8] { Array(try JSONEncoder().encode(self)) }
}

/// Payloads of what a client sends.
package enum SignalPayload {
    package struct Join: Encodable, Sendable {
        var roomId: String
        var token: String?
        var name: String?
        var autoSubscribe = true
    }
    package struct Publication: Encodable, Sendable {
        var mid: String
        var source: String
    }
    package struct Offer: Encodable, Sendable { var sdp: String }
    package struct Mute: Encodable, Sendable {
        var trackId: String
        var muted: Bool
    }
    package struct Preference: Encodable, Sendable, Equatable {
        package var trackId = ""
        package var maxWidth: Int?
        package var maxHeight: Int?
        package var maxFps: Int?
        package var priority: Int?

        package init(maxWidth: Int? = nil, maxHeight: Int? = nil, maxFps: Int? = nil, priority: Int? = nil) {
            self.maxWidth = maxWidth
            self.maxHeight = maxHeight
            self.maxFps = maxFps
            self.priority = priority
        }
    }
    struct Empty: Encodable, Sendable {}
}
