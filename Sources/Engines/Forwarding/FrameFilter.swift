import Basics

/// Why a subscriber's picture stands although packets of it arrive.
@usableFromInline package enum ForwardingStall: UInt8, Hashable, Sendable, BitwiseCopyable {
    /// Frames begin, and none becomes whole.
    case incompleteFrames
    /// Every frame is decoded from one that the subscriber was not sent.
    case missingReference
    /// A frame that all later ones are decoded from was lost on the way to us, and does not come any more.
    case brokenChain

    /// For logs and statistics.
    package var sentence: String {
        switch self {
        case .incompleteFrames: "packets arrive, but no frame was complete for 500 ms"
        case .missingReference: "frames arrive that are decoded from frames which were not forwarded"
        case .brokenChain: "a frame that later ones are decoded from was lost, and not recovered for 500 ms"
        }
    }
}

/// What a subscriber is to be sent of one stream.
struct WantedLayers: Sendable, BitwiseCopyable {
    /// 0...3.
    var spatialID: Int8
    /// 0...3; -1 = nothing.
    var temporalID: Int8
    /// While a higher spatial layer is still sent: 0...3; -1 = nothing.
    var heldTemporalID: Int8

    /// What counts while `layer` is sent. Full below what is wanted: a layer above costs more.
    func temporalLimit(at layer: Int, top: Int8) -> Int {
        let sent = min(Int8(truncatingIfNeeded: layer), top)
        let goal = min(self.spatialID, top)
        return Int(sent == goal ? self.temporalID : sent < goal ? 3 : self.heldTemporalID)
    }
}

/// Decides frame by frame what a subscriber is sent of one stream: whole frames of the wanted layers, and only such that
/// it was sent all references of.
///
/// - A lower temporal layer counts from the next picture on; a higher one frame by frame, as soon as what it is decoded
///   from was sent: that is what a switching point is.
/// - A spatial layer is gone to where it was never interrupted (down, in full SVC), or at a frame that lets it begin.
/// - A frame's first packet decides about the frame. Late packets follow it; late frames of the wanted layers are sent.
///
/// Remembers the last 128 frames.
@usableFromInline struct FrameFilter: Sendable, BitwiseCopyable {
    private static let depth: Int64 = 128
    private static let patience = Nanoseconds.milliseconds(500)
    private static let noFrame = Int64.min

    // Bit *i* is about frame `highest - i`.
    /// It was decided about.
    private var known: UInt128 = 0
    /// It is sent; before it is `known`: a frame that was sent is decoded from it, so it will be.
    private var forwarded: UInt128 = 0
    private var highest = Self.noFrame
    /// What is before this frame was never sent.
    private var start: Int64 = .max
    /// The newest frame that was sent.
    private var lastSent = Self.noFrame
    /// What that was when nothing was wanted any more.
    private var stoppedAt = Self.noFrame
    /// Frames are not known by layers, and numbered by time.
    private var isWhole = false
    // The last decision, for the other packets of its frame.
    @usableFromInline var lastFrame = Self.noFrame
    @usableFromInline var lastForwards = false
    @usableFromInline var lastEnds = false

    /// The newest first. Within a picture only the spatial layer may rise.
    private var regimes = InlineArray<4, Regime>(repeating: Regime())
    /// What is before this key frame, and has not come yet, is not needed any more.
    private var lastKeyFrame: Int64 = .max
    /// The highest spatial layer that the publisher lately sent.
    private(set) var topSpatialID: Int8 = 0
    /// Bit *i*: no frame of temporal layer *i* was left out since one was sent with all its references.
    private var flowing: UInt8 = 0
    /// Bit 4 * *i*: of spatial layer *i*'s base no frame was left out since it could last begin.
    private var intact: UInt16 = 0
    private var pictureTimestamp: UInt32 = 0

    // Watch.
    /// Frames that began since one was complete.
    @usableFromInline var pendingCount: UInt8 = 0
    @usableFromInline var hasLeftOutLast = false
    private var pendingSince = Instant.zero
    private var doubtedFrame = Self.noFrame
    private var doubtedSince = Instant.zero

    init() {}

    /// What was sent from a frame on.
    private struct Regime: BitwiseCopyable {
        /// The lower bits of the first frame.
        var start: Int32 = 0
        /// The spatial layer that is sent, with those below that it needs: 0...3.
        var spatialID: Int8 = 0
        /// 0...3; -1 = nothing is sent.
        var temporalID: Int8 = 3
    }

    /// The spatial layer that is sent: 0...3.
    var spatialID: Int8 { self.regimes[0].spatialID }

    /// Begins at a key picture's first packet, which is sent.
    mutating func begin(at info: FrameInfo, wanted: WantedLayers, at now: Instant) {
        self = FrameFilter()
        self.start = info.frame
        self.lastKeyFrame = info.frame
        self.highest = info.frame
        self.regimes = InlineArray(
            repeating: Regime(
                start: Int32(truncatingIfNeeded: info.frame),
                spatialID: wanted.spatialID,
                temporalID: max(wanted.temporalID, 0)
            )
        )
        self.topSpatialID = Int8(bitPattern: info.topSpatialID & 3)
        self.pictureTimestamp = info.timestamp
        self.flowing = 0xF
        self.intact = 0x1111
        self.record(info, forwards: true, age: 0)
        self.began(at: now)
        if info.flags.contains(.completes) { self.pendingCount = 0 }
    }

    /// Decides about a packet.
    /// - Parameter wanted: taken up with the next picture.
    /// - Returns: whether to send it, and whether it ends the picture for this subscriber.
    mutating func decide(_ info: FrameInfo, wanted: WantedLayers, at now: Instant) -> (forwards: Bool, ends: Bool) {
        if info.frame != self.lastFrame { self.settle(info, wanted, at: now) }
        return self.follow(info.flags)
    }

    /// The same for a packet of the frame that was decided about last; `nil` = it is of another one.
    @inlinable mutating func decideAgain(frame: Int64, flags: FrameInfo.Flags) -> (forwards: Bool, ends: Bool)? {
        frame == self.lastFrame ? self.follow(flags) : nil
    }

    /// What was decided about the packet's frame counts for it.
    @inlinable mutating func follow(_ flags: FrameInfo.Flags) -> (forwards: Bool, ends: Bool) {
        if flags.contains(.completes), self.lastForwards {
            self.pendingCount = 0
            self.hasLeftOutLast = false
        }
        return (self.lastForwards, self.lastEnds && flags.contains(.last))
    }

    private mutating func settle(_ info: FrameInfo, _ wanted: WantedLayers, at now: Instant) {
        self.lastFrame = info.frame
        self.lastForwards = false
        self.lastEnds = false
        guard info.frame >= self.start else { return }
        let age = self.highest - info.frame
        if age > 0, info.flags.isDisjoint(with: [.layered, .unreadable]) {
            // Frames are numbered by time here, and are all sent until nothing is.
            self.lastForwards = self.intact != 0 && info.frame >= self.lastKeyFrame || info.frame <= self.stoppedAt
            return
        }
        if age >= Self.depth { return }
        if age >= 0 {
            let bit = UInt128(1) << UInt128(age)
            if self.known & bit != 0 {
                self.lastForwards = self.forwarded & bit != 0
                self.lastEnds = self.lastForwards && self.endsPicture(info)
            } else {
                self.settleLate(info, isPromised: self.forwarded & bit != 0, at: now)
            }
            return
        }
        self.advance(by: -age)
        self.settleNew(info, wanted, at: now)
    }

    private mutating func settleNew(_ info: FrameInfo, _ wanted: WantedLayers, at now: Instant) {
        let spatial = Int(wanted.spatialID)
        if !info.flags.contains(.unreadable) { self.topSpatialID = Int8(bitPattern: info.topSpatialID & 3) }
        if Int32(bitPattern: info.timestamp &- self.pictureTimestamp) != 0 {
            self.pictureTimestamp = info.timestamp
            let next = spatial == self.spatialID ? spatial : self.layerBetweenPictures(towards: spatial)
            // Lower layers of the picture may come after this one.
            self.change(toSpatial: next, wanted, at: info.frame - Int64(info.spatialID))
        }
        self.isWhole = info.flags.isDisjoint(with: [.layered, .unreadable])
        guard info.flags.contains(.layered) else {
            self.settleWhole(info, at: now)
            return
        }
        let references = self.references(of: info)
        if spatial != self.spatialID, references == .sent { self.moveAtSwitch(info, wanted) }
        let isMember = self.isMember(info, of: self.regimes[0])
        let forwards = isMember && references != .missing
        self.record(info, forwards: forwards, age: 0)
        if forwards {
            self.noteSent(info, references, at: now)
        } else {
            self.noteLeftOut(info)
        }
        if isMember {
            self.hasLeftOutLast = !forwards
            self.began(at: now)
        }
    }

    /// A frame of which it is not known what it is decoded from: of a stream without layers, or with a descriptor whose
    /// structure is still on its way. Everything is sent, then.
    private mutating func settleWhole(_ info: FrameInfo, at now: Instant) {
        if info.flags.contains(.unreadable) {
            self.intact = 0x1111
        } else if info.flags.contains(.keyStart), self.intact == 0 {
            self.intact = 0x1111
            self.lastKeyFrame = info.frame
        }
        if self.regimes[0].temporalID < 0, self.intact != 0 {
            self.intact = 0
            self.stoppedAt = self.lastSent
        }
        let forwards = self.intact != 0
        self.record(info, forwards: forwards, age: 0)
        if forwards {
            self.hasLeftOutLast = false
            self.began(at: now)
        }
    }

    /// A frame that comes after later ones were decided about.
    private mutating func settleLate(_ info: FrameInfo, isPromised: Bool, at now: Instant) {
        let age = self.highest - info.frame
        if isPromised {
            // It may have been promised to a frame that was only thought to be decoded from it.
            let forwards = !self.lacksReference(info)
            if !forwards { self.forwarded &= ~(UInt128(1) << UInt128(age)) }
            self.record(info, forwards: forwards, age: age)
            return
        }
        let isLayered = info.flags.contains(.layered)
        let references = isLayered ? self.references(of: info) : .sent
        let regime = self.regime(of: info.frame)
        let isWanted = isLayered ? self.isMember(info, of: regime) : self.intact != 0
        let isMember = isWanted && info.frame >= self.lastKeyFrame
        let forwards = isMember && references != .missing
        self.record(info, forwards: forwards, age: age)
        if forwards {
            if references == .awaited { self.promiseReferences(of: info, at: now) }
        } else if isLayered {
            self.noteLeftOut(info)
        }
    }

    // MARK: - Layers

    private func isMember(_ info: FrameInfo, of regime: Regime) -> Bool {
        regime.temporalID >= 0
            && info.members.contains(
                spatial: Int(min(regime.spatialID, self.topSpatialID)),
                temporal: Int(regime.temporalID)
            )
    }

    /// The layer next to the wanted one that was not interrupted; the wanted one where the publisher has nothing above
    /// what is sent.
    private func layerBetweenPictures(towards wanted: Int) -> Int {
        let current = Int(self.spatialID)
        if wanted > current, current >= self.topSpatialID { return wanted }
        for layer in stride(from: wanted, to: current, by: wanted > current ? -1 : 1) where self.isIntact(layer) {
            return layer
        }
        return current
    }

    private mutating func moveAtSwitch(_ info: FrameInfo, _ wanted: WantedLayers) {
        let current = Int(self.spatialID)
        let goal = Int(wanted.spatialID)
        for layer in stride(from: goal, to: current, by: goal > current ? -1 : 1) {
            let temporal = max(wanted.temporalLimit(at: layer, top: self.topSpatialID), 0)
            guard info.switches.contains(spatial: layer, temporal: temporal) else { continue }
            self.change(toSpatial: layer, wanted, at: info.frame)
            return
        }
    }

    private mutating func change(toSpatial spatial: Int, _ wanted: WantedLayers, at frame: Int64) {
        let regime = Regime(
            start: Int32(truncatingIfNeeded: frame),
            spatialID: Int8(truncatingIfNeeded: spatial),
            temporalID: Int8(truncatingIfNeeded: wanted.temporalLimit(at: spatial, top: self.topSpatialID))
        )
        guard regime.spatialID != self.spatialID || regime.temporalID != self.regimes[0].temporalID else { return }
        for index in stride(from: 3, to: 0, by: -1) { self.regimes[index] = self.regimes[index - 1] }
        self.regimes[0] = regime
    }

    /// What counted when a frame should have come.
    private func regime(of frame: Int64) -> Regime {
        for index in 0..<3 where Int32(truncatingIfNeeded: frame) &- self.regimes[index].start >= 0 {
            return self.regimes[index]
        }
        return self.regimes[3]
    }

    private func isIntact(_ layer: Int) -> Bool {
        self.intact & (1 << UInt16(min(layer, Int(self.topSpatialID)) & 3 * 4)) != 0
    }

    /// Whether only a key frame brings what is wanted.
    func needsKeyFrame(spatial wanted: Int) -> Bool {
        min(self.spatialID, self.topSpatialID) != min(Int8(truncatingIfNeeded: wanted), self.topSpatialID)
            || !self.isIntact(Int(self.spatialID))
    }

    // MARK: - References

    private enum References { case sent, awaited, missing }

    private func references(of info: FrameInfo) -> References {
        var result = References.sent
        for index in 0..<Int(info.referenceCount) {
            let frame = info.frame - Int64(info.references[index])
            guard frame >= self.start else { return .missing }
            let age = self.highest - frame
            // Nobody remembers; encoders refer that far back only to what everybody has.
            guard age < Self.depth else { continue }
            let bit = UInt128(1) << UInt128(age)
            if self.known & bit != 0 {
                if self.forwarded & bit == 0 { return .missing }
            } else {
                result = .awaited
            }
        }
        guard result == .awaited else { return result }
        // What is on its way may itself be decoded from something that was left out.
        let needed = UInt8(truncatingIfNeeded: (1 << (UInt(info.temporalID & 3) + 1)) - 1)
        return self.flowing & needed == needed ? .awaited : .missing
    }

    /// Whether one of its references was left out for sure.
    private func lacksReference(_ info: FrameInfo) -> Bool {
        for index in 0..<Int(info.referenceCount) {
            let age = self.highest - info.frame + Int64(info.references[index])
            guard age < Self.depth else { continue }
            let bit = UInt128(1) << UInt128(age)
            if self.known & bit != 0, self.forwarded & bit == 0 { return true }
        }
        return false
    }

    private mutating func promiseReferences(of info: FrameInfo, at now: Instant) {
        for index in 0..<Int(info.referenceCount) {
            let frame = info.frame - Int64(info.references[index])
            let age = self.highest - frame
            guard age >= 0, age < Self.depth else { continue }
            let bit = UInt128(1) << UInt128(age)
            guard self.known & bit == 0 else { continue }
            self.forwarded |= bit
            // A base frame's loss leaves nothing that can be decoded; others are done without.
            if info.temporalID == 0, self.doubtedFrame == Self.noFrame {
                self.doubtedFrame = frame
                self.doubtedSince = now
            }
        }
    }

    private mutating func noteSent(_ info: FrameInfo, _ references: References, at now: Instant) {
        if references == .awaited {
            self.promiseReferences(of: info, at: now)
        } else {
            self.flowing |= 1 << (info.temporalID & 3)
            self.intact |= info.switches.bases
        }
        if info.switches == .all, info.referenceCount == 0 {
            self.flowing = 0xF
            self.lastKeyFrame = info.frame
            self.doubtedFrame = Self.noFrame
        }
    }

    private mutating func noteLeftOut(_ info: FrameInfo) {
        // Lower layers' frames of the same picture that are still to come are of no use without this one.
        for index in 0..<Int(info.referenceCount) where info.references[index] <= UInt16(info.spatialID) {
            let age = self.highest - info.frame + Int64(info.references[index])
            guard age >= 0, age < Self.depth, self.isMember(info, of: self.regimes[0]) else { continue }
            let bit = UInt128(1) << UInt128(age)
            if self.forwarded & bit == 0 { self.known |= bit }
        }
        self.intact &= ~info.members.bases
        if info.members.contains(spatial: Int(min(self.spatialID, self.topSpatialID)), temporal: 3) {
            self.flowing &= (1 << (info.temporalID & 3)) - 1
        }
    }

    // MARK: - Memory

    private mutating func advance(by count: Int64) {
        if count >= Self.depth {
            self.known = 0
            self.forwarded = 0
        } else {
            self.known <<= UInt128(count)
            self.forwarded <<= UInt128(count)
        }
        self.highest += count
    }

    private mutating func record(_ info: FrameInfo, forwards: Bool, age: Int64) {
        let bit = UInt128(1) << UInt128(age)
        self.known |= bit
        self.lastFrame = info.frame
        self.lastForwards = forwards
        self.lastEnds = forwards && self.endsPicture(info)
        if forwards {
            self.forwarded |= bit
            self.lastSent = max(self.lastSent, info.frame)
        }
    }

    /// Its last packet is the last of the picture for this subscriber.
    private func endsPicture(_ info: FrameInfo) -> Bool {
        info.flags.contains(.layered) && Int8(bitPattern: info.spatialID) == self.regime(of: info.frame).spatialID
    }

    /// Of the last 64 frames, those that were sent or will be, for packets that come after the stream was left.
    var recent: (highest: Int64, forwarded: UInt64) {
        // Without layers all was sent up to the last one.
        self.isWhole ? (self.lastSent, .max) : (self.highest, UInt64(truncatingIfNeeded: self.forwarded))
    }

    // MARK: - Watch

    private mutating func began(at now: Instant) {
        if self.pendingCount == 0 { self.pendingSince = now }
        self.pendingCount = min(self.pendingCount, 254) + 1
    }

    /// Looks whether the picture stands; tells it anew every 500 ms for as long as it does. One frame that takes long,
    /// because it is large, is no standstill.
    mutating func takeStall(at now: Instant) -> ForwardingStall? {
        if self.doubtedFrame != Self.noFrame {
            let age = self.highest - self.doubtedFrame
            if age < Self.depth, self.known & (UInt128(1) << UInt128(age)) != 0 {
                self.doubtedFrame = Self.noFrame
            } else if now - self.doubtedSince >= Self.patience {
                self.doubtedSince = now
                return .brokenChain
            }
        }
        guard self.pendingCount >= 2, now - self.pendingSince >= Self.patience else { return nil }
        self.pendingSince = now
        return self.hasLeftOutLast ? .missingReference : .incompleteFrames
    }

    var isStanding: Bool { self.pendingCount >= 2 || self.doubtedFrame != Self.noFrame }
}
