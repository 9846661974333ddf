import Basics
import COpenSSL

/// The cipher of one direction and one protocol (RTP or RTCP): one reused OpenSSL context with its key set once, or one
/// expanded key of the multi-buffer library.
///
/// Nothing here allocates after `init`.
@safe struct SRTPTransform: ~Copyable {
    let profile: SRTPProfile
    /// One of the two is there.
    let cipher: CipherContext
    let fastKey: MultiBufferKey
    private let mac: HMACSHA1
    /// The session salt as two big-endian halves, on the left; RFC 3711's 14 bytes and RFC 7714's 12 bytes alike.
    private let saltHigh: UInt64
    private let saltLow: UInt64

    enum Direction { case seal, open }

    init(keys: SRTPSessionKeys, direction: Direction, library: SRTPLibrary) throws(SRTPSetupError) {
        let profile = keys.profile
        let key = keys.encryptionKey.value
        let salt = keys.salt.value
        guard key.count == profile.keyLength, salt.count == profile.saltLength else { throw .keyLength }
        let padded = salt + [UInt8](repeating: 0, count: 16 - salt.count)
        let isFast = library == .multiBuffer && profile.isAEAD
        let fastKey = try MultiBufferKey(isFast ? key : nil)
        let cipher =
            try isFast ? CipherContext(none: ()) : Self.makeContext(profile, key: key, nonce: padded, direction)
        self.profile = profile
        self.saltHigh = padded[0..<8].reduce(0) { $0 << 8 | UInt64($1) }
        self.saltLow = padded[8..<16].reduce(0) { $0 << 8 | UInt64($1) }
        self.cipher = cipher
        self.fastKey = fastKey
        self.mac = HMACSHA1(key: keys.authenticationKey.value)
    }

    private static func makeContext(
        _ profile: SRTPProfile,
        key: [UInt8],
        nonce: [UInt8],
        _ direction: Direction
    ) throws(SRTPSetupError) -> CipherContext {
        let context = try CipherContext()
        let algorithm =
            switch profile {
            case .aes128CmSha1_80: unsafe EVP_aes_128_ctr()
            case .aeadAes128Gcm: unsafe EVP_aes_128_gcm()
            case .aeadAes256Gcm: unsafe EVP_aes_256_gcm()
            }
        // Counter mode deciphers by enciphering.
        let isEncrypting = direction == .seal || !profile.isAEAD
        let status =
            if isEncrypting {
                unsafe EVP_EncryptInit_ex2(context.pointer, algorithm, key, nonce, nil)
            } else {
                unsafe EVP_DecryptInit_ex2(context.pointer, algorithm, key, nonce, nil)
            }
        guard status == 1 else { throw .library }
        return context
    }

    // MARK: - Nonces

    /// RFC 3711 §4.1.1: the salt, with the SSRC in bytes 4 to 7 and the index in bytes 8 to 13.
    /// RFC 7714 §8.1 and §9.1: the salt, with the SSRC in bytes 2 to 5 and the index in bytes 6 to 11.
    ///
    /// - Parameter index: 48 bits: the roll-over counter and the sequence number, or SRTCP's index.
    @inline(__always)
    func nonce(ssrc: UInt32, index: UInt64) -> (UInt64, UInt64) {
        if self.profile.isAEAD {
            let high = self.saltHigh ^ (UInt64(ssrc) << 16 | index >> 32)
            return (high.bigEndian, (self.saltLow ^ (index << 32)).bigEndian)
        }
        return ((self.saltHigh ^ UInt64(ssrc)).bigEndian, (self.saltLow ^ (index << 16)).bigEndian)
    }

    // MARK: - AES-CM and HMAC-SHA1

    /// Adds the key stream to `count` bytes of `source`; `target` may be the same place.
    @inline(__always)
    func applyKeyStream(
        _ source: UnsafeRawPointer?,
        to target: UnsafeMutableRawPointer,
        count: Int,
        ssrc: UInt32,
        index: UInt64
    ) -> Bool {
        let context = unsafe self.cipher.pointer
        var counter = self.nonce(ssrc: ssrc, index: index)
        var written: CInt = 0
        var status = unsafe withUnsafeBytes(of: &counter) { counter in
            unsafe EVP_EncryptInit_ex2(
                context,
                nil,
                nil,
                counter.baseAddress?.assumingMemoryBound(to: UInt8.self),
                nil
            )
        }
        if count > 0 {
            status &= unsafe EVP_EncryptUpdate(
                context,
                target.assumingMemoryBound(to: UInt8.self),
                &written,
                source?.assumingMemoryBound(to: UInt8.self),
                CInt(count)
            )
        }
        return status == 1
    }

    /// Writes the 80-bit tag over `bytes` and `suffix` to `target`.
    @inline(__always)
    func writeTag(over bytes: UnsafeRawBufferPointer, suffix: UInt32?, to target: UnsafeMutableRawPointer) {
        let (first, last) = unsafe self.mac.code(over: bytes, suffix: suffix)
        unsafe target.storeBytes(of: first, as: UInt64.self)
        unsafe target.storeBytes(of: last, toByteOffset: 8, as: UInt16.self)
    }

    /// Compares the 80-bit tag in constant time.
    @inline(__always)
    func hasTag(_ tag: UnsafeRawPointer, over bytes: UnsafeRawBufferPointer, suffix: UInt32?) -> Bool {
        let (first, last) = unsafe self.mac.code(over: bytes, suffix: suffix)
        let difference = unsafe first ^ tag.loadUnaligned(as: UInt64.self)
        return unsafe difference | UInt64(last ^ tag.loadUnaligned(fromByteOffset: 8, as: UInt16.self)) == 0
    }
}
