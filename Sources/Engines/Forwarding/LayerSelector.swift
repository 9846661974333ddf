package import Basics

/// What to do with one packet of one simulcast layer.
package enum LayerDecision: Equatable, Sendable {
    case forward
    /// The first packet of a key frame of the layer to go to: switch the rewriter's source, then forward.
    /// When the rewriter refuses, say `refuseSwitch()`.
    case switchAndForward
    case drop
}

/// Chooses one subscriber's simulcast layer: for now the highest that arrives and is allowed.
///
/// It changes layer only at the first packet of a key frame of the new one (forwarding.md). When the layer that is
/// forwarded falls silent for 500 ms while a lower one goes on, it goes down to that. The policy itself is one pure
/// function, `choose`; an allocator later replaces that and sets `maximumLayer`.
package struct LayerSelector: Sendable, BitwiseCopyable {
    /// Layers are 0 (smallest) to 3.
    package static let maximumLayerCount = 4
    /// A layer lives while it had a packet in this time: screen shares send as little as one frame a second.
    private static let liveTime = Nanoseconds.milliseconds(1_000)
    /// The layer that is forwarded is left when it is silent for this long and another is not.
    private static let silenceLimit = Nanoseconds.milliseconds(500)
    /// How long a new subscriber waits for its target's key frame before it takes a lower layer's.
    private static let acquisitionGrace = Nanoseconds.milliseconds(300)

    @usableFromInline var lastArrivals = SIMD4<Int64>(repeating: .min)
    /// The layer that is forwarded; `nil` before the first key frame.
    @usableFromInline package private(set) var current: Int?
    /// The layer to go to at its next key frame; equal to `current` when all is well, `nil` when nothing arrives or is
    /// wanted.
    @usableFromInline package private(set) var target: Int?
    /// The highest layer that this subscriber may have; `nil` = paused: nothing is forwarded.
    package private(set) var maximumLayer: Int? = Self.maximumLayerCount - 1
    private var previous: Int?
    /// Since when a first key frame has been waited for.
    private var waitingSince: Instant?
    package private(set) var switchCount: UInt64 = 0

    package init() {}

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

    /// Decides about one packet. Call for every packet of every layer of the track, also for those that are dropped.
    /// - Parameters:
    ///   - layer: 0...3; others are dropped.
    ///   - isKeyFrameStart: it is the first packet of a key frame.
    @inlinable package mutating func accepts(layer: Int, isKeyFrameStart: Bool, at now: Instant) -> LayerDecision {
        guard layer >= 0, layer < 4 else { return .drop }
        self.lastArrivals[layer] = now.nanoseconds
        if !isKeyFrameStart { return layer == self.current && self.target != nil ? .forward : .drop }
        return self.acceptsKeyFrame(of: layer, at: now)
    }

    @usableFromInline mutating func acceptsKeyFrame(of layer: Int, at now: Instant) -> LayerDecision {
        self.updateTarget(at: now)
        guard let target = self.target else { return .drop }
        if layer == self.current { return .forward }
        guard layer == target || self.takesInstead(layer, at: now) else { return .drop }
        self.previous = self.current
        self.current = layer
        self.waitingSince = nil
        self.switchCount &+= 1
        return .switchAndForward
    }

    /// A picture now rather than the best one later: a subscriber that has nothing yet, and waited, takes what comes.
    private mutating func takesInstead(_ layer: Int, at now: Instant) -> Bool {
        guard self.current == nil, let maximumLayer = self.maximumLayer, layer <= maximumLayer else { return false }
        guard let waitingSince = self.waitingSince else {
            self.waitingSince = now
            return false
        }
        return now - waitingSince >= Self.acquisitionGrace
    }

    /// The rewriter refused the switch that was just decided: goes on with the layer before.
    package mutating func refuseSwitch() {
        self.current = self.previous
        self.switchCount &-= 1
    }

    /// Looks at what arrives. Call every 50 to 100 ms, and after `accepts` when a subscriber is new.
    /// - Returns: the layer whose key frame is needed, for its `KeyFrameLimiter`; `nil` when none is.
    package mutating func tick(at now: Instant) -> Int? {
        self.updateTarget(at: now)
        guard let target = self.target, target != self.current else { return nil }
        if self.current == nil, self.waitingSince == nil { self.waitingSince = now }
        // A layer that has stopped would not hear the request.
        return self.hasArrived(target, at: now, within: Self.liveTime) ? target : nil
    }

    /// Sets the highest layer that this subscriber may have: 0...3; `nil` pauses. Taken up by the next `tick`.
    package mutating func setMaximumLayer(_ layer: Int?, at now: Instant) {
        self.maximumLayer = layer.map { min(max($0, 0), Self.maximumLayerCount - 1) }
        if layer == nil {
            // On resumption the receiver needs a key frame, of the same layer too.
            self.current = nil
            self.waitingSince = nil
        }
        self.updateTarget(at: now)
    }

    /// A key frame of the current layer is needed anew, such as after the receiver lost too much (a watchdog).
    package mutating func restart() {
        self.current = nil
        self.waitingSince = nil
    }

    private mutating func updateTarget(at now: Instant) {
        var isCurrentSilent = false
        if let current = self.current {
            isCurrentSilent = !self.hasArrived(current, at: now, within: Self.silenceLimit)
        }
        let limit = isCurrentSilent ? Self.silenceLimit : Self.liveTime
        var live: UInt8 = 0
        for layer in 0..<Self.maximumLayerCount where self.hasArrived(layer, at: now, within: limit) {
            live |= 1 << UInt8(layer)
        }
        self.target = Self.choose(
            live: live,
            maximumLayer: self.maximumLayer,
            current: self.current,
            isCurrentSilent: isCurrentSilent
        )
    }

    private func hasArrived(_ layer: Int, at now: Instant, within limit: Nanoseconds) -> Bool {
        let last = self.lastArrivals[layer]
        return last != .min && now.nanoseconds &- last < limit.count
    }
}
