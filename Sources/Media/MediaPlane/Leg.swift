import Basics
import Forwarding
import MediaControl
import Negotiation
import RTP

/// One m-line on which the server sends: a forwarded track on its way to one subscriber.
///
/// Its SSRC, sequence numbers and timestamps go on through layer switches and through changes of the track that is bound
/// to it, as one unbroken stream.
@safe
struct Leg: ~Copyable {
    static let noPayloadType: UInt8 = 0xFF

    let session: SessionPointer
    var section: NegotiatedSection
    private(set) var track: TrackPointer?
    let mid: ShortText?
    let kind: MediaKind
    let ssrc: SSRC
    let retransmissionSSRC: SSRC

    // What the packet path reads.
    /// By the publisher's payload type: ours, `noPayloadType` = the subscriber cannot take it.
    private(set) var payloadTypes = InlineArray<128, UInt8>(repeating: noPayloadType)
    /// By our payload type: that of its retransmissions, `noPayloadType` = none were negotiated.
    private(set) var retransmissionTypes = InlineArray<128, UInt8>(repeating: noPayloadType)
    var rewriter: RTPRewriter
    var vp8 = VP8Rewriter()
    var selector = LayerSelector()
    var gate = RetransmissionGate()
    var statistics: OutboundStatistics
    /// Bit *i* is set when `PauseReason(rawValue: i)` holds it back.
    var pauses: UInt8 = 0
    var isPaused: Bool { self.pauses != 0 }
    var preference = SubscriberPreference()
    var isOnHold = false

    // Retransmission.
    private(set) var nextRetransmission: Int64
    var nackCount: UInt64 = 0
    var pliCount: UInt64 = 0
    var firCount: UInt64 = 0
    /// Last sequence number of a FIR for us, so that a repeated one is not a new request (RFC 5104 §4.3.1.2).
    var lastFullIntraSequence: UInt8?
    var hasSentFirst = false
    var reportedLost: Int64 = 0
    var lastCodec: Codec?
    /// The layer that rooms were told of, or will be told of as soon as `hasSelectionNews` is seen.
    var reportedLayer: Int?
    var hasSelectionNews = false

    init(
        session: SessionPointer,
        section: NegotiatedSection,
        at now: Instant,
        using random: inout some RandomNumberGenerator
    ) {
        unsafe self.session = unsafe session
        unsafe self.track = nil
        self.section = section
        self.kind = section.kind
        self.mid = ShortText(section.mid)
        self.ssrc = section.localSSRC
        self.retransmissionSSRC = section.localRTXSSRC
        let clockRate: UInt32 = section.kind == .audio ? 48_000 : 90_000
        self.rewriter = RTPRewriter(kind: section.kind, clockRate: clockRate, using: &random)
        self.statistics = OutboundStatistics(clockRate: clockRate)
        self.nextRetransmission = Int64.random(in: 0..<32_768, using: &random)
        self.apply(section)
    }

    /// Takes over what a (re)negotiation says.
    mutating func apply(_ section: NegotiatedSection) {
        self.section = section
        let isOnHold = section.direction != .send
        if self.isOnHold != isOnHold { self.startAnew() }
        self.isOnHold = isOnHold
        for index in 0..<128 { self.retransmissionTypes[index] = Self.noPayloadType }
        for codec in section.codecs where codec.payloadType < 128 {
            if let rtx = codec.rtxPayloadType { self.retransmissionTypes[Int(codec.payloadType)] = rtx }
        }
        if let track = unsafe self.track {
            self.setPayloadTypes(payloadTypeMap(from: unsafe track.pointee.section, to: section))
        }
    }

    mutating func attach(to track: TrackPointer, payloadTypes: [UInt8: UInt8]) {
        unsafe self.track = unsafe track
        self.setPayloadTypes(payloadTypes)
        self.rewriter.rebind()
        self.selector = LayerSelector()
        self.pauses = 0
        self.preference = SubscriberPreference()
        self.reportedLayer = nil
    }

    mutating func detach() {
        unsafe self.track = nil
        self.pauses = 0
        self.rewriter.rebind()
    }

    /// What comes next does not follow on what was sent last: video waits for a key frame, and numbers go on without
    /// the gap that the receiver would ask us to fill.
    mutating func startAnew() {
        self.rewriter.rebind()
        self.selector.restart()
    }

    private mutating func setPayloadTypes(_ map: [UInt8: UInt8]) {
        for index in 0..<128 {
            self.payloadTypes[index] = map[UInt8(index)].map { $0 & 0x7F } ?? Self.noPayloadType
        }
    }

    mutating func takeRetransmissionSequence() -> Int64 {
        defer { self.nextRetransmission += 1 }
        return self.nextRetransmission
    }

    /// The layer whose key frame this leg needs first: the one that it is on or on its way to, else the highest that
    /// arrives and that it may have.
    var wantedLayer: Int {
        guard let track = unsafe self.track else { return 0 }
        if let rank = self.selector.target ?? self.selector.current { return unsafe track.pointee.layer(rank: rank) }
        let highest = self.selector.maximumLayer ?? 0
        var wanted = 0
        var wantedRank = -1
        for layer in unsafe 0..<track.pointee.layerCount where unsafe track.pointee.layers[layer].isActive {
            let rank = unsafe track.pointee.rank(layer: layer)
            if rank > wantedRank, rank <= highest { (wanted, wantedRank) = (layer, rank) }
        }
        return wanted
    }

    /// Lets the selector have the largest layer that is not larger than the subscriber wants; the smallest where all
    /// are. Layers whose size is not known yet count as fitting.
    mutating func limitLayers(at now: Instant) {
        guard let track = unsafe self.track, self.kind == .video, !self.isPaused else { return }
        var allowed = 0
        for layer in unsafe 0..<track.pointee.layerCount {
            let width = unsafe track.pointee.layers[layer].width ?? 0
            let height = unsafe track.pointee.layers[layer].height ?? 0
            guard width <= self.preference.maximumWidth ?? .max, height <= self.preference.maximumHeight ?? .max else {
                continue
            }
            allowed = unsafe max(allowed, track.pointee.rank(layer: layer))
        }
        if self.selector.maximumLayer != allowed { self.selector.setMaximumLayer(allowed, at: now) }
    }

    /// Why this layer, in words.
    var reason: String {
        self.preference.maximumWidth == nil && self.preference.maximumHeight == nil
            ? "the highest layer that the publisher sends" : "the highest layer within the size that was asked for"
    }

    func selection(reason: String) -> LayerSelection {
        guard let track = unsafe self.track, let rank = self.selector.current, !self.isPaused else {
            return LayerSelection(spatial: -1, temporal: -1, reason: reason)
        }
        let index = unsafe track.pointee.layer(rank: rank)
        return LayerSelection(
            spatial: rank,
            temporal: 0,
            width: unsafe track.pointee.layers[index].width,
            height: unsafe track.pointee.layers[index].height,
            reason: reason
        )
    }
}
