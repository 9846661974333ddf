import Basics
import SDP

/// Reads the transport of a bundle out of the m-line that carries it, or else out of the session's part.
enum TransportReader {
    /// The bound on fingerprints; aiortc offers three.
    static let maximumFingerprints = 8

    /// - Parameter isPassive: of the client, in the DTLS handshake.
    static func transport(
        _ media: MediaDescription,
        of session: SessionDescription,
        isPassive: Bool
    ) throws(NegotiationError) -> RemoteTransport {
        let (usernameFragment, password) = try Self.credentials(
            media.iceUsernameFragment ?? session.iceUsernameFragment,
            media.icePassword ?? session.icePassword
        )
        return RemoteTransport(
            usernameFragment: usernameFragment,
            password: password,
            fingerprints: try Self.fingerprints(media, of: session),
            isPassive: isPassive
        )
    }

    /// Checks the lengths of RFC 8839 §5.4.
    static func credentials(
        _ usernameFragment: String?,
        _ password: String?
    ) throws(NegotiationError) -> (String, Redacted<String>) {
        guard let usernameFragment, let password else {
            throw .invalid("a=ice-ufrag and a=ice-pwd are missing; ICE is required")
        }
        guard (4...256).contains(usernameFragment.utf8.count),
            usernameFragment.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: ":") })
        else { throw .invalid("a=ice-ufrag must have 4 to 256 letters, digits, '+' or '/'") }
        guard (22...256).contains(password.utf8.count), password.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else { throw .invalid("a=ice-pwd must have 22 to 256 letters, digits, '+' or '/'") }
        return (usernameFragment, Redacted(password))
    }

    /// The m-line's own fingerprints replace the session's (RFC 8122 §5). SHA-1 and MD5 prove nothing: they don't count.
    private static func fingerprints(
        _ media: MediaDescription,
        of session: SessionDescription
    ) throws(NegotiationError) -> [Fingerprint] {
        var lines = media.all(SDPAttribute.CertificateFingerprint.self)
        if lines.isEmpty { lines = session.all(SDPAttribute.CertificateFingerprint.self) }
        var usable: [Fingerprint] = []
        for line in lines where usable.count < Self.maximumFingerprints {
            guard let hash = Fingerprint.HashFunction(rawValue: line.hash) else { continue }
            guard line.digest.count == hash.digestLength else {
                throw .invalid("a=fingerprint:\(hash.rawValue) must have \(hash.digestLength) bytes")
            }
            let fingerprint = Fingerprint(hash: hash, digest: line.digest)
            if !usable.contains(fingerprint) { usable.append(fingerprint) }
        }
        guard !usable.isEmpty else {
            throw .unsupported(
                lines.isEmpty
                    ? "a=fingerprint is missing; media is encrypted with DTLS-SRTP only"
                    : "a=fingerprint must use sha-256, sha-384 or sha-512"
            )
        }
        return usable
    }

    /// Whether a client waits for the server's ClientHello. The server waits where it may choose, as ICE-lite servers do; no
    /// `a=setup` means active (RFC 4145 §4).
    ///
    /// - Parameter before: what was agreed on already: the roles stay as long as the association, whatever is offered
    ///   (RFC 8842 §5.5).
    static func isPassive(
        _ media: MediaDescription,
        of session: SessionDescription,
        before: Bool?
    ) throws(NegotiationError) -> Bool {
        let isPassive: Bool
        switch media.first(SDPAttribute.Setup.self) ?? session.first(SDPAttribute.Setup.self) {
        case .actpass: isPassive = before ?? false
        case .active, nil: isPassive = false
        case .passive: isPassive = true
        case .holdconn:
            throw .unsupported("a=setup must be actpass or active, or passive to wait for the server's handshake")
        }
        guard before == nil || isPassive == before else {
            throw .unsupported("a=setup turned round who begins the DTLS handshake; that needs a new session")
        }
        return isPassive
    }
}

extension Fingerprint.HashFunction {
    var digestLength: Int {
        switch self {
        case .sha256: 32
        case .sha384: 48
        case .sha512: 64
        }
    }
}
