import Basics

extension ICECandidate {
    /// Parses a candidate attribute: with or without `a=`, with or without `candidate:`. Extensions that are not known
    /// are skipped (RFC 8839 §5.1).
    package init(parsing line: String) throws(ICECandidateError) {
        let byteCount = line.utf8.count
        guard byteCount <= Self.largestByteCount else { throw .tooLong(byteCount: byteCount) }
        var text = Substring(line)
        if text.hasPrefix("a=") { text = text.dropFirst(2) }
        if text.hasPrefix("candidate:") { text = text.dropFirst("candidate:".count) }
        var fields = Fields(text)

        let foundation = try fields.next(.foundation)
        guard foundation.utf8.count <= 32, foundation.utf8.allSatisfy(\.isICECharacter) else {
            throw .invalidField(.foundation)
        }
        self.foundation = String(foundation)
        let component = try fields.number(.component, digits: 3)
        guard (1...256).contains(component) else { throw .invalidField(.component) }
        self.component = Int(component)
        let transport = try fields.token(.transport)
        self.transport =
            switch transport.lowercased() {
            case "udp": .udp
            case "tcp": .tcp
            default: .other(String(transport))
            }
        let priority = try fields.number(.priority, digits: 10)
        guard let priority = UInt32(exactly: priority) else { throw .invalidField(.priority) }
        self.priority = priority
        let host = try fields.next(.address)
        self.port = try fields.port(.port)
        self.host = try Host(host, port: self.port, field: .address)
        guard try fields.next(.kind).lowercased() == "typ" else { throw .invalidField(.kind) }
        let kind = try fields.token(.kind)
        self.kind =
            switch kind.lowercased() {
            case "host": .host
            case "srflx": .serverReflexive
            case "prflx": .peerReflexive
            case "relay": .relayed
            default: .other(String(kind))
            }

        var related: Substring?
        while let name = fields.nextIfAny() {
            switch name {
            case "raddr": related = try fields.next(.relatedAddress)
            case "rport": self.relatedPort = try fields.port(.relatedPort)
            case "tcptype":
                guard let type = TCPType(rawValue: try fields.next(.tcpType).lowercased()) else {
                    throw .invalidField(.tcpType)
                }
                self.tcpType = type
            case "ufrag":
                let fragment = try fields.next(.usernameFragment)
                guard (4...256).contains(fragment.utf8.count), fragment.utf8.allSatisfy(\.isICECharacter) else {
                    throw .invalidField(.usernameFragment)
                }
                self.usernameFragment = String(fragment)
            default: _ = fields.nextIfAny()  // an extension's value
            }
        }
        if let related { self.related = try Host(related, port: self.relatedPort ?? 0, field: .relatedAddress) }
    }
}

/// The fields of one line, between single spaces; a run of spaces is taken for one, as other implementations do.
private struct Fields {
    private var rest: ArraySlice<Substring>

    init(_ text: Substring) {
        self.rest = text.split(whereSeparator: { $0 == " " || $0 == "\r\n" || $0 == "\n" })[...]
    }

    mutating func nextIfAny() -> Substring? { self.rest.popFirst() }

    mutating func next(_ field: ICECandidateError.Field) throws(ICECandidateError) -> Substring {
        guard let text = self.rest.popFirst() else { throw .missingField(field) }
        return text
    }

    mutating func token(_ field: ICECandidateError.Field) throws(ICECandidateError) -> Substring {
        let text = try self.next(field)
        guard text.utf8.count <= 32, text.utf8.allSatisfy(\.isVisible) else { throw .invalidField(field) }
        return text
    }

    mutating func number(_ field: ICECandidateError.Field, digits: Int) throws(ICECandidateError) -> UInt64 {
        let text = try self.next(field)
        guard text.utf8.count <= digits, text.utf8.allSatisfy(\.isDigit), let value = UInt64(text) else {
            throw .invalidField(field)
        }
        return value
    }

    mutating func port(_ field: ICECandidateError.Field) throws(ICECandidateError) -> UInt16 {
        guard let port = UInt16(exactly: try self.number(field, digits: 5)) else { throw .invalidField(field) }
        return port
    }
}

extension ICECandidate.Host {
    fileprivate init(
        _ text: Substring,
        port: UInt16,
        field: ICECandidateError.Field
    ) throws(ICECandidateError) {
        if let address = TransportAddress(text, port: port) {
            self = .address(address)
        } else {
            guard text.utf8.count <= 255, text.utf8.allSatisfy(\.isVisible) else { throw .invalidField(field) }
            self = .unresolved(String(text))
        }
    }
}

extension UInt8 {
    fileprivate var isDigit: Bool { (0x30...0x39).contains(self) }
    fileprivate var isVisible: Bool { (0x21...0x7E).contains(self) }
    /// RFC 8839 §5.1.
    fileprivate var isICECharacter: Bool {
        self.isDigit || (0x41...0x5A).contains(self) || (0x61...0x7A).contains(self)
            || self == UInt8(ascii: "+") || self == UInt8(ascii: "/")
    }
}
