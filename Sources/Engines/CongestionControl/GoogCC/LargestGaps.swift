/// The two largest of a window of gaps that come and go, without a look at all of them: the eight largest are kept.
///
/// One that leaves shortens the list, one that comes and is not smaller than its last takes the place. Whoever owns the
/// window inserts all of it again when too few are left.
struct LargestGaps: Sendable, BitwiseCopyable {
    private static let capacity = 8

    /// The largest first.
    private var gaps = InlineArray<8, Int64>(repeating: 0)
    private var count = 0
    /// How many gaps the window has, those included that are not kept.
    private var total = 0
    /// Smaller ones are not kept.
    private var least = Int64.min

    /// Microseconds; 0 where there are none.
    var largest: Int64 { self.count > 0 ? self.gaps[0] : 0 }
    var second: Int64 { self.count > 1 ? self.gaps[1] : 0 }

    /// Too few are known: `removeAll`, and `insert` each gap of the window.
    var isIncomplete: Bool { self.count < min(self.total, 2) }

    mutating func removeAll() {
        self.count = 0
        self.total = 0
        self.least = .min
    }

    /// - Parameter gap: 0 or more.
    @inline(__always) mutating func insert(_ gap: Int64) {
        self.total += 1
        if gap >= self.least { self.keep(gap) }
    }

    /// - Parameter gap: one that was inserted.
    @inline(__always) mutating func remove(_ gap: Int64) {
        self.total -= 1
        if gap >= self.least { self.forget(gap) }
    }

    @inline(never) private mutating func keep(_ gap: Int64) {
        var index = min(self.count, Self.capacity - 1)
        if index < self.count, gap <= self.gaps[index] { return }
        self.count = index + 1
        while index > 0, self.gaps[index - 1] < gap {
            self.gaps[index] = self.gaps[index - 1]
            index -= 1
        }
        self.gaps[index] = gap
        self.setLeast()
    }

    @inline(never) private mutating func forget(_ gap: Int64) {
        guard self.count > 0 else { return }
        self.count -= 1
        var index = self.count
        // All that are smaller move up by one place.
        var moved = self.gaps[index]
        while index > 0, moved < gap {
            index -= 1
            swap(&moved, &self.gaps[index])
        }
        self.setLeast()
    }

    private mutating func setLeast() {
        if self.count == self.total, self.count < Self.capacity {
            self.least = .min
        } else {
            // One that is not kept may be as large as the smallest that is.
            self.least = self.count > 0 ? self.gaps[self.count - 1] : .max
        }
    }
}
