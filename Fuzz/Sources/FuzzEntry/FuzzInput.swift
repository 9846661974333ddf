/// Takes an input apart from the front. Beyond its end everything is zero.
package struct FuzzInput {
    private var rest: UnsafeRawBufferPointer

    package init(_ bytes: UnsafePointer<UInt8>?, _ count: Int) {
        self.rest = UnsafeRawBufferPointer(start: bytes, count: bytes == nil ? 0 : count)
    }

    package var isEmpty: Bool { self.rest.isEmpty }

    package mutating func byte() -> UInt8 {
        guard let first = self.rest.first else { return 0 }
        self.rest = UnsafeRawBufferPointer(rebasing: self.rest[1...])
        return first
    }

    package mutating func word() -> UInt16 {
        let high = self.byte()
        return UInt16(high) << 8 | UInt16(self.byte())
    }

    /// At most `count` bytes.
    package mutating func take(_ count: Int) -> UnsafeRawBufferPointer {
        let count = min(count, self.rest.count)
        defer { self.rest = UnsafeRawBufferPointer(rebasing: self.rest[count...]) }
        return UnsafeRawBufferPointer(rebasing: self.rest[..<count])
    }

    package mutating func takeAll() -> UnsafeRawBufferPointer { self.take(.max) }
}
