package import Basics

/// The username fragment and password of one agent for one ICE generation (RFC 8445 §5.3).
package struct ICECredentials: Sendable, Equatable {
    /// 4 to 256 ice-chars.
    package let usernameFragment: String
    /// 22 to 256 ice-chars.
    package let password: Redacted<String>

    package init(usernameFragment: String, password: Redacted<String>) {
        self.usernameFragment = usernameFragment
        self.password = password
    }

    private static let characters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// 48 bits of fragment and 144 bits of password; RFC 8445 §5.3 asks for 24 and 128.
    ///
    /// The fragment is always 8 characters, so that it is a `usernameFragmentKey`.
    package static func random(using generator: inout some RandomNumberGenerator) -> Self {
        Self(
            usernameFragment: Self.randomText(8, using: &generator),
            password: Redacted(Self.randomText(24, using: &generator))
        )
    }

    private static func randomText(_ count: Int, using generator: inout some RandomNumberGenerator) -> String {
        // 64 characters: six bits of a random number choose one without bias.
        let bytes = (0..<count).map { _ in Self.characters[Int(truncatingIfNeeded: generator.next() & 63)] }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The fragment's 8 bytes as a big-endian number, as `localUsernameFragmentKey(of:)` finds them in a request.
    /// `nil` for a fragment of another length.
    package var usernameFragmentKey: UInt64? {
        guard self.usernameFragment.utf8.count == 8 else { return nil }
        return self.usernameFragment.utf8.reduce(0) { $0 << 8 | UInt64($1) }
    }
}
