import COpenSSL

/// A hash function that may stand in `a=fingerprint`. SHA-1 and MD5 have no case: they are refused (RFC 8122 §5).
package enum DTLSHash: Hashable, Sendable, CaseIterable {
    case sha256, sha384, sha512

    /// Bytes of a digest.
    package var length: Int {
        switch self {
        case .sha256: 32
        case .sha384: 48
        case .sha512: 64
        }
    }

    /// The name in SDP.
    package var name: String {
        switch self {
        case .sha256: "sha-256"
        case .sha384: "sha-384"
        case .sha512: "sha-512"
        }
    }

    var algorithm: OpaquePointer? {
        switch self {
        case .sha256: unsafe EVP_sha256()
        case .sha384: unsafe EVP_sha384()
        case .sha512: unsafe EVP_sha512()
        }
    }
}

/// A certificate's digest, as the SDP's `a=fingerprint` announces it (RFC 8122 §5).
package struct DTLSFingerprint: Hashable, Sendable {
    package let hash: DTLSHash
    package let digest: [UInt8]

    /// - Parameter digest: with the wrong number of bytes for `hash` it matches no certificate.
    package init(hash: DTLSHash, digest: [UInt8]) {
        self.hash = hash
        self.digest = digest
    }
}

/// The digest of an X.509 certificate's DER form; empty when OpenSSL fails, and then equal to no fingerprint.
func digest(ofCertificate certificate: OpaquePointer, _ hash: DTLSHash) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: hash.length)
    var length: UInt32 = 0
    let status = unsafe X509_digest(certificate, hash.algorithm, &digest, &length)
    return status == 1 && Int(length) == hash.length ? digest : []
}
