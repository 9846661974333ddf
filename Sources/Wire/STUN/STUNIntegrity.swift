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
    private let sha1: HMACStates<Insecure.SHA1>
    private let sha256: HMACStates<SHA256>

    /// Short-term credentials: the password is the key (RFC 8489 §9.1.1). ICE passwords are ASCII already.
    package init(_ password: some Sequence<UInt8>) {
        let key = Array(password)
        self.sha1 = HMACStates(key: key)
        self.sha256 = HMACStates(key: key)
    }

    /// Long-term credentials: a digest of `username:realm:password` (RFC 8489 §18.5.1).
    ///
    /// - Parameters:
    ///   - password: already prepared with the OpaqueString profile.
    ///   - algorithm: `.sha1` stands for MD5, the digest that goes with MESSAGE-INTEGRITY.
    package init(username: String, realm: String, password: String, algorithm: STUNIntegrityAlgorithm) {
        let text = Array("\(username):\(realm):\(password)".utf8)
        switch algorithm {
        case .sha1: self.init(Insecure.MD5.hash(data: text))
        case .sha256: self.init(SHA256.hash(data: text))
        }
    }

    package var description: String { "[redacted]" }

    /// The HMAC over `bytes[0..<end]` as if the header's length were `length`.
    func mac(over bytes: RawSpan, upTo end: Int, length: UInt16, algorithm: STUNIntegrityAlgorithm) -> [UInt8] {
        switch algorithm {
        case .sha1: self.sha1.code(over: bytes, upTo: end, length: length).bytes(algorithm.macByteCount)
        case .sha256: self.sha256.code(over: bytes, upTo: end, length: length).bytes(algorithm.macByteCount)
        }
    }

    /// Whether the HMAC over `bytes[0..<range.lowerBound - 4]` begins with the bytes in `range`; in constant time.
    fileprivate func matches(_ range: Range<Int>, of bytes: RawSpan, algorithm: STUNIntegrityAlgorithm) -> Bool {
        switch algorithm {
        case .sha1: self.sha1.matches(range, of: bytes)
        case .sha256: self.sha256.matches(range, of: bytes)
        }
    }
}

/// A digest of 20 or 32 bytes in place, in words as they lie in memory: swift-crypto's own gives its bytes away one by one, or as
/// an array, and either takes as long as the hash.
private struct DigestWords {
    private var words = InlineArray<8, UInt32>(repeating: 0)

    init(_ digest: UnsafeRawBufferPointer) {
        for index in 0..<min(8, digest.count / 4) {
            self.words[index] = unsafe digest.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self)
        }
    }

    func bytes(_ count: Int) -> [UInt8] {
        (0..<min(count, 32)).map { UInt8(truncatingIfNeeded: self.words[$0 / 4].bigEndian >> UInt32(24 - $0 % 4 * 8)) }
    }

    /// Whether the digest begins with the bytes in `range`, a multiple of 4; in constant time.
    func begins(with range: Range<Int>, of bytes: RawSpan) -> Bool {
        var difference: UInt32 = 0
        for index in 0..<min(8, range.count / 4) {
            difference |= self.words[index].bigEndian ^ bytes.uint32(at: range.lowerBound + 4 * index)
        }
        return difference == 0
    }
}

private protocol STUNHashFunction: HashFunction, Sendable {
    static func words(of digest: Digest) -> DigestWords
}

extension Insecure.SHA1: STUNHashFunction {
    fileprivate static func words(of digest: Digest) -> DigestWords {
        unsafe digest.withUnsafeBytes { unsafe DigestWords($0) }
    }
}

extension SHA256: STUNHashFunction {
    fileprivate static func words(of digest: Digest) -> DigestWords {
        unsafe digest.withUnsafeBytes { unsafe DigestWords($0) }
    }
}

/// HMAC under one key (RFC 2104): the two states behind the padded key are computed once. Anybody may make us compute
/// a code for every datagram (ATTACKS A-44).
private struct HMACStates<Hash: STUNHashFunction>: Sendable {
    private let inner: Hash
    private let outer: Hash

    init(key: [UInt8]) {
        let short = key.count > Hash.blockByteCount ? Array(Hash.hash(data: key)) : key
        let padded = short + [UInt8](repeating: 0, count: Hash.blockByteCount - short.count)
        var inner = Hash()
        var outer = Hash()
        inner.update(data: padded.map { $0 ^ 0x36 })
        outer.update(data: padded.map { $0 ^ 0x5C })
        self.inner = inner
        self.outer = outer
    }

    @inline(__always)
    func code(over bytes: RawSpan, upTo end: Int, length: UInt16) -> DigestWords {
        // The header is hashed with another length than it has.
        let head = (bytes.uint64(at: 0) & 0xFFFF_0000_FFFF_FFFF | UInt64(length) << 32).bigEndian
        var inner = self.inner
        unsafe withUnsafeBytes(of: head) { unsafe inner.update(bufferPointer: $0) }
        unsafe bytes.extracting(8..<end).withUnsafeBytes { unsafe inner.update(bufferPointer: $0) }
        var digest = Hash.words(of: inner.finalize())
        var outer = self.outer
        unsafe withUnsafeBytes(of: &digest) {
            unsafe outer.update(bufferPointer: UnsafeRawBufferPointer(rebasing: $0[0..<Hash.Digest.byteCount]))
        }
        return Hash.words(of: outer.finalize())
    }

    @inline(__always)
    func matches(_ range: Range<Int>, of bytes: RawSpan) -> Bool {
        // The length up to and including the integrity attribute, whatever follows it (RFC 8489 §14.5).
        let length = UInt16(truncatingIfNeeded: range.upperBound - STUNHeader.byteCount)
        return self.code(over: bytes, upTo: range.lowerBound - 4, length: length).begins(with: range, of: bytes)
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
        return key.matches(self.valueRange(at: offset), of: self.bytes, algorithm: algorithm)
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
