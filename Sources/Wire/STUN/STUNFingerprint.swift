import Basics

/// FINGERPRINT: the CRC-32 of ITU V.42, XORed so that it differs from one the application may use (RFC 8489 §14.7).
///
/// Eight bytes at a time: every datagram of a flood passes through here (ATTACKS A-44).
enum STUNFingerprint {
    /// Eight tables of 256: table n has the CRC of a byte that n zero bytes follow.
    private static let tables: [UInt32] = {
        var tables: [UInt32] = (0..<256).map { index in
            var value = UInt32(index)
            for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
            return value
        }
        for index in 256..<2_048 {
            let shorter = tables[index - 256]
            tables.append(tables[Int(shorter & 0xFF)] ^ shorter >> 8)
        }
        return tables
    }()

    static func value(of bytes: RawSpan, upTo end: Int) -> UInt32 {
        let tables = Self.tables.span
        func entry(_ table: Int, _ byte: UInt64) -> UInt32 { tables[table * 256 + Int(byte & 0xFF)] }
        var crc: UInt32 = 0xFFFF_FFFF
        var offset = 0
        while offset + 8 <= end {
            let chunk = bytes.uint64(at: offset).byteSwapped ^ UInt64(crc)
            let first = entry(7, chunk) ^ entry(6, chunk >> 8) ^ entry(5, chunk >> 16) ^ entry(4, chunk >> 24)
            let last = entry(3, chunk >> 32) ^ entry(2, chunk >> 40) ^ entry(1, chunk >> 48) ^ entry(0, chunk >> 56)
            crc = first ^ last
            offset += 8
        }
        while offset < end {
            crc = entry(0, UInt64(crc) ^ UInt64(bytes.uint8(at: offset))) ^ crc >> 8
            offset += 1
        }
        return ~crc ^ 0x5354_554E
    }
}
