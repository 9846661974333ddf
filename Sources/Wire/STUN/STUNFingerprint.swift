import Basics

/// FINGERPRINT: the CRC-32 of ITU V.42, XORed so that it differs from one the application may use (RFC 8489 §14.7).
enum STUNFingerprint {
    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
    }

    static func value(of bytes: RawSpan, upTo end: Int) -> UInt32 {
        let table = Self.table
        var crc: UInt32 = 0xFFFF_FFFF
        for offset in 0..<end {
            let index = Int(UInt8(truncatingIfNeeded: crc) ^ bytes.uint8(at: offset))
            crc = table[index] ^ crc >> 8
        }
        return ~crc ^ 0x5354_554E
    }
}
