import Basics

/// Tells whether an H.265 packet starts a key frame: a slice of an IRAP picture or a parameter set in a single NAL unit,
/// in an aggregate or at the start of a fragmented unit (RFC 7798 §4.4).
///
/// Streams with decoding order numbers (`sprop-max-don-diff` above 0) are read as if they had none: WebRTC has no use
/// for them.
///
/// - Returns: the size where a whole sequence parameter set is in the packet; `nil` for all other packets.
package func h265KeyFrameStart(in payload: RawSpan) -> KeyFrameInfo? {
    guard payload.byteCount >= 2 else { return nil }
    switch H265NALUnit(header: payload.uint8(at: 0)) {
    case .intraSlice, .parameterSet: return KeyFrameInfo()
    case .sequenceParameterSet:
        return H265ParameterSet.size(in: payload, range: 2..<payload.byteCount) ?? KeyFrameInfo()
    case .aggregate:
        // §4.4.2: every unit behind its 16-bit length.
        var found: KeyFrameInfo?
        var offset = 2
        while payload.byteCount - offset >= 4 {
            let length = Int(payload.uint16(at: offset))
            offset += 2
            guard length >= 2, length <= payload.byteCount - offset else { break }
            switch H265NALUnit(header: payload.uint8(at: offset)) {
            case .sequenceParameterSet:
                if let size = H265ParameterSet.size(in: payload, range: (offset + 2)..<(offset + length)) {
                    return size
                }
                found = KeyFrameInfo()
            case .intraSlice, .parameterSet: found = KeyFrameInfo()
            case .aggregate, .fragment, .other: break
            }
            offset += length
        }
        return found
    case .fragment:
        // §4.4.3: only the fragment with the start bit. Its type stands in the low six bits, not as in a unit's header.
        guard payload.byteCount >= 3, payload.uint8(at: 2) & 0x80 != 0 else { return nil }
        switch H265NALUnit(type: payload.uint8(at: 2) & 0x3F) {
        case .intraSlice, .parameterSet, .sequenceParameterSet: return KeyFrameInfo()
        case .aggregate, .fragment, .other: return nil
        }
    case .other: return nil
    }
}

/// What a NAL unit is to somebody who looks for key frames (H.265 table 7-1, RFC 7798 §4.4).
private enum H265NALUnit {
    case intraSlice, parameterSet, sequenceParameterSet, aggregate, fragment, other

    /// - Parameter header: the first of the header's two bytes.
    init(header: UInt8) { self.init(type: header >> 1 & 0x3F) }

    init(type: UInt8) {
        self =
            switch type {
            case 16...21: .intraSlice
            case 32, 34: .parameterSet
            case 33: .sequenceParameterSet
            case 48: .aggregate
            case 49: .fragment
            default: .other
            }
    }
}

/// The part of an H.265 sequence parameter set that leads to the picture's size (H.265 §7.3.2.2.1).
private enum H265ParameterSet {
    /// - Parameter range: of the parameter set behind its NAL header.
    /// - Returns: `nil` when it is cut short or declares a size outside 1...65,535.
    static func size(in bytes: RawSpan, range: Range<Int>) -> KeyFrameInfo? {
        var reader = BitReader(bytes, range: range, skipsEmulationPrevention: true)
        _ = reader.readBits(4)
        let subLayerCount = Int(reader.readBits(3))
        _ = reader.readFlag()
        Self.skipProfile(&reader, subLayerCount: subLayerCount)
        _ = reader.readUnsigned()
        let chroma = reader.readUnsigned()
        if chroma == 3 { _ = reader.readFlag() }
        let codedWidth = Int(reader.readUnsigned())
        let codedHeight = Int(reader.readUnsigned())
        var crop = (x: 0, y: 0)
        if reader.readFlag() {
            crop.x = Int(reader.readUnsigned()) + Int(reader.readUnsigned())
            crop.y = Int(reader.readUnsigned()) + Int(reader.readUnsigned())
        }
        guard !reader.isExhausted else { return nil }
        // Every number is below 2^32, so none of this overflows 64 bits.
        let width = codedWidth - crop.x * (chroma == 1 || chroma == 2 ? 2 : 1)
        let height = codedHeight - crop.y * (chroma == 1 ? 2 : 1)
        guard (1...0xFFFF).contains(width), (1...0xFFFF).contains(height) else { return nil }
        return KeyFrameInfo(width: UInt16(width), height: UInt16(height))
    }

    /// `profile_tier_level` (H.265 §7.3.3).
    /// - Parameter subLayerCount: temporal sub-layers beside the highest, 0...7.
    private static func skipProfile(_ reader: inout BitReader, subLayerCount: Int) {
        Self.skip(96, &reader)
        guard subLayerCount > 0 else { return }
        // Two flags each for eight sub-layers: those that there are not are reserved.
        var bits = 0
        for index in 0..<8 {
            let hasProfile = reader.readFlag()
            let hasLevel = reader.readFlag()
            if index < subLayerCount { bits += (hasProfile ? 88 : 0) + (hasLevel ? 8 : 0) }
        }
        Self.skip(bits, &reader)
    }

    private static func skip(_ bits: Int, _ reader: inout BitReader) {
        for _ in 0..<bits { _ = reader.readFlag() }
    }
}
