import Rooms

/// What somebody may do, after their token was checked, or without one where that is allowed.
struct Access: Sendable {
    /// Who they are for as long as they hold the token: what a WHIP resource belongs to. `nil` without a token.
    var subject: Subject?
    var identity: String?
    var name: String?
    var metadata: JSONValue?
    var grants = Grants()

    struct Subject: Hashable, Sendable {
        var key: String
        var identity: String?
        var room: String
    }
}

/// Decides who may come in.
package final class AccessControl: Sendable {
    private let tokens: TokenAuthority
    /// Anyone may join any room: development only.
    private let allowsAnyone: Bool

    package init(tokens: TokenAuthority, allowsAnyone: Bool) {
        self.tokens = tokens
        self.allowsAnyone = allowsAnyone
    }

    func check(token: String?, room: String?) async throws(TokenError) -> Access {
        // Without a key no token can be checked, and nobody needs one.
        if self.allowsAnyone, await !self.tokens.hasKeys || token == nil { return Access() }
        let claims = try await self.tokens.verify(token ?? "", room: room)
        return Access(
            subject: Access.Subject(key: claims.key, identity: claims.identity, room: claims.room),
            identity: claims.identity,
            name: claims.name,
            metadata: claims.metadata,
            grants: claims.grants
        )
    }
}
