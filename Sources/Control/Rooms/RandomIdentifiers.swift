package import Basics
import Synchronization

/// Makes the names that the server gives out. All are unguessable except the session number, which never leaves the
/// process but for logs.
package enum RandomIdentifiers {
    private static let sessionCount = Atomic<UInt64>(0)
    /// `ice-char` (RFC 8839 §5.4) without `+` and `/`: it is safe in a URL as well.
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".utf8)

    /// Unique for the life of the process.
    package static func nextSession() -> SessionID {
        SessionID(self.sessionCount.wrappingAdd(1, ordering: .relaxed).newValue)
    }

    /// 22 characters of this alphabet hold 131 bits.
    package static func token(_ count: Int = 22) -> String {
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<count).map { _ in self.alphabet[Int.random(in: 0..<self.alphabet.count, using: &generator)] }
        return String(decoding: bytes, as: UTF8.self)
    }

    package static func participant() -> ParticipantID { ParticipantID("PA_" + self.token()) }
    package static func track() -> TrackID { TrackID("TR_" + self.token()) }
    /// Exactly 8: the worker finds the session by them.
    package static func usernameFragment() -> String { self.token(8) }
    /// RFC 8445 §5.3 wants 128 bits of randomness; 24 characters hold 142.
    package static func icePassword() -> Redacted<String> { Redacted(self.token(24)) }
}
