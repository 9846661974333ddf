import Basics
import CongestionControl
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

    // What the packet path touches of every packet comes first, in as few cache lines as can be: with many subscribers none
    // of it is in the cache when its turn comes, and `prefetch` fetches these lines meanwhile.
    let session: SessionPointer
    let kind: MediaKind
    /// Its packets carry transport-wide numbers.
    private(set) var usesTransportFeedback = false
    /// Its receiver tells of packets by their own numbers (RFC 8888) and needs no others.
    private(set) var isReportedByNumber = false
    /// Audio with NACK and without RTX: what is asked for is sent again as the very same datagram.
    private(set) var repeatsDatagrams = false
    /// Bit *i* is set when `PauseReason(rawValue: i)` holds it back.
    var pauses: UInt8 = 0
    var isPaused: Bool { self.pauses != 0 }
    var isOnHold = false
    /// It is to be sent what its track has.
    var takesPackets: Bool { unsafe self.session.pointee.isConnected && self.pauses == 0 && !self.isOnHold }
    /// It negotiated dependency descriptors.
    private(set) var usesDescriptors = false
    /// Of the present binding of a track; no other in this process has it.
    private(set) var binding: UInt32 = 0
    var lastTimestamp: UInt32 = 0
    var lastSent = Instant.zero
    /// What stood in the headers of the last 64 packets, where they are to be repeated.
    private var marks = FixedStorage<HeaderMark>(repeating: HeaderMark(), count: 0)
    /// The last packet's header; of no use for the first one after a (re)negotiation.
    var template = RTPHeaderTemplate()
    var statistics: OutboundStatistics
    var selector = LayerSelector()
    var vp8 = VP8Rewriter()
    var rewriter: RTPRewriter
    var gate = RetransmissionGate()

    var section: NegotiatedSection
    private(set) var track: TrackPointer?
    let mid: ShortText?
    let ssrc: SSRC
    let retransmissionSSRC: SSRC
    /// By the publisher's payload type: ours, `noPayloadType` = the subscriber cannot take it.
    private(set) var payloadTypes = InlineArray<128, UInt8>(repeating: noPayloadType)
    /// By our payload type: that of its retransmissions, `noPayloadType` = none were negotiated.
    private(set) var retransmissionTypes = InlineArray<128, UInt8>(repeating: noPayloadType)
    /// What it may tell of: media, and retransmissions with padding.
    private var sentMedia = SentPacketRing(capacity: 0)
    private var sentRepairs = SentPacketRing(capacity: 0)
    /// What was sent before this outgoing number had another header.
    private(set) var repeatableFrom: Int64 = 0
    var vp9 = VP9Rewriter()
    var descriptor = DescriptorRewriter()
    var preference = SubscriberPreference()
    /// The worker is overloaded: it is sent no more than the smallest layer.
    var isReduced = false

    // Bandwidth.
    /// `nil` before the first one of this binding.
    var decision: AllocationDecision?
    /// What the subscriber's path was thought to carry when that was decided.
    var estimate: Bitrate?
    /// By spatial layer: the highest temporal layer that there is, and what the lowest takes.
    var offeredTemporal = SIMD4<UInt8>(repeating: 0)
    var offeredBaseRates = InlineArray<4, Bitrate>(repeating: .zero)
    /// The lowest temporal layer of what is being sent.
    var baseRate = Bitrate.zero
    /// What retransmissions add to what is sent: 0 to 0.25.
    private(set) var repairShare: Float = 0
    private var sampledBytes: (sent: UInt64, repeated: UInt64) = (0, 0)
    /// A payload type of retransmissions, `noPayloadType` = there is none: padding goes out under it.
    private(set) var paddingType = noPayloadType
    /// The first packet of the last key frame that was sent, outgoing, and the next one to be repeated for padding.
    private(set) var keyFrameStart: Int64 = 0
    /// No key frame is asked for before this because a packet was lost before it left.
    var noKeyFrameBefore = Instant.zero
    private var paddingCursor: Int64 = 0

    // Retransmission.
    private(set) var nextRetransmission: Int64
    var nackCount: UInt64 = 0
    var pliCount: UInt64 = 0
    var firCount: UInt64 = 0
    /// Last sequence number of a FIR for us, so that a repeated one is not a new request (RFC 5104 §4.3.1.2).
    var lastFullIntraSequence: UInt8?
    /// Until then requests of a subscriber that has no picture are let pass by; the router asks by itself.
    var nextRequestedReplay = Instant.zero
    var reportedLost: Int64 = 0
    /// The layers that rooms were told of, or will be told of as soon as `hasSelectionNews` is seen.
    var reportedLayers: SelectedLayers?
    var reportedStalls: UInt32 = 0
    var hasSelectionNews = false
    /// Why the layer that is on its way was chosen.
    var switchReason = LayerSwitchReason.publisher
    /// The layer is the same, for another reason; told at most once a second.
    var hasReasonNews = false
    var nextReasonNews = Instant.zero

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
        self.template = RTPHeaderTemplate()
        self.usesDescriptors = section.extensions[.dependencyDescriptor] != 0
        let isOnHold = section.direction != .send
        if self.isOnHold != isOnHold { self.startAnew() }
        self.isOnHold = isOnHold
        for index in 0..<128 { self.retransmissionTypes[index] = Self.noPayloadType }
        for codec in section.codecs where codec.payloadType < 128 {
            if let rtx = codec.rtxPayloadType { self.retransmissionTypes[Int(codec.payloadType)] = rtx }
        }
        self.paddingType =
            section.codecs.lazy.compactMap(\.rtxPayloadType).first.map { $0 & 0x7F } ?? Self.noPayloadType
        self.repeatsDatagrams =
            section.kind == .audio
            && section.codecs.contains { $0.feedback.contains(.nack) && $0.rtxPayloadType == nil }
        self.repeatableFrom = self.rewriter.highestOutgoing + 1
        if self.repeatsDatagrams, self.marks.count == 0 {
            self.marks = FixedStorage(repeating: HeaderMark(), count: HeaderMark.count)
        }
        self.usesTransportFeedback =
            section.extensions[.transportSequenceNumber] != 0
            && section.codecs.contains { $0.feedback.contains(.transportWide) }
        self.isReportedByNumber = section.usesCongestionControlFeedback
        if self.isReportedByNumber, self.sentMedia.capacity == 0 { self.makeRings() }
        if let track = unsafe self.track {
            self.selector.isSimulcast = unsafe track.pointee.layerCount > 1
            self.setPayloadTypes(payloadTypeMap(from: unsafe track.pointee.section, to: section))
        }
    }

    mutating func attach(to track: TrackPointer, payloadTypes: [UInt8: UInt8], binding: UInt32) {
        unsafe self.track = unsafe track
        self.binding = binding
        self.decision = nil
        self.setPayloadTypes(payloadTypes)
        self.rewriter.rebind()
        self.selector = LayerSelector()
        self.selector.isSimulcast = unsafe track.pointee.layerCount > 1
        self.pauses = 0
        self.isReduced = false
        self.preference = SubscriberPreference()
        self.reportedLayers = nil
    }

    mutating func detach() {
        unsafe self.track = nil
        self.binding = 0
        self.decision = nil
        self.pauses = 0
        self.rewriter.rebind()
    }

    /// What comes next does not follow on what was sent last: video waits for a key frame, and numbers go on without
    /// the gap that the receiver would ask us to fill.
    mutating func startAnew() {
        self.rewriter.rebind()
        self.selector.rebind()
    }

    private mutating func setPayloadTypes(_ map: [UInt8: UInt8]) {
        self.template = RTPHeaderTemplate()
        for index in 0..<128 {
            self.payloadTypes[index] = map[UInt8(index)].map { $0 & 0x7F } ?? Self.noPayloadType
        }
    }

    /// Of video 1,024 packets are remembered, two seconds of 5 Mbit/s; of audio 256, five seconds.
    private mutating func makeRings() {
        self.sentMedia = SentPacketRing(capacity: self.kind == .video ? 1_024 : 256)
        if self.kind == .video { self.sentRepairs = SentPacketRing(capacity: 512) }
    }

    /// A packet of this leg leaves, on the SSRC of its media or on that of its retransmissions.
    mutating func noteSent(_ number: SequenceNumber, of ssrc: SSRC, order: UInt32, isMarked: Bool) {
        if ssrc == self.ssrc {
            self.sentMedia.note(number, order: order, isMarked: isMarked)
        } else {
            self.sentRepairs.note(number, order: order, isMarked: isMarked)
        }
    }

    mutating func noteReport(_ number: SequenceNumber, of ssrc: SSRC, isReceived: Bool) {
        if ssrc == self.ssrc {
            self.sentMedia.noteReport(number, isReceived: isReceived)
        } else {
            self.sentRepairs.noteReport(number, isReceived: isReceived)
        }
    }

    mutating func note(_ mark: HeaderMark) {
        guard self.marks.count > 0 else { return }
        self.marks[Int(truncatingIfNeeded: mark.outgoing) & (HeaderMark.count - 1)] = mark
    }

    /// Where the next packet's will be noted; `nil` = it will not.
    var nextMark: UnsafeRawPointer? {
        guard self.marks.count > 0 else { return nil }
        return unsafe self.marks.address(
            of: Int(truncatingIfNeeded: self.rewriter.highestOutgoing &+ 1) & (HeaderMark.count - 1)
        )
    }

    // These are mutating, though they change nothing: to lend a leg to a function Swift 6.3 copies it, 8 KiB
    // (docs/performance.md).

    mutating func sentPacket(_ number: SequenceNumber, of ssrc: SSRC, latest: UInt32) -> SentPacketRing.Packet? {
        ssrc == self.ssrc
            ? self.sentMedia.packet(number, latest: latest) : self.sentRepairs.packet(number, latest: latest)
    }

    /// What a packet needs to be sealed again to the very same datagram; `nil` = it cannot be.
    mutating func mark(of outgoing: Int64) -> HeaderMark? {
        guard self.repeatsDatagrams, self.marks.count > 0, outgoing >= self.repeatableFrom else { return nil }
        let mark = self.marks[Int(truncatingIfNeeded: outgoing) & (HeaderMark.count - 1)]
        return mark.outgoing == outgoing ? mark : nil
    }

    /// Whether packets of this layer are of no use any more: it was left, or is being left for a smaller one.
    mutating func isLeaving(rank: Int) -> Bool {
        guard self.kind == .video else { return false }
        guard rank == self.rewriter.source else { return true }
        guard let current = self.selector.current, let target = self.selector.target else { return false }
        return target < current && rank == current
    }

    /// A key frame begins with this outgoing number.
    @inline(__always)
    mutating func noteKeyFrame(_ outgoing: Int64) {
        self.keyFrameStart = outgoing
        self.paddingCursor = outgoing
    }

    /// What to repeat next where something is to be sent for its own sake: the last key frame's packets and what followed
    /// them, round and round; the last 128 where that was long ago. `nil` when nothing was sent.
    mutating func nextRepeatForPadding() -> SourcePosition? {
        let highest = self.rewriter.highestOutgoing
        let oldest = max(self.keyFrameStart, highest - 127)
        if self.paddingCursor > highest || self.paddingCursor < oldest { self.paddingCursor = oldest }
        defer { self.paddingCursor += 1 }
        return self.rewriter.source(of: SequenceNumber(UInt16(truncatingIfNeeded: self.paddingCursor)))
    }

    /// Once a second: what retransmissions add, smoothed over four.
    mutating func sampleRepairs() {
        let sent = self.statistics.byteCount &- self.sampledBytes.sent
        let repeated = self.statistics.retransmittedByteCount &- self.sampledBytes.repeated
        self.sampledBytes = (self.statistics.byteCount, self.statistics.retransmittedByteCount)
        guard sent > 0 else { return }
        let share = min(Float(repeated) / Float(sent), 0.25)
        self.repairShare += (share - self.repairShare) / 4
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
}
