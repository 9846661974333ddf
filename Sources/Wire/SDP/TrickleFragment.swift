/// The body `application/trickle-ice-sdpfrag` (RFC 8840 §9): candidates, or the credentials of an ICE restart.
///
/// WHIP sends it by PATCH (RFC 9725 §4.3). Bounded as a description is (`SDPLimits`).
package struct TrickleFragment: Sendable, Equatable {
    /// The session's, or else the first m-line's: all m-lines share one transport.
    package var usernameFragment: String?
    package var password: String?
    package var options: [String]
    package var isICELite: Bool
    package var mids: [String]
    /// As `RTCIceCandidate.candidate` has them, without `a=`.
    package var candidates: [String]
    package var hasEndOfCandidates: Bool

    package init(
        usernameFragment: String? = nil,
        password: String? = nil,
        options: [String] = [],
        isICELite: Bool = false,
        mids: [String] = [],
        candidates: [String] = [],
        hasEndOfCandidates: Bool = false
    ) {
        self.usernameFragment = usernameFragment
        self.password = password
        self.options = options
        self.isICELite = isICELite
        self.mids = mids
        self.candidates = candidates
        self.hasEndOfCandidates = hasEndOfCandidates
    }

    package init(parsing text: String) throws(SDPParseError) {
        self.init()
        var mediaCount = 0
        var candidateCount = 0
        try SDPLines.forEach(in: text) { (line, number) throws(SDPParseError) in
            let (letter, value) = try SDPLines.field(line, number: number)
            switch letter {
            case "m":
                mediaCount += 1
                candidateCount = 0
                guard mediaCount <= SDPLimits.mediaSections else {
                    throw SDPParseError(line: number, reason: .tooManyMediaSections)
                }
            case "a":
                let attribute = try SDPAttribute(parsing: value, number: number)
                if attribute.name == "candidate" {
                    candidateCount += 1
                    guard candidateCount <= SDPLimits.candidates else {
                        throw SDPParseError(line: number, reason: .tooManyCandidates)
                    }
                }
                self.take(attribute)
            default: break
            }
        }
    }

    private mutating func take(_ attribute: SDPAttribute) {
        switch attribute.name {
        case "ice-ufrag": self.usernameFragment = self.usernameFragment ?? attribute.value
        case "ice-pwd": self.password = self.password ?? attribute.value
        case "ice-options" where self.options.isEmpty:
            self.options = Substring(attribute.value ?? "").split(at: 0x20).map { String($0) }
        case "ice-lite": self.isICELite = true
        case "mid": if let mid = attribute.value { self.mids.append(mid) }
        case "candidate": self.candidates.append("candidate:\(attribute.value ?? "")")
        case "end-of-candidates": self.hasEndOfCandidates = true
        default: break
        }
    }
}

extension TrickleFragment: CustomStringConvertible {
    /// The text. Everything stands under the first m-line: the others are bundled with it.
    package var description: String {
        var lines: [String] = []
        if self.isICELite { lines.append("a=ice-lite") }
        if !self.options.isEmpty { lines.append("a=ice-options:\(self.options.joined(separator: " "))") }
        if self.mids.count > 1 { lines.append("a=group:BUNDLE \(self.mids.joined(separator: " "))") }
        if let mid = self.mids.first {
            lines.append("m=audio 9 UDP/TLS/RTP/SAVPF 0")
            lines.append("a=mid:\(mid)")
        }
        if let usernameFragment = self.usernameFragment { lines.append("a=ice-ufrag:\(usernameFragment)") }
        if let password = self.password { lines.append("a=ice-pwd:\(password)") }
        for candidate in self.candidates { lines.append("a=\(candidate)") }
        if self.hasEndOfCandidates { lines.append("a=end-of-candidates") }
        return lines.reduce(into: "") { $0 += "\($1)\r\n" }
    }
}
