/// The continuity fields of a VP8 payload descriptor as they go out (RFC 7741 §4.2). A field that the packet does not
/// carry is to be left alone.
@usableFromInline package struct VP8Patch: Equatable, Sendable, BitwiseCopyable {
    /// 15 bits; where the publisher's has 7, the lower 7 go out.
    package var pictureID: UInt16
    package var tl0PictureIndex: UInt8
    /// 5 bits.
    package var keyIndex: UInt8

    package init(pictureID: UInt16, tl0PictureIndex: UInt8, keyIndex: UInt8) {
        self.pictureID = pictureID
        self.tl0PictureIndex = tl0PictureIndex
        self.keyIndex = keyIndex
    }
}

/// Makes the picture ids, TL0PICIDX and KEYIDX of a forwarded VP8 track go on by one over layer switches and frames that
/// are left out, as one encoder's would.
///
/// The first source's values pass as they are, so a track without simulcast stays bit-exact. Offsets of the last 32
/// changes are kept, for packets that are late or repeated.
@usableFromInline package struct VP8Rewriter: Sendable, BitwiseCopyable {
    private static let capacity = 32

    private struct Run: BitwiseCopyable {
        var generation: UInt32
        /// The first and, so far, the highest picture id of the source, unwrapped.
        var start: Int64
        var highest: Int64
        /// Outgoing = source - offset.
        var offset: Int64
        var tl0Offset: UInt8
        var keyOffset: UInt8
    }

    /// Apart from the ring, because nearly every packet belongs to it.
    private var open = Run(generation: 0, start: 0, highest: 0, offset: 0, tl0Offset: 0, keyOffset: 0)
    private var isStarted = false
    private var newest = 0
    private var count = 0
    private var lastPictureID: Int64?
    private var lastTL0: UInt8?
    private var lastKey: UInt8?
    private var closed = InlineArray<32, Run>(
        repeating: Run(generation: 0, start: 0, highest: 0, offset: 0, tl0Offset: 0, keyOffset: 0)
    )

    package init() {}

    /// The fields of one packet.
    /// - Parameters:
    ///   - pictureID: the publisher's, 7 or 15 bits; `nil` = not in the packet.
    ///   - isLong: it has 15 bits.
    ///   - tl0PictureIndex, keyIndex: the publisher's; `nil` = not in the packet.
    ///   - generation: of `RewrittenPacket` or `SourcePosition`. A new one starts a new source.
    package mutating func rewrite(
        pictureID: UInt16?,
        isLong: Bool,
        tl0PictureIndex: UInt8?,
        keyIndex: UInt8?,
        generation: UInt32
    ) -> VP8Patch {
        if !self.isStarted || Int32(bitPattern: generation &- self.open.generation) > 0 {
            self.start(pictureID, tl0PictureIndex, keyIndex, generation: generation)
        }
        if generation == self.open.generation {
            let source = pictureID.map { Self.unwrap($0, isLong: isLong, near: self.open.highest) } ?? self.open.highest
            if source >= self.open.highest {
                self.open.highest = source
                let patch = Self.patch(self.open, source, tl0PictureIndex, keyIndex)
                if pictureID != nil { self.lastPictureID = source - self.open.offset }
                if tl0PictureIndex != nil { self.lastTL0 = patch.tl0PictureIndex }
                if keyIndex != nil { self.lastKey = patch.keyIndex }
                return patch
            }
            if source >= self.open.start { return Self.patch(self.open, source, tl0PictureIndex, keyIndex) }
        }
        return self.rewriteOld(pictureID, isLong, tl0PictureIndex, keyIndex, generation: generation)
    }

    private func rewriteOld(
        _ pictureID: UInt16?,
        _ isLong: Bool,
        _ tl0: UInt8?,
        _ key: UInt8?,
        generation: UInt32
    ) -> VP8Patch {
        // A picture from before the first packet of its source (reordered around the switch) goes by its oldest run.
        var oldest = generation == self.open.generation ? self.open : nil
        for age in 0..<self.count {
            let run = self.closed[(self.newest + Self.capacity - age) % Self.capacity]
            guard run.generation == generation else { continue }
            oldest = run
            guard let pictureID else { break }
            if Self.unwrap(pictureID, isLong: isLong, near: run.highest) >= run.start { break }
        }
        guard let oldest else {
            // Too old for the memory: as it is. The receiver has long given the frame up.
            return VP8Patch(pictureID: pictureID ?? 0, tl0PictureIndex: tl0 ?? 0, keyIndex: key ?? 0)
        }
        let source = pictureID.map { Self.unwrap($0, isLong: isLong, near: oldest.highest) } ?? oldest.highest
        return Self.patch(oldest, source, tl0, key)
    }

    private static func patch(_ run: Run, _ source: Int64, _ tl0: UInt8?, _ key: UInt8?) -> VP8Patch {
        VP8Patch(
            pictureID: UInt16(truncatingIfNeeded: source - run.offset) & 0x7FFF,
            tl0PictureIndex: (tl0 ?? 0) &- run.tl0Offset,
            keyIndex: ((key ?? 0) &- run.keyOffset) & 0x1F
        )
    }

    /// A frame of the current source is left out (a temporal layer): the ids after it close up. Call for each of its
    /// packets, or once.
    package mutating func leaveOut(pictureID: UInt16, isLong: Bool, generation: UInt32) {
        guard self.isStarted, self.open.generation == generation else { return }
        let source = Self.unwrap(pictureID, isLong: isLong, near: self.open.highest)
        guard source > self.open.highest else { return }
        if self.open.start < source { self.close() }
        self.open.start = source + 1
        self.open.highest = source
        self.open.offset += 1
    }

    private mutating func start(_ pictureID: UInt16?, _ tl0: UInt8?, _ key: UInt8?, generation: UInt32) {
        // A turn of 2^15 above zero, so that reordering at the start never goes negative.
        let first = Int64(pictureID ?? 0) + 0x8000
        var run = Run(generation: generation, start: first, highest: first, offset: 0, tl0Offset: 0, keyOffset: 0)
        if let last = self.lastPictureID, pictureID != nil { run.offset = first - (last + 1) }
        if let last = self.lastTL0, let tl0 { run.tl0Offset = tl0 &- (last &+ 1) }
        if let last = self.lastKey, let key { run.keyOffset = (key &- (last &+ 1)) & 0x1F }
        if self.isStarted { self.close() }
        self.open = run
        self.isStarted = true
    }

    private mutating func close() {
        self.newest = (self.newest + 1) % Self.capacity
        self.closed[self.newest] = self.open
        self.count = min(self.count + 1, Self.capacity)
    }

    private static func unwrap(_ pictureID: UInt16, isLong: Bool, near reference: Int64) -> Int64 {
        let modulus: Int64 = isLong ? 0x8000 : 0x80
        let difference = (Int64(pictureID) - reference) & (modulus - 1)
        return reference + (difference >= modulus / 2 ? difference - modulus : difference)
    }
}
