/// Deadlines of many sessions, one each, to the millisecond.
///
/// A hashed wheel of 1,024 one-millisecond buckets: scheduling, moving and cancelling are a few loads and stores
/// however many sessions there are, because nearly every packet moves a deadline. A deadline more than a turn ahead
/// waits in its bucket and is looked at once a turn.
@usableFromInline package struct TimerWheel: ~Copyable, Sendable {
    private static let bucketCount = 1_024
    private static let tick: Int64 = 1_000_000
    private static let none: Int32 = -1

    // Intrusive doubly linked lists: an entry is its owner's index, so nothing is allocated to schedule it.
    private var heads = [Int32](repeating: none, count: bucketCount)
    private var next: [Int32] = []
    private var previous: [Int32] = []
    private var bucket: [Int32] = []
    private var deadlines: [Int64] = []
    /// The tick up to which buckets were emptied.
    private var currentTick: Int64
    private var scheduledCount = 0

    package init(now: Instant) { self.currentTick = now.nanoseconds / Self.tick }

    package var isEmpty: Bool { self.scheduledCount == 0 }

    /// Makes room for owners 0 to `count` - 1. The only call that allocates.
    package mutating func reserve(_ count: Int) {
        while self.next.count < count {
            self.next.append(Self.none)
            self.previous.append(Self.none)
            self.bucket.append(Self.none)
            self.deadlines.append(.max)
        }
    }

    /// Sets the one deadline of an owner, in place of any earlier one. `distantFuture` cancels.
    package mutating func schedule(_ owner: Int, at deadline: Instant) {
        guard owner >= 0, owner < self.next.count else { return }
        if deadline.nanoseconds == self.deadlines[owner] { return }
        self.cancel(owner)
        guard deadline != .distantFuture else { return }
        self.deadlines[owner] = deadline.nanoseconds
        // Rounded up, so that nobody is woken before the time; a deadline that has passed goes into the next bucket.
        let tick = max((deadline.nanoseconds + Self.tick - 1) / Self.tick, self.currentTick + 1)
        self.insert(owner, bucket: Int(tick % Int64(Self.bucketCount)))
        self.scheduledCount += 1
    }

    package mutating func cancel(_ owner: Int) {
        guard owner >= 0, owner < self.next.count, self.bucket[owner] != Self.none else { return }
        self.unlink(owner)
        self.deadlines[owner] = .max
        self.scheduledCount -= 1
    }

    /// Takes one owner whose deadline has passed; `nil` when there is none left.
    package mutating func popExpired(at now: Instant) -> Int? {
        let nowTick = now.nanoseconds / Self.tick
        // After a long stop (SIGSTOP, a laptop's sleep) every bucket is looked at once, not once for each lost tick.
        self.currentTick = max(self.currentTick, nowTick - Int64(Self.bucketCount))
        while self.currentTick < nowTick {
            let index = Int((self.currentTick + 1) % Int64(Self.bucketCount))
            var owner = self.heads[index]
            while owner != Self.none {
                let candidate = Int(owner)
                if self.deadlines[candidate] <= now.nanoseconds {
                    self.cancel(candidate)
                    return candidate
                }
                owner = self.next[candidate]
            }
            self.currentTick += 1
        }
        return nil
    }

    /// When to look next: never later than the earliest deadline, and at most one turn ahead. `nil` when empty.
    package func nextDeadline() -> Instant? {
        guard self.scheduledCount > 0 else { return nil }
        for offset in 1...Int64(Self.bucketCount) {
            let tick = self.currentTick + offset
            if self.heads[Int(tick % Int64(Self.bucketCount))] != Self.none {
                return Instant(nanoseconds: tick * Self.tick)
            }
        }
        return nil
    }

    private mutating func insert(_ owner: Int, bucket index: Int) {
        let head = self.heads[index]
        self.next[owner] = head
        self.previous[owner] = Self.none
        self.bucket[owner] = Int32(truncatingIfNeeded: index)
        if head != Self.none { self.previous[Int(head)] = Int32(truncatingIfNeeded: owner) }
        self.heads[index] = Int32(truncatingIfNeeded: owner)
    }

    private mutating func unlink(_ owner: Int) {
        let next = self.next[owner]
        let previous = self.previous[owner]
        if previous == Self.none {
            self.heads[Int(self.bucket[owner])] = next
        } else {
            self.next[Int(previous)] = next
        }
        if next != Self.none { self.previous[Int(next)] = previous }
        self.bucket[owner] = Self.none
    }
}
