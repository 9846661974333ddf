import Basics
import COpenSSL

/// What is left of a finished association whose OpenSSL session was freed: 42 KiB become less than one.
///
/// Enough for a session that carries no data channels: after the handshake there is nothing to read but alerts, and
/// nothing to say but close_notify, which was sealed in time.
struct DTLSRemainder {
    enum Alert { case closeNotify, fatal }

    /// One datagram, sealed already.
    let closeNotify: [UInt8]
    let peerKey: DTLSRecordKey

    /// What an authentic alert says; `nil` for a forged one, for another record, and for a warning that means nothing.
    func alert(in record: [UInt8]) -> Alert? {
        guard let content = self.peerKey.openAlert(record) else { return nil }
        if content.description == 0 { return .closeNotify }
        return content.level == 2 ? .fatal : nil
    }
}

/// The key that the peer seals its records with: AES-GCM of DTLS 1.2 (RFC 5288 §3, RFC 6347 §4.1.2.1).
struct DTLSRecordKey {
    /// The key, 16 or 32 bytes, and then the 4 bytes of the nonce that do not change.
    private let material: Redacted<[UInt8]>

    private static let headerLength = 13
    private static let explicitNonceLength = 8
    private static let saltLength = 4
    private static let tagLength = 16
    /// Level and description.
    private static let alertLength = 2

    /// - Parameter session: with its handshake finished; its master secret is there.
    init?(ofPeer session: OpaquePointer, isServer: Bool) {
        guard
            let cipher = unsafe SSL_get_current_cipher(session),
            let digest = unsafe SSL_CIPHER_get_handshake_digest(cipher)
        else { return nil }
        let keyLength: Int
        switch unsafe SSL_CIPHER_get_cipher_nid(cipher) {
        case NID_aes_128_gcm: keyLength = 16
        case NID_aes_256_gcm: keyLength = 32
        default: return nil
        }
        var secret = [UInt8](repeating: 0, count: 48)
        defer { unsafe secret.withUnsafeMutableBytes { unsafe OPENSSL_cleanse($0.baseAddress, $0.count) } }
        var random = [UInt8](repeating: 0, count: 64)
        let count = unsafe random.withUnsafeMutableBytes { bytes in
            let bytes = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            // The server's comes first in the key expansion (RFC 5246 §6.3).
            return unsafe SSL_get_server_random(session, bytes, 32)
                + SSL_get_client_random(session, bytes.map { unsafe $0 + 32 }, 32)
        }
        guard
            count == 64, let established = unsafe SSL_get_session(session),
            unsafe SSL_SESSION_get_master_key(established, &secret, secret.count) == 48
        else { return nil }
        // Client key, server key, client salt, server salt: AEAD has no MAC keys.
        var block = [UInt8](repeating: 0, count: 2 * (keyLength + Self.saltLength))
        defer { unsafe block.withUnsafeMutableBytes { unsafe OPENSSL_cleanse($0.baseAddress, $0.count) } }
        var seed = Array("key expansion".utf8) + random
        let isExpanded = unsafe shim_tls12_expand(
            digest,
            &secret,
            secret.count,
            &seed,
            seed.count,
            &block,
            block.count
        )
        guard isExpanded == 1 else { return nil }
        let key = isServer ? 0 : keyLength
        let salt = 2 * keyLength + (isServer ? 0 : Self.saltLength)
        self.material = Redacted(Array(block[key..<key + keyLength] + block[salt..<salt + Self.saltLength]))
    }

    /// Level and description of an alert record whose tag is right; `nil` for everything else.
    ///
    /// - Parameter record: with its header, of epoch 1.
    func openAlert(_ record: [UInt8]) -> (level: UInt8, description: UInt8)? {
        let payload = Self.headerLength + Self.explicitNonceLength
        guard record.count == payload + Self.alertLength + Self.tagLength, record[0] == 21 else { return nil }
        guard let context = unsafe EVP_CIPHER_CTX_new() else { return nil }
        defer { unsafe EVP_CIPHER_CTX_free(context) }
        let material = self.material.value
        let keyLength = material.count - Self.saltLength
        let nonce = material[keyLength...] + record[Self.headerLength..<payload]
        // Epoch and number, then type, version and the length of the plain text (RFC 5246 §6.2.3.3).
        let associated = record[3..<11] + record[0..<3] + [0, UInt8(Self.alertLength)]
        var tag = Array(record[(payload + Self.alertLength)...])
        var plain: [UInt8] = [0, 0]
        var count: CInt = 0
        let isAuthentic =
            unsafe EVP_DecryptInit_ex2(
                context,
                keyLength == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm(),
                material,
                Array(nonce),
                nil
            ) == 1
            && EVP_DecryptUpdate(context, nil, &count, Array(associated), CInt(associated.count)) == 1
            && EVP_DecryptUpdate(
                context,
                &plain,
                &count,
                Array(record[payload..<payload + Self.alertLength]),
                CInt(Self.alertLength)
            ) == 1
            && shim_gcm_expect_tag(context, &tag) == 1
            && EVP_DecryptFinal_ex(context, &plain, &count) == 1
        return isAuthentic ? (plain[0], plain[1]) : nil
    }
}
