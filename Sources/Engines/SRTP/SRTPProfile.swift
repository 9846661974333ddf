/// The protection profiles we negotiate, by their number in the `use_srtp` extension (RFC 5764 §4.1.2, RFC 7714 §14.2).
///
/// The 32-bit-tag and NULL profiles have no case on purpose.
package enum SRTPProfile: UInt16, Sendable, CaseIterable, BitwiseCopyable {
    case aes128CmSha1_80 = 0x0001
    case aeadAes128Gcm = 0x0007
    case aeadAes256Gcm = 0x0008

    /// Bytes of the master key, and of the session encryption keys made from it.
    package var keyLength: Int { self == .aeadAes256Gcm ? 32 : 16 }

    /// Bytes of the master salt, and of the session salts made from it.
    package var saltLength: Int { self == .aes128CmSha1_80 ? 14 : 12 }

    /// Bytes that protecting an RTP packet adds.
    @inlinable package var tagLength: Int { self == .aes128CmSha1_80 ? 10 : 16 }

    /// Bytes that protecting an RTCP packet adds: the tag, and the word with the E flag and the index.
    @inlinable package var rtcpOverhead: Int { self.tagLength + 4 }

    /// How much the DTLS exporter must yield: two keys and two salts (RFC 5764 §4.2).
    package var exporterLength: Int { 2 * (self.keyLength + self.saltLength) }

    /// The profile's name in the IANA registry, which is what `RTCTransportStats.srtpCipher` shows.
    package var name: String {
        switch self {
        case .aes128CmSha1_80: "AES_CM_128_HMAC_SHA1_80"
        case .aeadAes128Gcm: "AEAD_AES_128_GCM"
        case .aeadAes256Gcm: "AEAD_AES_256_GCM"
        }
    }

    var isAEAD: Bool { self != .aes128CmSha1_80 }
}
