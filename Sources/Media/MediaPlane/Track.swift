import Basics
import CongestionControl
import Forwarding
import MediaControl
import Negotiation
import RTP

/// One published m-line and everyone who is sent it.
@safe
struct Track: ~Copyable {
    static let maximumLayerCount = 4

    /// What a payload type of this m-line carries.
    struct Format {
        enum Role: UInt8 { case none, media, retransmission }
        var role = Role.none
        /// `media`: the codec. `retransmission`: that of the format it repairs.
        var payload = PayloadFormat.other
        /// `retransmission`: the payload type that it repairs.
        var repaired: UInt8 = 0
        var codec: Codec?
        var clockRate: UInt32 = 90_000
    }

    /// The session that publishes it here; `nil` = it is the mirror of another worker's track.
    let owner: SessionPointer?
    /// What it has more than a track of this worker, where it is a mirror.
    var mirror: Mirror?
    let source: PublishedTrack
    let kind: MediaKind
    var section: NegotiatedSection
    let mid: ShortText?
    var formats = InlineArray<128, Format>(repeating: Format())
    /// `layerCapacity` of them; the first `layerCount` are in use. They move only in `apply`.
    private(set) var layers: UnsafeMutablePointer<SourceLayer>
    private var layerCapacity = 0
    var layerCount = 1
    /// The publisher repeats what it is asked for.
    private(set) var usesNACK = false
    /// The publisher heeds REMB.
    private(set) var takesMaximumBitrate = false
    var isMuted = false
    var purpose = TrackPurpose.camera
    var speechRole = SpeechRole.silent
    /// Which layers anybody has use for.
    var demand: EncodingDemand
    var offerWatch = OfferWatch()
    /// Of the last media packet.
    var codec: Codec?
    /// Something that rooms should hear has changed since the last `layersChanged`.
    var hasNews = false
    /// Rooms hear of a track's layers at most once in `newsInterval`: each time everybody in the room is told.
    var nextNews = Instant.zero
    static let newsInterval = Nanoseconds.milliseconds(500)

    /// How loud it was since rooms were last told: audio levels in -dBov, added up (RFC 6464).
    var levelSum = 0
    var levelCount = 0

    /// Who is sent this track: walked for every packet.
    private var legStorage: UnsafeMutablePointer<LegPointer>
    private var legCapacity = 4
    private(set) var legCount = 0
    /// The other workers that have a mirror of it; the first `linkCount` are in use.
    private(set) var links: UnsafeMutablePointer<CrossingLink>
    private var linkCapacity = 1
    private(set) var linkCount = 0

    init(
        owner: SessionPointer? = nil,
        mirror: Mirror? = nil,
        source: PublishedTrack,
        section: NegotiatedSection,
        at now: Instant
    ) {
        unsafe self.owner = unsafe owner
        self.mirror = mirror
        unsafe self.links = .allocate(capacity: 1)
        self.source = source
        self.kind = section.kind
        self.section = section
        self.mid = ShortText(section.mid)
        self.demand = EncodingDemand(layerCount: max(1, min(Self.maximumLayerCount, section.rids.count)), at: now)
        unsafe self.layers = .allocate(capacity: 0)
        unsafe self.legStorage = .allocate(capacity: self.legCapacity)
        self.apply(section)
    }

    deinit {
        unsafe self.layers.deinitialize(count: self.layerCapacity)
        unsafe self.layers.deallocate()
        unsafe self.legStorage.deallocate()
        unsafe self.links.deallocate()
    }

    /// Takes over what a (re)negotiation says of codecs, layers and SSRCs.
    ///
    /// - Returns: whether the order of the layers changed.
    @discardableResult
    mutating func apply(_ section: NegotiatedSection) -> Bool {
        self.section = section
        self.usesNACK = section.codecs.contains { $0.feedback.contains(.nack) }
        self.takesMaximumBitrate = section.codecs.contains { $0.feedback.contains(.receiverEstimate) }
        for index in 0..<128 { self.formats[index] = Format() }
        for codec in section.codecs where codec.payloadType < 128 {
            let payload = PayloadFormat(codec.codec)
            self.formats[Int(codec.payloadType)] = Format(
                role: .media,
                payload: payload,
                codec: codec.codec,
                clockRate: codec.clockRate
            )
            if let rtx = codec.rtxPayloadType, rtx < 128 {
                self.formats[Int(rtx)] = Format(
                    role: .retransmission,
                    payload: payload,
                    repaired: codec.payloadType,
                    codec: codec.codec,
                    clockRate: codec.clockRate
                )
            }
        }
        self.layerCount = max(1, min(Self.maximumLayerCount, section.rids.count))
        // The home worker of a mirror's track knows sooner than the mirror how many there are.
        self.reserveLayers(self.mirror == nil ? self.layerCount : Self.maximumLayerCount)
        for (index, rid) in section.rids.prefix(Self.maximumLayerCount).enumerated() {
            unsafe self.layers[index].rid = rid
        }
        for index in 0..<self.layerCapacity { unsafe self.layers[index].announced = nil }
        // SSRCs that were announced stand in the order of the layers, with and without RIDs.
        for (index, ssrc) in section.remoteSSRCs.prefix(self.layerCount).enumerated() {
            unsafe self.layers[index].announced = ssrc
        }
        return self.orderLayers()
    }

    /// Room for so many layers, 5 KiB each; there is never less of it than there was.
    private mutating func reserveLayers(_ count: Int) {
        guard count > self.layerCapacity else { return }
        let larger = UnsafeMutablePointer<SourceLayer>.allocate(capacity: count)
        unsafe larger.moveInitialize(from: self.layers, count: self.layerCapacity)
        for index in self.layerCapacity..<count {
            unsafe (larger + index).initialize(to: SourceLayer(kind: self.kind))
        }
        unsafe self.layers.deallocate()
        unsafe self.layers = larger
        self.layerCapacity = count
    }

    /// What ties a publisher's streams together (RFC 3550 §6.5.1).
    var cname: String { self.section.cname ?? "sluice-\(self.source.session)" }

    func format(_ payloadType: UInt8) -> Format { self.formats[Int(payloadType & 0x7F)] }

    /// The layer that a RID names.
    func layer(rid: ShortText) -> Int? {
        for index in 0..<self.layerCount where unsafe rid == self.layers[index].ridText { return index }
        return nil
    }

    /// The wall clock of its publisher.
    var publisherClock: PublisherClock {
        unsafe self.owner?.pointee.clock ?? self.mirror?.publisherClock ?? PublisherClock()
    }

    // MARK: The order of layers

    /// From layer (its place in the offer) to rank (0 = smallest picture): selectors think in ranks.
    private var ranks = SIMD4<UInt8>(0, 1, 2, 3)

    @inline(__always)
    func rank(layer: Int) -> Int { Int(self.ranks[layer & 3]) }

    /// Inlined: to lend a track to a function Swift 6.3 copies it, 1.9 KiB for every packet that was paced.
    @inline(__always)
    func layer(rank: Int) -> Int {
        for layer in 0..<self.layerCount where self.rank(layer: layer) == rank { return layer }
        return 0
    }

    /// Orders the layers by the size of their pictures, as far as these are known, else by what their names usually
    /// mean, else by their place in the offer. Returns whether the order changed.
    mutating func orderLayers() -> Bool {
        var keys: [(layer: Int, key: Int)] = []
        let areKnown = (0..<self.layerCount).allSatisfy { unsafe self.layers[$0].width != nil }
        for layer in 0..<self.layerCount {
            let key: Int
            if areKnown {
                key = unsafe (self.layers[layer].width ?? 0) * (self.layers[layer].height ?? 0)
            } else {
                key = unsafe Self.usualOrder[self.layers[layer].rid] ?? layer
            }
            keys.append((layer, key))
        }
        var ranks = SIMD4<UInt8>(0, 1, 2, 3)
        for (rank, entry) in keys.sorted(by: { ($0.key, $0.layer) < ($1.key, $1.layer) }).enumerated() {
            ranks[entry.layer] = UInt8(rank)
        }
        defer { self.ranks = ranks }
        return self.ranks != ranks
    }

    /// Quarter, half, full; low, middle, high: what the SDKs of the field call their layers.
    private static let usualOrder: [String: Int] = [
        "q": 0, "h": 1, "f": 2, "l": 0, "m": 1, "low": 0, "mid": 1, "medium": 1, "high": 2, "lo": 0, "hi": 2, "r0": 0,
        "r1": 1, "r2": 2, "0": 0, "1": 1, "2": 2,
    ]

    // MARK: Mirrors

    /// Takes over what the home worker says of the track. Returns whether the order of the layers changed.
    mutating func takeOver(_ description: TrackDescription) -> Bool {
        self.purpose = description.purpose
        self.speechRole = description.speechRole
        self.isMuted = description.isMuted
        let isReordered = self.section != description.section && self.apply(description.section)
        for (index, layer) in description.layers.prefix(self.layerCount).enumerated() {
            // What was seen on the way here is as new as it gets.
            unsafe self.layers[index].ssrc = self.layers[index].ssrc ?? layer.ssrc
            unsafe self.layers[index].width = self.layers[index].width ?? layer.width
            unsafe self.layers[index].height = self.layers[index].height ?? layer.height
        }
        return self.orderLayers() || isReordered
    }

    mutating func add(_ link: CrossingLink) {
        if self.linkCount == self.linkCapacity {
            let larger = UnsafeMutablePointer<CrossingLink>.allocate(capacity: self.linkCapacity * 2)
            unsafe larger.moveInitialize(from: self.links, count: self.linkCount)
            unsafe self.links.deallocate()
            unsafe self.links = larger
            self.linkCapacity *= 2
        }
        unsafe (self.links + self.linkCount).initialize(to: link)
        self.linkCount += 1
    }

    mutating func removeLink(worker: Int, mirror: UInt64) {
        for index in 0..<self.linkCount
        where unsafe self.links[index].worker == worker && self.links[index].mirror == mirror {
            self.linkCount -= 1
            unsafe self.links[index] = self.links[self.linkCount]
            return
        }
    }

    /// The rank of the highest layer that another worker's subscribers have use for; `nil` = none.
    func highestRankWanted(over link: Int) -> Int? {
        let layer = Int(unsafe self.links[link].wantedLayer)
        guard layer >= 0 else { return nil }
        return layer < self.layerCount ? self.rank(layer: layer) : self.layerCount - 1
    }

    // MARK: Legs

    var legs: UnsafeBufferPointer<LegPointer> {
        unsafe UnsafeBufferPointer(start: self.legStorage, count: self.legCount)
    }

    mutating func add(_ leg: LegPointer) {
        if self.legCount == self.legCapacity {
            let larger = UnsafeMutablePointer<LegPointer>.allocate(capacity: self.legCapacity * 2)
            unsafe larger.moveInitialize(from: self.legStorage, count: self.legCount)
            unsafe self.legStorage.deallocate()
            unsafe self.legStorage = larger
            self.legCapacity *= 2
        }
        unsafe (self.legStorage + self.legCount).initialize(to: leg)
        self.legCount += 1
    }

    mutating func remove(_ leg: LegPointer) {
        for index in 0..<self.legCount where unsafe self.legStorage[index] == leg {
            self.legCount -= 1
            unsafe self.legStorage[index] = self.legStorage[self.legCount]
            return
        }
    }
}

extension PayloadFormat {
    init(_ codec: Codec) {
        self =
            switch codec {
            case .opus: .opus
            case .red: .red
            case .vp8: .vp8
            case .vp9: .vp9
            case .h264: .h264
            case .h265: .h265
            case .av1: .av1
            }
    }
}
