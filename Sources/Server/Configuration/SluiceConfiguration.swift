package import Basics

/// The resolved configuration: every key has a value, and every value was checked.
///
/// The properties have the names and the order of the keys (`media.port` is `media.port`). Defaults and meanings are in
/// `ConfigurationKeys`, and in words in `config/sluice.yaml`.
package struct SluiceConfiguration: Sendable, Equatable {
    package var http = HTTPConfiguration()
    package var admin = AdminConfiguration()
    package var media = MediaConfiguration()
    package var rooms = RoomsConfiguration()
    package var auth = AuthConfiguration()
    package var limits = LimitsConfiguration()
    package var log = LogConfiguration()
    package var drain = DrainConfiguration()

    /// Neither useful nor checked: what the loader starts from.
    init() {}
}

package struct HTTPConfiguration: Sendable, Equatable {
    /// An address or a name that the system resolves.
    package var host = ""
    /// 0 = any free port.
    package var port: UInt16 = 0
    package var tls = TLSConfiguration()
    /// `*` alone = every origin.
    package var corsOrigins: [String] = []
}

/// Paths of PEM files: either both are set or neither is.
package struct TLSConfiguration: Sendable, Equatable {
    package var certificate: String?
    package var privateKey: String?
}

package struct AdminConfiguration: Sendable, Equatable {
    package var host = ""
    /// 0 = any free port.
    package var port: UInt16 = 0
    /// `nil` only where `host` is loopback.
    package var token: Redacted<String>?
}

package struct MediaConfiguration: Sendable, Equatable {
    /// Addresses to bind, with port 0; empty = every address of the machine.
    package var host: [TransportAddress] = []
    /// UDP port of worker 0; worker *i* has `port + i`. 0 = any free ports.
    package var port: UInt16 = 0
    /// 0 = no ICE over TCP, which is all there is so far.
    package var tcpPort: UInt16 = 0
    /// Public addresses in front of a 1:1 NAT, with port 0; empty = none.
    package var advertisedAddresses: [TransportAddress] = []
    /// At least 1: `0` in the sources has become the number of cores.
    package var workers = 0
    /// What one subscriber is sent at most; `nil` = no cap.
    package var maxBitratePerParticipant: Bitrate?
    package var crypto = MediaCrypto.auto
    package var ecn = MediaECN.off
    /// The longest wait of a busy worker for packets to one destination to leave together; zero = none.
    package var sendBatchInterval = Nanoseconds.zero
}

/// Whether packets may leave with ECT(1), to be marked by full queues in place of being dropped (RFC 9331).
package enum MediaECN: String, Sendable, CaseIterable {
    /// To clients that tell of marks (RFC 8888), over paths that let them be.
    case auto
    case off
}

/// Whose AES-GCM protects media.
package enum MediaCrypto: String, Sendable, CaseIterable {
    /// Intel's multi-buffer library where it can be used, else OpenSSL.
    case auto
    case openssl
    case ipsecMB = "ipsec-mb"
}

package struct RoomsConfiguration: Sendable, Equatable {
    /// 0 = no limit.
    package var maxParticipants = 0
    /// How long a room without participants is kept.
    package var emptyTimeout = Nanoseconds.zero
    /// In order of preference.
    package var codecs: [CodecName] = []
    /// How many cameras each participant is sent at most; `nil` = all.
    package var lastN: Int?
}

/// The codecs that may be configured, by the names that `rooms.codecs` has for them.
package enum CodecName: String, Sendable, CaseIterable {
    case opus, red, vp8, vp9, h264, h265, av1
}

package struct AuthConfiguration: Sendable, Equatable {
    /// API key to HS256 secret. Empty only in development, where anyone may join.
    package var keys: [String: Redacted<String>] = [:]
}

package struct LimitsConfiguration: Sendable, Equatable {
    package var joinsPerSecondPerAddress = 0
    /// Of one WebSocket message or HTTP body.
    package var messageBytes = 0
    /// On one WebSocket.
    package var messagesPerSecond = 0
    package var tracksPerParticipant = 0
    /// What one client may send; the rest is dropped.
    package var packetsPerSecondPerTransport = 0
}

package struct LogConfiguration: Sendable, Equatable {
    package enum Level: String, Sendable, CaseIterable {
        case trace, debug, info, notice, warning, error, critical
    }

    package enum Format: String, Sendable, CaseIterable {
        case text, json
    }

    package var level = Level.info
    package var format = Format.text
}

package struct DrainConfiguration: Sendable, Equatable {
    /// How long running rooms may go on after the first SIGTERM.
    package var timeout = Nanoseconds.zero
}
