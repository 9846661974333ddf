import COpenSSL
import DTLS

/// OpenSSL as it comes, without a certificate: a peer that our own code cannot be made to be.
final class PlainOpenSSLClient {
    private let context: OpaquePointer
    private let session: OpaquePointer
    private let input: OpaquePointer
    private let output: OpaquePointer

    init(ciphers: String = "ECDHE-ECDSA-AES128-GCM-SHA256") throws {
        guard
            let context = SSL_CTX_new(DTLS_client_method()), SSL_CTX_set_cipher_list(context, ciphers) == 1,
            let session = SSL_new(context), let input = BIO_new(BIO_s_mem()), let output = BIO_new(BIO_s_mem())
        else { throw DTLSSetupError.library(call: "test client") }
        SSL_set_tlsext_use_srtp(session, "SRTP_AEAD_AES_128_GCM")
        SSL_set_options(session, shim_dtls_options())
        shim_bio_retry_when_empty(input)
        SSL_set_bio(session, input, output)
        _ = shim_ssl_set_link_mtu(session, 1_200)
        SSL_set_connect_state(session)
        (self.context, self.session, self.input, self.output) = (context, session, input, output)
    }

    deinit {
        SSL_free(self.session)
        SSL_CTX_free(self.context)
    }

    func take(_ datagram: [UInt8]) { BIO_write(self.input, datagram, CInt(datagram.count)) }

    /// Goes on with the handshake; the bytes to send.
    func step() -> [[UInt8]] {
        _ = SSL_do_handshake(self.session)
        let count = shim_bio_pending(self.output)
        guard count > 0 else { return [] }
        var bytes = [UInt8](repeating: 0, count: count)
        BIO_read(self.output, &bytes, CInt(count))
        return [bytes]
    }

    var isFinished: Bool { SSL_is_init_finished(self.session) == 1 }
}
