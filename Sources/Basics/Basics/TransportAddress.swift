/// An IPv4 or IPv6 address with a port: where a datagram came from or goes to.
///
/// IPv4 is kept as the mapped IPv6 address `::ffff:a.b.c.d`, so an address has one form however it arrived and a
/// comparison or a policy cannot be fooled by the mapped one (ATTACKS A-20). Plain integers: hashing it is two words.
@usableFromInline package struct TransportAddress: Hashable, Sendable, BitwiseCopyable {
    /// The upper and lower 64 bits of the IPv6 address, in host order.
    @usableFromInline package let high: UInt64
    @usableFromInline package let low: UInt64
    @usableFromInline package let port: UInt16
    /// The interface of a link-local address; 0 otherwise.
    @usableFromInline package let scope: UInt32

    @inlinable package init(high: UInt64, low: UInt64, port: UInt16, scope: UInt32 = 0) {
        self.high = high
        self.low = low
        self.port = port
        self.scope = scope
    }

    /// - Parameter ipv4: `0x7F000001` is 127.0.0.1.
    @inlinable package init(ipv4: UInt32, port: UInt16) {
        self.init(high: 0, low: 0xFFFF_0000_0000 | UInt64(ipv4), port: port)
    }

    @inlinable package var isIPv4: Bool { self.high == 0 && self.low >> 32 == 0xFFFF }

    /// The IPv4 address in host order; only meaningful when `isIPv4`.
    @inlinable package var ipv4: UInt32 { UInt32(truncatingIfNeeded: self.low) }

    package func withPort(_ port: UInt16) -> Self {
        Self(high: self.high, low: self.low, port: port, scope: self.scope)
    }

    package var isLoopback: Bool {
        self.isIPv4 ? self.ipv4 >> 24 == 127 : self.high == 0 && self.low == 1
    }

    package var isUnspecified: Bool { self.isIPv4 ? self.ipv4 == 0 : self.high == 0 && self.low == 0 }

    /// fe80::/10 and 169.254.0.0/16.
    package var isLinkLocal: Bool {
        self.isIPv4 ? self.ipv4 >> 16 == 0xA9FE : self.high >> 54 == 0x3FA
    }
}

extension TransportAddress: CustomStringConvertible {
    /// The address alone, as SDP and a person write it: `192.0.2.1` or `2001:db8::1` (RFC 5952).
    package var ip: String {
        if self.isIPv4 {
            let value = self.ipv4
            return "\(value >> 24).\(value >> 16 & 255).\(value >> 8 & 255).\(value & 255)"
        }
        let groups = (0..<8).map { index -> UInt16 in
            let word = index < 4 ? self.high : self.low
            return UInt16(truncatingIfNeeded: word >> UInt64(48 - 16 * (index & 3)))
        }
        // The longest run of at least two zero groups becomes `::`, the first of equals (RFC 5952 §4.2).
        var best = (start: 0, count: 0)
        var index = 0
        while index < 8 {
            var end = index
            while end < 8, groups[end] == 0 { end += 1 }
            if end - index > best.count, end - index >= 2 { best = (index, end - index) }
            index = max(end, index + 1)
        }
        let hex = groups.map { String($0, radix: 16) }
        guard best.count > 0 else { return hex.joined(separator: ":") }
        let head = hex[..<best.start].joined(separator: ":")
        let tail = hex[(best.start + best.count)...].joined(separator: ":")
        return "\(head)::\(tail)"
    }

    @usableFromInline package var description: String {
        self.isIPv4 ? "\(self.ip):\(self.port)" : "[\(self.ip)]:\(self.port)"
    }
}

extension TransportAddress {
    /// Parses a literal address; names are never resolved. `nil` for anything else.
    package init?(_ literal: some StringProtocol, port: UInt16) {
        if let value = Self.parseIPv4(literal) {
            self.init(ipv4: value, port: port)
            return
        }
        guard let (high, low) = Self.parseIPv6(literal) else { return nil }
        self.init(high: high, low: low, port: port)
    }

    private static func parseIPv4(_ text: some StringProtocol) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ (48...57).contains($0) }),
                let byte = UInt8(part)
            else { return nil }
            value = value << 8 | UInt32(byte)
        }
        return value
    }

    private static func parseIPv6(_ text: some StringProtocol) -> (UInt64, UInt64)? {
        guard text.utf8.count <= 45, text.contains(":") else { return nil }
        var halves: [[UInt16]] = [[]]
        var rest = Substring(text)
        if rest.hasPrefix("::") {
            halves.append([])
            rest = rest.dropFirst(2)
        }
        while !rest.isEmpty {
            let part = rest.prefix { $0 != ":" }
            rest = rest.dropFirst(part.count)
            if part.contains(".") {
                guard rest.isEmpty, let ipv4 = Self.parseIPv4(part) else { return nil }
                halves[halves.count - 1] += [UInt16(truncatingIfNeeded: ipv4 >> 16), UInt16(truncatingIfNeeded: ipv4)]
                break
            }
            guard (1...4).contains(part.utf8.count), let group = UInt16(part, radix: 16), !part.hasPrefix("+") else {
                return nil
            }
            halves[halves.count - 1].append(group)
            if rest.isEmpty { break }
            if rest.hasPrefix("::") {
                guard halves.count == 1 else { return nil }
                halves.append([])
                rest = rest.dropFirst(2)
            } else {
                rest = rest.dropFirst()
                guard !rest.isEmpty else { return nil }
            }
        }
        var groups = halves[0]
        if halves.count == 2 {
            let missing = 8 - halves[0].count - halves[1].count
            guard missing >= 1 else { return nil }
            groups += Array(repeating: 0, count: missing) + halves[1]
        }
        guard groups.count == 8 else { return nil }
        let high = groups[0..<4].reduce(UInt64(0)) { $0 << 16 | UInt64($1) }
        let low = groups[4..<8].reduce(UInt64(0)) { $0 << 16 | UInt64($1) }
        return (high, low)
    }
}
