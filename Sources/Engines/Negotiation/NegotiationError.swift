import SDP

/// Why an offer is not answered. The words go to the client and say what to change.
package enum NegotiationError: Error, Hashable, Sendable {
    /// Breaks a rule of SDP or of offer and answer: `sdpInvalid`.
    case invalid(String)
    /// Well-formed, but asks for what this server does not do: `sdpUnsupported`.
    case unsupported(String)

    package var reason: String {
        switch self {
        case .invalid(let reason), .unsupported(let reason): reason
        }
    }
}

extension NegotiationError: CustomStringConvertible {
    package var description: String { self.reason }
}

extension SessionDescription {
    /// As `init(parsing:)`, with the error that a client gets.
    init(negotiating text: String) throws(NegotiationError) {
        do throws(SDPParseError) { self = try Self(parsing: text) } catch { throw .invalid(error.description) }
    }
}

extension String {
    /// A piece of the peer's text for an error: printable ASCII, at most 40 bytes, in quotes.
    var quotedForError: String {
        let clean = self.utf8.prefix(40).map { (0x20...0x7E).contains($0) ? Character(UnicodeScalar($0)) : "?" }
        return "'" + String(clean) + (self.utf8.count > 40 ? "..." : "") + "'"
    }
}
