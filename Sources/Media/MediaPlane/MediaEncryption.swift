import DTLS
import SRTP

/// Whose AES-GCM protects packets: `media.crypto`.
package enum MediaEncryption: Sendable, CaseIterable {
    /// The fastest that this machine has.
    case automatic
    case openSSL
    /// Intel's, or none.
    case multiBuffer

    /// What that comes to on this machine.
    func library() throws(MediaPlaneError) -> SRTPLibrary {
        switch self {
        case .automatic: return .fastest
        case .openSSL: return .openSSL
        case .multiBuffer:
            guard let obstacle = SRTPLibrary.multiBufferObstacle else { return .multiBuffer }
            throw .noMultiBufferLibrary(reason: obstacle.reason)
        }
    }
}

extension SRTPLibrary {
    /// With its version, for the log.
    var description: String {
        switch self {
        case .openSSL: DTLSLibrary.version
        case .multiBuffer: "Intel multi-buffer library \(Self.multiBufferVersion)"
        }
    }
}

extension SRTPLibrary.Obstacle {
    fileprivate var reason: String {
        switch self {
        case .notBuilt: "Sluice was built without libipsec-mb-dev or for another processor"
        case .notInstalled: "libIPSec_MB.so.1 is not installed"
        case .otherVersion: "libIPSec_MB.so.1 is of another version than Sluice was built with"
        case .noInstructions: "the processor has no AES instructions that it can use"
        }
    }
}
