/// HMAC-SHA256 tokens made without the library under test: any header, any payload.
enum HandSigned {
    static func token(header: String, payload: String, secret: String) -> String {
        let signed = "\(Self.base64URL(Array(header.utf8))).\(Self.base64URL(Array(payload.utf8)))"
        return "\(signed).\(Self.base64URL(Self.hmac(Array(signed.utf8), key: Array(secret.utf8))))"
    }

    private static func base64URL(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        var text = ""
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = group.reduce(0) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - group.count))
            for index in 0...group.count { text.append(alphabet[Int(bits >> UInt32(18 - 6 * index) & 63)]) }
        }
        return text
    }

    /// RFC 2104; the key is at most one block long.
    private static func hmac(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
        let block = key + Array(repeating: 0, count: 64 - key.count)
        let inner = Self.sha256(block.map { $0 ^ 0x36 } + message)
        return Self.sha256(block.map { $0 ^ 0x5C } + inner)
    }

    /// FIPS 180-4. The constants are the fractions of roots of primes, made here instead of copied.
    private static func sha256(_ message: [UInt8]) -> [UInt8] {
        let primes = (2...311).filter { number in !(2..<number).contains { number % $0 == 0 } }
        let fraction: (Double) -> UInt32 = { UInt32(($0 - $0.rounded(.down)) * 4_294_967_296) }
        let k = primes.map { fraction(Self.cubeRoot(Double($0))) }
        var h = primes.prefix(8).map { fraction(Double($0).squareRoot()) }
        var bytes = message + [0x80]
        while bytes.count % 64 != 56 { bytes.append(0) }
        bytes += (0..<8).reversed().map { UInt8(truncatingIfNeeded: (message.count * 8) >> ($0 * 8)) }
        let rotate: (UInt32, UInt32) -> UInt32 = { $0 >> $1 | $0 << (32 - $1) }
        for start in stride(from: 0, to: bytes.count, by: 64) {
            var w = (0..<16).map { index in
                bytes[(start + 4 * index)..<(start + 4 * index + 4)].reduce(0) { $0 << 8 | UInt32($1) }
            }
            for i in 16..<64 {
                let a = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3
                let b = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10
                w.append(w[i - 16] &+ a &+ w[i - 7] &+ b)
            }
            var v = h
            for i in 0..<64 {
                let s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25)
                let t1 = v[7] &+ s1 &+ (v[4] & v[5] ^ ~v[4] & v[6]) &+ k[i] &+ w[i]
                let s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22)
                let t2 = s0 &+ (v[0] & v[1] ^ v[0] & v[2] ^ v[1] & v[2])
                v = [t1 &+ t2, v[0], v[1], v[2], v[3] &+ t1, v[4], v[5], v[6]]
            }
            h = zip(h, v).map { $0 &+ $1 }
        }
        return h.flatMap { word in [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: word >> $0) } }
    }

    private static func cubeRoot(_ value: Double) -> Double {
        var root = value / 3
        for _ in 0..<60 { root = (2 * root + value / (root * root)) / 3 }
        return root
    }
}
