public import Basics

/// The waiting packets of one priority: a bounded ring that takes its memory when the first packet has to wait.
@usableFromInline package struct PacerQueue<Reference: BitwiseCopyable & Sendable>: ~Copyable, Sendable {
    @usableFromInline package struct Entry: BitwiseCopyable, Sendable {
        @usableFromInline package var reference: Reference
        @usableFromInline package var byteCount: Int32
        @usableFromInline package var enqueuedAt: Instant

        @inlinable package init(reference: Reference, byteCount: Int32, enqueuedAt: Instant) {
            self.reference = reference
            self.byteCount = byteCount
            self.enqueuedAt = enqueuedAt
        }
    }

    @usableFromInline package let capacity: Int
    @usableFromInline package var entries: FixedStorage<Entry>?
    @usableFromInline package var head = 0
    @usableFromInline package var count = 0
    @usableFromInline package var byteCount = 0

    @inlinable package init(capacity: Int) { self.capacity = max(capacity, 1) }

    /// Returns `false` when the ring is full.
    @inlinable package mutating func append(_ entry: Entry) -> Bool {
        guard self.count < self.capacity else { return false }
        if self.entries == nil { self.entries = FixedStorage(repeating: entry, count: self.capacity) }
        var index = self.head + self.count
        if index >= self.capacity { index -= self.capacity }
        self.entries?[index] = entry
        self.count += 1
        self.byteCount += Int(entry.byteCount)
        return true
    }

    @inlinable package mutating func removeFirst() -> Entry? {
        guard self.count > 0, let entry = self.entries?[self.head] else { return nil }
        self.head = self.head + 1 == self.capacity ? 0 : self.head + 1
        self.count -= 1
        self.byteCount -= Int(entry.byteCount)
        return entry
    }
}
