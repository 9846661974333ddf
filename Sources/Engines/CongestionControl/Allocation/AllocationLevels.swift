import Basics

/// One operating point that a track may have, after limits and tile were looked at.
struct AllocationLevel: BitwiseCopyable, Sendable {
    var rate: Int64 = 0
    var utility: Float = 0
    /// Pixels that are seen.
    var pixels: Float = 0
    var framesPerSecond: Float = 0
    var spatial: UInt8 = 0
    var temporal: UInt8 = 0
    /// Motion is not whole, although it would be in a smaller picture: for a moment only.
    var isReduced = false
}

/// The operating point in use, which stays among the levels although another is better for less.
struct KeptLevel: BitwiseCopyable, Sendable {
    /// -1 = none.
    var spatial: Int8
    var temporal: Int8
    /// Also with less motion than a smaller picture would have.
    var mayReduce = true

    func isExactly(_ level: AllocationLevel) -> Bool {
        level.spatial == UInt8(bitPattern: self.spatial) && level.temporal == UInt8(bitPattern: self.temporal)
    }

    /// It itself, or fewer frames of it.
    func isSame(_ level: AllocationLevel) -> Bool {
        level.spatial == UInt8(bitPattern: self.spatial) && level.temporal <= UInt8(bitPattern: self.temporal)
    }
}

/// What was found about the levels of one track.
struct AllocationLevelSummary: BitwiseCopyable, Sendable {
    var count = 0
    /// A better picture is offered, but above the limits of the subscriber.
    var isLimitedByRequest = false
    /// A larger picture is offered, but nobody would see it.
    var isLimitedByTile = false
}

/// The levels of all tracks: of each by rising bitrate, each better than the one before.
struct AllocationLevels: ~Copyable, Sendable {
    static let maximumRate: Int64 = 1_000_000_000_000
    /// Frames per second that are taken for full motion, or this share of what the publisher sends at best.
    private static let fullMotion: Float = 24
    private static let nearlyAll: Float = 0.8
    private static let width = AllocationRequest.maximumOfferCount

    private var levels: FixedStorage<AllocationLevel>

    init(maximumTracks: Int) {
        self.levels = FixedStorage(repeating: AllocationLevel(), count: maximumTracks * Self.width)
    }

    subscript(track: Int, index: Int) -> AllocationLevel { self.levels[track * Self.width + index] }

    func index(track: Int, count: Int, spatial: Int8, temporal: Int8) -> Int? {
        for index in 0..<count {
            let level = self.levels[track * Self.width + index]
            if level.spatial == UInt8(bitPattern: spatial), level.temporal == UInt8(bitPattern: temporal) {
                return index
            }
        }
        return nil
    }

    /// Works out the levels of a track from the request at `row`. (A request is 400 bytes: copies of it were half of the
    /// time of a run.)
    /// - Parameter kept: the operating point in use, which stays in the list even when another is now better for less:
    ///   measured bitrates wobble, and each change of layer costs a key frame.
    mutating func fill(
        track: Int,
        from requests: Span<AllocationRequest>,
        row: Int,
        kept: KeptLevel
    ) -> AllocationLevelSummary {
        var summary = AllocationLevelSummary()
        let weight = requests[row].weight.isFinite ? min(max(requests[row].weight, 0), 1_000) : 0
        let offerCount = min(max(requests[row].offerCount, 0), AllocationRequest.maximumOfferCount)
        let (maximumSpatial, maximumTemporal) = (requests[row].maximumSpatial, requests[row].maximumTemporal)
        guard weight > 0 else { return summary }
        var lowest = LayerOffer(spatial: 0, temporal: 0, bitrate: .zero)
        var isAnyValid = false
        var topTemporal: UInt8 = 0
        for index in 0..<offerCount {
            let offer = requests[row].offers[index]
            guard Self.isValid(offer) else { continue }
            topTemporal = max(topTemporal, offer.temporal)
            if !isAnyValid || Self.rate(offer) < Self.rate(lowest) { lowest = offer }
            isAnyValid = true
        }
        let picture = Picture(
            weight: weight,
            topTemporal: topTemporal,
            tile: Float(max(requests[row].viewportWidth, 0)) * Float(max(requests[row].viewportHeight, 0)),
            isScreenShare: requests[row].isScreenShare
        )
        for index in 0..<offerCount {
            let offer = requests[row].offers[index]
            guard Self.isValid(offer) else { continue }
            if offer.spatial > maximumSpatial || offer.temporal > maximumTemporal {
                summary.isLimitedByRequest = true
            } else {
                self.insert(picture.level(offer), track: track, count: &summary.count)
            }
        }
        // A publisher that sends one large layer only: better that than nothing.
        if summary.count == 0, isAnyValid {
            self.insert(picture.level(lowest), track: track, count: &summary.count)
        }
        self.removeDominated(track: track, summary: &summary, kept: kept)
        // A screen is read more than watched: it gives up frames first.
        if !picture.isScreenShare { self.removeReduced(track: track, summary: &summary, kept: kept) }
        return summary
    }

    /// Spatial and temporal layers have three bits in every payload format.
    private static func isValid(_ offer: LayerOffer) -> Bool { offer.spatial <= 7 && offer.temporal <= 7 }

    private static func rate(_ offer: LayerOffer) -> Int64 {
        min(max(offer.bitrate.bitsPerSecond, 1), Self.maximumRate)
    }

    private mutating func insert(_ level: AllocationLevel, track: Int, count: inout Int) {
        let base = track * Self.width
        var index = base + count
        while index > base, Self.isBefore(level, self.levels[index - 1]) {
            self.levels[index] = self.levels[index - 1]
            index -= 1
        }
        self.levels[index] = level
        count += 1
    }

    /// A total order, so that the order of the offers does not matter.
    private static func isBefore(_ lhs: AllocationLevel, _ rhs: AllocationLevel) -> Bool {
        if lhs.rate != rhs.rate { return lhs.rate < rhs.rate }
        if lhs.utility != rhs.utility { return lhs.utility > rhs.utility }
        if lhs.spatial != rhs.spatial { return lhs.spatial < rhs.spatial }
        return lhs.temporal < rhs.temporal
    }

    /// Takes out what costs as much as something better.
    private mutating func removeDominated(
        track: Int,
        summary: inout AllocationLevelSummary,
        kept: KeptLevel
    ) {
        let base = track * Self.width
        var best: Float = -1
        var bestSpatial: UInt8 = 0
        var used = 0
        for index in 0..<summary.count {
            let level = self.levels[base + index]
            guard level.utility > best || kept.isExactly(level) else {
                if level.spatial > bestSpatial, level.utility == best { summary.isLimitedByTile = true }
                continue
            }
            if level.utility > best {
                best = level.utility
                bestSpatial = level.spatial
            }
            self.levels[base + used] = level
            used += 1
        }
        summary.count = used
    }

    /// Takes out levels with less than full motion where a cheaper one has it: a smaller picture that moves is better than
    /// a large one that jerks. Fewer frames of the layer in use stay for a while, if `kept` says so, since it takes no
    /// key frame to go there and back.
    private mutating func removeReduced(track: Int, summary: inout AllocationLevelSummary, kept: KeptLevel) {
        let base = track * Self.width
        var most: Float = 0
        for index in 0..<summary.count { most = max(most, self.levels[base + index].framesPerSecond) }
        let full = min(Self.fullMotion, most * Self.nearlyAll)
        var isAnyFull = false
        var used = 0
        for index in 0..<summary.count {
            var level = self.levels[base + index]
            let isFull = level.framesPerSecond >= full
            if !isFull, isAnyFull {
                guard kept.mayReduce, kept.isSame(level) else { continue }
                level.isReduced = true
            }
            isAnyFull = isAnyFull || isFull
            self.levels[base + used] = level
            used += 1
        }
        summary.count = used
    }

    /// What all offers of a request have in common.
    private struct Picture {
        let weight: Float
        let topTemporal: UInt8
        /// Pixels; 0 = unknown.
        let tile: Float
        let isScreenShare: Bool

        func level(_ offer: LayerOffer) -> AllocationLevel {
            var pixels = Float(max(offer.width, 0)) * Float(max(offer.height, 0))
            // Unknown: the usual ladder, 320x180 and four times the pixels per layer.
            if pixels <= 0 { pixels = 57_600 * Float(UInt32(1) << (2 * UInt32(min(offer.spatial, 4)))) }
            var frames = offer.framesPerSecond
            if !frames.isFinite || frames <= 0 {
                frames =
                    30 / Float(UInt32(1) << UInt32(min(self.topTemporal - min(offer.temporal, self.topTemporal), 5)))
            }
            if self.tile > 0 { pixels = min(pixels, self.tile) }
            let worth = PictureUtility.of(pixels: pixels, framesPerSecond: frames, isScreenShare: self.isScreenShare)
            return AllocationLevel(
                rate: AllocationLevels.rate(offer),
                utility: self.weight * worth,
                pixels: pixels,
                framesPerSecond: frames,
                spatial: offer.spatial,
                temporal: offer.temporal
            )
        }
    }
}
