package import RTP

/// Reads of each packet of one published video stream what it is of its frame, once for all subscribers: by its
/// dependency descriptor where there is one, else by the VP8 or VP9 payload descriptor, else only that it is a packet.
///
/// Which of these counts is settled at each key frame. About 5 KiB, no allocation.
@usableFromInline package struct FrameReader: Sendable, BitwiseCopyable {
    enum Rules: UInt8, BitwiseCopyable { case whole, vp8, vp9, descriptor }

    /// Between numbers that have nothing to do with each other, so that nobody remembers the ones as the others.
    private static let renumberingStep: Int64 = 1_024
    /// No stream gets there that is not made for it: in steps of 2^31, the most by which a number may go on, it takes 2^29
    /// packets. Frames beyond would have no difference to others.
    private static let limit = Int64(1) << 60

    private(set) var rules = Rules.whole
    private var hasStarted = false
    private var highestSequence = Int64.min
    /// The same with padding.
    private var highestOfAll = Int64.min
    /// The frame of the last key picture that was told, where frames are pictures.
    var lastKeyPicture = Int64.min
    private(set) var highestFrame = Int64.min
    /// The publisher's own number of the newest frame, unwrapped; frame = number * scale + layer + `shift`.
    private var highestNumber: Int64 = 0
    private var shift: Int64 = 0
    var history = TemporalHistory()
    private var completion = FrameCompletion()
    var hasSeenMarker = false
    /// Of the packet with the newest marker.
    var lastMarkerSequence = Int64.min
    private var pictureTimestamp: UInt32 = 0
    /// The highest spatial layer of each of the last 8 pictures, a byte each, the newest lowest.
    private var tops: UInt64 = 0
    private var topSpatialID: UInt8 = 0

    // Dependency descriptor.
    private(set) var structure = DependencyStructure()
    // Kept equal to those of `structure`, so that asking for them copies nothing.
    private(set) var allTargets: UInt32 = 0
    private(set) var targetCount: UInt8 = 0
    private var structureFrame = Int64.min
    /// The packet in hand brought `structure`.
    private(set) var hasTakenStructure = false
    private var activeTargets: UInt32 = 0
    private(set) var targetLayers = TargetLayers()

    package init() {}

    /// A reader for packets that are gone through again, from the last key frame on: it gives their frames the numbers
    /// that this one gave them.
    package func replaying() -> FrameReader {
        var copy = self
        copy.highestSequence = .min
        copy.highestOfAll = .min
        copy.lastKeyPicture = .min
        copy.highestFrame = .min
        copy.completion = FrameCompletion()
        copy.lastMarkerSequence = .min
        return copy
    }

    /// Reads a packet. Call for every packet of the stream, in the order of arrival, before any subscriber is asked.
    /// - Parameters:
    ///   - sequence: the publisher's, unwrapped.
    ///   - payload: what the payload format says.
    ///   - isKeyFrameStart: as the payload format tells it; a descriptor with a structure tells it too.
    ///   - hasParameters: false where what a decoder needs first may be in a packet before this one (H.264's parameter
    ///     sets): then the picture does not begin here if the packet before has not come.
    ///   - descriptor: the value of the dependency descriptor extension; empty = none.
    package mutating func read(
        sequence: Int64,
        timestamp: UInt32,
        marker: Bool,
        payload: PayloadDescriptor,
        isKeyFrameStart: Bool,
        hasParameters: Bool = true,
        descriptor: RawSpan
    ) -> FrameInfo {
        var info = FrameInfo()
        info.sequence = sequence
        info.timestamp = timestamp
        if sequence > self.highestSequence {
            info.flags.insert(.newest)
            self.highestSequence = sequence
        }
        let mayBegin = hasParameters || self.highestOfAll == .min || sequence == self.highestOfAll + 1
        self.highestOfAll = max(self.highestOfAll, sequence)
        self.hasTakenStructure = false
        if isKeyFrameStart || !self.hasStarted || DependencyDescriptor.hasStructure(descriptor) {
            self.settleRules(info, payload, descriptor)
        }
        switch self.rules {
        case .whole:
            self.readWhole(&info, isKeyFrame: isKeyFrameStart, mayBegin: mayBegin, marker: marker)
        case .vp8: self.readVP8(&info, payload, marker: marker)
        case .vp9: self.readVP9(&info, payload)
        case .descriptor: self.readDescriptor(&info, descriptor)
        }
        if marker, sequence > self.lastMarkerSequence {
            self.hasSeenMarker = true
            self.lastMarkerSequence = sequence
        }
        guard !info.flags.contains(.unreadable) else { return info }
        self.noteLayers(&info)
        let isComplete = self.completion.note(
            info.frame,
            sequence: sequence,
            isFirst: info.flags.contains(.first),
            isLast: info.flags.contains(.last)
        )
        if isComplete { info.flags.insert(.completes) }
        return info
    }

    /// A packet without a payload went by: it is of no frame, and its number is not missing.
    package mutating func notePadding(sequence: Int64) { self.highestOfAll = max(self.highestOfAll, sequence) }

    // MARK: - Numbers of frames

    /// What frames that cannot be told apart are taken for; 0 before there is one.
    var newestFrame: Int64 { self.highestFrame == .min ? 0 : self.highestFrame }

    /// The frame that a publisher's number means.
    /// - Parameters:
    ///   - modulus: 2 to the power of the number's bits.
    ///   - scale: frames to a number.
    func frame(_ number: UInt32, modulus: Int64, scale: Int64) -> Int64 {
        let difference = (Int64(number) &- self.highestNumber) & (modulus - 1)
        let unwrapped = self.highestNumber &+ (difference >= modulus / 2 ? difference - modulus : difference)
        return unwrapped &* scale &+ self.shift
    }

    /// The same, remembered.
    /// - Parameter restarts: it is a key frame, and the newest packet: one with a number of the past is by an encoder
    ///   that started anew.
    mutating func takeFrame(_ number: UInt32, modulus: Int64, scale: Int64, restarts: Bool) -> Int64 {
        let frame = self.frame(number, modulus: modulus, scale: scale)
        guard -Self.limit...Self.limit ~= frame else { return self.newestFrame }
        let unwrapped = (frame &- self.shift) / scale
        if restarts, frame < self.highestFrame {
            self.renumber(from: unwrapped, scale: scale)
            self.highestFrame = unwrapped &* scale &+ self.shift
            return self.highestFrame
        }
        self.highestNumber = max(self.highestNumber, unwrapped)
        self.highestFrame = max(self.highestFrame, frame)
        return frame
    }

    /// Numbers of another kind count from here on.
    private mutating func renumber(from number: Int64, scale: Int64) {
        self.highestNumber = number
        let next = self.highestFrame == .min ? 0 : self.highestFrame + Self.renumberingStep
        // Wraps, as what `frame` takes it for: encoders that start anew again and again move it on without end.
        self.shift = next &- number &* scale
    }

    // MARK: - Rules

    private mutating func settleRules(_ info: FrameInfo, _ payload: PayloadDescriptor, _ descriptor: RawSpan) {
        let before = self.rules
        if self.takeStructure(descriptor, isNewest: info.flags.contains(.newest)) {
            self.rules = .descriptor
        } else {
            // A late key frame without a structure tells nothing about what comes now.
            guard info.flags.contains(.newest) else { return }
            switch payload {
            case .vp8(let vp8) where vp8.pictureIDOffset != 0 && vp8.tl0PicIdxOffset != 0 && vp8.hasTemporalID:
                self.rules = .vp8
            case .vp9(let vp9) where vp9.pictureIDOffset != 0 && vp9.hasLayerIndices && vp9.spatialID < 4:
                self.rules = .vp9
            default: self.rules = .whole
            }
        }
        guard self.rules != before || !self.hasStarted else { return }
        self.hasStarted = true
        self.history = TemporalHistory()
        self.completion = FrameCompletion()
        switch (self.rules, payload) {
        case (.vp8, .vp8(let vp8)): self.renumber(from: Int64(vp8.pictureID), scale: 1)
        case (.vp9, .vp9(let vp9)): self.renumber(from: Int64(vp9.pictureID), scale: 4)
        case (.descriptor, _):
            self.renumber(from: Int64(DependencyDescriptor.frameNumber(in: descriptor) ?? 0), scale: 1)
        default: self.renumber(from: Int64(info.timestamp), scale: 1)
        }
    }

    /// Takes over the structure of a key frame, unless a newer one is known. It may come late: it was lost, and what
    /// follows it waits to be understood.
    /// - Returns: whether the packet has one.
    private mutating func takeStructure(_ descriptor: RawSpan, isNewest: Bool) -> Bool {
        guard var new = DependencyStructure(descriptor: descriptor),
            let read = DependencyDescriptor(descriptor, structure: &new)
        else { return false }
        if self.rules == .descriptor, !isNewest {
            let frame = self.frame(UInt32(read.frameNumber), modulus: 0x1_0000, scale: 1)
            guard frame > self.structureFrame else { return true }
        }
        self.hasTakenStructure = true
        self.structure = new
        self.allTargets = new.allTargets
        self.targetCount = UInt8(truncatingIfNeeded: new.targetCount)
        self.setActiveTargets(read.activeTargets ?? new.allTargets, isNew: true)
        self.setTop(self.targetLayers.topSpatialID)
        return true
    }

    /// What a packet's descriptor says by the structure at hand; `nil` as in `DependencyDescriptor.init`.
    mutating func descriptor(_ bytes: RawSpan) -> DependencyDescriptor? {
        DependencyDescriptor(bytes, structure: &self.structure)
    }

    mutating func noteStructure(of frame: Int64) { self.structureFrame = frame }

    mutating func setActiveTargets(_ mask: UInt32, isNew: Bool) {
        // A mask of nothing would leave every subscriber without a target.
        let made = mask & self.allTargets == 0 ? self.allTargets : mask & self.allTargets
        guard isNew || made != self.activeTargets else { return }
        self.activeTargets = made
        self.targetLayers = TargetLayers(self.structure, active: made)
    }

    /// What the publisher declares that it is about to send.
    /// - Parameter spatialID: 0...3.
    mutating func setTop(_ spatialID: UInt8) {
        self.tops = UInt64(spatialID) &* 0x0101_0101_0101_0101
        self.topSpatialID = spatialID
    }

    private mutating func noteLayers(_ info: inout FrameInfo) {
        let spatialID = min(info.spatialID, 3)
        if Int32(bitPattern: info.timestamp &- self.pictureTimestamp) > 0 {
            self.pictureTimestamp = info.timestamp
            self.tops = self.tops << 8 | UInt64(spatialID)
            var top: UInt64 = 0
            for index in 0..<8 as Range<UInt64> { top = max(top, self.tops >> (index * 8) & 0xFF) }
            self.topSpatialID = UInt8(truncatingIfNeeded: top)
        } else if spatialID > UInt8(truncatingIfNeeded: self.tops), info.timestamp == self.pictureTimestamp {
            self.tops = self.tops & ~0xFF | UInt64(spatialID)
            self.topSpatialID = max(self.topSpatialID, spatialID)
        }
        info.topSpatialID = self.topSpatialID
    }
}
