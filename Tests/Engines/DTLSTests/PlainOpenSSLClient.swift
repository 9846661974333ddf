import COpenSSL
import DTLS

/// OpenSSL as it comes, without a certificate unless asked: a peer that our own code cannot be made to be.
final class PlainOpenSSLClient {
    private let context: OpaquePointer
    private let session: OpaquePointer
    private let input: OpaquePointer
    private let output: OpaquePointer
    /// Of its certificate; matches nothing when it has none.
    let fingerprint: DTLSFingerprint

    init(ciphers: String = "ECDHE-ECDSA-AES128-GCM-SHA256", hasCertificate: Bool = false) throws {
        guard
            let context = SSL_CTX_new(DTLS_client_method()), SSL_CTX_set_cipher_list(context, ciphers) == 1,
            let digest = hasCertificate ? Self.makeCertificate(for: context) : [],
            let session = SSL_new(context), let input = BIO_new(BIO_s_mem()), let output = BIO_new(BIO_s_mem())
        else { throw DTLSSetupError.library(call: "test client") }
        SSL_set_tlsext_use_srtp(session, "SRTP_AEAD_AES_128_GCM")
        SSL_set_options(session, shim_dtls_options())
        shim_bio_retry_when_empty(input)
        SSL_set_bio(session, input, output)
        _ = shim_ssl_set_link_mtu(session, 1_200)
        SSL_set_connect_state(session)
        self.fingerprint = DTLSFingerprint(hash: .sha256, digest: digest)
        (self.context, self.session, self.input, self.output) = (context, session, input, output)
    }

    deinit {
        SSL_free(self.session)
        SSL_CTX_free(self.context)
    }

    /// Returns the SHA-256 digest of the new certificate.
    private static func makeCertificate(for context: OpaquePointer) -> [UInt8]? {
        guard let key = shim_generate_p256(), let certificate = X509_new() else { return nil }
        defer {
            EVP_PKEY_free(key)
            X509_free(certificate)
        }
        X509_gmtime_adj(X509_getm_notBefore(certificate), 0)
        X509_gmtime_adj(X509_getm_notAfter(certificate), 86_400)
        X509_set_pubkey(certificate, key)
        var digest = [UInt8](repeating: 0, count: 32)
        guard
            X509_sign(certificate, key, EVP_sha256()) > 0, SSL_CTX_use_certificate(context, certificate) == 1,
            SSL_CTX_use_PrivateKey(context, key) == 1,
            X509_digest(certificate, EVP_sha256(), &digest, nil) == 1
        else { return nil }
        return digest
    }

    func take(_ datagram: [UInt8]) { BIO_write(self.input, datagram, CInt(datagram.count)) }

    /// Goes on with the handshake; the bytes to send.
    func step() -> [[UInt8]] {
        _ = SSL_do_handshake(self.session)
        return self.takeWritten()
    }

    /// Says close_notify; the bytes to send.
    func close() -> [[UInt8]] {
        SSL_shutdown(self.session)
        return self.takeWritten()
    }

    private func takeWritten() -> [[UInt8]] {
        let count = shim_bio_pending(self.output)
        guard count > 0 else { return [] }
        var bytes = [UInt8](repeating: 0, count: count)
        BIO_read(self.output, &bytes, CInt(count))
        return [bytes]
    }

    var isFinished: Bool { SSL_is_init_finished(self.session) == 1 }
}
