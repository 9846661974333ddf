package import Basics
import COpenSSL

/// The session keys of one direction, for RTP or for RTCP.
package struct SRTPSessionKeys: Sendable {
    package let profile: SRTPProfile
    package let encryptionKey: Redacted<[UInt8]>
    package let salt: Redacted<[UInt8]>
    /// 20 bytes with HMAC-SHA1; empty with AEAD.
    package let authenticationKey: Redacted<[UInt8]>

    package init(
        profile: SRTPProfile,
        encryptionKey: Redacted<[UInt8]>,
        salt: Redacted<[UInt8]>,
        authenticationKey: Redacted<[UInt8]>
    ) {
        self.profile = profile
        self.encryptionKey = encryptionKey
        self.salt = salt
        self.authenticationKey = authenticationKey
    }
}

/// What a derived key is for; RTCP's are the same three, three further on (RFC 3711 §4.3.1 and §4.3.2).
private enum Label {
    static let encryption: UInt8 = 0
    static let authentication: UInt8 = 1
    static let salt: UInt8 = 2
    static let rtcpOffset: UInt8 = 3
}

/// AES in counter mode as a pseudo-random function, key derivation rate 0 (RFC 3711 §4.3.3; RFC 7714 §11 for the
/// shorter AEAD salt, which is padded with zeros on the right).
///
/// - Returns: `count` bytes.
package func deriveSRTPKey(
    masterKey: Redacted<[UInt8]>,
    masterSalt: Redacted<[UInt8]>,
    label: UInt8,
    count: Int
) throws(SRTPSetupError) -> Redacted<[UInt8]> {
    let salt = masterSalt.value
    guard salt.count <= 14, masterKey.value.count == 16 || masterKey.value.count == 32 else { throw .keyLength }
    var counter = salt + [UInt8](repeating: 0, count: 16 - salt.count)
    counter[7] ^= label
    let cipher = unsafe masterKey.value.count == 16 ? EVP_aes_128_ctr() : EVP_aes_256_ctr()
    let context = try CipherContext()
    let zeros = [UInt8](repeating: 0, count: count)
    var output = zeros
    var written: CInt = 0
    let isDerived =
        unsafe EVP_EncryptInit_ex2(context.pointer, cipher, masterKey.value, counter, nil) == 1
        && EVP_EncryptUpdate(context.pointer, &output, &written, zeros, CInt(count)) == 1
    guard isDerived else { throw .library }
    return Redacted(output)
}

extension SRTPSessionKeys {
    /// Derives the session keys of one direction from its master key.
    ///
    /// - Parameter isRTCP: derives SRTCP's keys in place of SRTP's.
    package init(
        profile: SRTPProfile,
        masterKey: Redacted<[UInt8]>,
        masterSalt: Redacted<[UInt8]>,
        isRTCP: Bool
    ) throws(SRTPSetupError) {
        guard masterKey.value.count == profile.keyLength, masterSalt.value.count == profile.saltLength else {
            throw .keyLength
        }
        let offset = isRTCP ? Label.rtcpOffset : 0
        func derive(_ label: UInt8, _ count: Int) throws(SRTPSetupError) -> Redacted<[UInt8]> {
            try deriveSRTPKey(masterKey: masterKey, masterSalt: masterSalt, label: label + offset, count: count)
        }
        self.init(
            profile: profile,
            encryptionKey: try derive(Label.encryption, profile.keyLength),
            salt: try derive(Label.salt, profile.saltLength),
            authenticationKey: profile.isAEAD ? Redacted([]) : try derive(Label.authentication, 20)
        )
    }
}
