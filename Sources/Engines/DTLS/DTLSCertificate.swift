import COpenSSL

package enum DTLSSetupError: Error, Equatable {
    /// OpenSSL could not make a key, a certificate or a session. Nothing a peer sends can cause it.
    case library(call: String)
}

/// Our key and self-signed certificate, with the two OpenSSL contexts that all sessions share.
///
/// Make one when the process starts. It does not change afterwards, so any thread may make sessions from it.
@safe package final class DTLSCertificate: Sendable {
    package enum KeyType: Sendable {
        case ecdsaP256
        /// For tests against peers that have no ECDSA.
        case rsa2048
    }

    /// The SHA-256 fingerprint for our SDP.
    package let fingerprint: DTLSFingerprint
    /// OpenSSL counts references to contexts atomically and does not change them when it makes a session.
    nonisolated(unsafe) private let serverContext: OpaquePointer
    nonisolated(unsafe) private let clientContext: OpaquePointer

    private static let validityDays: CInt = 30

    /// - Parameter unixSeconds: the present time. The certificate is valid from a day before to 30 days after it.
    package init(keyType: KeyType = .ecdsaP256, unixSeconds: Int64) throws(DTLSSetupError) {
        guard let key = unsafe keyType == .ecdsaP256 ? shim_generate_p256() : shim_generate_rsa(2_048) else {
            throw .library(call: "EVP_PKEY_Q_keygen")
        }
        defer { unsafe EVP_PKEY_free(key) }
        guard let certificate = unsafe X509_new() else { throw .library(call: "X509_new") }
        defer { unsafe X509_free(certificate) }
        try unsafe Self.fill(certificate, key: key, unixSeconds: unixSeconds)

        let server = try unsafe Self.makeContext(isServer: true, keyType, certificate, key)
        do throws(DTLSSetupError) {
            unsafe self.clientContext = try Self.makeContext(isServer: false, keyType, certificate, key)
        } catch {
            unsafe SSL_CTX_free(server)
            throw error
        }
        unsafe self.serverContext = server
        self.fingerprint = DTLSFingerprint(
            hash: .sha256,
            digest: unsafe DTLS.digest(ofCertificate: certificate, .sha256)
        )
    }

    deinit {
        unsafe SSL_CTX_free(self.serverContext)
        unsafe SSL_CTX_free(self.clientContext)
    }

    /// The certificate's digest with another hash than the fingerprint's.
    package func digest(_ hash: DTLSHash) -> [UInt8] {
        guard let certificate = unsafe SSL_CTX_get0_certificate(self.serverContext) else { return [] }
        return unsafe DTLS.digest(ofCertificate: certificate, hash)
    }

    /// A new OpenSSL session that the caller must free.
    func makeSession(isServer: Bool) -> OpaquePointer? {
        unsafe SSL_new(isServer ? self.serverContext : self.clientContext)
    }

    private static func fill(
        _ certificate: OpaquePointer,
        key: OpaquePointer,
        unixSeconds: Int64
    ) throws(DTLSSetupError) {
        var serial: UInt64 = 0
        guard
            unsafe withUnsafeMutableBytes(
                of: &serial,
                { unsafe RAND_bytes($0.baseAddress?.assumingMemoryBound(to: UInt8.self), 8) }
            ) == 1
        else { throw .library(call: "RAND_bytes") }
        var now = Int(unixSeconds)
        let name = unsafe X509_get_subject_name(certificate)
        let isFilled =
            unsafe X509_set_version(certificate, 2) == 1
            // Positive and not zero (RFC 5280 §4.1.2.2).
            && ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1 | 1) == 1
            && X509_time_adj_ex(X509_getm_notBefore(certificate), -1, 0, &now) != nil
            && X509_time_adj_ex(X509_getm_notAfter(certificate), Self.validityDays, 0, &now) != nil
            && X509_set_pubkey(certificate, key) == 1
            // Says nothing about who we are (RFC 8827 §6.5 asks for no more than a fingerprint).
            && X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, "WebRTC", -1, -1, 0) == 1
            && X509_set_issuer_name(certificate, name) == 1
            && X509_sign(certificate, key, EVP_sha256()) > 0
        guard isFilled else { throw .library(call: "X509_sign") }
    }

    /// RFC 8827 §6.5: DTLS 1.2 with forward secrecy. No compression, renegotiation, resumption or tickets.
    private static func makeContext(
        isServer: Bool,
        _ keyType: KeyType,
        _ certificate: OpaquePointer,
        _ key: OpaquePointer
    ) throws(DTLSSetupError) -> OpaquePointer {
        guard let context = unsafe SSL_CTX_new(isServer ? DTLS_server_method() : DTLS_client_method()) else {
            throw .library(call: "SSL_CTX_new")
        }
        var suites = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
        if !isServer || keyType == .rsa2048 {
            suites += ":ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384"
        }
        unsafe SSL_CTX_set_options(context, shim_dtls_options())
        unsafe shim_ctx_no_session_cache(context)
        unsafe shim_ctx_set_max_certificate_list(context, DTLSRecordFilter.longestCertificate)
        unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
        unsafe SSL_CTX_set_cert_verify_callback(context, dtlsVerifyPeerCertificate, nil)
        let isReady =
            unsafe shim_ctx_only_dtls_1_2(context) == 1
            && SSL_CTX_use_certificate(context, certificate) == 1
            && SSL_CTX_use_PrivateKey(context, key) == 1
            && SSL_CTX_set_cipher_list(context, suites) == 1
            && shim_ctx_set_groups(context, "X25519:P-256") == 1
            // A smaller write buffer: 15 KB less for every session.
            && shim_ctx_set_max_send_fragment(context, 1_200) == 1
        guard isReady else {
            unsafe SSL_CTX_free(context)
            throw .library(call: "SSL_CTX_set")
        }
        return unsafe context
    }
}
