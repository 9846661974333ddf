import COpenSSL

/// Owns one OpenSSL cipher context, or none, and frees it, and the key schedule in it, exactly once.
@safe struct CipherContext: ~Copyable {
    let pointer: OpaquePointer?

    init() throws(SRTPSetupError) {
        guard let pointer = unsafe EVP_CIPHER_CTX_new() else { throw .library }
        unsafe self.pointer = pointer
    }

    /// No context, for what another library does.
    init(none: Void) { unsafe self.pointer = nil }

    deinit { unsafe EVP_CIPHER_CTX_free(self.pointer) }
}

/// HMAC-SHA1 under one key: the two SHA-1 states after the padded key are computed once, not per packet.
@safe struct HMACSHA1: ~Copyable {
    /// The inner state, then the outer; none with AEAD.
    private let states: UnsafeMutablePointer<SHA_CTX>?

    private static let blockLength = 64

    /// - Parameter key: at most 64 bytes; with none, every code is zero and must not be asked for.
    init(key: [UInt8]) {
        guard !key.isEmpty else {
            unsafe self.states = nil
            return
        }
        let states = UnsafeMutablePointer<SHA_CTX>.allocate(capacity: 2)
        unsafe states.initialize(repeating: SHA_CTX(), count: 2)
        unsafe self.states = states
        for (index, pad) in [UInt8(0x36), 0x5c].enumerated() {
            var block = [UInt8](repeating: pad, count: Self.blockLength)
            for (offset, byte) in key.prefix(Self.blockLength).enumerated() { block[offset] ^= byte }
            unsafe SHA1_Init(states + index)
            unsafe SHA1_Update(states + index, block, block.count)
            unsafe block.withUnsafeMutableBytes { unsafe OPENSSL_cleanse($0.baseAddress, $0.count) }
        }
    }

    deinit {
        guard let states = unsafe self.states else { return }
        unsafe OPENSSL_cleanse(states, 2 * MemoryLayout<SHA_CTX>.stride)
        unsafe states.deallocate()
    }

    /// The first 80 bits of the code over `bytes` and then `suffix`, which goes in big-endian: bytes 0 to 7 and bytes
    /// 8 and 9, as they lie in memory.
    @inline(__always)
    func code(over bytes: UnsafeRawBufferPointer, suffix: UInt32?) -> (UInt64, UInt16) {
        guard let states = unsafe self.states else { return (0, 0) }
        var state = unsafe states[0]
        unsafe SHA1_Update(&state, bytes.baseAddress, bytes.count)
        if let suffix {
            var word = suffix.bigEndian
            unsafe SHA1_Update(&state, &word, 4)
        }
        // 20 bytes, in words that are aligned for whatever SHA-1 stores.
        var digest: (UInt64, UInt64, UInt32) = (0, 0, 0)
        return unsafe withUnsafeMutableBytes(of: &digest) { digest in
            let bytes = unsafe digest.baseAddress?.assumingMemoryBound(to: UInt8.self)
            unsafe SHA1_Final(bytes, &state)
            unsafe state = states[1]
            unsafe SHA1_Update(&state, bytes, 20)
            unsafe SHA1_Final(bytes, &state)
            return unsafe (
                digest.loadUnaligned(fromByteOffset: 0, as: UInt64.self),
                digest.loadUnaligned(fromByteOffset: 8, as: UInt16.self)
            )
        }
    }
}
