import Basics
import CongestionControl
import Forwarding
import MediaControl
import Negotiation
import PeerSession
import RTP

typealias SessionPointer = UnsafeMutablePointer<Session>
typealias TrackPointer = UnsafeMutablePointer<Track>
typealias LegPointer = UnsafeMutablePointer<Leg>
typealias BandwidthPointer = UnsafeMutablePointer<SubscriberBandwidth>

/// One peer connection on this worker. Lives at a fixed place in memory from `apply` to `close`, so that tracks and legs
/// can point to it.
@safe
struct Session: ~Copyable {
    // What the packet path touches of every packet comes first: see `Leg`.
    // Where media goes.
    var destination = TransportAddress(high: 0, low: 0, port: 0)
    /// The socket that the selected pair's checks arrive on.
    var socket = 0
    /// What waits to leave there.
    var chain = EgressQueue.Chain()
    var isConnected = false
    var hasReportedFirstMedia = false
    /// Of SRTP, behind every packet.
    var tagLength = 16
    /// What its path carries; made with its first video leg.
    var bandwidth: BandwidthPointer?
    /// When its bandwidth is due.
    var bandwidthDeadline = Instant.distantFuture
    var packetsSent: UInt64 = 0
    var bytesSent: UInt64 = 0
    var peer: PeerSession

    let id: SessionID
    /// Position in the router's table and in its timer wheel.
    let index: Int
    var configuration: SessionConfiguration
    let createdAt: Instant

    /// When an authentic RTP or RTCP packet came.
    var lastMedia = Instant.zero
    /// Where the worker is overloaded: when it reads RTCP of this session again.
    var nextFeedback = Instant.zero
    /// Addresses that the router's table holds for this session.
    var addresses: [TransportAddress] = []

    // What it publishes.
    /// The ids that this client gave the extensions; they are the same in all of its m-lines (RFC 9143 §9.1).
    var extensions = HeaderExtensionMap()
    /// By payload type: what kind of packet it is, and of which section when that is unambiguous.
    var tracks: [TrackPointer] = unsafe []
    /// What its only video may take, where that has no layers. REMB is about all that it sends, so it outlives the track.
    var publisherLimit = PublisherLimit()
    var routes = InlineArray<32, InboundRoute>(repeating: InboundRoute())
    var feedback = TransportFeedbackRecorder()
    var feedbackBuilder: TransportFeedbackBuilder
    var usesTransportFeedback = false
    /// What is told in place of that where it was negotiated (RFC 8888).
    var congestionFeedback = CongestionFeedbackRecorder()
    /// For both directions: feedback about a peer is about its one transport.
    var usesCongestionControlFeedback = false
    /// The media SSRC that transport-wide feedback names: the last that a packet came from.
    var feedbackSSRC = SSRC(0)
    var clock = PublisherClock()
    /// When the clocks of all tracks may cross to other workers again.
    var nextClocks = Instant.zero
    /// Whether feedback may go out without a report in front of it (RFC 5506).
    var isReducedSize = false
    /// The SSRC that this session's own RTCP comes from when it sends no media.
    let rtcpSSRC: SSRC
    var rateLimiter: PacketRateLimiter

    // What it is sent.
    private(set) var legs: [LegPointer] = unsafe []
    /// Of `legs`, in their order: a datagram of RTCP may name hundreds, and each leg lies in memory of its own.
    private var legSSRCs: [(media: SSRC, retransmission: SSRC)] = []
    /// To this peer and back, smoothed; from its reports, or from how soon it repeats what it is asked for.
    private(set) var roundTripTime: Nanoseconds?
    var reports: RTCPSchedule
    /// What this peer last sent to learn the round trip time, until it is echoed.
    var referenceTime: ReceiverReferenceTime?
    /// When the transport wants to be called.
    var peerDeadline = Instant.zero
    /// When reports, feedback, NACKs or selectors are due, whichever is first.
    var mediaDeadline = Instant.zero
    /// Local username fragments under which checks find this session.
    var fragmentKeys: [UInt64] = []
    var nextSelection = Instant.zero

    // Transport statistics.
    var packetsReceived: UInt64 = 0
    var bytesReceived: UInt64 = 0
    var srtpProfileName = ""

    init(
        id: SessionID,
        index: Int,
        peer: consuming PeerSession,
        configuration: SessionConfiguration,
        rtcpSSRC: SSRC,
        packetsPerSecond: Int,
        at now: Instant
    ) {
        self.id = id
        self.index = index
        self.peer = peer
        self.configuration = configuration
        self.createdAt = now
        self.rtcpSSRC = rtcpSSRC
        self.feedbackBuilder = TransportFeedbackBuilder(senderSSRC: rtcpSSRC, mediaSSRC: rtcpSSRC)
        self.rateLimiter = PacketRateLimiter(packetsPerSecond: packetsPerSecond, at: now)
        self.reports = RTCPSchedule(at: now)
        unsafe self.bandwidth = nil
    }

    deinit {
        guard let bandwidth = unsafe self.bandwidth else { return }
        unsafe bandwidth.deinitialize(count: 1)
        unsafe bandwidth.deallocate()
    }

    mutating func add(_ leg: LegPointer) {
        unsafe self.legs.append(leg)
        self.legSSRCs.append(unsafe (leg.pointee.ssrc, leg.pointee.retransmissionSSRC))
    }

    mutating func remove(_ leg: LegPointer) {
        guard let index = unsafe self.legs.firstIndex(of: leg) else { return }
        unsafe self.legs.remove(at: index)
        self.legSSRCs.remove(at: index)
    }

    mutating func removeLastLeg() -> LegPointer? {
        _ = self.legSSRCs.popLast()
        return unsafe self.legs.popLast()
    }

    /// The leg whose media, not whose retransmissions, has this SSRC.
    func leg(_ ssrc: SSRC) -> LegPointer? {
        guard let index = self.legSSRCs.firstIndex(where: { $0.media == ssrc }) else { return nil }
        return unsafe self.legs[index]
    }

    /// The leg whose media or retransmissions have this SSRC.
    func leg(ofAny ssrc: SSRC) -> LegPointer? {
        guard let index = self.legSSRCs.firstIndex(where: { $0.media == ssrc || $0.retransmission == ssrc }) else {
            return nil
        }
        return unsafe self.legs[index]
    }

    mutating func noteRoundTrip(_ sample: Nanoseconds) {
        guard sample > .zero, sample < .seconds(10) else { return }
        self.roundTripTime = self.roundTripTime.map { $0 + (sample - $0) / 8 } ?? sample
    }
}

/// Where the packets of one inbound SSRC belong.
@safe
struct InboundRoute {
    enum Role: UInt8 {
        case unknown
        case media
        case retransmission
    }

    var ssrc = SSRC(0)
    var track: TrackPointer?
    var layer = 0
    var role = Role.unknown

    init() { unsafe self.track = nil }
    init(ssrc: SSRC, track: TrackPointer, layer: Int, role: Role) {
        self.ssrc = ssrc
        unsafe self.track = unsafe track
        self.layer = layer
        self.role = role
    }
}

/// A token bucket over packets: `limits.packetsPerSecondPerTransport`, with one second's worth of burst.
///
/// A publisher with valid keys can still flood (ASVS 17.2.5); what it sends beyond the limit is dropped before it is
/// decrypted.
struct PacketRateLimiter {
    private let nanosecondsPerPacket: Int64
    private var nextFree: Int64

    /// - Parameter packetsPerSecond: 0 = no limit.
    init(packetsPerSecond: Int, at now: Instant) {
        self.nanosecondsPerPacket = packetsPerSecond > 0 ? 1_000_000_000 / Int64(packetsPerSecond) : 0
        self.nextFree = now.nanoseconds
    }

    @inline(__always)
    mutating func allows(at now: Instant) -> Bool {
        if self.nanosecondsPerPacket == 0 { return true }
        if self.nextFree > now.nanoseconds + 1_000_000_000 { return false }
        self.nextFree = max(self.nextFree, now.nanoseconds) &+ self.nanosecondsPerPacket
        return true
    }
}
