import COpenSSL

/// The OpenSSL that this process runs with; for the first lines of the log.
package enum DTLSLibrary {
    /// As OpenSSL names itself, such as "OpenSSL 3.0.22 27 Oct 2026".
    package static var version: String { unsafe String(cString: COpenSSL.OpenSSL_version(OPENSSL_VERSION)) }

    /// Whether it is 3.0.22 or later: the first with the three repairs of DTLS that ATTACKS A-08 lists.
    package static var isPatched: Bool { Self.isPatched(number: OpenSSL_version_num()) }

    /// - Parameter number: 0xMNN00PP0: major, minor and patch.
    package static func isPatched(number: UInt) -> Bool { number >= 0x3000_0160 }
}
