package import Basics

/// What a receiver tells the server of what it receives.
package enum ReceiverFeedback: String, Sendable, CaseIterable {
    /// Transport-wide feedback, reports, NACK, PLI.
    case all
    /// The same without transport-wide feedback, though its offer promises it.
    case reports
    /// Nothing, though its offer promises everything.
    case none
}

/// What a peer is to publish and to receive.
package struct PeerPlan: Sendable {
    package var video: VideoProfile?
    package var audio: Bool
    /// m-lines to receive on.
    package var receivesVideo: Int
    package var receivesAudio: Int
    package var audioBitrate: Bitrate
    /// What its network does to its datagrams.
    package var link = LinkPair()
    /// Of the link's losses and jitter.
    package var seed: UInt64 = 0
    /// Whose sums it counts in, from 0.
    package var group = 0
    /// When its packets leave; `nil` = counted from when it is connected.
    package var phase: PublishingPhase?
    /// Whether nothing is to be expected on an m-line before the signalling has said so.
    package var bindsLater = false
    /// Whether the kernel may hand over as one what left the server as one message (UDP_GRO).
    package var readsMerged = true
    package var feedback = ReceiverFeedback.all
    /// Whether it offers the dependency descriptor, and sends it with its video.
    package var describesFrames = false

    package init(
        video: VideoProfile? = nil,
        audio: Bool = false,
        receivesVideo: Int = 0,
        receivesAudio: Int = 0,
        audioBitrate: Bitrate = .kbps(32)
    ) {
        self.video = video
        self.audio = audio
        self.receivesVideo = receivesVideo
        self.receivesAudio = receivesAudio
        self.audioBitrate = audioBitrate
    }
}

/// A peer that was made, and its offer.
package struct PeerOffer: Sendable {
    package let id: PeerID
    package let sdp: String
    /// Of what it publishes.
    package let audioMid: String?
    package let videoMid: String?
}

/// Why a client could not be made.
package enum LoadClientError: Error, Equatable {
    case noSocket(errno: Int32)
    case noCertificate
    case noEncoder
    case badAnswer(String)
    case noSuchPeer
    /// The server's HTTP answer was not the expected one.
    case refused(status: Int, body: String)
    case connectionFailed(String)
    /// The server answered a WebSocket request with `error`.
    case signalling(code: String, message: String)
    case timedOut(String)
}

extension LoadClientError: CustomStringConvertible {
    private static let rateHint =
        "the server bounds joins: lower the join rate, or raise that bound (Sluice: limits.joinsPerSecondPerAddress)"

    /// The server would not have it now, whatever it could do.
    package var isRateLimit: Bool {
        switch self {
        case .refused(let status, _): status == 429
        case .signalling(let code, _): code == "rateLimited"
        default: false
        }
    }

    package var description: String {
        switch self {
        case .noSocket(let errno):
            errno == 24
                ? "no socket: too many open files; raise the limit (ulimit -n) or use fewer clients"
                : "no socket: errno \(errno)"
        case .noCertificate: "no certificate could be made"
        case .noEncoder: "libopus has no memory"
        case .badAnswer(let text): "the answer cannot be used: \(text)"
        case .noSuchPeer: "the peer is gone"
        case .refused(429, let body): "HTTP 429: \(body); \(Self.rateHint)"
        case .refused(let status, let body): "HTTP \(status): \(body)"
        case .connectionFailed(let text): "no connection: \(text)"
        case .signalling("rateLimited", let message): "rateLimited: \(message); \(Self.rateHint)"
        case .signalling(let code, let message): "\(code): \(message)"
        case .timedOut(let what): "no answer in time: \(what)"
        }
    }
}
