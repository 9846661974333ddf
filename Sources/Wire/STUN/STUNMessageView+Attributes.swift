package import Basics

// Typed values. An attribute of a wrong length reads as absent.
extension STUNMessageView {
    package var useCandidate: Bool { self.attribute(.useCandidate) != nil }

    /// The priority that the sender gives a peer-reflexive candidate found by this check (RFC 8445 §7.1.1).
    package var priority: UInt32? {
        guard let range = self.attribute(.priority), range.count == 4 else { return nil }
        return self.bytes.uint32(at: range.lowerBound)
    }

    /// The sender's tie-breaker, when it believes itself controlling (RFC 8445 §7.1.3).
    package var iceControlling: UInt64? { self.tieBreaker(.iceControlling) }

    /// The sender's tie-breaker, when it believes itself controlled.
    package var iceControlled: UInt64? { self.tieBreaker(.iceControlled) }

    private func tieBreaker(_ type: STUNAttributeType) -> UInt64? {
        guard let range = self.attribute(type), range.count == 8 else { return nil }
        return self.bytes.uint64(at: range.lowerBound)
    }

    package var mappedAddress: TransportAddress? { self.address(.mappedAddress, isXORed: false) }

    package var xorMappedAddress: TransportAddress? { self.address(.xorMappedAddress, isXORed: true) }

    /// The address in an attribute with the layout of MAPPED-ADDRESS or XOR-MAPPED-ADDRESS (RFC 8489 §14.1, §14.2);
    /// TURN's XOR-PEER-ADDRESS and XOR-RELAYED-ADDRESS have the latter.
    package func address(_ type: STUNAttributeType, isXORed: Bool) -> TransportAddress? {
        guard let range = self.attribute(type), range.count >= 8 else { return nil }
        let start = range.lowerBound
        let cookie = isXORed ? STUNHeader.magicCookie : 0
        let port = self.bytes.uint16(at: start + 2) ^ UInt16(truncatingIfNeeded: cookie >> 16)
        switch (self.bytes.uint8(at: start + 1), range.count) {
        case (0x01, 8):
            return TransportAddress(ipv4: self.bytes.uint32(at: start + 4) ^ cookie, port: port)
        case (0x02, 20):
            let id = isXORed ? self.transactionID : STUNTransactionID(high: 0, low: 0)
            return TransportAddress(
                high: self.bytes.uint64(at: start + 4) ^ (UInt64(cookie) << 32 | UInt64(id.high)),
                low: self.bytes.uint64(at: start + 12) ^ id.low,
                port: port
            )
        default:
            return nil
        }
    }

    /// 300...699 (RFC 8489 §14.8).
    package var errorCode: Int? {
        guard let range = self.attribute(.errorCode), range.count >= 4 else { return nil }
        let hundreds = Int(self.bytes.uint8(at: range.lowerBound + 2) & 0x07)
        let number = Int(self.bytes.uint8(at: range.lowerBound + 3))
        guard (3...6).contains(hundreds), number < 100 else { return nil }
        return hundreds * 100 + number
    }

    /// The types listed in UNKNOWN-ATTRIBUTES, at most `limit` of them (RFC 8489 §14.9).
    package func unknownAttributes(limit: Int = 32) -> [STUNAttributeType] {
        guard let range = self.attribute(.unknownAttributes) else { return [] }
        return stride(from: range.lowerBound, to: range.upperBound - 1, by: 2).prefix(limit).map {
            STUNAttributeType(rawValue: self.bytes.uint16(at: $0))
        }
    }

    /// Copies: for control messages only. At most 128 characters, which may be 763 bytes (RFC 8489 §14.14).
    package var software: String? { self.text(.software) }
    package var realm: String? { self.text(.realm) }
    package var nonce: String? { self.text(.nonce) }
    package var username: String? { self.text(.username) }

    /// `nil` when absent or longer than 763 bytes. Bytes that are not UTF-8 become U+FFFD.
    private func text(_ type: STUNAttributeType) -> String? {
        guard let range = self.attribute(type), range.count <= 763 else { return nil }
        return String(decoding: self.bytes.array(range), as: UTF8.self)
    }

    /// SHA-256 of `username:realm`, 32 bytes (RFC 8489 §14.4).
    package var userhash: [UInt8]? {
        guard let range = self.attribute(.userhash), range.count == 32 else { return nil }
        return self.bytes.array(range)
    }

    /// Whether USERNAME is there and says exactly this.
    package func usernameIs(_ expected: [UInt8]) -> Bool {
        guard let range = self.usernameRange, range.count == expected.count else { return false }
        var difference: UInt8 = 0
        for (index, byte) in expected.enumerated() {
            difference |= byte ^ self.bytes.uint8(at: range.lowerBound + index)
        }
        return difference == 0
    }
}
