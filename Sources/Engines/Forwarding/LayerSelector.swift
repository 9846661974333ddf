public import Basics

/// What to do with one packet of one simulcast layer.
@usableFromInline package enum LayerDecision: Equatable, Sendable, BitwiseCopyable {
    case forward
    /// The first packet of a key frame of the layer to go to: switch the rewriter's source, then forward.
    case switchAndForward
    case drop
}

/// What to do with one packet, for one subscriber.
@usableFromInline package struct FrameDecision: Equatable, Sendable, BitwiseCopyable {
    @usableFromInline package var action: LayerDecision
    /// The RTP marker has to be set: the packet ends the picture for this subscriber, who is not sent the upper layers.
    @usableFromInline package var setsMarker: Bool

    @inlinable package init(_ action: LayerDecision, setsMarker: Bool = false) {
        self.action = action
        self.setsMarker = setsMarker
    }

    package static let drop = FrameDecision(.drop)
}

/// What happens to the higher layer that a subscriber is on when it has to go down, until the lower one can begin.
@usableFromInline package enum LayerHandover: UInt8, Hashable, Sendable, BitwiseCopyable {
    /// It fits the bandwidth: it goes on as it is.
    case whole
    /// Its lowest temporal layer goes on.
    case baseOnly
    /// Not even that fits: nothing is sent.
    case nothing
}

/// An operating point; -1 = nothing.
@usableFromInline package struct SelectedLayers: Hashable, Sendable, BitwiseCopyable {
    /// The simulcast layer, or the spatial layer of a stream that has several.
    package var spatial: Int8
    package var temporal: Int8

    package init(spatial: Int8, temporal: Int8) {
        self.spatial = spatial
        self.temporal = temporal
    }

    package static let nothing = SelectedLayers(spatial: -1, temporal: -1)
}

/// Chooses what one subscriber is sent of a track: which simulcast layer, and in it which spatial and temporal layers.
///
/// It changes the simulcast layer only at the first packet of a key frame of the new one (forwarding.md). When the layer
/// that is forwarded falls silent for 500 ms while a lower one goes on, it goes down to that. Within a stream
/// `FrameFilter` decides by frames. What is wanted is said by `setTarget`, by the bandwidth allocator.
@usableFromInline package struct LayerSelector: Sendable, BitwiseCopyable {
    /// Layers are 0 (smallest) to 3.
    package static let maximumLayerCount = 4
    /// A layer lives while it had a packet in this time: screen shares send as little as one frame a second.
    private static let liveTime = Nanoseconds.milliseconds(1_000)
    /// The layer that is forwarded is left when it is silent for this long and another is not.
    private static let silenceLimit = Nanoseconds.milliseconds(500)
    /// How long a new subscriber waits for its target's key frame before it takes a lower layer's.
    private static let acquisitionGrace = Nanoseconds.milliseconds(300)
    /// A key frame for more is asked for at these steps; a subscriber with no picture asks without end.
    private static let firstRetry = Nanoseconds.milliseconds(500)
    /// A layer whose key frame does not come in this time
    private static let givingUpTime = Nanoseconds.seconds(5)
    /// is left alone for this long.
    private static let unavailableTime = Nanoseconds.seconds(10)
    private static let never = Instant(nanoseconds: .min)

    /// Several encodings of the track are streams of their own; else what is chosen are layers within the one stream.
    package var isSimulcast = true
    @usableFromInline var lastArrivals = InlineArray<4, Int64>(repeating: .min)
    // Layers; -1 = none.
    @usableFromInline var currentLayer: Int8 = -1
    @usableFromInline var targetLayer: Int8 = -1
    private var highestLayer: Int8 = 3
    private var waitingSince = Self.never

    // Within the stream.
    @usableFromInline var filter = FrameFilter()
    private var wantedSpatialID: Int8 = 3
    private var wantedTemporalID: Int8 = 3
    /// Temporal layers of what is being left.
    private var heldTemporalID: Int8 = 3
    private var handover = LayerHandover.whole
    // The stream before this one, for its late packets.
    private var leftLayer: Int8 = -1
    private var leftHighest: Int64 = 0
    private var leftForwarded: UInt64 = 0
    private var leftSpatialID: Int8 = 0

    // Requests for key frames.
    private var requestedLayer: Int8 = -1
    private var requestCount: UInt8 = 0
    private var nextRequest = Self.never
    private var neededSince = Self.never
    private var unavailableLayer: Int8 = -1
    private var unavailableUntil = Self.never

    /// Why the picture stands; `nil` when it does not.
    package private(set) var stall: ForwardingStall?
    /// How often that was found.
    package private(set) var stallCount: UInt32 = 0

    package init() {}

    /// The layer that is forwarded; `nil` before the first key frame.
    package var current: Int? { self.currentLayer < 0 ? nil : Int(self.currentLayer) }

    /// The layer to go to at its next key frame; equal to `current` when all is well, `nil` when nothing arrives or is
    /// wanted.
    package var target: Int? { self.targetLayer < 0 ? nil : Int(self.targetLayer) }

    /// The highest layer that this subscriber may have; `nil` = paused: nothing is forwarded.
    package var maximumLayer: Int? { self.highestLayer < 0 ? nil : Int(self.highestLayer) }

    /// The policy: which layer to aim at.
    /// - Parameters:
    ///   - live: bit *i* is set when layer *i* had a packet in the last second; in the last 500 ms when
    ///     `isCurrentSilent`, so that a pause of the whole source changes nothing.
    ///   - isCurrentSilent: `current` had none for 500 ms.
    package static func choose(live: UInt8, maximumLayer: Int?, current: Int?, isCurrentSilent: Bool) -> Int? {
        guard let maximumLayer else { return nil }
        for layer in stride(from: min(maximumLayer, Self.maximumLayerCount - 1), through: 0, by: -1) {
            guard live & (1 << UInt8(layer)) != 0 else { continue }
            if layer == current, isCurrentSilent { continue }
            return layer
        }
        return current
    }

    // MARK: - What is wanted

    /// Sets what the allocator decided. Lower temporal layers count from the next picture on; the rest when it can.
    /// - Parameters:
    ///   - spatial: the simulcast layer or the spatial layer, 0...3; -1 = nothing, until further notice.
    ///   - temporal: 0...3; -1 = nothing.
    ///   - handover: what goes on of a higher layer until the lower one can begin.
    package mutating func setTarget(spatial: Int, temporal: Int, handover: LayerHandover = .whole, at now: Instant) {
        let isNothing = spatial < 0 || temporal < 0
        let before = self.temporalLimit
        if !isNothing, before >= 0 { self.heldTemporalID = Int8(truncatingIfNeeded: before) }
        self.handover = handover
        let layer = Int8(truncatingIfNeeded: min(max(spatial, 0), 3))
        self.wantedTemporalID = Int8(truncatingIfNeeded: min(max(temporal, 0), 3))
        self.wantedSpatialID = self.isSimulcast ? 3 : layer
        self.highestLayer = isNothing ? -1 : self.isSimulcast ? layer : 3
        // On resumption the receiver needs a key frame, of the same layer too.
        if isNothing { self.restart() }
        self.updateTarget(at: now)
    }

    /// A key frame of the current layer is needed anew, such as after the receiver lost too much (a watchdog).
    package mutating func restart() {
        self.leave()
        self.currentLayer = -1
        self.waitingSince = Self.never
    }

    /// Other streams take the layers' places: no packet comes any more of what was sent before.
    package mutating func rebind() {
        self.restart()
        self.leftLayer = -1
    }

    /// What is sent now. The temporal layer is the limit; the stream may have fewer.
    package var layers: SelectedLayers {
        guard self.currentLayer >= 0, self.targetLayer >= 0, self.temporalLimit >= 0 else { return .nothing }
        let spatial = self.isSimulcast ? self.currentLayer : min(self.filter.spatialID, self.filter.topSpatialID)
        return SelectedLayers(spatial: spatial, temporal: Int8(truncatingIfNeeded: self.temporalLimit))
    }

    /// The layers within the stream, for `FrameReader.targets`.
    package var layersInStream: SelectedLayers {
        SelectedLayers(
            spatial: self.filter.spatialID,
            temporal: Int8(truncatingIfNeeded: max(self.temporalLimit, 0))
        )
    }

    /// 0...3; -1 = nothing is sent.
    private var temporalLimit: Int {
        self.wantedLayers.temporalLimit(at: Int(self.filter.spatialID), top: self.filter.topSpatialID)
    }

    /// What is wanted of the stream at hand. Of a lower simulcast layer than the wanted one it is all: the wanted one
    /// costs more.
    private var wantedLayers: WantedLayers {
        let held: Int8 =
            switch self.handover {
            case .whole: self.heldTemporalID
            case .baseOnly: 0
            case .nothing: -1
            }
        var wanted = WantedLayers(
            spatialID: self.wantedSpatialID,
            temporalID: self.wantedTemporalID,
            heldTemporalID: held
        )
        if self.isSimulcast, self.currentLayer >= 0, self.currentLayer != self.targetLayer {
            wanted.temporalID = self.currentLayer < self.targetLayer ? 3 : held
        }
        return wanted
    }

    // MARK: - Per packet

    /// Decides about one packet. Call for every packet of every layer of the track, also for those that are dropped.
    ///
    /// After `.switchAndForward`, say `takeSwitch` when the rewriter took the source; else nothing has changed.
    /// - Parameters:
    ///   - layer: 0...3; others are dropped. 0 where there is no simulcast.
    ///   - info: of the layer's `FrameReader`.
    package mutating func decide(layer: Int, _ info: FrameInfo, at now: Instant) -> FrameDecision {
        guard layer >= 0, layer < 4 else { return .drop }
        self.lastArrivals[layer] = now.nanoseconds
        guard layer == self.currentLayer else { return self.decideElsewhere(layer, info, at: now) }
        guard self.targetLayer >= 0 else { return .drop }
        if info.isKeyFrameStart { self.updateTarget(at: now) }
        let (forwards, ends) = self.filter.decide(info, wanted: self.wantedLayers, at: now)
        return FrameDecision(forwards ? .forward : .drop, setsMarker: ends)
    }

    /// What `decide` would say of a packet whose frame it has decided about last: most are of that kind. `nil` = ask it.
    /// - Parameters:
    ///   - layer: as for `decide`.
    ///   - frame, flags: of the packet's `FrameInfo`, which is too large to copy for every subscriber.
    @inlinable package mutating func decideAgain(
        layer: Int,
        frame: Int64,
        flags: FrameInfo.Flags,
        at now: Instant
    ) -> FrameDecision? {
        guard layer >= 0, layer < 4, layer == self.currentLayer, self.targetLayer >= 0, !flags.contains(.keyStart),
            let (forwards, ends) = self.filter.decideAgain(frame: frame, flags: flags)
        else { return nil }
        self.lastArrivals[layer] = now.nanoseconds
        return FrameDecision(forwards ? .forward : .drop, setsMarker: ends)
    }

    /// A packet of a stream that is not forwarded, or not any more.
    private mutating func decideElsewhere(_ layer: Int, _ info: FrameInfo, at now: Instant) -> FrameDecision {
        guard info.isKeyFrameStart else {
            guard layer == self.leftLayer else { return .drop }
            // Numbers of two readers have nothing to do with each other: one may be of a stream that began anew since.
            let age = self.leftHighest &- info.frame
            // Frames without layers are numbered by time, and were all sent.
            let index = info.flags.contains(.layered) ? age : 0
            let wasForwarded = age >= 0 && index < 64 && self.leftForwarded & (1 << UInt64(index)) != 0
            guard wasForwarded else { return .drop }
            let ends =
                info.flags.contains(.layered) && info.flags.contains(.last)
                && info.spatialID == UInt8(self.leftSpatialID & 3)
            return FrameDecision(.forward, setsMarker: ends)
        }
        self.updateTarget(at: now)
        // With packets of the key frame gone by already, it would never be whole.
        guard info.canStart, self.wantsKeyFrame(of: layer, at: now) else { return .drop }
        let ends =
            info.flags.isSuperset(of: [.layered, .last]) && Int8(bitPattern: info.spatialID) == self.wantedSpatialID
        return FrameDecision(.switchAndForward, setsMarker: ends)
    }

    private mutating func wantsKeyFrame(of layer: Int, at now: Instant) -> Bool {
        self.targetLayer >= 0 && (layer == self.targetLayer || self.takesInstead(layer, at: now))
    }

    /// The rewriter switched to the source of the packet that was just decided about, which is sent.
    package mutating func takeSwitch(to layer: Int, _ info: FrameInfo, at now: Instant) {
        guard layer >= 0, layer < 4 else { return }
        self.leave()
        self.currentLayer = Int8(truncatingIfNeeded: layer)
        self.waitingSince = Self.never
        self.filter.begin(at: info, wanted: self.wantedLayers, at: now)
    }

    /// Keeps what is needed for late packets of the stream that is left.
    private mutating func leave() {
        guard self.currentLayer >= 0 else { return }
        self.leftLayer = self.currentLayer
        (self.leftHighest, self.leftForwarded) = self.filter.recent
        self.leftSpatialID = self.filter.spatialID
    }

    /// A picture now rather than the best one later: a subscriber that has nothing yet, and waited, takes what comes.
    private mutating func takesInstead(_ layer: Int, at now: Instant) -> Bool {
        guard self.currentLayer < 0, layer <= self.highestLayer else { return false }
        guard self.waitingSince != Self.never else {
            self.waitingSince = now
            return false
        }
        return now - self.waitingSince >= Self.acquisitionGrace
    }

    // MARK: - Time

    /// Looks at what arrives. Call every 50 to 100 ms, and after the first packets when a subscriber is new.
    /// - Returns: the layer whose key frame is needed, for its `KeyFrameLimiter`; `nil` when none is.
    package mutating func tick(at now: Instant) -> Int? {
        self.updateTarget(at: now)
        guard self.targetLayer >= 0 else { return nil }
        if self.currentLayer >= 0, let needed = self.watch(at: now) { return needed }
        let target = Int(self.targetLayer)
        if self.targetLayer == self.currentLayer {
            guard self.filter.needsKeyFrame(spatial: Int(self.wantedSpatialID)) else {
                self.resetRequests()
                return nil
            }
        } else if self.currentLayer < 0, self.waitingSince == Self.never {
            self.waitingSince = now
        }
        // A layer that has stopped would not hear the request.
        guard self.hasArrived(target, at: now, within: Self.liveTime) else { return nil }
        return self.currentLayer < 0 || self.isTimeToAsk(at: now) ? target : nil
    }

    /// Asks again after 500 ms, 1, 2 and then every 4 s; gives a simulcast layer up after 5 s.
    private mutating func isTimeToAsk(at now: Instant) -> Bool {
        if self.requestedLayer != self.targetLayer { self.resetRequests() }
        self.requestedLayer = self.targetLayer
        if self.neededSince == Self.never { self.neededSince = now }
        if self.targetLayer > self.currentLayer, now - self.neededSince >= Self.givingUpTime {
            self.unavailableLayer = self.targetLayer
            self.unavailableUntil = now + Self.unavailableTime
            self.resetRequests()
            return false
        }
        guard now >= self.nextRequest else { return false }
        self.nextRequest = now + Self.firstRetry * (1 << Int64(min(self.requestCount, 3)))
        self.requestCount = min(self.requestCount, 254) + 1
        return true
    }

    private mutating func resetRequests() {
        self.requestCount = 0
        self.nextRequest = Self.never
        self.neededSince = Self.never
    }

    /// The watchdog. Returns the layer whose key frame sets things right.
    private mutating func watch(at now: Instant) -> Int? {
        guard let found = self.filter.takeStall(at: now) else {
            if !self.filter.isStanding { self.stall = nil }
            return nil
        }
        self.stall = found
        self.stallCount &+= 1
        let layer = Int(self.currentLayer)
        // Nothing is sent: any key frame is a way out.
        if found == .missingReference { self.restart() }
        return layer
    }

    private mutating func updateTarget(at now: Instant) {
        var isCurrentSilent = false
        if self.currentLayer >= 0 {
            isCurrentSilent = !self.hasArrived(Int(self.currentLayer), at: now, within: Self.silenceLimit)
        }
        let limit = isCurrentSilent ? Self.silenceLimit : Self.liveTime
        var live: UInt8 = 0
        for layer in 0..<Self.maximumLayerCount where self.hasArrived(layer, at: now, within: limit) {
            live |= 1 << UInt8(layer)
        }
        if self.unavailableLayer >= 0, self.currentLayer >= 0, now < self.unavailableUntil {
            live &= ~(1 << UInt8(self.unavailableLayer))
        }
        let choice = Self.choose(
            live: live,
            maximumLayer: self.maximumLayer,
            current: self.current,
            isCurrentSilent: isCurrentSilent
        )
        self.targetLayer = Int8(truncatingIfNeeded: choice ?? -1)
    }

    private func hasArrived(_ layer: Int, at now: Instant, within limit: Nanoseconds) -> Bool {
        let last = self.lastArrivals[layer]
        return last != .min && now.nanoseconds &- last < limit.count
    }
}
