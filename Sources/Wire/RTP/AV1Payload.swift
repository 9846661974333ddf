import Basics

/// Tells whether an AV1 packet starts a key frame: it is the first of a coded video sequence and carries the sequence
/// header (AV1 RTP payload format 1.0 §4.4).
///
/// - Returns: the size out of the sequence header; `nil` for all other packets.
package func av1KeyFrameStart(in payload: RawSpan) -> KeyFrameInfo? {
    guard payload.byteCount >= 1 else { return nil }
    let aggregation = payload.uint8(at: 0)
    // N = 1, and Z = 0: the packet does not go on with an element of the one before it.
    guard aggregation & 0x88 == 0x08 else { return nil }
    let declaredCount = Int(aggregation >> 4 & 0x03)
    var offset = 1
    var index = 0
    while offset < payload.byteCount {
        index += 1
        var length = payload.byteCount - offset
        // With a count, the last element has no length of its own.
        if declaredCount == 0 || index < declaredCount {
            guard let (value, size) = AV1SequenceHeader.leb128(payload, at: offset) else { return nil }
            offset += size
            guard value <= payload.byteCount - offset else { return nil }
            length = value
        }
        if length > 0, payload.uint8(at: offset) >> 3 & 0x0F == 1 {
            return AV1SequenceHeader.size(in: payload, obu: offset..<(offset + length)) ?? KeyFrameInfo()
        }
        offset += length
        if index == declaredCount { break }
    }
    return nil
}

/// The part of an AV1 sequence header that leads to the picture's size (AV1 §5.5).
enum AV1SequenceHeader {
    /// - Returns: the value and how many bytes it takes: at most 8, of which 32 bits may be set (AV1 §4.10.5).
    static func leb128(_ bytes: RawSpan, at start: Int) -> (value: Int, size: Int)? {
        var value = 0
        for index in 0..<8 {
            guard start + index < bytes.byteCount else { return nil }
            let byte = bytes.uint8(at: start + index)
            value |= Int(byte & 0x7F) << (7 * index)
            if byte & 0x80 == 0 { return value <= 0xFFFF_FFFF ? (value, index + 1) : nil }
        }
        return nil
    }

    /// - Parameter obu: the whole element with its OBU header, within `bytes`.
    /// - Returns: `nil` when the header is cut short.
    static func size(in bytes: RawSpan, obu: Range<Int>) -> KeyFrameInfo? {
        guard !obu.isEmpty, obu.lowerBound >= 0, obu.upperBound <= bytes.byteCount else { return nil }
        let header = bytes.uint8(at: obu.lowerBound)
        var start = obu.lowerBound + (header & 0x04 != 0 ? 2 : 1)
        if header & 0x02 != 0 {
            guard let (_, size) = Self.leb128(bytes, at: start) else { return nil }
            start += size
        }
        guard start < obu.upperBound else { return nil }
        var reader = BitReader(bytes, range: start..<obu.upperBound, skipsEmulationPrevention: false)
        _ = reader.readBits(4)
        if reader.readFlag() {
            _ = reader.readBits(5)
        } else {
            Self.skipOperatingPoints(&reader)
        }
        let widthBits = Int(reader.readBits(4)) + 1
        let heightBits = Int(reader.readBits(4)) + 1
        let width = reader.readBits(widthBits)
        let height = reader.readBits(heightBits)
        guard !reader.isExhausted, width < 0xFFFF, height < 0xFFFF else { return nil }
        return KeyFrameInfo(width: UInt16(width + 1), height: UInt16(height + 1))
    }

    private static func skipOperatingPoints(_ reader: inout BitReader) {
        var delayBits = 0
        if reader.readFlag() {
            _ = reader.readBits(32)
            _ = reader.readBits(32)
            // `uvlc` (AV1 §4.10.3) has the form of Exp-Golomb.
            if reader.readFlag() { _ = reader.readUnsigned() }
            if reader.readFlag() {
                delayBits = Int(reader.readBits(5)) + 1
                _ = reader.readBits(32)
                _ = reader.readBits(10)
            }
        }
        let hasDisplayDelay = reader.readFlag()
        let count = Int(reader.readBits(5)) + 1
        for _ in 0..<count {
            _ = reader.readBits(12)
            if reader.readBits(5) > 7 { _ = reader.readFlag() }
            if delayBits > 0, reader.readFlag() {
                _ = reader.readBits(delayBits)
                _ = reader.readBits(delayBits)
                _ = reader.readFlag()
            }
            if hasDisplayDelay, reader.readFlag() { _ = reader.readBits(4) }
        }
    }
}
