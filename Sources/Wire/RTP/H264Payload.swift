import Basics

/// Tells whether an H.264 packet starts a key frame: an IDR slice or a sequence parameter set in a single NAL unit, in
/// an aggregate or at the start of a fragmented unit (RFC 6184 §5).
///
/// Browsers send the parameter set in one aggregate with the IDR slice or before it, with the same timestamp.
///
/// - Returns: the size where a whole parameter set is in the packet; `nil` for all other packets.
package func h264KeyFrameStart(in payload: RawSpan) -> KeyFrameInfo? {
    guard payload.byteCount >= 1 else { return nil }
    switch payload.uint8(at: 0) & 0x1F {
    case 5: return KeyFrameInfo()
    case 7: return H264ParameterSet.size(in: payload, range: 1..<payload.byteCount) ?? KeyFrameInfo()
    case 24:
        // STAP-A (§5.7.1): every unit behind its 16-bit length.
        var found: KeyFrameInfo?
        var offset = 1
        while payload.byteCount - offset >= 3 {
            let length = Int(payload.uint16(at: offset))
            offset += 2
            guard length >= 1, length <= payload.byteCount - offset else { break }
            let type = payload.uint8(at: offset) & 0x1F
            if type == 7, let size = H264ParameterSet.size(in: payload, range: (offset + 1)..<(offset + length)) {
                return size
            }
            if type == 5 || type == 7 { found = KeyFrameInfo() }
            offset += length
        }
        return found
    case 28:
        // FU-A (§5.8): only the fragment with the start bit.
        guard payload.byteCount >= 2 else { return nil }
        let header = payload.uint8(at: 1)
        let type = header & 0x1F
        return header & 0x80 != 0 && (type == 5 || type == 7) ? KeyFrameInfo() : nil
    default: return nil
    }
}

/// The part of an H.264 sequence parameter set that leads to the picture's size (H.264 §7.3.2.1.1).
enum H264ParameterSet {
    private static let profilesWithChroma: [UInt32] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135]

    /// - Parameter range: of the parameter set behind its NAL header.
    /// - Returns: `nil` when it is cut short or declares a size outside 1...65,535.
    static func size(in bytes: RawSpan, range: Range<Int>) -> KeyFrameInfo? {
        var reader = BitReader(bytes, range: range, skipsEmulationPrevention: true)
        let profile = reader.readBits(8)
        _ = reader.readBits(16)
        _ = reader.readUnsigned()
        var chroma: UInt32 = 1
        if Self.profilesWithChroma.contains(profile) {
            chroma = reader.readUnsigned()
            let listCount = chroma == 3 ? 12 : 8
            if chroma == 3, reader.readFlag() { chroma = 0 }
            _ = reader.readUnsigned()
            _ = reader.readUnsigned()
            _ = reader.readFlag()
            if reader.readFlag() { Self.skipScalingLists(&reader, count: listCount) }
        }
        Self.skipPictureOrder(&reader)
        _ = reader.readUnsigned()
        _ = reader.readFlag()
        let widthUnits = Int(reader.readUnsigned())
        let heightUnits = Int(reader.readUnsigned())
        let fields = reader.readFlag() ? 1 : 2
        if fields == 2 { _ = reader.readFlag() }
        _ = reader.readFlag()
        var crop = (x: 0, y: 0)
        if reader.readFlag() {
            crop.x = Int(reader.readUnsigned()) + Int(reader.readUnsigned())
            crop.y = Int(reader.readUnsigned()) + Int(reader.readUnsigned())
        }
        guard !reader.isExhausted else { return nil }
        // Every number is below 2^32, so none of this overflows 64 bits.
        let width = (widthUnits + 1) * 16 - crop.x * (chroma == 1 || chroma == 2 ? 2 : 1)
        let height = (heightUnits + 1) * 16 * fields - crop.y * (chroma == 1 ? 2 : 1) * fields
        guard (1...0xFFFF).contains(width), (1...0xFFFF).contains(height) else { return nil }
        return KeyFrameInfo(width: UInt16(width), height: UInt16(height))
    }

    private static func skipScalingLists(_ reader: inout BitReader, count: Int) {
        for index in 0..<count where reader.readFlag() {
            var last: Int64 = 8
            var next: Int64 = 8
            for _ in 0..<(index < 6 ? 16 : 64) {
                if next != 0 { next = (last + reader.readSigned()) & 0xFF }
                if next != 0 { last = next }
            }
        }
    }

    private static func skipPictureOrder(_ reader: inout BitReader) {
        _ = reader.readUnsigned()
        switch reader.readUnsigned() {
        case 0: _ = reader.readUnsigned()
        case 1:
            _ = reader.readFlag()
            _ = reader.readSigned()
            _ = reader.readSigned()
            // The standard allows 255; the reader ends the loop for more.
            let count = reader.readUnsigned()
            for _ in 0..<min(count, 255) { _ = reader.readSigned() }
        default: break
        }
    }
}
