extension RawSpan {
    // Bounds-checked big-endian loads. With `MutableRawSpan`'s stores below, the only place that says `unsafe` for a
    // parser: the standard library marks its unaligned loads so, although they check their bounds.

    @inlinable package func uint8(at offset: Int) -> UInt8 {
        unsafe self.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }
    @inlinable package func uint16(at offset: Int) -> UInt16 {
        unsafe UInt16(bigEndian: self.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }
    @inlinable package func uint24(at offset: Int) -> UInt32 {
        UInt32(self.uint16(at: offset)) << 8 | UInt32(self.uint8(at: offset + 2))
    }
    @inlinable package func uint32(at offset: Int) -> UInt32 {
        unsafe UInt32(bigEndian: self.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
    @inlinable package func uint64(at offset: Int) -> UInt64 {
        unsafe UInt64(bigEndian: self.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    /// A copy of part of the bytes. Allocates: never on the packet path.
    package func array(_ range: Range<Int>) -> [UInt8] {
        var copy: [UInt8] = []
        copy.reserveCapacity(range.count)
        for offset in range { copy.append(self.uint8(at: offset)) }
        return copy
    }

    package func array() -> [UInt8] { self.array(0..<self.byteCount) }
}

extension MutableRawSpan {
    @inlinable package mutating func store(_ value: UInt8, at offset: Int) {
        self.storeBytes(of: value, toByteOffset: offset, as: UInt8.self)
    }
    @inlinable package mutating func store(_ value: UInt16, at offset: Int) {
        self.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
    }
    @inlinable package mutating func store(_ value: UInt32, at offset: Int) {
        self.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self)
    }
    @inlinable package mutating func store(_ value: UInt64, at offset: Int) {
        self.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt64.self)
    }
}

/// Builds a message, big-endian. For control messages only: it grows an array.
@usableFromInline package struct ByteWriter: Sendable {
    package private(set) var bytes: [UInt8]

    package init(reserving capacity: Int = 128) {
        self.bytes = []
        self.bytes.reserveCapacity(capacity)
    }

    package var count: Int { self.bytes.count }

    package mutating func write(_ value: UInt8) { self.bytes.append(value) }
    package mutating func write(_ value: UInt16) {
        self.write(UInt8(truncatingIfNeeded: value >> 8))
        self.write(UInt8(truncatingIfNeeded: value))
    }
    package mutating func write(_ value: UInt32) {
        self.write(UInt16(truncatingIfNeeded: value >> 16))
        self.write(UInt16(truncatingIfNeeded: value))
    }
    package mutating func write(_ value: UInt64) {
        self.write(UInt32(truncatingIfNeeded: value >> 32))
        self.write(UInt32(truncatingIfNeeded: value))
    }
    package mutating func write(bytes: some Sequence<UInt8>) { self.bytes.append(contentsOf: bytes) }
    package mutating func pad(toMultipleOf alignment: Int) {
        while !self.bytes.count.isMultiple(of: alignment) { self.bytes.append(0) }
    }

    /// Overwrites a 16-bit field, such as a length that is known only at the end.
    package mutating func patch(_ value: UInt16, at offset: Int) {
        guard offset >= 0, offset + 2 <= self.bytes.count else { return }
        self.bytes[offset] = UInt8(truncatingIfNeeded: value >> 8)
        self.bytes[offset + 1] = UInt8(truncatingIfNeeded: value)
    }
}
