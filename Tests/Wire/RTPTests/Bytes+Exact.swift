/// Hands the bytes to `body` in heap memory of exactly their size, so that a read past the end is seen (by the bounds
/// check of the span, and by the address sanitizer).
func withExact<R>(_ bytes: [UInt8], _ body: (RawSpan) throws -> R) rethrows -> R {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    defer { copy.deallocate() }
    copy.copyBytes(from: bytes)
    return try body(UnsafeRawBufferPointer(copy).bytes)
}

/// `"80 c8"` and `"80c8"` as bytes.
func hex(_ text: String) -> [UInt8] {
    let digits = text.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}
