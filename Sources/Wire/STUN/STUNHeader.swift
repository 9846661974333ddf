/// What a message is for: the two class bits of its type (RFC 8489 §5).
package enum STUNMessageClass: UInt8, Hashable, Sendable, CaseIterable, BitwiseCopyable {
    case request = 0
    case indication = 1
    case success = 2
    case error = 3
}

/// The fixed 20-byte header's constants and the layout of its type field (RFC 8489 §5).
package enum STUNHeader {
    package static let byteCount = 20
    package static let magicCookie: UInt32 = 0x2112_A442
    package static let bindingMethod: UInt16 = 0x0001

    /// - Parameter method: 12 bits; higher ones are cut off.
    package static func type(of messageClass: STUNMessageClass, method: UInt16) -> UInt16 {
        let classBits = UInt16(messageClass.rawValue)
        return (method & 0x000F) | (method & 0x0070) << 1 | (method & 0x0F80) << 2
            | (classBits & 1) << 4 | (classBits & 2) << 7
    }

    static func messageClass(ofType type: UInt16) -> STUNMessageClass {
        switch (type & 0x0100 != 0, type & 0x0010 != 0) {
        case (false, false): .request
        case (false, true): .indication
        case (true, false): .success
        case (true, true): .error
        }
    }

    static func method(ofType type: UInt16) -> UInt16 {
        (type & 0x000F) | (type & 0x00E0) >> 1 | (type & 0x3E00) >> 2
    }
}

/// The 96 bits that match a response to its request (RFC 8489 §5). Must be unpredictable.
package struct STUNTransactionID: Hashable, Sendable, BitwiseCopyable {
    package let high: UInt32
    package let low: UInt64

    @inlinable package init(high: UInt32, low: UInt64) {
        self.high = high
        self.low = low
    }

    package static func random(using generator: inout some RandomNumberGenerator) -> Self {
        Self(high: UInt32(truncatingIfNeeded: generator.next()), low: generator.next())
    }
}

/// Why a datagram is not a STUN message (RFC 8489 §6.3). Counted, never logged one by one: the sender picks how many.
package enum STUNParseError: Error, Hashable, Sendable {
    case truncatedHeader(byteCount: Int)
    /// The two most significant bits are not zero: RTP, DTLS or something else.
    case notSTUN
    case wrongMagicCookie(UInt32)
    /// The header's length is not a multiple of 4, or not that of the datagram.
    case lengthMismatch(declared: Int, actual: Int)
    case attributeOverrun(type: UInt16, declaredLength: Int, available: Int)
    /// FINGERPRINT is not the last attribute (RFC 8489 §14.7).
    case attributeAfterFingerprint(type: UInt16)
    /// An integrity attribute or FINGERPRINT has a length that its definition does not allow.
    case wrongAttributeLength(type: UInt16, length: Int)
}
