import Basics

/// A STUN message, read in place from a received datagram (RFC 8489 §5, §14).
///
/// The initialiser walks the attributes once and allocates nothing; after that no accessor can fail for want of bytes.
/// Attributes behind MESSAGE-INTEGRITY do not exist for a reader, except MESSAGE-INTEGRITY-SHA256 and FINGERPRINT
/// (RFC 8489 §14.5): an attacker on the path could have added them. Of several attributes of one type the first counts.
package struct STUNMessageView: ~Escapable {
    let bytes: RawSpan
    package let messageClass: STUNMessageClass
    /// 12 bits.
    package let method: UInt16
    package let transactionID: STUNTransactionID
    /// Where the attributes that may be heeded end.
    let attributesEnd: Int
    /// Offsets of attribute headers; 0 = absent, which no attribute can have.
    let messageIntegrityOffset: Int
    let messageIntegritySHA256Offset: Int
    let fingerprintOffset: Int
    private let hasUnknownRequired: Bool
    private let usernameOffset: Int

    /// - Throws: `STUNParseError` for anything that is not well formed from the first byte to the last. The value of
    ///   FINGERPRINT is not looked at here; see `fingerprintIsValid`.
    @_lifetime(copy bytes)
    package init(_ bytes: RawSpan) throws(STUNParseError) {
        let byteCount = bytes.byteCount
        guard byteCount >= STUNHeader.byteCount else { throw .truncatedHeader(byteCount: byteCount) }
        let type = bytes.uint16(at: 0)
        guard type < 0x4000 else { throw .notSTUN }
        let cookie = bytes.uint32(at: 4)
        guard cookie == STUNHeader.magicCookie else { throw .wrongMagicCookie(cookie) }
        let declared = Int(bytes.uint16(at: 2))
        guard declared == byteCount - STUNHeader.byteCount, declared.isMultiple(of: 4) else {
            throw .lengthMismatch(declared: declared, actual: byteCount - STUNHeader.byteCount)
        }

        var integrity = 0
        var integritySHA256 = 0
        var fingerprint = 0
        var username = 0
        var end = byteCount
        var unknownRequired = false
        var offset = STUNHeader.byteCount
        while offset < byteCount {  // the length is a multiple of 4, so a 4-byte attribute header is always there
            let type = STUNAttributeType(rawValue: bytes.uint16(at: offset))
            let length = Int(bytes.uint16(at: offset + 2))
            guard fingerprint == 0 else { throw .attributeAfterFingerprint(type: type.rawValue) }
            guard length <= byteCount - offset - 4 else {
                throw .attributeOverrun(
                    type: type.rawValue,
                    declaredLength: length,
                    available: byteCount - offset - 4
                )
            }
            let isBeforeIntegrity = integrity == 0 && integritySHA256 == 0
            switch type {
            case .fingerprint:
                guard length == 4 else { throw .wrongAttributeLength(type: type.rawValue, length: length) }
                fingerprint = offset
                end = min(end, offset)
            case .messageIntegrity where isBeforeIntegrity:
                guard length == 20 else { throw .wrongAttributeLength(type: type.rawValue, length: length) }
                integrity = offset
                end = min(end, offset)
            case .messageIntegritySHA256 where integritySHA256 == 0:
                guard (16...32).contains(length), length.isMultiple(of: 4) else {
                    throw .wrongAttributeLength(type: type.rawValue, length: length)
                }
                integritySHA256 = offset
                end = min(end, offset)
            case .username where isBeforeIntegrity && username == 0:
                username = offset
            default:
                if isBeforeIntegrity, type.isComprehensionRequired, !type.isKnownToBinding { unknownRequired = true }
            }
            offset += 4 + (length + 3) & ~3
        }

        self.bytes = bytes
        self.messageClass = STUNHeader.messageClass(ofType: type)
        self.method = STUNHeader.method(ofType: type)
        self.transactionID = STUNTransactionID(high: bytes.uint32(at: 8), low: bytes.uint64(at: 12))
        self.attributesEnd = end
        self.messageIntegrityOffset = integrity
        self.messageIntegritySHA256Offset = integritySHA256
        self.fingerprintOffset = fingerprint
        self.usernameOffset = username
        self.hasUnknownRequired = unknownRequired
    }

    /// The value of USERNAME as a range of the datagram.
    package var usernameRange: Range<Int>? {
        self.usernameOffset == 0 ? nil : self.valueRange(at: self.usernameOffset)
    }

    /// The value of the first attribute of a type, as a range of the datagram: linear in the number of attributes.
    package func attribute(_ type: STUNAttributeType) -> Range<Int>? {
        var offset = STUNHeader.byteCount
        while offset < self.attributesEnd {
            let range = self.valueRange(at: offset)
            if self.bytes.uint16(at: offset) == type.rawValue { return range }
            offset = range.lowerBound + (range.count + 3) & ~3
        }
        return nil
    }

    /// Comprehension-required attributes that the receiver does not know: not empty means error 420 (RFC 8489 §6.3.1).
    ///
    /// - Parameters:
    ///   - limit: the most that are reported, each type once; the sender picks how many there are.
    ///   - isKnown: what the receiver knows besides the attributes of Binding, such as TURN's.
    package func unknownRequiredAttributes(
        limit: Int = 8,
        isKnown: (STUNAttributeType) -> Bool = { _ in false }
    ) -> [STUNAttributeType] {
        guard self.hasUnknownRequired else { return [] }
        var unknown: [STUNAttributeType] = []
        var offset = STUNHeader.byteCount
        while offset < self.attributesEnd, unknown.count < limit {
            let type = STUNAttributeType(rawValue: self.bytes.uint16(at: offset))
            let range = self.valueRange(at: offset)
            if type.isComprehensionRequired, !type.isKnownToBinding, !isKnown(type), !unknown.contains(type) {
                unknown.append(type)
            }
            offset = range.lowerBound + (range.count + 3) & ~3
        }
        return unknown
    }

    /// Only for offsets of attributes that the initialiser has walked over.
    func valueRange(at offset: Int) -> Range<Int> {
        (offset + 4)..<(offset + 4 + Int(self.bytes.uint16(at: offset + 2)))
    }
}
