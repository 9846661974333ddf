/// Walks a collection of pointers: `for leg in unsafe Each(track.pointee.legs)`.
///
/// `for unsafe leg in ...` would say the same, but the formatter of Swift 6.3 takes the blank out of it.
@safe
struct Each<Base: RandomAccessCollection>: Sequence, IteratorProtocol {
    private let base: Base
    private var index: Base.Index

    @inline(__always)
    init(_ base: Base) {
        self.base = base
        self.index = base.startIndex
    }

    @safe
    @inline(__always)
    mutating func next() -> Base.Element? {
        guard self.index != self.base.endIndex else { return nil }
        defer { self.base.formIndex(after: &self.index) }
        return self.base[self.index]
    }
}
