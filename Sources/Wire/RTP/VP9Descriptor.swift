import Basics

/// The VP9 payload descriptor (RFC 9628 §4.2).
///
/// All offsets count from the start of the payload; 0 = the field is absent.
@usableFromInline package struct VP9Descriptor: Hashable, Sendable, BitwiseCopyable {
    /// Where the VP9 bytes start.
    package let byteCount: Int
    /// P: the frame is predicted from earlier pictures.
    package let isInterPicturePredicted: Bool
    /// F: references are listed in every packet.
    package let isFlexible: Bool
    /// B: the first packet of a layer frame.
    package let isFrameStart: Bool
    /// E: the last packet of a layer frame.
    package let isFrameEnd: Bool
    /// Z: no higher spatial layer is predicted from this frame.
    package let isNotReferenceForUpperLayers: Bool
    package let pictureIDOffset: Int
    /// 15 bits in two bytes rather than 7 in one.
    package let isPictureIDLong: Bool
    package let pictureID: UInt16
    /// L: the four after it mean something.
    package let hasLayerIndices: Bool
    /// TID: 0...7.
    package let temporalID: UInt8
    /// U: from here on a receiver may switch up to this temporal layer.
    package let isSwitchingUpPoint: Bool
    /// SID: 0...7.
    package let spatialID: UInt8
    /// D: predicted from the next lower spatial layer of the same picture.
    package let isInterLayerPredicted: Bool
    /// Only in non-flexible mode.
    package let tl0PicIdxOffset: Int
    package let tl0PicIdx: UInt8
    /// P_DIFF: picture id minus that of each picture whose frame of the same spatial layer is referred to, 0...127; the
    /// first `referenceCount`. Only in flexible mode.
    package let referenceDiffs: SIMD4<UInt8>
    /// 0...3.
    package let referenceCount: Int
    /// V: how many spatial layers the scalability structure declares, 1...8; 0 without one.
    package let declaredLayerCount: Int
    /// Of the width of layer 0; 0 when the structure has no sizes.
    private let sizesOffset: Int

    /// - Parameter payload: decrypted, without padding.
    /// - Returns: `nil` when the descriptor is not all there, or lists more than three references.
    package init?(_ payload: RawSpan) {
        guard payload.byteCount >= 1 else { return nil }
        let first = payload.uint8(at: 0)
        let isFlexible = first & 0x10 != 0
        var offset = 1
        var pictureIDOffset = 0
        var pictureID: UInt16 = 0
        var isLong = false
        if first & 0x80 != 0 {
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
        var layer: UInt8 = 0
        var tl0PicIdxOffset = 0
        var tl0PicIdx: UInt8 = 0
        if first & 0x20 != 0 {
            guard payload.byteCount > offset else { return nil }
            layer = payload.uint8(at: offset)
            offset += 1
            if !isFlexible {
                guard payload.byteCount > offset else { return nil }
                tl0PicIdxOffset = offset
                tl0PicIdx = payload.uint8(at: offset)
                offset += 1
            }
        }
        var referenceDiffs = SIMD4<UInt8>.zero
        var referenceCount = 0
        if isFlexible, first & 0x40 != 0 {
            var isLast = false
            while !isLast, referenceCount < 3 {
                guard payload.byteCount > offset else { return nil }
                let reference = payload.uint8(at: offset)
                isLast = reference & 1 == 0
                referenceDiffs[referenceCount] = reference >> 1
                referenceCount += 1
                offset += 1
            }
            guard isLast else { return nil }
        }
        var structure = ScalabilityStructure(byteCount: 0, layerCount: 0, sizesOffset: 0)
        if first & 0x02 != 0 {
            guard let read = ScalabilityStructure(payload, at: offset) else { return nil }
            structure = read
        }
        self.byteCount = offset + structure.byteCount
        self.isInterPicturePredicted = first & 0x40 != 0
        self.isFlexible = isFlexible
        self.isFrameStart = first & 0x08 != 0
        self.isFrameEnd = first & 0x04 != 0
        self.isNotReferenceForUpperLayers = first & 0x01 != 0
        self.pictureIDOffset = pictureIDOffset
        self.isPictureIDLong = isLong
        self.pictureID = pictureID
        self.hasLayerIndices = first & 0x20 != 0
        self.temporalID = layer >> 5
        self.isSwitchingUpPoint = layer & 0x10 != 0
        self.spatialID = layer >> 1 & 0x07
        self.isInterLayerPredicted = layer & 0x01 != 0
        self.tl0PicIdxOffset = tl0PicIdxOffset
        self.tl0PicIdx = tl0PicIdx
        self.referenceDiffs = referenceDiffs
        self.referenceCount = referenceCount
        self.declaredLayerCount = structure.layerCount
        self.sizesOffset = structure.sizesOffset
    }

    /// The first packet of a key picture: of its lowest spatial layer.
    package var isKeyFrameStart: Bool {
        !self.isInterPicturePredicted && self.isFrameStart && self.spatialID == 0 && !self.isInterLayerPredicted
    }

    /// - Returns: `nil` when the packet does not start a key picture; the size is that of the largest declared layer.
    package func keyFrame(in payload: RawSpan) -> KeyFrameInfo? {
        guard self.isKeyFrameStart else { return nil }
        return self.size(ofLayer: self.declaredLayerCount - 1, in: payload) ?? KeyFrameInfo()
    }

    /// The size of a spatial layer, as the scalability structure declares it.
    ///
    /// - Returns: `nil` without sizes and from `declaredLayerCount` on.
    package func size(ofLayer index: Int, in payload: RawSpan) -> KeyFrameInfo? {
        guard self.sizesOffset != 0, index >= 0, index < self.declaredLayerCount else { return nil }
        let offset = self.sizesOffset + index * 4
        guard payload.byteCount >= offset + 4 else { return nil }
        return KeyFrameInfo(width: payload.uint16(at: offset), height: payload.uint16(at: offset + 2))
    }

    /// Writes a new picture id and TL0PICIDX over those that are there, in the sizes that they have.
    ///
    /// - Parameters:
    ///   - packet: a copy of the packet that this descriptor was read from.
    ///   - payloadOffset: where the payload starts in it.
    ///   - pictureID: its low 7 or 15 bits are written.
    /// - Returns: `false`, with nothing written, when the packet is too short for this descriptor.
    @discardableResult
    package func rewrite(
        _ packet: inout MutableRawSpan,
        payloadOffset: Int,
        pictureID: UInt16,
        tl0PicIdx: UInt8
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
        return true
    }

    /// RFC 9628 §4.2.1: up to 8 sizes and 255 groups of up to 3 references, all within the payload (ATTACKS A-50).
    private struct ScalabilityStructure {
        let byteCount: Int
        let layerCount: Int
        let sizesOffset: Int

        init(byteCount: Int, layerCount: Int, sizesOffset: Int) {
            self.byteCount = byteCount
            self.layerCount = layerCount
            self.sizesOffset = sizesOffset
        }

        init?(_ payload: RawSpan, at start: Int) {
            guard payload.byteCount > start else { return nil }
            let first = payload.uint8(at: start)
            let layerCount = Int(first >> 5) + 1
            var offset = start + 1
            var sizesOffset = 0
            if first & 0x10 != 0 {
                sizesOffset = offset
                offset += layerCount * 4
            }
            if first & 0x08 != 0 {
                guard payload.byteCount > offset else { return nil }
                let groupCount = Int(payload.uint8(at: offset))
                offset += 1
                for _ in 0..<groupCount {
                    guard payload.byteCount > offset else { return nil }
                    offset += 1 + Int(payload.uint8(at: offset) >> 2 & 0x03)
                }
            }
            guard offset <= payload.byteCount else { return nil }
            self.init(byteCount: offset - start, layerCount: layerCount, sizesOffset: sizesOffset)
        }
    }
}
