import Synchronization

/// A worker's counters where the metrics endpoint can read them at any time: relaxed atomics with one writer.
///
/// Each word stands alone; a reader may see one counter a moment older than another, which is all that a scrape needs.
@safe
package final class SharedCounters: Sendable {
    private static let wordCount = MemoryLayout<RouterCounters>.size / MemoryLayout<UInt64>.size

    // Never written again after init; the words themselves are atomics.
    private nonisolated(unsafe) let words: UnsafeMutablePointer<Atomic<UInt64>>

    package init() {
        unsafe self.words = .allocate(capacity: Self.wordCount)
        for index in 0..<Self.wordCount { unsafe (self.words + index).initialize(to: Atomic(0)) }
    }

    deinit {
        unsafe self.words.deinitialize(count: Self.wordCount)
        unsafe self.words.deallocate()
    }

    /// By the worker only, a few times a second.
    func publish(_ counters: RouterCounters) {
        unsafe withUnsafeBytes(of: counters) { bytes in
            for index in 0..<Self.wordCount {
                let word = unsafe bytes.load(fromByteOffset: index * MemoryLayout<UInt64>.size, as: UInt64.self)
                unsafe self.words[index].store(word, ordering: .relaxed)
            }
        }
    }

    package func snapshot() -> RouterCounters {
        var counters = RouterCounters()
        unsafe withUnsafeMutableBytes(of: &counters) { bytes in
            for index in 0..<Self.wordCount {
                let word = unsafe self.words[index].load(ordering: .relaxed)
                unsafe bytes.storeBytes(
                    of: word,
                    toByteOffset: index * MemoryLayout<UInt64>.size,
                    as: UInt64.self
                )
            }
        }
        return counters
    }
}
