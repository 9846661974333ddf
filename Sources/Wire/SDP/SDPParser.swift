extension SessionDescription {
    /// Parses a description, in one pass over its bytes.
    ///
    /// Takes CRLF and LF. Blank lines are skipped, and what stands after an `a=` line although RFC 8866 wants it before
    /// is moved up; all else is kept. Attributes in `SDPAttribute.isWellFormed` are checked here, so typed access
    /// later cannot fail.
    package init(parsing text: String) throws(SDPParseError) {
        var parser = SDPParser()
        try SDPLines.forEach(in: text) { (line, number) throws(SDPParseError) in try parser.take(line, number: number) }
        self = try parser.finish()
    }
}

/// Cuts a text into lines within the bounds of `SDPLimits`.
package enum SDPLines {
    /// Calls `body` with each line that is not empty, without its ending, and its number from 1.
    package static func forEach(
        in text: String,
        _ body: (Substring, Int) throws(SDPParseError) -> Void
    ) throws(SDPParseError) {
        guard text.utf8.count <= SDPLimits.bytes else { throw SDPParseError(line: 1, reason: .tooManyBytes) }
        let bytes = text.utf8
        var number = 0
        var start = bytes.startIndex
        while start < bytes.endIndex {
            number += 1
            guard number <= SDPLimits.lines else { throw SDPParseError(line: number, reason: .tooManyLines) }
            let newline = bytes[start...].firstIndex(of: 0x0A) ?? bytes.endIndex
            var end = newline
            if end > start, bytes[bytes.index(before: end)] == 0x0D { end = bytes.index(before: end) }
            let line = bytes[start..<end]
            guard line.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
                throw SDPParseError(line: number, reason: .controlCharacter)
            }
            if !line.isEmpty { try body(Substring(line), number) }
            start = newline < bytes.endIndex ? bytes.index(after: newline) : newline
        }
    }

    /// Cuts `x=value`.
    package static func field(_ line: Substring, number: Int) throws(SDPParseError) -> (Character, Substring) {
        let bytes = line.utf8
        guard bytes.count >= 3, let letter = bytes.first, (0x61...0x7A).contains(letter),
            bytes[bytes.index(after: bytes.startIndex)] == UInt8(ascii: "=")
        else { throw SDPParseError(line: number, reason: .malformedLine) }
        return (Character(UnicodeScalar(letter)), Substring(bytes.dropFirst(2)))
    }
}

private struct SDPParser {
    private var origin: Origin?
    private var name: String?
    private var hasVersion = false
    private var fields: [SDPField] = []
    private var attributes: [SDPAttribute] = []
    private var media: [MediaDescription] = []
    private var section: MediaDescription?
    private var candidateCount = 0
    private var lastLine = 0

    mutating func take(_ line: Substring, number: Int) throws(SDPParseError) {
        self.lastLine = number
        // `s=` alone is what RFC 8866 forbids and some senders write.
        if line == "s=", self.origin != nil, self.name == nil {
            self.name = ""
            return
        }
        let (letter, value) = try SDPLines.field(line, number: number)
        guard self.name != nil else { return try self.takeHead(letter, value, number: number) }
        switch letter {
        case "v", "o", "s": throw SDPParseError(line: number, reason: .repeated(field: letter))
        case "m":
            self.closeSection()
            guard self.media.count < SDPLimits.mediaSections else {
                throw SDPParseError(line: number, reason: .tooManyMediaSections)
            }
            self.section = try MediaDescription(parsing: value, number: number)
        case "a":
            let attribute = try SDPAttribute(parsing: value, number: number)
            guard self.section != nil else { return self.attributes.append(attribute) }
            if attribute.name == "candidate" {
                self.candidateCount += 1
                guard self.candidateCount <= SDPLimits.candidates else {
                    throw SDPParseError(line: number, reason: .tooManyCandidates)
                }
            }
            self.section?.attributes.append(attribute)
        default:
            let field = SDPField(letter, String(value))
            if self.section == nil { self.fields.append(field) } else { self.section?.fields.append(field) }
        }
    }

    private mutating func takeHead(_ letter: Character, _ value: Substring, number: Int) throws(SDPParseError) {
        let expected: Character = !self.hasVersion ? "v" : self.origin == nil ? "o" : "s"
        guard letter == expected, letter != "v" || value == "0" else {
            throw SDPParseError(line: number, reason: .expected(field: expected))
        }
        switch letter {
        case "v": self.hasVersion = true
        case "o":
            guard let origin = Origin(parsing: value) else {
                throw SDPParseError(line: number, reason: .malformedOrigin)
            }
            self.origin = origin
        default: self.name = String(value)
        }
    }

    private mutating func closeSection() {
        if let section = self.section { self.media.append(section) }
        self.section = nil
        self.candidateCount = 0
    }

    mutating func finish() throws(SDPParseError) -> SessionDescription {
        self.closeSection()
        guard let origin = self.origin, let name = self.name else {
            let missing: Character = !self.hasVersion ? "v" : self.origin == nil ? "o" : "s"
            throw SDPParseError(line: self.lastLine + 1, reason: .expected(field: missing))
        }
        return SessionDescription(
            origin: origin,
            name: name,
            fields: self.fields,
            attributes: self.attributes,
            media: self.media
        )
    }
}

extension MediaDescription {
    /// The value of an `m=` line.
    package init(parsing value: Substring, number: Int) throws(SDPParseError) {
        let malformed = SDPParseError(line: number, reason: .malformedMediaLine)
        // One split too many tells a long list from a full one without cutting all of it.
        let parts = value.split(at: UInt8(ascii: " "), maxSplits: SDPLimits.formats + 3)
        guard parts.count >= 4, parts[0].isToken, parts[2].utf8.allSatisfy({ $0 > 0x20 }) else { throw malformed }
        guard parts.count <= SDPLimits.formats + 3 else { throw SDPParseError(line: number, reason: .tooManyFormats) }
        var portCount: UInt16?
        var portText = parts[1]
        if let (head, tail) = parts[1].cut(at: UInt8(ascii: "/")) {
            guard let count = tail.decimal(UInt16.self) else { throw malformed }
            portText = head
            portCount = count
        }
        guard let port = portText.decimal(UInt16.self) else { throw malformed }
        let formats = parts[3...]
        if parts[2].split(at: UInt8(ascii: "/")).contains("RTP") {
            guard formats.allSatisfy({ $0.decimal(UInt8.self, upTo: 127) != nil }) else { throw malformed }
        }
        self.init(
            media: String(parts[0]),
            port: port,
            portCount: portCount,
            transport: String(parts[2]),
            formats: formats.map { String($0) },
            fields: []
        )
    }
}

extension SDPAttribute {
    /// What follows `a=`.
    package init(parsing text: Substring, number: Int) throws(SDPParseError) {
        let (name, value) = text.cut(at: UInt8(ascii: ":")).map { ($0, Optional($1)) } ?? (text, nil)
        guard name.isToken else { throw SDPParseError(line: number, reason: .malformedLine) }
        self.init(String(name), value.map { String($0) })
        guard self.isWellFormed else {
            throw SDPParseError(line: number, reason: .malformedAttribute(name: self.name))
        }
    }

    /// Whether a known attribute follows its grammar. `a=rid`, `a=simulcast` and `a=candidate` are not looked at: by
    /// their RFCs a line of them that is not understood is skipped, not refused.
    private var isWellFormed: Bool {
        let value = Substring(self.value ?? "")
        return switch self.name {
        case "rtpmap": RTPMap(attributeValue: value) != nil
        // Formats of transports other than RTP have names.
        case "fmtp":
            FormatParameters(attributeValue: value) != nil
                || value.split(at: UInt8(ascii: " "), maxSplits: 1).first?.isDecimal == false
        case "rtcp-fb": RTCPFeedback(attributeValue: value) != nil
        case "extmap": ExtensionMapping(attributeValue: value) != nil
        case "ssrc": SourceAttribute(attributeValue: value) != nil
        case "ssrc-group": SourceGroup(attributeValue: value) != nil
        case "group": MediaGroup(attributeValue: value) != nil
        case "fingerprint": CertificateFingerprint(attributeValue: value) != nil
        case "setup": Setup(attributeValue: value) != nil
        case "mid": value.isToken
        case "sctp-port": value.decimal(UInt16.self) != nil
        case "max-message-size": value.decimal(UInt64.self) != nil
        default: true
        }
    }
}
