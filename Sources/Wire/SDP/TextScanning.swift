// Everything here works on UTF-8 bytes: `Character` would join a separator with a combining mark that follows it.

extension Substring {
    /// The parts between `separator`s, empty ones left out.
    func split(at separator: UInt8, maxSplits: Int = .max) -> [Substring] {
        self.utf8.split(separator: separator, maxSplits: maxSplits).map { Substring($0) }
    }

    /// The parts before and after the first `separator`; `nil` without one.
    func cut(at separator: UInt8) -> (Substring, Substring)? {
        guard let index = self.utf8.firstIndex(of: separator) else { return nil }
        return (Substring(self.utf8[..<index]), Substring(self.utf8[self.utf8.index(after: index)...]))
    }

    var isDecimal: Bool { !self.isEmpty && self.utf8.allSatisfy { (48...57).contains($0) } }

    /// The value of decimal digits, without sign or blanks; `nil` for anything else or more than `limit`.
    func decimal<Number: FixedWidthInteger>(_ type: Number.Type, upTo limit: Number = .max) -> Number? {
        guard self.isDecimal, let value = Number(self), value <= limit else { return nil }
        return value
    }

    /// Letters, digits and the marks that RFC 8866 §9 allows in a token.
    var isToken: Bool {
        !self.isEmpty
            && self.utf8.allSatisfy { byte in
                switch byte {
                case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x30...0x39, 0x41...0x5A, 0x5E...0x7E: true
                default: false
                }
            }
    }
}
