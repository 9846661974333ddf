package import Basics

/// What a finished handshake yields for SRTP (RFC 5764 §4.2). There is no way to make one but from a session whose
/// peer certificate matched the SDP's fingerprint.
package struct DTLSKeys: Sendable {
    /// The profile's number in `use_srtp`: 0x0001, 0x0007 or 0x0008.
    package let profile: UInt16
    /// Client key, server key, client salt, server salt.
    package let exporterBlock: Redacted<[UInt8]>
    /// Our role in the handshake.
    package let isServer: Bool
    /// IANA's name of the cipher suite, such as "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256".
    package let cipherSuite: String

    init(profile: UInt16, exporterBlock: Redacted<[UInt8]>, isServer: Bool, cipherSuite: String) {
        self.profile = profile
        self.exporterBlock = exporterBlock
        self.isServer = isServer
        self.cipherSuite = cipherSuite
    }
}

/// Why a session ended without having been closed.
package enum DTLSFailure: Error, Hashable, Sendable {
    /// The peer's certificate is not the one that its SDP announced; it was told `bad_certificate`.
    case fingerprintMismatch
    case noCertificate
    /// The peer offers none of our SRTP profiles, or does not speak `use_srtp`.
    case noSRTPProfile
    /// Not finished in `DTLSConfiguration.handshakeTimeout`.
    case timeout
    /// What OpenSSL says about it; a short constant text without anything from the peer.
    case handshake(reason: String)
    /// As `handshake`, after it was finished.
    case association(reason: String)
}

/// What the caller has to do next.
package enum DTLSOutput: Sendable {
    /// One datagram for the peer.
    case transmit([UInt8])
    /// The peer is who the SDP says: SRTP may start.
    case connected(DTLSKeys)
    /// One record's content: an SCTP packet (RFC 8261).
    case applicationData([UInt8])
    case failed(DTLSFailure)
    /// The peer said close_notify.
    case closed
    /// Nothing more; call `handleTimeout(at:)` then, or never when `nil`.
    case wait(until: Instant?)
}

/// What was refused before OpenSSL saw it, and other counts for the metrics.
package struct DTLSCounters: Sendable, Equatable {
    /// Records with a wrong type, version, length or epoch.
    package var malformedRecords = 0
    /// Handshake fragments that contradict themselves or belong to no message we wait for.
    package var refusedFragments = 0
    /// Alerts that nobody authenticated.
    package var ignoredAlerts = 0
    /// Times our last flight was sent again.
    package var retransmissions = 0

    package init() {}
}

package struct DTLSConfiguration: Sendable {
    /// Offered, or chosen from, in this order.
    package var profiles: [UInt16]
    /// The largest datagram we send, in bytes.
    package var maximumDatagramSize: Int
    /// Until the round trip is known. The time counts twice and then grows up to `longestRetransmission`.
    package var firstRetransmission: Nanoseconds
    package var longestRetransmission: Nanoseconds
    /// Our flight is sent again at once when the peer repeats its own, but not more often than this, and not more than
    /// three bytes for each that was received.
    package var resendSpacing: Nanoseconds
    /// Between the two copies of a flight, once something of the handshake was lost.
    package var copySpacing: Nanoseconds
    package var handshakeTimeout: Nanoseconds
    /// Whether application data is sent and received afterwards. Without, OpenSSL's memory is given back as soon as the
    /// handshake is finished.
    package var carriesData: Bool

    package init(
        profiles: [UInt16] = [0x0007, 0x0008, 0x0001],
        maximumDatagramSize: Int = 1_200,
        firstRetransmission: Nanoseconds = .milliseconds(50),
        longestRetransmission: Nanoseconds = .seconds(2),
        resendSpacing: Nanoseconds = .milliseconds(20),
        copySpacing: Nanoseconds = .milliseconds(10),
        handshakeTimeout: Nanoseconds = .seconds(30),
        carriesData: Bool = true
    ) {
        self.profiles = profiles
        self.maximumDatagramSize = maximumDatagramSize
        self.firstRetransmission = firstRetransmission
        self.longestRetransmission = longestRetransmission
        self.resendSpacing = resendSpacing
        self.copySpacing = copySpacing
        self.handshakeTimeout = handshakeTimeout
        self.carriesData = carriesData
    }

    /// OpenSSL's names of `profiles`.
    var profileNames: String {
        self.profiles.compactMap { SRTPProtection(rawValue: $0)?.libraryName }.joined(separator: ":")
    }
}

/// The profiles of `use_srtp` that we know (RFC 5764 §4.1.2, RFC 7714 §14.2).
enum SRTPProtection: UInt16 {
    case aes128CmSha1_80 = 0x0001
    case aeadAes128Gcm = 0x0007
    case aeadAes256Gcm = 0x0008

    var libraryName: String {
        switch self {
        case .aes128CmSha1_80: "SRTP_AES128_CM_SHA1_80"
        case .aeadAes128Gcm: "SRTP_AEAD_AES_128_GCM"
        case .aeadAes256Gcm: "SRTP_AEAD_AES_256_GCM"
        }
    }

    /// Two keys and two salts.
    var exporterLength: Int {
        switch self {
        case .aes128CmSha1_80: 2 * (16 + 14)
        case .aeadAes128Gcm: 2 * (16 + 12)
        case .aeadAes256Gcm: 2 * (32 + 12)
        }
    }
}
