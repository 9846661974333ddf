import Basics
import Crypto

/// Which HMAC protects a message (RFC 8489 §14.5, §14.6).
package enum STUNIntegrityAlgorithm: Hashable, Sendable, CaseIterable {
    case sha1, sha256

    var attribute: STUNAttributeType { self == .sha1 ? .messageIntegrity : .messageIntegritySHA256 }
    var macByteCount: Int { self == .sha1 ? 20 : 32 }
}

/// The key of MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256. Prints nothing of itself.
package struct STUNIntegrityKey: Sendable, CustomStringConvertible {
    private let key: SymmetricKey

    /// Short-term credentials: the password is the key (RFC 8489 §9.1.1). ICE passwords are ASCII already.
    package init(_ password: some Sequence<UInt8>) { self.key = SymmetricKey(data: Array(password)) }

    /// Long-term credentials: a digest of `username:realm:password` (RFC 8489 §18.5.1).
    ///
    /// - Parameters:
    ///   - password: already prepared with the OpaqueString profile.
    ///   - algorithm: `.sha1` stands for MD5, the digest that goes with MESSAGE-INTEGRITY.
    package init(username: String, realm: String, password: String, algorithm: STUNIntegrityAlgorithm) {
        let text = Array("\(username):\(realm):\(password)".utf8)
        switch algorithm {
        case .sha1: self.key = SymmetricKey(data: Array(Insecure.MD5.hash(data: text)))
        case .sha256: self.key = SymmetricKey(data: Array(SHA256.hash(data: text)))
        }
    }

    package var description: String { "[redacted]" }

    /// The HMAC over `bytes[0..<end]` as if the header's length were `length`.
    func mac(over bytes: RawSpan, upTo end: Int, length: UInt16, algorithm: STUNIntegrityAlgorithm) -> [UInt8] {
        switch algorithm {
        case .sha1: self.mac(over: bytes, upTo: end, length: length, using: Insecure.SHA1.self)
        case .sha256: self.mac(over: bytes, upTo: end, length: length, using: SHA256.self)
        }
    }

    private func mac<Hash: HashFunction>(
        over bytes: RawSpan,
        upTo end: Int,
        length: UInt16,
        using: Hash.Type
    ) -> [UInt8] {
        var hmac = HMAC<Hash>(key: self.key)
        let start = UInt32(bytes.uint16(at: 0)) << 16 | UInt32(length)
        unsafe withUnsafeBytes(of: start.bigEndian) { unsafe hmac.update(data: $0) }
        unsafe bytes.extracting(4..<end).withUnsafeBytes { unsafe hmac.update(data: $0) }
        return Array(hmac.finalize())
    }
}

/// SHA-256 of `username:realm`: what USERHASH carries in place of USERNAME (RFC 8489 §14.4).
package func stunUserhash(username: String, realm: String) -> [UInt8] {
    Array(SHA256.hash(data: Array("\(username):\(realm)".utf8)))
}

extension STUNMessageView {
    /// The stronger of the integrity attributes that the message carries; `nil` without any.
    package var integrityAlgorithm: STUNIntegrityAlgorithm? {
        if self.messageIntegritySHA256Offset != 0 { return .sha256 }
        return self.messageIntegrityOffset != 0 ? .sha1 : nil
    }

    /// Whether the message was made by somebody who knows the key. Of two integrity attributes the stronger decides.
    /// Compares in constant time; a truncated MESSAGE-INTEGRITY-SHA256 of 16 bytes or more is accepted.
    package func verifyIntegrity(key: STUNIntegrityKey) -> Bool {
        guard let algorithm = self.integrityAlgorithm else { return false }
        let offset = algorithm == .sha256 ? self.messageIntegritySHA256Offset : self.messageIntegrityOffset
        let range = self.valueRange(at: offset)
        // The length up to and including the integrity attribute, whatever follows it (RFC 8489 §14.5).
        let length = UInt16(truncatingIfNeeded: range.upperBound - STUNHeader.byteCount)
        let mac = key.mac(over: self.bytes, upTo: offset, length: length, algorithm: algorithm)
        var difference: UInt8 = 0
        for (index, position) in range.enumerated() { difference |= mac[index] ^ self.bytes.uint8(at: position) }
        return difference == 0
    }

    package func verifyIntegrity(key: some Sequence<UInt8>) -> Bool {
        self.verifyIntegrity(key: STUNIntegrityKey(key))
    }

    package var hasFingerprint: Bool { self.fingerprintOffset != 0 }

    /// Whether FINGERPRINT is there and right (RFC 8489 §14.7). It detects other protocols, not attackers.
    package var fingerprintIsValid: Bool {
        guard self.fingerprintOffset != 0 else { return false }
        let expected = STUNFingerprint.value(of: self.bytes, upTo: self.fingerprintOffset)
        return self.bytes.uint32(at: self.fingerprintOffset + 4) == expected
    }
}
