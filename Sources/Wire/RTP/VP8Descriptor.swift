import Basics

/// The VP8 payload descriptor, with the places of the fields that a rewriter changes (RFC 7741 §4.2).
///
/// All offsets count from the start of the payload; 0 = the field is absent.
@usableFromInline package struct VP8Descriptor: Hashable, Sendable, BitwiseCopyable {
    /// Where the VP8 bytes start: 1...6.
    package let byteCount: Int
    /// N: no other frame depends on this one.
    package let isNonReference: Bool
    /// S: the packet starts a partition.
    package let isPartitionStart: Bool
    /// PID: 0...7.
    package let partitionIndex: UInt8
    package let pictureIDOffset: Int
    /// 15 bits in two bytes rather than 7 in one.
    package let isPictureIDLong: Bool
    package let pictureID: UInt16
    package let tl0PicIdxOffset: Int
    package let tl0PicIdx: UInt8
    /// T: `temporalID` and `isLayerSync` mean something.
    package let hasTemporalID: Bool
    /// TID: 0...3; 0 when absent.
    package let temporalID: UInt8
    /// Y: the frame depends on the base layer only.
    package let isLayerSync: Bool
    package let keyIndexOffset: Int
    /// KEYIDX: 0...31.
    package let keyIndex: UInt8
    /// The packet starts a key frame; the size is told when its ten bytes of header are there.
    package let keyFrame: KeyFrameInfo?

    /// The first packet of a frame.
    package var isFrameStart: Bool { self.isPartitionStart && self.partitionIndex == 0 }

    /// - Parameter payload: decrypted, without padding.
    /// - Returns: `nil` when the descriptor is not all there.
    package init?(_ payload: RawSpan) {
        guard payload.byteCount >= 1 else { return nil }
        let first = payload.uint8(at: 0)
        var offset = 1
        var flags: UInt8 = 0
        if first & 0x80 != 0 {
            guard payload.byteCount > offset else { return nil }
            flags = payload.uint8(at: offset)
            offset += 1
        }
        var pictureIDOffset = 0
        var pictureID: UInt16 = 0
        var isLong = false
        if flags & 0x80 != 0 {
            guard payload.byteCount > offset else { return nil }
            pictureIDOffset = offset
            pictureID = UInt16(payload.uint8(at: offset))
            isLong = pictureID & 0x80 != 0
            if isLong {
                guard payload.byteCount >= offset + 2 else { return nil }
                pictureID = payload.uint16(at: offset) & 0x7FFF
                offset += 1
            }
            offset += 1
        }
        var tl0PicIdxOffset = 0
        var tl0PicIdx: UInt8 = 0
        if flags & 0x40 != 0 {
            guard payload.byteCount > offset else { return nil }
            tl0PicIdxOffset = offset
            tl0PicIdx = payload.uint8(at: offset)
            offset += 1
        }
        var layer: UInt8 = 0
        var keyIndexOffset = 0
        if flags & 0x30 != 0 {
            guard payload.byteCount > offset else { return nil }
            layer = payload.uint8(at: offset)
            if flags & 0x10 != 0 { keyIndexOffset = offset }
            offset += 1
        }
        self.byteCount = offset
        self.isNonReference = first & 0x20 != 0
        self.isPartitionStart = first & 0x10 != 0
        self.partitionIndex = first & 0x07
        self.pictureIDOffset = pictureIDOffset
        self.isPictureIDLong = isLong
        self.pictureID = pictureID
        self.tl0PicIdxOffset = tl0PicIdxOffset
        self.tl0PicIdx = tl0PicIdx
        self.hasTemporalID = flags & 0x20 != 0
        self.temporalID = flags & 0x20 != 0 ? layer >> 6 : 0
        self.isLayerSync = flags & 0x20 != 0 && layer & 0x20 != 0
        self.keyIndexOffset = keyIndexOffset
        self.keyIndex = keyIndexOffset != 0 ? layer & 0x1F : 0
        self.keyFrame = first & 0x17 == 0x10 ? Self.keyFrame(in: payload, at: offset) : nil
    }

    /// Reads the frame header (RFC 6386 §9.1): the size is little-endian, with two bits of scale above it.
    private static func keyFrame(in payload: RawSpan, at offset: Int) -> KeyFrameInfo? {
        guard payload.byteCount > offset, payload.uint8(at: offset) & 1 == 0 else { return nil }
        guard payload.byteCount >= offset + 10, payload.uint24(at: offset + 3) == 0x9D_012A else {
            return KeyFrameInfo()
        }
        return KeyFrameInfo(
            width: payload.uint16(at: offset + 6).byteSwapped & 0x3FFF,
            height: payload.uint16(at: offset + 8).byteSwapped & 0x3FFF
        )
    }

    /// Writes new values over those that are there, in the sizes that they have: the payload keeps its length.
    ///
    /// - Parameters:
    ///   - packet: a copy of the packet that this descriptor was read from.
    ///   - payloadOffset: where the payload starts in it.
    ///   - pictureID: its low 7 or 15 bits are written.
    ///   - keyIndex: its low 5 bits are written.
    /// - Returns: `false`, with nothing written, when the packet is too short for this descriptor.
    @discardableResult
    package func rewrite(
        _ packet: inout MutableRawSpan,
        payloadOffset: Int,
        pictureID: UInt16,
        tl0PicIdx: UInt8,
        keyIndex: UInt8
    ) -> Bool {
        guard payloadOffset >= 0, payloadOffset <= packet.byteCount, packet.byteCount - payloadOffset >= self.byteCount
        else { return false }
        if self.pictureIDOffset != 0 {
            if self.isPictureIDLong {
                packet.store(pictureID | 0x8000, at: payloadOffset + self.pictureIDOffset)
            } else {
                packet.store(UInt8(pictureID & 0x7F), at: payloadOffset + self.pictureIDOffset)
            }
        }
        if self.tl0PicIdxOffset != 0 { packet.store(tl0PicIdx, at: payloadOffset + self.tl0PicIdxOffset) }
        if self.keyIndexOffset != 0 {
            let layer = self.temporalID << 6 | (self.isLayerSync ? 0x20 : 0)
            packet.store(layer | keyIndex & 0x1F, at: payloadOffset + self.keyIndexOffset)
        }
        return true
    }
}
