package import Rooms

/// What a token says, after every check.
package struct TokenClaims: Sendable, Equatable {
    /// The API key that signed it (`iss`).
    package var key: String
    /// `sub`; `nil` when the token leaves the choice to its bearer.
    package var identity: String?
    package var name: String?
    package var metadata: JSONValue?
    /// A room's name, or `*` for any.
    package var room: String
    package var grants: Grants
    /// Seconds since 1970.
    package var expiresAt: Int64
    /// Seconds since 1970.
    package var notBefore: Int64?

    package init(
        key: String,
        identity: String? = nil,
        name: String? = nil,
        metadata: JSONValue? = nil,
        room: String,
        grants: Grants = Grants(),
        expiresAt: Int64,
        notBefore: Int64? = nil
    ) {
        self.key = key
        self.identity = identity
        self.name = name
        self.metadata = metadata
        self.room = room
        self.grants = grants
        self.expiresAt = expiresAt
        self.notBefore = notBefore
    }

    package func allows(room: String) -> Bool { self.room == "*" || self.room == room }
}

/// Why a token is not taken. The text goes to the client, so it tells nothing of the keys.
package enum TokenError: String, Error, Sendable, CaseIterable {
    case missing, tooLarge, malformed, unsupportedAlgorithm, unknownKey, badSignature, badClaims, expired, notYetValid
    case otherRoom, revoked

    package var message: String {
        switch self {
        case .missing: "a token is needed"
        case .tooLarge: "the token is larger than 8 KiB"
        case .malformed: "the token is not a JWT"
        case .unsupportedAlgorithm: "the token is not signed with HS256"
        case .unknownKey: "the token's issuer is not known"
        case .badSignature: "the token's signature is wrong"
        case .badClaims: "the token's claims have wrong types, or some are missing"
        case .expired: "the token has expired"
        case .notYetValid: "the token is not valid yet"
        case .otherRoom: "the token is for another room"
        case .revoked: "the token's bearer was taken out"
        }
    }
}

extension TokenClaims {
    /// Reads claims strictly: a claim of a wrong type is an error, not absent.
    init(_ json: JSONValue) throws(TokenError) {
        guard json.objectValue != nil, let key = json["iss"]?.stringValue, let room = json["room"]?.stringValue,
            let expiresAt = Self.time(json["exp"]), !room.isEmpty, room.utf8.count <= 128
        else { throw .badClaims }
        self.init(key: key, room: room, expiresAt: expiresAt)
        self.identity = try Self.text(json["sub"])
        if self.identity?.isEmpty == true { throw .badClaims }
        self.name = try Self.text(json["name"])
        if let metadata = json["metadata"] {
            guard metadata.bytes.count <= JoinRequest.maxMetadataBytes else { throw .badClaims }
            self.metadata = metadata
        }
        if let notBefore = json["nbf"] {
            guard let time = Self.time(notBefore) else { throw .badClaims }
            self.notBefore = time
        }
        if let grants = json["grants"] { self.grants = try Self.grants(grants) }
    }

    private static func time(_ json: JSONValue?) -> Int64? {
        guard let value = json?.numberValue, value.isFinite, value >= 0, value < 1e12 else { return nil }
        return Int64(value)
    }

    private static func text(_ json: JSONValue?) throws(TokenError) -> String? {
        guard let json else { return nil }
        guard let text = json.stringValue, text.utf8.count <= JoinRequest.maxNameBytes else { throw .badClaims }
        return text
    }

    private static func grants(_ json: JSONValue) throws(TokenError) -> Grants {
        guard json.objectValue != nil else { throw .badClaims }
        var grants = Grants()
        grants.publish = try self.flag(json["publish"], default: grants.publish)
        grants.subscribe = try self.flag(json["subscribe"], default: grants.subscribe)
        grants.data = try self.flag(json["data"], default: grants.data)
        grants.admin = try self.flag(json["admin"], default: grants.admin)
        if let sources = json["publishSources"] {
            guard let list = sources.arrayValue, list.count <= 16 else { throw .badClaims }
            var allowed: Set<TrackSource> = []
            for entry in list {
                guard let name = entry.stringValue, let source = TrackSource(rawValue: name) else { throw .badClaims }
                allowed.insert(source)
            }
            grants.publishSources = allowed
        }
        return grants
    }

    private static func flag(_ json: JSONValue?, default value: Bool) throws(TokenError) -> Bool {
        guard let json else { return value }
        guard let flag = json.boolValue else { throw .badClaims }
        return flag
    }
}
