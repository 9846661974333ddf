import Basics

/// Reads single bits of a codec's headers, the most significant first. Past the end it gives zeros and says so.
struct BitReader: ~Escapable {
    private let bytes: RawSpan
    private var offset: Int
    private let end: Int
    private var current: UInt8 = 0
    private var bitsLeft = 0
    private var zeroRun = 0
    private let skipsEmulationPrevention: Bool
    /// More was asked for than there is: what was read is worthless.
    private(set) var isExhausted = false

    /// - Parameters:
    ///   - range: clamped to `bytes`.
    ///   - skipsEmulationPrevention: leaves out the 3 of `00 00 03` (H.264 §7.4.1).
    @_lifetime(copy bytes)
    init(_ bytes: RawSpan, range: Range<Int>, skipsEmulationPrevention: Bool) {
        self.bytes = bytes
        let range = range.clamped(to: 0..<bytes.byteCount)
        self.offset = range.lowerBound
        self.end = range.upperBound
        self.skipsEmulationPrevention = skipsEmulationPrevention
    }

    @_lifetime(self: copy self)
    private mutating func readByte() {
        if self.skipsEmulationPrevention, self.zeroRun >= 2, self.offset < self.end,
            self.bytes.uint8(at: self.offset) == 3
        {
            self.offset += 1
            self.zeroRun = 0
        }
        guard self.offset < self.end else {
            self.isExhausted = true
            self.current = 0
            self.bitsLeft = 8
            return
        }
        self.current = self.bytes.uint8(at: self.offset)
        self.zeroRun = self.current == 0 ? self.zeroRun + 1 : 0
        self.offset += 1
        self.bitsLeft = 8
    }

    @_lifetime(self: copy self)
    mutating func readFlag() -> Bool {
        if self.bitsLeft == 0 { self.readByte() }
        self.bitsLeft -= 1
        return self.current >> UInt8(self.bitsLeft) & 1 == 1
    }

    /// - Parameter count: 0...32.
    @_lifetime(self: copy self)
    mutating func readBits(_ count: Int) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<count { value = value << 1 | (self.readFlag() ? 1 : 0) }
        return value
    }

    /// An unsigned Exp-Golomb number, `ue(v)` (H.264 §9.1). More than 31 leading zeros exhaust the reader.
    @_lifetime(self: copy self)
    mutating func readUnsigned() -> UInt32 {
        var zeros = 0
        while !self.readFlag() {
            zeros += 1
            guard zeros < 32, !self.isExhausted else {
                self.isExhausted = true
                return 0
            }
        }
        return (1 << UInt32(zeros)) - 1 + self.readBits(zeros)
    }

    /// A signed Exp-Golomb number, `se(v)` (H.264 §9.1.1).
    @_lifetime(self: copy self)
    mutating func readSigned() -> Int64 {
        let code = Int64(self.readUnsigned())
        return code & 1 == 1 ? (code + 1) / 2 : -(code / 2)
    }
}
