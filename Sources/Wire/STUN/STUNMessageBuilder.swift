package import Basics

/// Writes one message: attributes in the order of the calls, then integrity and FINGERPRINT (RFC 8489 §6.1).
///
/// Padding is zero (ATTACKS A-29). An attribute that would make the message longer than its 16-bit length can say is
/// left out, so nothing that came from a peer can trap here.
package struct STUNMessageBuilder: Sendable {
    /// Room for MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256 and FINGERPRINT.
    private static let largestByteCount = 65_535 - 24 - 36 - 8
    private let transactionID: STUNTransactionID
    private var writer: ByteWriter

    package init(
        _ messageClass: STUNMessageClass,
        method: UInt16 = STUNHeader.bindingMethod,
        transactionID: STUNTransactionID
    ) {
        self.transactionID = transactionID
        self.writer = ByteWriter(reserving: 128)
        self.writer.write(STUNHeader.type(of: messageClass, method: method))
        self.writer.write(UInt16(0))
        self.writer.write(STUNHeader.magicCookie)
        self.writer.write(transactionID.high)
        self.writer.write(transactionID.low)
    }

    package mutating func add(_ type: STUNAttributeType, _ value: some Collection<UInt8>) {
        guard value.count <= Self.largestByteCount - self.writer.count - 8 else { return }
        self.append(type, value)
    }

    private mutating func append(_ type: STUNAttributeType, _ value: some Collection<UInt8>) {
        self.writer.write(type.rawValue)
        self.writer.write(UInt16(truncatingIfNeeded: value.count))
        self.writer.write(bytes: value)
        self.writer.pad(toMultipleOf: 4)
    }

    package mutating func addUsername(_ username: some Collection<UInt8>) { self.add(.username, username) }

    package mutating func addPriority(_ priority: UInt32) {
        var value = ByteWriter(reserving: 4)
        value.write(priority)
        self.add(.priority, value.bytes)
    }

    package mutating func addUseCandidate() { self.add(.useCandidate, []) }

    package mutating func addICEControlling(tieBreaker: UInt64) { self.add(.iceControlling, tieBreaker) }

    package mutating func addICEControlled(tieBreaker: UInt64) { self.add(.iceControlled, tieBreaker) }

    private mutating func add(_ type: STUNAttributeType, _ tieBreaker: UInt64) {
        var value = ByteWriter(reserving: 8)
        value.write(tieBreaker)
        self.add(type, value.bytes)
    }

    package mutating func addMappedAddress(_ address: TransportAddress) {
        self.addAddress(.mappedAddress, address, isXORed: false)
    }

    package mutating func addXORMappedAddress(_ address: TransportAddress) {
        self.addAddress(.xorMappedAddress, address, isXORed: true)
    }

    /// An attribute with the layout of MAPPED-ADDRESS or XOR-MAPPED-ADDRESS (RFC 8489 §14.1, §14.2).
    package mutating func addAddress(_ type: STUNAttributeType, _ address: TransportAddress, isXORed: Bool) {
        let cookie = isXORed ? STUNHeader.magicCookie : 0
        var value = ByteWriter(reserving: 20)
        value.write(UInt8(0))
        value.write(UInt8(address.isIPv4 ? 0x01 : 0x02))
        value.write(address.port ^ UInt16(truncatingIfNeeded: cookie >> 16))
        if address.isIPv4 {
            value.write(address.ipv4 ^ cookie)
        } else {
            let id = isXORed ? self.transactionID : STUNTransactionID(high: 0, low: 0)
            value.write(address.high ^ (UInt64(cookie) << 32 | UInt64(id.high)))
            value.write(address.low ^ id.low)
        }
        self.add(type, value.bytes)
    }

    /// - Parameter code: 300...699; anything else is written as 500.
    package mutating func addErrorCode(_ code: Int, reason: String) {
        let code = (300...699).contains(code) ? code : 500
        var value = ByteWriter(reserving: 32)
        value.write(UInt16(0))
        value.write(UInt8(truncatingIfNeeded: code / 100))
        value.write(UInt8(truncatingIfNeeded: code % 100))
        value.write(bytes: reason.utf8)
        self.add(.errorCode, value.bytes)
    }

    package mutating func addUnknownAttributes(_ types: [STUNAttributeType]) {
        var value = ByteWriter(reserving: 2 * types.count)
        for type in types { value.write(type.rawValue) }
        self.add(.unknownAttributes, value.bytes)
    }

    /// The message's bytes, signed where a key is given.
    package consuming func finish(
        key: STUNIntegrityKey? = nil,
        algorithm: STUNIntegrityAlgorithm = .sha1,
        fingerprint: Bool = true
    ) -> [UInt8] {
        if let key {
            let end = self.writer.count
            let length = UInt16(truncatingIfNeeded: end + 4 + algorithm.macByteCount - STUNHeader.byteCount)
            let bytes = self.writer.bytes
            let mac = unsafe key.mac(over: bytes.span.bytes, upTo: end, length: length, algorithm: algorithm)
            self.append(algorithm.attribute, mac)
        }
        if fingerprint {
            let end = self.writer.count
            self.writer.patch(UInt16(truncatingIfNeeded: end + 8 - STUNHeader.byteCount), at: 2)
            let bytes = self.writer.bytes
            let value = unsafe STUNFingerprint.value(of: bytes.span.bytes, upTo: end)
            self.writer.write(STUNAttributeType.fingerprint.rawValue)
            self.writer.write(UInt16(4))
            self.writer.write(value)
        } else {
            self.writer.patch(UInt16(truncatingIfNeeded: self.writer.count - STUNHeader.byteCount), at: 2)
        }
        return self.writer.bytes
    }
}
