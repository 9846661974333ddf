/// Why a text is not JSON that we take.
package enum JSONError: Error, Equatable, Sendable {
    case tooLarge
    /// Arrays and objects nested deeper than the limit.
    case tooDeep
    case syntax(offset: Int)
    /// Not UTF-8, or an escaped surrogate without its other half (RFC 7493 §2.1).
    case invalidText(offset: Int)
    /// RFC 7493 §2.3: two members of one name mean different things to different parsers.
    case duplicateName(offset: Int)
}

extension JSONError: CustomStringConvertible {
    /// The end of a sentence such as "the body is no JSON: ".
    package var description: String {
        switch self {
        case .tooLarge: "it is too large"
        case .tooDeep: "arrays and objects are nested too deep"
        case .syntax(let offset): "its grammar is broken at byte \(offset)"
        case .invalidText(let offset): "the text at byte \(offset) is not UTF-8, or has half of a surrogate pair"
        case .duplicateName(let offset): "the name at byte \(offset) stands twice in its object"
        }
    }
}

extension JSONValue {
    /// How much of a JSON text is taken from the network (ATTACKS A-71).
    package struct Limits: Sendable {
        package var bytes: Int
        package var depth: Int

        package init(bytes: Int = 65_536, depth: Int = 16) {
            self.bytes = bytes
            self.depth = depth
        }
    }

    /// Parses a whole text as I-JSON (RFC 7493). Linear in the size of the text.
    package init(parsing bytes: [UInt8], limits: Limits = Limits()) throws(JSONError) {
        guard bytes.count <= limits.bytes else { throw .tooLarge }
        var parser = JSONParser(bytes: bytes, maximumDepth: limits.depth)
        self = try parser.parseDocument()
    }

    package init(parsing text: String, limits: Limits = Limits()) throws(JSONError) {
        try self.init(parsing: Array(text.utf8), limits: limits)
    }
}

private struct JSONParser {
    private let bytes: [UInt8]
    private let maximumDepth: Int
    private var offset = 0

    init(bytes: [UInt8], maximumDepth: Int) {
        self.bytes = bytes
        self.maximumDepth = maximumDepth
    }

    mutating func parseDocument() throws(JSONError) -> JSONValue {
        let value = try self.parseValue(depth: 0)
        self.skipWhitespace()
        guard self.offset == self.bytes.count else { throw .syntax(offset: self.offset) }
        return value
    }

    private var current: UInt8? { self.offset < self.bytes.count ? self.bytes[self.offset] : nil }

    private mutating func skipWhitespace() {
        while let byte = self.current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { self.offset += 1 }
    }

    private mutating func expect(_ text: StaticString) throws(JSONError) {
        for byte in text.description.utf8 {
            guard self.current == byte else { throw .syntax(offset: self.offset) }
            self.offset += 1
        }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard self.current == UInt8(ascii: character) else { return false }
        self.offset += 1
        return true
    }

    private mutating func parseValue(depth: Int) throws(JSONError) -> JSONValue {
        self.skipWhitespace()
        switch self.current {
        case UInt8(ascii: "{"): return try self.parseObject(depth: depth + 1)
        case UInt8(ascii: "["): return try self.parseArray(depth: depth + 1)
        case UInt8(ascii: "\""): return .string(try self.parseString())
        case UInt8(ascii: "t"):
            try self.expect("true")
            return true
        case UInt8(ascii: "f"):
            try self.expect("false")
            return false
        case UInt8(ascii: "n"):
            try self.expect("null")
            return .null
        case .some: return try self.parseNumber()
        case nil: throw .syntax(offset: self.offset)
        }
    }

    private mutating func parseObject(depth: Int) throws(JSONError) -> JSONValue {
        guard depth <= self.maximumDepth else { throw .tooDeep }
        self.offset += 1
        var members: [String: JSONValue] = [:]
        self.skipWhitespace()
        if self.take("}") { return .object(members) }
        while true {
            self.skipWhitespace()
            let start = self.offset
            guard self.current == UInt8(ascii: "\"") else { throw .syntax(offset: self.offset) }
            let name = try self.parseString()
            self.skipWhitespace()
            guard self.take(":") else { throw .syntax(offset: self.offset) }
            let value = try self.parseValue(depth: depth)
            guard members.updateValue(value, forKey: name) == nil else { throw .duplicateName(offset: start) }
            self.skipWhitespace()
            if self.take("}") { return .object(members) }
            guard self.take(",") else { throw .syntax(offset: self.offset) }
        }
    }

    private mutating func parseArray(depth: Int) throws(JSONError) -> JSONValue {
        guard depth <= self.maximumDepth else { throw .tooDeep }
        self.offset += 1
        var values: [JSONValue] = []
        self.skipWhitespace()
        if self.take("]") { return .array(values) }
        while true {
            values.append(try self.parseValue(depth: depth))
            self.skipWhitespace()
            if self.take("]") { return .array(values) }
            guard self.take(",") else { throw .syntax(offset: self.offset) }
        }
    }

    private mutating func parseNumber() throws(JSONError) -> JSONValue {
        let start = self.offset
        var isInteger = true
        _ = self.take("-")
        if !self.take("0") { try self.skipDigits() }
        if self.take(".") {
            isInteger = false
            try self.skipDigits()
        }
        if self.take("e") || self.take("E") {
            isInteger = false
            if !self.take("+") { _ = self.take("-") }
            try self.skipDigits()
        }
        // No number that anybody means is longer; it keeps the conversion below constant in time.
        guard self.offset - start <= 64 else { throw .syntax(offset: start) }
        let text = String(decoding: self.bytes[start..<self.offset], as: UTF8.self)
        if isInteger, let value = Int64(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else { throw .syntax(offset: start) }
        return .number(value)
    }

    private mutating func skipDigits() throws(JSONError) {
        let start = self.offset
        while let byte = self.current, UInt8(ascii: "0") <= byte, byte <= UInt8(ascii: "9") { self.offset += 1 }
        guard self.offset > start else { throw .syntax(offset: self.offset) }
    }

    private mutating func parseString() throws(JSONError) -> String {
        let start = self.offset
        self.offset += 1
        var text: [UInt8] = []
        while let byte = self.current {
            self.offset += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let string = String(validating: text, as: UTF8.self) else { throw .invalidText(offset: start) }
                return string
            case UInt8(ascii: "\\"): try self.parseEscape(into: &text)
            case 0..<0x20: throw .syntax(offset: self.offset - 1)
            default: text.append(byte)
            }
        }
        throw .syntax(offset: self.offset)
    }

    private mutating func parseEscape(into text: inout [UInt8]) throws(JSONError) {
        guard let byte = self.current else { throw .syntax(offset: self.offset) }
        self.offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            let start = self.offset
            var value = try self.parseHex()
            if 0xD800...0xDBFF ~= value {
                guard self.take("\\"), self.take("u") else { throw .invalidText(offset: start) }
                let low = try self.parseHex()
                guard 0xDC00...0xDFFF ~= low else { throw .invalidText(offset: start) }
                value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(value) else { throw .invalidText(offset: start) }
            text.append(contentsOf: UTF8.encode(scalar) ?? Unicode.UTF8.encodedReplacementCharacter)
        default: throw .syntax(offset: self.offset - 1)
        }
    }

    private mutating func parseHex() throws(JSONError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = self.current, let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
                throw .syntax(offset: self.offset)
            }
            value = value << 4 | UInt32(digit)
            self.offset += 1
        }
        return value
    }
}
