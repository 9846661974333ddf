import CMultiBuffer
import COpenSSL

// AES-GCM (RFC 7714). With OpenSSL a packet costs as few calls as its interface allows: nonce, associated data,
// payload, final, tag. With the multi-buffer library it costs one.
extension SRTPTransform {
    /// Enciphers `plain` to `output`, followed by the tag: `plain.count + 16` bytes.
    ///
    /// - Parameter trailer: associated data that follows `header`; SRTCP's E flag and index.
    @inline(__always)
    func sealAEAD(
        header: UnsafeRawBufferPointer,
        trailer: UInt32?,
        plain: UnsafeRawBufferPointer,
        output: UnsafeMutableRawPointer,
        ssrc: UInt32,
        index: UInt64
    ) -> Bool {
        var nonce = self.nonce(ssrc: ssrc, index: index)
        let source = unsafe plain.baseAddress?.assumingMemoryBound(to: UInt8.self)
        let target = unsafe output.assumingMemoryBound(to: UInt8.self)
        let tag = unsafe target + plain.count
        if let key = unsafe self.fastKey.pointer {
            let keyLength = CInt(self.profile.keyLength)
            return unsafe withAssociated(header, trailer, &nonce) { nonce, associated, count in
                unsafe mb_gcm_seal(key, keyLength, nonce, associated, count, source, target, plain.count, tag)
                return true
            }
        }
        let context = unsafe self.cipher.pointer
        var status = unsafe withNonce(&nonce) { unsafe EVP_EncryptInit_ex2(context, nil, nil, $0, nil) }
        status &= unsafe self.update(header, trailer, source, target, count: plain.count)
        var count: CInt = 0
        status &= unsafe EVP_EncryptFinal_ex(context, tag, &count)
        status &= unsafe shim_gcm_get_tag(context, tag)
        return status == 1
    }

    /// Deciphers `payload` in place and verifies `tag`, 16 bytes.
    ///
    /// - Returns: false when the tag is wrong; `payload` is then spoilt.
    @inline(__always)
    func openAEAD(
        header: UnsafeRawBufferPointer,
        trailer: UInt32?,
        payload: UnsafeMutableRawBufferPointer,
        tag: UnsafeMutableRawPointer,
        ssrc: UInt32,
        index: UInt64
    ) -> Bool {
        var nonce = self.nonce(ssrc: ssrc, index: index)
        let bytes = unsafe payload.baseAddress?.assumingMemoryBound(to: UInt8.self)
        let tag = unsafe tag.assumingMemoryBound(to: UInt8.self)
        if let key = unsafe self.fastKey.pointer {
            let keyLength = CInt(self.profile.keyLength)
            return unsafe withAssociated(header, trailer, &nonce) { nonce, associated, count in
                unsafe mb_gcm_open(key, keyLength, nonce, associated, count, bytes, payload.count, tag)
            }
        }
        let context = unsafe self.cipher.pointer
        var status = unsafe withNonce(&nonce) { unsafe shim_gcm_begin_open(context, $0, tag) }
        status &= unsafe self.update(header, trailer, bytes, bytes, count: payload.count)
        var count: CInt = 0
        status &= unsafe EVP_DecryptFinal_ex(context, tag, &count)
        return status == 1
    }

    /// Hands OpenSSL the associated data and then the payload, in whichever direction the context works.
    @inline(__always)
    private func update(
        _ header: UnsafeRawBufferPointer,
        _ trailer: UInt32?,
        _ source: UnsafePointer<UInt8>?,
        _ target: UnsafeMutablePointer<UInt8>?,
        count: Int
    ) -> CInt {
        let context = unsafe self.cipher.pointer
        let associated = unsafe header.baseAddress?.assumingMemoryBound(to: UInt8.self)
        var written: CInt = 0
        var status = unsafe EVP_CipherUpdate(context, nil, &written, associated, CInt(header.count))
        if let trailer {
            status &= unsafe withUnsafeBytes(of: trailer.bigEndian) { word in
                let word = unsafe word.baseAddress?.assumingMemoryBound(to: UInt8.self)
                return unsafe EVP_CipherUpdate(context, nil, &written, word, 4)
            }
        }
        if count > 0 { status &= unsafe EVP_CipherUpdate(context, target, &written, source, CInt(count)) }
        return status
    }
}

/// - Parameter nonce: 12 bytes of it count.
@inline(__always)
private func withNonce<Result>(
    _ nonce: inout (UInt64, UInt64),
    _ body: (UnsafePointer<UInt8>?) -> Result
) -> Result {
    unsafe withUnsafeBytes(of: &nonce) { bytes in
        unsafe body(bytes.baseAddress?.assumingMemoryBound(to: UInt8.self))
    }
}

/// The library takes its associated data in one piece, and SRTCP's lies in two: the first 8 bytes of the packet, and
/// the word with the index.
@inline(__always)
private func withAssociated(
    _ header: UnsafeRawBufferPointer,
    _ trailer: UInt32?,
    _ nonce: inout (UInt64, UInt64),
    _ body: (UnsafePointer<UInt8>?, UnsafePointer<UInt8>?, Int) -> Bool
) -> Bool {
    unsafe withNonce(&nonce) { nonce in
        guard let trailer else {
            return unsafe body(nonce, header.baseAddress?.assumingMemoryBound(to: UInt8.self), header.count)
        }
        guard header.count == 8, let bytes = header.baseAddress else { return false }
        var joined = (unsafe bytes.loadUnaligned(as: UInt64.self), trailer.bigEndian)
        return unsafe withUnsafeBytes(of: &joined) { joined in
            unsafe body(nonce, joined.baseAddress?.assumingMemoryBound(to: UInt8.self), 12)
        }
    }
}
