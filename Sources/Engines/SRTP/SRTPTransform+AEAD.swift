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
        let target = unsafe output.assumingMemoryBound(to: UInt8.self)
        if let key = unsafe self.fastKey.pointer {
            return unsafe self.seal(key, &nonce, header, trailer, plain, target)
        }
        let context = unsafe self.cipher.pointer
        var count: CInt = 0
        var status = unsafe withUnsafeBytes(of: &nonce) { nonce in
            unsafe EVP_EncryptInit_ex2(
                context,
                nil,
                nil,
                nonce.baseAddress?.assumingMemoryBound(to: UInt8.self),
                nil
            )
        }
        status &= unsafe EVP_EncryptUpdate(
            context,
            nil,
            &count,
            header.baseAddress?.assumingMemoryBound(to: UInt8.self),
            CInt(header.count)
        )
        if let trailer { status &= self.addAssociated(trailer) }
        if plain.count > 0 {
            status &= unsafe EVP_EncryptUpdate(
                context,
                target,
                &count,
                plain.baseAddress?.assumingMemoryBound(to: UInt8.self),
                CInt(plain.count)
            )
        }
        let tag = unsafe target + plain.count
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
        let tagBytes = unsafe tag.assumingMemoryBound(to: UInt8.self)
        if let key = unsafe self.fastKey.pointer {
            return unsafe self.open(key, &nonce, header, trailer, payload, tagBytes)
        }
        let context = unsafe self.cipher.pointer
        var count: CInt = 0
        var status = unsafe withUnsafeBytes(of: &nonce) { nonce in
            unsafe shim_gcm_begin_open(context, nonce.baseAddress?.assumingMemoryBound(to: UInt8.self), tagBytes)
        }
        status &= unsafe EVP_DecryptUpdate(
            context,
            nil,
            &count,
            header.baseAddress?.assumingMemoryBound(to: UInt8.self),
            CInt(header.count)
        )
        if let trailer { status &= self.addAssociated(trailer) }
        if payload.count > 0 {
            let bytes = unsafe payload.baseAddress?.assumingMemoryBound(to: UInt8.self)
            status &= unsafe EVP_DecryptUpdate(context, bytes, &count, bytes, CInt(payload.count))
        }
        status &= unsafe EVP_DecryptFinal_ex(context, tagBytes, &count)
        return status == 1
    }

    private func addAssociated(_ trailer: UInt32) -> CInt {
        var word = trailer.bigEndian
        var count: CInt = 0
        return unsafe withUnsafeBytes(of: &word) { word in
            unsafe EVP_CipherUpdate(
                self.cipher.pointer,
                nil,
                &count,
                word.baseAddress?.assumingMemoryBound(to: UInt8.self),
                4
            )
        }
    }

    // MARK: - The multi-buffer library

    /// - Parameter nonce: 12 bytes of it count.
    @inline(__always)
    private func seal(
        _ key: OpaquePointer,
        _ nonce: inout (UInt64, UInt64),
        _ header: UnsafeRawBufferPointer,
        _ trailer: UInt32?,
        _ plain: UnsafeRawBufferPointer,
        _ target: UnsafeMutablePointer<UInt8>
    ) -> Bool {
        let keyLength = CInt(self.profile.keyLength)
        let source = unsafe plain.baseAddress?.assumingMemoryBound(to: UInt8.self)
        return unsafe withAssociated(header, trailer, &nonce) { nonce, associated, count in
            unsafe mb_gcm_seal(
                key,
                keyLength,
                nonce,
                associated,
                count,
                source,
                target,
                plain.count,
                target + plain.count
            )
            return true
        }
    }

    @inline(__always)
    private func open(
        _ key: OpaquePointer,
        _ nonce: inout (UInt64, UInt64),
        _ header: UnsafeRawBufferPointer,
        _ trailer: UInt32?,
        _ payload: UnsafeMutableRawBufferPointer,
        _ tag: UnsafePointer<UInt8>
    ) -> Bool {
        let keyLength = CInt(self.profile.keyLength)
        let bytes = unsafe payload.baseAddress?.assumingMemoryBound(to: UInt8.self)
        return unsafe withAssociated(header, trailer, &nonce) { nonce, associated, count in
            unsafe mb_gcm_open(key, keyLength, nonce, associated, count, bytes, payload.count, tag)
        }
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
    unsafe withUnsafeBytes(of: &nonce) { nonce in
        let nonce = unsafe nonce.baseAddress?.assumingMemoryBound(to: UInt8.self)
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
