import Basics

/// Reads the bit fields of a dependency descriptor, the most significant bit first. Past the end it gives zeros and says
/// so.
struct DescriptorBitReader: ~Escapable {
    private let bytes: RawSpan
    /// In bits from the start of `bytes`.
    private(set) var position: Int
    private let end: Int
    /// More was asked for than there is: what was read is worthless.
    private(set) var isExhausted: Bool

    /// - Parameter position: the first bit to read; 0 and up.
    @_lifetime(copy bytes)
    init(_ bytes: RawSpan, position: Int = 0) {
        self.bytes = bytes
        self.position = position
        self.end = bytes.byteCount * 8
        self.isExhausted = position > self.end
    }

    @_lifetime(self: copy self)
    mutating func readFlag() -> Bool { self.readBits(1) == 1 }

    /// - Parameter count: 0...32.
    @_lifetime(self: copy self)
    mutating func readBits(_ count: Int) -> UInt32 {
        guard count <= self.end - self.position else {
            self.isExhausted = true
            self.position = self.end
            return 0
        }
        var value: UInt64 = 0
        var left = count
        while left > 0 {
            let inByte = 8 - self.position & 7
            let taken = min(left, inByte)
            let byte = UInt64(self.bytes.uint8(at: self.position >> 3))
            value = value << UInt64(taken) | (byte >> UInt64(inByte - taken)) & ((1 << UInt64(taken)) - 1)
            self.position += taken
            left -= taken
        }
        return UInt32(truncatingIfNeeded: value)
    }

    /// A number below `count` that takes one bit less where that is enough: `ns(n)` (AV1 §4.10.7).
    /// - Parameter count: 1...64.
    @_lifetime(self: copy self)
    mutating func readNonSymmetric(below count: Int) -> Int {
        let width = Int.bitWidth - count.leadingZeroBitCount
        let shortCount = 1 << width - count
        let value = Int(self.readBits(width - 1))
        if value < shortCount { return value }
        return value << 1 - shortCount + Int(self.readBits(1))
    }
}

/// Writes bit fields over the bytes of a span, the most significant bit first. Past the end it writes nothing and says
/// so.
struct DescriptorBitWriter {
    /// In bits from the start of the span.
    private(set) var position: Int
    private let end: Int
    private(set) var isExhausted = false

    init(position: Int, byteCount: Int) {
        self.position = position
        self.end = byteCount * 8
    }

    /// - Parameter count: 0...32. The rest of a byte that is begun is made zero.
    mutating func write(_ value: UInt32, count: Int, into bytes: inout MutableRawSpan) {
        guard count <= self.end - self.position else {
            self.isExhausted = true
            return
        }
        var left = count
        while left > 0 {
            let free = 8 - self.position & 7
            let taken = min(left, free)
            let field = UInt8(truncatingIfNeeded: UInt64(value) >> UInt64(left - taken) & ((1 << UInt64(taken)) - 1))
            let offset = self.position >> 3
            // Of a byte that is begun, the bits before this field stay.
            let before = free == 8 ? 0 : bytes.bytes.uint8(at: offset) & ~(UInt8(0xFF) >> UInt8(8 - free))
            bytes.store(before | field << UInt8(free - taken), at: offset)
            self.position += taken
            left -= taken
        }
    }
}
