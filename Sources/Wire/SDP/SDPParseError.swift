/// Why a text is not a session description, and on which line; the words say how to mend it.
package struct SDPParseError: Error, Hashable, Sendable {
    package enum Reason: Hashable, Sendable {
        case tooManyBytes
        case tooManyLines
        case tooManyMediaSections
        case tooManyFormats
        case tooManyCandidates
        /// A control character other than the line endings; a bare carriage return is one.
        case controlCharacter
        /// Not `letter=value`.
        case malformedLine
        /// One of the lines that begin every description is not in its place.
        case expected(field: Character)
        /// `v=`, `o=` or `s=` a second time.
        case repeated(field: Character)
        case malformedOrigin
        case malformedMediaLine
        /// A known attribute whose value does not follow its grammar or is out of range.
        case malformedAttribute(name: String)
    }

    /// From 1; the line after the last when something is missing at the end.
    package let line: Int
    package let reason: Reason

    package init(line: Int, reason: Reason) {
        self.line = line
        self.reason = reason
    }
}

extension SDPParseError: CustomStringConvertible {
    package var description: String { "line \(self.line): \(self.reason.words)" }
}

extension SDPParseError.Reason {
    fileprivate var words: String {
        switch self {
        case .tooManyBytes: "the description is longer than \(SDPLimits.bytes) bytes; send fewer m-lines or codecs"
        case .tooManyLines: "the description has more than \(SDPLimits.lines) lines; send fewer m-lines or codecs"
        case .tooManyMediaSections: "there are more than \(SDPLimits.mediaSections) m-lines; reuse the stopped ones"
        case .tooManyFormats: "an m-line lists more than \(SDPLimits.formats) formats; list each payload type once"
        case .tooManyCandidates:
            "an m-line has more than \(SDPLimits.candidates) candidates; the server needs none of them, leave them out"
        case .controlCharacter: "there is a control character; lines end with CRLF or LF and hold printable text only"
        case .malformedLine: "a line must be one lower-case letter, '=' and a value that is not empty"
        case .expected(let field): "a line '\(field)=' must stand here; begin with v=0, o=, s=, in this order"
        case .repeated(let field): "'\(field)=' may stand only once, at the beginning"
        case .malformedOrigin: "o= must be 'username id version IN IP4|IP6 address', id and version being decimal"
        case .malformedMediaLine:
            "m= must be 'media port protocol formats': the port 0 to 65535, RTP formats payload types 0 to 127"
        case .malformedAttribute(let name): "the value of a=\(name) does not follow its grammar or is out of range"
        }
    }
}

/// What a description may hold (ATTACKS A-72).
package enum SDPLimits {
    package static let bytes = 65_536
    package static let lines = 2_000
    package static let mediaSections = 256
    /// Per m-line. RTP has 128 payload types.
    package static let formats = 256
    /// Per m-line.
    package static let candidates = 64
}
