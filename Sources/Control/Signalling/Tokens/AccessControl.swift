import Basics
import Rooms
import Synchronization

/// What somebody may do, after their token was checked, or without one where that is allowed.
struct Access: Sendable {
    /// Who they are for as long as they hold the token: what a WHIP resource belongs to. `nil` without a token.
    var subject: Subject?
    /// What to refuse from now on when the operator takes its bearer out. `nil` without a token.
    var credential: Credential?
    var identity: String?
    var name: String?
    var metadata: JSONValue?
    var grants = Grants()

    struct Subject: Hashable, Sendable {
        var key: String
        var identity: String?
        var room: String
    }

    /// One token, known by its signature.
    struct Credential: Hashable, Sendable {
        var signature: Redacted<String>
        /// Seconds since 1970.
        var expiresAt: Int64
    }
}

/// Decides who may come in.
package final class AccessControl: Sendable {
    private let tokens: TokenAuthority
    /// Anyone may join any room: development only.
    private let allowsAnyone: Bool
    /// Tokens of those who were taken out (ATTACKS A-75), by their signature until they expire.
    private let revoked = Mutex<[Redacted<String>: Int64]>([:])
    private let now: @Sendable () -> Int64

    /// Revoked tokens remembered; past it the ones that expire first are forgotten.
    private static let maxRevoked = 10_000

    /// - Parameter now: seconds since 1970.
    package init(
        tokens: TokenAuthority,
        allowsAnyone: Bool,
        now: @escaping @Sendable () -> Int64 = { WallClock.secondsSince1970 }
    ) {
        self.tokens = tokens
        self.allowsAnyone = allowsAnyone
        self.now = now
    }

    func check(token: String?, room: String?) async throws(TokenError) -> Access {
        // Without a key no token can be checked, and nobody needs one.
        if self.allowsAnyone, await !self.tokens.hasKeys || token == nil { return Access() }
        let token = token ?? ""
        let claims = try await self.tokens.verify(token, room: room)
        let signature = Redacted(String(token.split(separator: ".").last ?? ""))
        guard self.revoked.withLock({ $0[signature] }) == nil else { throw .revoked }
        return Access(
            subject: Access.Subject(key: claims.key, identity: claims.identity, room: claims.room),
            credential: Access.Credential(signature: signature, expiresAt: claims.expiresAt),
            identity: claims.identity,
            name: claims.name,
            metadata: claims.metadata,
            grants: claims.grants
        )
    }

    /// Refuses a token until it expires: its bearer was taken out of a room and may not just come back.
    func revoke(_ credential: Access.Credential?) {
        guard let credential else { return }
        let now = self.now()
        self.revoked.withLock { revoked in
            if revoked.count >= Self.maxRevoked {
                revoked = revoked.filter { $0.value + TokenAuthority.leeway > now }
                if revoked.count >= Self.maxRevoked, let first = revoked.min(by: { $0.value < $1.value })?.key {
                    revoked[first] = nil
                }
            }
            revoked[credential.signature] = credential.expiresAt
        }
    }
}
