import Basics
import COpenSSL

/// The certificates that the SDP allows the peer to have, and what became of the one it showed.
///
/// OpenSSL's verification callback finds it through the session's application data.
final class DTLSPeerVerification {
    private let expected: [DTLSFingerprint]
    private(set) var hasMismatched = false

    /// A longer chain is refused. Only the peer's own certificate is looked at: no chain is ever built.
    fileprivate static let maximumChainLength: CInt = 4

    init(expected: [DTLSFingerprint]) { self.expected = expected }

    /// Whether the certificate has one of the digests that the SDP announced.
    fileprivate func accepts(_ certificate: OpaquePointer) -> Bool {
        let isExpected = self.expected.contains { fingerprint in
            let actual = unsafe digest(ofCertificate: certificate, fingerprint.hash)
            return !actual.isEmpty && constantTimeEqual(actual, fingerprint.digest)
        }
        self.hasMismatched = !isExpected
        return isExpected
    }

    /// The proof that this session's peer has a certificate of the SDP; `nil` before the handshake is finished, without
    /// a certificate, and with another one.
    func verifiedPeer(of session: OpaquePointer) -> DTLSVerifiedPeer? {
        guard
            unsafe SSL_is_init_finished(session) == 1,
            unsafe SSL_get_verify_result(session) == Int(X509_V_OK),
            let certificate = unsafe SSL_get0_peer_certificate(session),
            unsafe self.accepts(certificate)
        else { return nil }
        return unsafe DTLSVerifiedPeer(session: session)
    }
}

/// A peer whose certificate matched. The only way to the SRTP keys leads through it (ATTACKS A-05).
@safe struct DTLSVerifiedPeer: ~Copyable {
    private let session: OpaquePointer

    fileprivate init(session: OpaquePointer) { unsafe self.session = session }

    private var cipherSuite: String {
        guard
            let cipher = unsafe SSL_get_current_cipher(self.session),
            let name = unsafe SSL_CIPHER_standard_name(cipher)
        else { return "" }
        return unsafe String(cString: name)
    }

    /// The keys for SRTP (RFC 5764 §4.2); `nil` when no profile was agreed.
    func exportKeys(isServer: Bool) -> DTLSKeys? {
        guard
            let selected = unsafe SSL_get_selected_srtp_profile(self.session),
            let number = unsafe UInt16(exactly: selected.pointee.id),
            let protection = SRTPProtection(rawValue: number)
        else { return nil }
        let label = "EXTRACTOR-dtls_srtp"
        var block = [UInt8](repeating: 0, count: protection.exporterLength)
        let status = unsafe SSL_export_keying_material(
            self.session,
            &block,
            block.count,
            label,
            label.utf8.count,
            nil,
            0,
            0
        )
        guard status == 1 else { return nil }
        return DTLSKeys(
            profile: number,
            exporterBlock: Redacted(block),
            isServer: isServer,
            cipherSuite: self.cipherSuite
        )
    }
}

/// Takes the place of OpenSSL's own verification: a self-signed certificate has no chain to check. A refusal makes
/// OpenSSL send the fatal alert `bad_certificate` (CONFORMANCE D-03).
func dtlsVerifyPeerCertificate(store: OpaquePointer?, _: UnsafeMutableRawPointer?) -> CInt {
    guard
        let store = unsafe store,
        let session = unsafe X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()),
        let data = unsafe SSL_get_ex_data(OpaquePointer(session), 0),
        let certificate = unsafe X509_STORE_CTX_get0_cert(store)
    else { return 0 }
    let verification = unsafe Unmanaged<DTLSPeerVerification>.fromOpaque(data).takeUnretainedValue()
    guard
        unsafe shim_untrusted_certificate_count(store) <= DTLSPeerVerification.maximumChainLength,
        unsafe verification.accepts(certificate)
    else {
        unsafe X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED)
        return 0
    }
    unsafe X509_STORE_CTX_set_error(store, X509_V_OK)
    return 1
}
