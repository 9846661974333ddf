import Basics
import Forwarding
import MediaControl
import Negotiation
import RTP

/// One encoding of a published track: a simulcast layer, or the whole track where there is no simulcast.
struct SourceLayer: ~Copyable {
    /// A layer that has been silent for this long is not active any more.
    static let silence = Nanoseconds.milliseconds(1_500)

    var rid = "" {
        didSet { self.ridText = ShortText(self.rid) }
    }
    private(set) var ridText: ShortText?
    /// From `a=ssrc`, if it was announced.
    var announced: RemoteSSRC?
    /// Seen on the wire.
    var ssrc: SSRC?
    var retransmissionSSRC: SSRC?
    /// Extends the 16-bit numbers of the wire.
    var sequences = SequenceUnwrapper()
    var reception: ReceptionStatistics
    var nacks = NACKGenerator()
    var cache: PacketCache<RTPHeaderInfo>
    var clock: SenderReportClock
    /// When it may cross to other workers again.
    var nextClock = Instant.zero
    var keyFrames = KeyFrameLimiter()
    var rates = LayerRates()
    var frames = FrameReader()
    var spread = FrameSpread()
    /// Goes on when the stream restarts.
    var scalability = ScalabilityObserver()
    /// The mode that rooms were told of, or will be told of as soon as the track's news are due.
    var reportedMode: ScalabilityMode?
    var keyFrameCache = KeyFrameCache()
    var lastPacket: Instant?
    var isActive = false
    var width: Int?
    var height: Int?
    var retransmittedPackets: UInt64 = 0
    var keyFrameCount: UInt64 = 0
    var requestedKeyFrames: UInt64 = 0
    var requestedPackets: UInt64 = 0
    /// What was lost at the last report, for the process-wide counter.
    var countedLost: Int64 = 0
    /// Of the next FIR (RFC 5104 §4.3.1.1).
    var fullIntraSequence: UInt8 = 0

    /// Clock rates are those of the codecs that Sluice forwards: 48 kHz for Opus, 90 kHz for video.
    init(kind: MediaKind) {
        let clockRate: UInt32 = kind == .audio ? 48_000 : 90_000
        self.reception = ReceptionStatistics(clockRate: clockRate)
        self.cache = PacketCache(kind: kind)
        self.clock = SenderReportClock(clockRate: clockRate)
    }

    /// A publisher that starts the layer anew with another SSRC: the old one's numbers mean nothing any more.
    mutating func restart(ssrc: SSRC, kind: MediaKind) {
        let clockRate: UInt32 = kind == .audio ? 48_000 : 90_000
        self.ssrc = ssrc
        self.sequences = SequenceUnwrapper()
        self.reception = ReceptionStatistics(clockRate: clockRate)
        self.nacks = NACKGenerator()
        self.cache = PacketCache(kind: kind)
        self.clock = SenderReportClock(clockRate: clockRate)
        self.rates = LayerRates()
        self.frames = FrameReader()
        self.spread = FrameSpread()
        self.keyFrameCache = KeyFrameCache()
        self.countedLost = 0
    }

    var state: LayerState {
        LayerState(
            rid: self.rid,
            width: self.width,
            height: self.height,
            active: self.isActive,
            scalabilityMode: self.scalability.mode?.name
        )
    }
}
