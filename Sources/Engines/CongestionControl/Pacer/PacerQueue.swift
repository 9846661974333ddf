import Basics

/// The waiting packets of one priority: a bounded ring that takes its memory when the first packet has to wait.
struct PacerQueue<Reference: BitwiseCopyable & Sendable>: ~Copyable, Sendable {
    struct Entry: BitwiseCopyable, Sendable {
        var reference: Reference
        var byteCount: Int32
        var enqueuedAt: Instant
    }

    private let capacity: Int
    private var entries: FixedStorage<Entry>?
    private var head = 0
    private(set) var count = 0
    private(set) var byteCount = 0

    init(capacity: Int) { self.capacity = max(capacity, 1) }

    /// Returns `false` when the ring is full.
    mutating func append(_ entry: Entry) -> Bool {
        guard self.count < self.capacity else { return false }
        if self.entries == nil { self.entries = FixedStorage(repeating: entry, count: self.capacity) }
        var index = self.head + self.count
        if index >= self.capacity { index -= self.capacity }
        self.entries?[index] = entry
        self.count += 1
        self.byteCount += Int(entry.byteCount)
        return true
    }

    mutating func removeFirst() -> Entry? {
        guard self.count > 0, let entry = self.entries?[self.head] else { return nil }
        self.head = self.head + 1 == self.capacity ? 0 : self.head + 1
        self.count -= 1
        self.byteCount -= Int(entry.byteCount)
        return entry
    }
}
