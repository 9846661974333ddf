/// A run of plain values on the heap, made once and never grown: the memory of every ring on the packet path.
///
/// `[Element]` would do a uniqueness check and reference counting on every write; an `InlineArray` of these sizes would
/// make its owner too large to keep on the stack while it is set up. Indexes are checked: a mistake of ours stops here
/// instead of writing over a neighbour. Callers mask their indexes, so nothing from the network can get this far.
@safe
@usableFromInline package struct FixedStorage<Element: BitwiseCopyable>: ~Copyable {
    @usableFromInline let base: UnsafeMutablePointer<Element>
    @usableFromInline package let count: Int

    /// - Parameter count: 0 or more; the only allocation this value ever makes.
    @inlinable package init(repeating element: Element, count: Int) {
        let capacity = max(count, 0)
        unsafe self.base = UnsafeMutablePointer<Element>.allocate(capacity: capacity)
        unsafe self.base.initialize(repeating: element, count: capacity)
        self.count = capacity
    }

    deinit { unsafe self.base.deallocate() }

    @inlinable package subscript(index: Int) -> Element {
        get {
            precondition(index >= 0 && index < self.count)
            return unsafe self.base[index]
        }
        set {
            precondition(index >= 0 && index < self.count)
            unsafe self.base[index] = newValue
        }
    }

    /// To fetch memory by.
    package func address(of index: Int) -> UnsafeRawPointer {
        precondition(index >= 0 && index < self.count)
        return unsafe UnsafeRawPointer(self.base + index)
    }

    package mutating func fill(with element: Element) { unsafe self.base.update(repeating: element, count: self.count) }
}

/// One owner, no aliases: it may move between threads with its owner.
extension FixedStorage: @unchecked Sendable where Element: Sendable {}

extension FixedStorage where Element == UInt8 {
    /// Copies `source` to `offset`; it has to fit.
    @inlinable package mutating func copy(_ source: RawSpan, at offset: Int) {
        precondition(offset >= 0 && source.byteCount <= self.count && offset <= self.count - source.byteCount)
        unsafe source.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return }
            unsafe UnsafeMutableRawPointer(self.base + offset).copyMemory(from: start, byteCount: bytes.count)
        }
    }

    /// A view of part of the bytes.
    @_lifetime(borrow self)
    @inlinable package func bytes(_ range: Range<Int>) -> RawSpan {
        precondition(range.lowerBound >= 0 && range.upperBound <= self.count)
        let view = unsafe RawSpan(
            _unsafeStart: UnsafeRawPointer(self.base + range.lowerBound),
            byteCount: range.count
        )
        return unsafe _overrideLifetime(view, borrowing: self)
    }
}
