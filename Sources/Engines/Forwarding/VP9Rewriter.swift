/// The continuity fields of a VP9 payload descriptor as they go out (RFC 9628 §4.2). A field that the packet does not
/// carry is to be left alone.
@usableFromInline package struct VP9Patch: Equatable, Sendable, BitwiseCopyable {
    /// 15 bits; where the publisher's has 7, the lower 7 go out.
    package var pictureID: UInt16
    package var tl0PictureIndex: UInt8

    package init(pictureID: UInt16, tl0PictureIndex: UInt8) {
        self.pictureID = pictureID
        self.tl0PictureIndex = tl0PictureIndex
    }
}

/// Makes the picture ids and TL0PICIDX of a forwarded VP9 track go on by one over layer switches and pauses.
///
/// Unlike VP8's, the ids of pictures that are left out stay out: references (P_DIFF) and places in the picture group are
/// differences of picture ids.
@usableFromInline package struct VP9Rewriter: Sendable, BitwiseCopyable {
    private var pictureIDs = ContinuousNumbers()
    private var tl0PictureIndices = ContinuousNumbers()

    package init() {}

    /// The fields of one packet.
    /// - Parameters:
    ///   - pictureID: the publisher's, 7 or 15 bits; `nil` = not in the packet.
    ///   - isLong: it has 15 bits.
    ///   - tl0PictureIndex: the publisher's; `nil` = not in the packet.
    ///   - generation: of `RewrittenPacket` or `SourcePosition`. A new one starts a new source.
    package mutating func rewrite(
        pictureID: UInt16?,
        isLong: Bool,
        tl0PictureIndex: UInt8?,
        generation: UInt32
    ) -> VP9Patch {
        var patch = VP9Patch(pictureID: 0, tl0PictureIndex: 0)
        if let pictureID {
            let mask: UInt16 = isLong ? 0x7FFF : 0x7F
            patch.pictureID = self.pictureIDs.rewrite(pictureID, mask: mask, generation: generation)
        }
        if let tl0PictureIndex {
            let index = self.tl0PictureIndices.rewrite(UInt16(tl0PictureIndex), mask: 0xFF, generation: generation)
            patch.tl0PictureIndex = UInt8(truncatingIfNeeded: index)
        }
        return patch
    }
}
