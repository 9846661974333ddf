package import Basics
import JWTKit
import Rooms

/// Checks and makes access tokens: JSON Web Tokens signed with HS256 (RFC 7519, RFC 8725).
///
/// The algorithm is ours to choose, never the token's; the key is found by `iss` alone, so `kid`, `jwk` and `jku` of a
/// header have nobody to talk to.
package actor TokenAuthority {
    /// Longest token, in bytes (ATTACKS A-73).
    package static let maxBytes = 8_192
    /// How far clocks may differ, in seconds.
    package static let leeway: Int64 = 60

    private var keys: [String: JWTKeyCollection] = [:]
    private let now: @Sendable () -> Int64

    /// - Parameters:
    ///   - keys: secrets by API key.
    ///   - now: seconds since 1970.
    package init(
        keys: [String: Redacted<String>],
        now: @escaping @Sendable () -> Int64 = { WallClock.secondsSince1970 }
    ) async {
        self.now = now
        await self.update(keys: keys)
    }

    /// Takes a reloaded table of keys; tokens of keys that are gone are refused from now on.
    package func update(keys: [String: Redacted<String>]) async {
        var collections: [String: JWTKeyCollection] = [:]
        for (name, secret) in keys { collections[name] = await Self.collection(secret) }
        self.keys = collections
    }

    package var hasKeys: Bool { !self.keys.isEmpty }

    /// - Parameter room: the room that the bearer asks for; `nil` = none in particular.
    package func verify(_ token: String, room: String?) async throws(TokenError) -> TokenClaims {
        guard !token.isEmpty else { throw .missing }
        guard token.utf8.count <= Self.maxBytes else { throw .tooLarge }
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Self.json(parts[0]), let payload = Self.json(parts[1]),
            Base64URL.decode(parts[2]) != nil
        else { throw .malformed }
        try Self.check(header)
        guard let key = payload["iss"]?.stringValue else { throw .badClaims }
        guard let collection = self.keys[key] else { throw .unknownKey }
        do {
            _ = try await collection.verify(token, as: SignedPayload.self)
        } catch { throw .badSignature }
        // Nothing of the payload counts before this line, but for the name of the key.
        let claims = try TokenClaims(payload)
        let now = self.now()
        guard now - Self.leeway < claims.expiresAt else { throw .expired }
        if let notBefore = claims.notBefore, notBefore > now + Self.leeway { throw .notYetValid }
        if let room, !claims.allows(room: room) { throw .otherRoom }
        return claims
    }

    private static func json(_ part: Substring) -> JSONValue? {
        guard let bytes = Base64URL.decode(part),
            let json = try? JSONValue(parsing: bytes, limits: .init(bytes: Self.maxBytes, depth: 8))
        else { return nil }
        return json.objectValue == nil ? nil : json
    }

    private static func check(_ header: JSONValue) throws(TokenError) {
        guard header["alg"]?.stringValue == "HS256" else { throw .unsupportedAlgorithm }
        // RFC 7515 §4.1.11: what is critical and not understood makes the token invalid; we understand no extension.
        guard header["crit"] == nil, header["b64"] == nil else { throw .malformed }
        if let type = header["typ"] {
            guard type.stringValue?.uppercased() == "JWT" else { throw .malformed }
        }
        if let kid = header["kid"], kid.stringValue == nil { throw .malformed }
    }

    /// Signs a token, as `sluice token` prints it.
    package static func mint(_ claims: TokenClaims, secret: Redacted<String>) async throws -> String {
        try await self.collection(secret).sign(SignedPayload(claims))
    }

    private static func collection(_ secret: Redacted<String>) async -> JWTKeyCollection {
        let collection = JWTKeyCollection()
        // The library traps on keys shorter than the hash. HMAC itself fills a short key up with zeros (RFC 2104 §2),
        // so this is the same key; that a short secret is a weak one is said when the configuration is read.
        var key = Array(secret.value.utf8)
        while key.count < 32 { key.append(0) }
        await collection.add(hmac: HMACKey(from: key), digestAlgorithm: .sha256)
        return collection
    }
}

/// A token's payload for the library: written from claims; on the way in the library checks the signature only, since
/// the claims are read more strictly by `TokenClaims`.
private struct SignedPayload: JWTPayload {
    private let claims: TokenClaims?

    init(_ claims: TokenClaims) { self.claims = claims }
    init(from decoder: any Decoder) throws { self.claims = nil }
    func verify(using algorithm: some JWTAlgorithm) {}

    private struct Grants: Encodable {
        let publish: Bool
        let subscribe: Bool
        let data: Bool
        let admin: Bool
        let publishSources: [String]?
    }

    private enum CodingKeys: String, CodingKey { case iss, sub, exp, nbf, name, metadata, room, grants }

    func encode(to encoder: any Encoder) throws {
        guard let claims = self.claims else { return }
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(claims.key, forKey: .iss)
        try container.encodeIfPresent(claims.identity, forKey: .sub)
        try container.encode(claims.expiresAt, forKey: .exp)
        try container.encodeIfPresent(claims.notBefore, forKey: .nbf)
        try container.encodeIfPresent(claims.name, forKey: .name)
        try container.encodeIfPresent(claims.metadata.map(EncodableJSON.init), forKey: .metadata)
        try container.encode(claims.room, forKey: .room)
        let grants = Grants(
            publish: claims.grants.publish,
            subscribe: claims.grants.subscribe,
            data: claims.grants.data,
            admin: claims.grants.admin,
            publishSources: claims.grants.publishSources.map { $0.map(\.rawValue).sorted() }
        )
        try container.encode(grants, forKey: .grants)
    }
}

private struct EncodableJSON: Encodable {
    let value: JSONValue

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self.value {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let values): try container.encode(values.map(EncodableJSON.init))
        case .object(let members): try container.encode(members.mapValues(EncodableJSON.init))
        }
    }
}
