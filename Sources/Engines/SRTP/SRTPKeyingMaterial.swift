package import Basics

/// The master keys and salts of one DTLS association, seen from our side (RFC 5764 §4.2).
package struct SRTPKeyingMaterial: Sendable {
    package let profile: SRTPProfile
    /// What we protect with.
    package let localKey: Redacted<[UInt8]>
    package let localSalt: Redacted<[UInt8]>
    /// What the peer protects with.
    package let remoteKey: Redacted<[UInt8]>
    package let remoteSalt: Redacted<[UInt8]>

    /// - Parameters:
    ///   - exporterBlock: client key, server key, client salt, server salt; `profile.exporterLength` bytes or more.
    ///   - isServer: our role in the DTLS handshake.
    /// - Returns: `nil` when the block is too short.
    package init?(profile: SRTPProfile, exporterBlock: Redacted<[UInt8]>, isServer: Bool) {
        let block = exporterBlock.value
        guard block.count >= profile.exporterLength else { return nil }
        let key = profile.keyLength
        let salt = profile.saltLength
        let clientKey = Array(block[0..<key])
        let serverKey = Array(block[key..<2 * key])
        let clientSalt = Array(block[2 * key..<2 * key + salt])
        let serverSalt = Array(block[2 * key + salt..<2 * (key + salt)])
        self.profile = profile
        self.localKey = Redacted(isServer ? serverKey : clientKey)
        self.localSalt = Redacted(isServer ? serverSalt : clientSalt)
        self.remoteKey = Redacted(isServer ? clientKey : serverKey)
        self.remoteSalt = Redacted(isServer ? clientSalt : serverSalt)
    }
}

/// OpenSSL refused a key or ran out of memory. Nothing a peer sends can cause it.
package enum SRTPSetupError: Error, Equatable {
    /// The key or salt has not the length that the profile asks for.
    case keyLength
    case library
}
