package import Basics

/// One operating point of a published track: a spatial layer up to one of its temporal layers.
@usableFromInline package struct LayerOffer: BitwiseCopyable, Sendable, Equatable {
    /// 0 (smallest) and up.
    package var spatial: UInt8
    /// 0 (fewest frames) and up.
    package var temporal: UInt8
    /// Of this operating point as a whole: lower layers that it needs, packet overhead and retransmissions included.
    package var bitrate: Bitrate
    /// In pixels; 0 = unknown.
    package var width: Int32
    package var height: Int32
    /// 0 = unknown.
    package var framesPerSecond: Float

    package init(
        spatial: UInt8,
        temporal: UInt8,
        bitrate: Bitrate,
        width: Int32 = 0,
        height: Int32 = 0,
        framesPerSecond: Float = 0
    ) {
        self.spatial = spatial
        self.temporal = temporal
        self.bitrate = bitrate
        self.width = width
        self.height = height
        self.framesPerSecond = framesPerSecond
    }
}

/// One video track that a subscriber has subscribed to: what it would like and what there is.
@usableFromInline package struct AllocationRequest: BitwiseCopyable, Sendable {
    /// At most 12: more spatial and temporal layers than any encoder in use makes.
    package static let maximumOfferCount = 12

    /// Of the subscription; keys what the allocator remembers.
    package var id: UInt32
    /// pinned 8, screen share 8, active speaker 4, spoke lately 2, visible 1; 0 = not visible.
    package var weight: Float
    /// Gives up frame rate before resolution.
    package var isScreenShare: Bool
    /// Is served up to a good picture before others rise above their base layer, and paused after all others.
    package var isOnStage: Bool
    /// Of the tile, in device pixels; 0 = any.
    package var viewportWidth: Int32
    package var viewportHeight: Int32
    package var maximumSpatial: UInt8
    package var maximumTemporal: UInt8
    /// In any order.
    package var offers: InlineArray<12, LayerOffer>
    package var offerCount: Int

    package init(
        id: UInt32,
        weight: Float = 1,
        isScreenShare: Bool = false,
        isOnStage: Bool = false,
        viewportWidth: Int32 = 0,
        viewportHeight: Int32 = 0,
        maximumSpatial: UInt8 = .max,
        maximumTemporal: UInt8 = .max
    ) {
        self.id = id
        self.weight = weight
        self.isScreenShare = isScreenShare
        self.isOnStage = isOnStage
        self.viewportWidth = viewportWidth
        self.viewportHeight = viewportHeight
        self.maximumSpatial = maximumSpatial
        self.maximumTemporal = maximumTemporal
        self.offers = InlineArray(repeating: LayerOffer(spatial: 0, temporal: 0, bitrate: .zero))
        self.offerCount = 0
    }

    /// Adds an operating point; one beyond the twelfth is left out.
    @usableFromInline package mutating func add(_ offer: LayerOffer) {
        guard self.offerCount >= 0, self.offerCount < Self.maximumOfferCount else { return }
        self.offers[self.offerCount] = offer
        self.offerCount += 1
    }
    /// The layer below the lowest one whose frame rate is above the one that is wanted, with a tenth of tolerance: 30 is
    /// rarely 30.0. The lowest where all are above; no limit where none is.
    ///
    /// Over all spatial layers: one that has just begun is measured as slower than it is, and must not lift the limit.
    package func highestTemporal(framesPerSecond: Float) -> UInt8 {
        var highest = UInt8.max
        for index in 0..<self.offerCount {
            let offer = self.offers[index]
            guard offer.framesPerSecond > framesPerSecond * 1.1 else { continue }
            highest = min(highest, offer.temporal > 0 ? offer.temporal - 1 : 0)
        }
        return highest
    }
}
