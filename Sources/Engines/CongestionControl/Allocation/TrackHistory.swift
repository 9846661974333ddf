import Basics

/// What the allocator remembers of one track, so that it does not change its mind with every breath of the estimate.
struct TrackHistory: BitwiseCopyable, Sendable {
    /// A picture that has just appeared is brought up without waiting.
    static let fastStart = Nanoseconds.seconds(5)
    /// After a fall because of congestion: no rise for so long,
    static let firstHold = Nanoseconds.seconds(5)
    /// and none without more proof for as long as this; doubled, from the above on, when it falls again after a rise.
    static let longestHold = Nanoseconds.seconds(40)
    /// After a fall in frame rate alone, which costs no key frame to take back.
    static let temporalHold = Nanoseconds.seconds(1)
    /// For so long a picture may have fewer frames than a smaller one would have: an estimate that dips, and no more,
    /// costs no key frame then. What was used of it comes back at a quarter of the pace.
    static let reducedTime = Nanoseconds.seconds(3)
    static let reducedReturn: Int64 = 4
    /// After so long without a fall the next one counts as the first again.
    static let cleanTime = Nanoseconds.seconds(60)
    /// A paused track stays paused for so long.
    static let pauseTime = Nanoseconds.seconds(5)
    /// A layer that came back is used after it was there for so long.
    static let layerProof = Nanoseconds.seconds(2)

    /// A track that falls silent altogether keeps its layer for so long: its publisher's path pauses.
    static let silenceTime = Nanoseconds.seconds(2)

    var id: UInt32 = 0
    var isUsed = false
    /// The run of the allocator that saw it last.
    var run: UInt32 = 0
    var spatial: Int8 = -1
    var temporal: Int8 = -1
    /// Of all that makes a request another one: a new one is acted on at once.
    var signature: UInt64 = 0
    var visibleSince = Instant.zero
    var heldUntil = Instant.zero
    /// A rise needs more proof until then.
    var doubtedUntil = Instant.zero
    var holdLength = Self.firstHold
    var fellAt: Instant?
    var hasRisenSinceFall = false
    var pausedAt: Instant?
    /// Since when a better layer has fitted.
    var settlingSince: Instant?
    /// The last turns: changes of spatial layer against the direction of the one before.
    var turns = InlineArray<3, Instant?>(repeating: nil)
    var lastDirection: Int8 = 0
    var cautiousUntil = Instant.zero
    var isVisible = false
    var wasHeld = false
    var wasDoubted = false
    private var silentSince: Instant?
    /// Since when the frame rate has been reduced; what was left of `reducedTime` then, and since when it is not.
    private var reducedSince: Instant?
    private var reducedLeft = Self.reducedTime
    private var wholeSince: Instant?
    /// Of the layer that it was given, in bits per second.
    var rate: Int64 = 0
    var offered: UInt8 = 0
    var offeredSince = InlineArray<8, Instant>(repeating: .zero)

    init() {}

    init(id: UInt32, at now: Instant) {
        self.id = id
        self.isUsed = true
        self.visibleSince = now
    }

    func isFresh(at now: Instant) -> Bool { now - self.visibleSince < Self.fastStart }
    func isHeld(at now: Instant) -> Bool { now < self.heldUntil }
    func isDoubted(at now: Instant) -> Bool { now < self.doubtedUntil }
    func isPauseHeld(at now: Instant) -> Bool {
        guard let pausedAt = self.pausedAt else { return false }
        return now - pausedAt < Self.pauseTime
    }

    /// Whether a track that is watched has no layer at all since less than `silenceTime`.
    mutating func isSilent(layers: UInt8, at now: Instant) -> Bool {
        guard layers == 0, self.isVisible, self.spatial >= 0 else {
            self.silentSince = nil
            return false
        }
        let since = self.silentSince ?? now
        self.silentSince = since
        return now - since < Self.silenceTime
    }

    /// When the frame rate has been reduced for long enough; `nil` while it is not.
    var reducedUntil: Instant? { self.reducedSince.map { $0 + self.reducedLeft } }

    mutating func setReduced(_ isReduced: Bool, at now: Instant) {
        guard isReduced != (self.reducedSince != nil) else { return }
        if isReduced {
            if let wholeSince = self.wholeSince {
                let back = Nanoseconds((now - wholeSince).count / Self.reducedReturn)
                self.reducedLeft = min(self.reducedLeft + back, Self.reducedTime)
            }
            self.reducedSince = now
        } else {
            self.reducedLeft = max(self.reducedUntil.map { $0 - now } ?? .zero, .zero)
            self.reducedSince = nil
            self.wholeSince = now
        }
    }

    /// The connection has carried too little for this picture for so long that a smaller one takes its place.
    /// Returns whether that is now.
    mutating func endReduction(at now: Instant) -> Bool {
        guard let end = self.reducedUntil, now >= end else { return false }
        self.noteDirection(-1, at: now)
        self.fall(at: now)
        return true
    }

    /// Notes which spatial layers there are; returns whether they are others than before.
    mutating func noteOffered(_ layers: UInt8, at now: Instant) -> Bool {
        guard layers != self.offered else { return false }
        for layer in 0..<8 where layers & ~self.offered & 1 << UInt8(layer) != 0 { self.offeredSince[layer] = now }
        self.offered = layers
        return true
    }

    /// Whether a layer has been there for long enough to be gone up to.
    func isProven(_ spatial: UInt8, at now: Instant) -> Bool {
        now - self.offeredSince[Int(min(spatial, 7))] >= Self.layerProof
            || now - self.visibleSince < Self.fastStart + Self.layerProof
    }

    /// Notes a new layer.
    /// - Parameters:
    ///   - isForced: because the connection carries less than it did.
    ///   - isSteady: nothing was asked for anew: a turn back and forth is flapping.
    mutating func choose(spatial: Int8, temporal: Int8, isDown: Bool, isForced: Bool, isSteady: Bool, at now: Instant) {
        let isSpatial = spatial != self.spatial
        if isSpatial, isSteady { self.noteDirection(isDown ? -1 : 1, at: now) }
        self.spatial = spatial
        self.temporal = temporal
        self.settlingSince = nil
        if isDown, isForced {
            if isSpatial { self.fall(at: now) } else { self.heldUntil = max(self.heldUntil, now + Self.temporalHold) }
        } else if !isDown, isSpatial {
            self.hasRisenSinceFall = true
        }
    }

    private mutating func fall(at now: Instant) {
        if let fellAt = self.fellAt, now - fellAt <= Self.cleanTime {
            if self.hasRisenSinceFall { self.holdLength = min(self.holdLength * 2, Self.longestHold) }
        } else {
            self.holdLength = Self.firstHold
        }
        self.fellAt = now
        self.hasRisenSinceFall = false
        self.heldUntil = now + Self.firstHold
        self.doubtedUntil = now + self.holdLength
    }

    /// The third turn within a minute asks for more proof before each rise of the next minute.
    private mutating func noteDirection(_ direction: Int8, at now: Instant) {
        let isTurn = self.lastDirection != 0 && direction != self.lastDirection
        self.lastDirection = direction
        guard isTurn else { return }
        self.turns[0] = self.turns[1]
        self.turns[1] = self.turns[2]
        self.turns[2] = now
        if let first = self.turns[0], now - first <= .seconds(60) { self.cautiousUntil = now + .seconds(60) }
    }
}
