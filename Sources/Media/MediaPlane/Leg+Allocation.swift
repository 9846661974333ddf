import Basics
import CongestionControl
import Forwarding
import MediaControl

/// What a video leg asks of the bandwidth allocator, and what it makes of the answer.
///
/// What only reads is inlined: called, it would be handed a copy of the whole leg.
extension Leg {
    /// What its subscriber is to be sent is decided by bandwidth, and by nothing else.
    @inline(__always) var takesPartInAllocation: Bool {
        guard unsafe self.track != nil else { return false }
        return self.kind == .video && !self.isPaused && !self.isOnHold
    }

    /// pinned 8, screen share 8, active speaker 4, spoke lately 2, visible 1, not visible 0 (forwarding.md).
    @inline(__always) var weight: Float {
        guard let track = unsafe self.track, self.preference.maximumWidth != 0, self.preference.maximumHeight != 0
        else { return 0 }
        if let priority = self.preference.priority { return 8 * Float(priority) / 255 }
        if unsafe track.pointee.purpose == .screen { return 8 }
        return switch unsafe track.pointee.speechRole {
        case .active: 4
        case .recent: 2
        case .silent: 1
        }
    }

    mutating func allocationRequest(at now: Instant) -> AllocationRequest {
        let weight = self.weight
        var request = AllocationRequest(
            id: self.binding,
            weight: weight,
            // Three quarters of a pinned tile's weight: a subscriber that gives priorities has said which one counts.
            isOnStage: weight >= 6,
            viewportWidth: Int32(clamping: self.preference.maximumWidth ?? 0),
            viewportHeight: Int32(clamping: self.preference.maximumHeight ?? 0),
            maximumSpatial: UInt8(clamping: self.largestRank)
        )
        guard let track = unsafe self.track else { return request }
        request.isScreenShare = unsafe track.pointee.purpose == .screen
        unsafe track.pointee.addOffers(to: &request, factor: 1 + self.repairShare, at: now)
        if let maximum = self.preference.maximumFrameRate {
            request.maximumTemporal = request.highestTemporal(framesPerSecond: Float(maximum))
        }
        self.noteOffers(request)
        if self.isReduced {
            request.maximumSpatial = 0
            let limit = request.highestTemporal(framesPerSecond: Self.reducedFrameRate)
            request.maximumTemporal = min(request.maximumTemporal, limit)
        }
        return request
    }

    /// The largest layer that is not larger than the subscriber wants; the smallest where all are. Layers whose size is
    /// not known yet count as fitting.
    @inline(__always) var largestRank: Int {
        guard let track = unsafe self.track else { return 0 }
        guard self.preference.maximumWidth != nil || self.preference.maximumHeight != nil else { return .max }
        var allowed = 0
        for layer in unsafe 0..<track.pointee.layerCount {
            let width = unsafe track.pointee.layers[layer].width ?? 0
            let height = unsafe track.pointee.layers[layer].height ?? 0
            guard width <= self.preference.maximumWidth ?? .max, height <= self.preference.maximumHeight ?? .max else {
                continue
            }
            allowed = unsafe max(allowed, track.pointee.rank(layer: layer))
        }
        return allowed
    }

    /// The highest layer that the subscriber would take if its path carried it; `nil` = none.
    @inline(__always) var highestWantedRank: Int? {
        guard self.takesPartInAllocation, self.weight > 0, let track = unsafe self.track else { return nil }
        return unsafe min(self.largestRank, track.pointee.layerCount - 1)
    }

    /// Lets the selector have what was decided.
    mutating func setTarget(_ decision: AllocationDecision, estimate: BandwidthEstimate, at now: Instant) {
        guard decision.reason != .nothingOffered else {
            // What the publisher is about to send is taken as it comes, from the smallest layer on.
            self.selector.setTarget(spatial: 0, temporal: 3, at: now)
            return
        }
        var handover = LayerHandover.whole
        if estimate.isCongested {
            let fits = self.baseRate.bitsPerSecond * 10 <= estimate.bitrate.bitsPerSecond * 9
            handover = fits ? .baseOnly : .nothing
        }
        // The highest there is of this layer: also such frames as have not been seen yet.
        let isWhole = Int(decision.temporal) >= Int(self.offeredTemporal[Int(max(0, decision.spatial)) & 3])
        self.selector.setTarget(
            spatial: Int(decision.spatial),
            temporal: isWhole && decision.temporal >= 0 ? 3 : Int(decision.temporal),
            handover: handover,
            at: now
        )
        // What has to be handed over from next time.
        if decision.spatial >= 0 { self.baseRate = self.offeredBaseRates[Int(decision.spatial) & 3] }
    }

    @inline(__always) private mutating func noteOffers(_ request: AllocationRequest) {
        self.offeredTemporal = SIMD4<UInt8>(repeating: 0)
        for index in 0..<request.offerCount {
            let offer = request.offers[index]
            let spatial = Int(offer.spatial & 3)
            self.offeredTemporal[spatial] = max(self.offeredTemporal[spatial], offer.temporal)
            if offer.temporal == 0 { self.offeredBaseRates[spatial] = offer.bitrate }
        }
    }

    /// Whether the subscriber is to be told what it is sent: of another layer at once, of another reason once a second.
    mutating func takeSelectionNews(at now: Instant) -> Bool {
        guard self.hasSelectionNews || (self.hasReasonNews && now >= self.nextReasonNews) else { return false }
        self.hasSelectionNews = false
        self.hasReasonNews = false
        self.nextReasonNews = now + .seconds(1)
        return true
    }

    /// Says what the subscriber is sent, and why.
    var selection: LayerSelection {
        var selection = LayerSelection(spatial: -1, temporal: -1, reason: self.reason)
        selection.estimate = self.estimate
        if let decision = self.decision {
            selection.isPausedForBandwidth = decision.isPausedForBandwidth
            selection.nextLayerNeeds = decision.nextNeeds > .zero ? decision.nextNeeds : nil
        }
        let layers = self.selector.layers
        guard let track = unsafe self.track, layers.spatial >= 0, !self.isPaused else { return selection }
        let isSimulcast = unsafe track.pointee.layerCount > 1
        let source = unsafe track.pointee.layers + track.pointee.layer(rank: isSimulcast ? Int(layers.spatial) : 0)
        selection.spatial = Int(layers.spatial)
        // The limit is higher than what there is where nothing is left out.
        selection.temporal = Int(min(UInt8(layers.temporal), self.offeredTemporal[Int(layers.spatial) & 3]))
        // Pictures of spatial layers are halves of each other.
        let shift = isSimulcast ? 0 : max(0, unsafe source.pointee.rates.topSpatial - Int(layers.spatial))
        selection.width = unsafe source.pointee.width.map { $0 >> shift }
        selection.height = unsafe source.pointee.height.map { $0 >> shift }
        selection.targetBitrate = self.decision?.bitrate ?? .zero
        return selection
    }

    private var reason: String {
        if self.pauses & (1 << PauseReason.subscriber.rawValue) != 0 { return "paused at the subscriber's wish" }
        if self.pauses & (1 << PauseReason.lastN.rawValue) != 0 { return "paused: not among the last speakers" }
        if self.isPaused { return "paused: the server has more to do than it can; it comes back when there is less" }
        if let stall = self.selector.stall { return stall.sentence }
        guard let decision = self.decision else { return "about to start" }
        let isSent = self.selector.layers.spatial >= 0
        // It was decided, and comes when it can be decoded.
        if decision.spatial >= 0, !isSent { return "about to start: waits for a key frame from the sender" }
        if decision.reason == .nothingOffered, isSent {
            return "just begun: what the sender sends is not measured yet"
        }
        if self.isReduced, [.best, .fillsTile, .limitedByRequest].contains(decision.reason) {
            return "the server has more to do than it can; a better picture comes when there is less"
        }
        return decision.sentence(estimate: self.estimate ?? .zero)
    }
}
