import Synchronization

/// The way of packets from one worker to another: a bounded ring of fixed slots with one producer and one consumer.
///
/// Neither side ever waits for the other, and there is no lock: when the ring is full the packet is dropped and counted,
/// so that a slow worker holds up nobody. The memory is made once, with the ring; slots that were never used take none.
///
/// Why it is `Sendable`, with plain memory in it: `head` is written by the consumer alone and `tail` by the producer
/// alone; both only grow. The slots from `head` up to `tail` belong to the consumer, the others to the producer. The
/// producer's store of `tail` releases what it wrote into a slot, and the consumer's load of `tail` acquires it; the
/// consumer's store of `head` gives the slot back in the same way. So no byte is ever reached by two threads without one
/// of these pairs between them.
///
/// Why no wake-up is lost: these stores and loads are sequentially consistent, which puts all of them into one order.
/// The producer stores `tail` and then loads `head`; the consumer stores `head` and then loads `tail`. In whichever order
/// they meet, either the consumer's load sees the new slot, or the producer's load sees that the consumer had taken all
/// that was there before, and wakes it.
@safe
package final class PacketRing: @unchecked Sendable {
    /// Of one slot: a record of up to `recordByteCount`, and a datagram of the largest size that is forwarded.
    package static let recordByteCount = 256
    package static let slotByteCount = recordByteCount + EgressQueue.slotByteCount
    /// A key frame of 50 packets for each of 20 publishers: what comes while the consumer is busy with one batch.
    package static let usualCapacity = 1_024

    package let capacity: Int
    private let slots: UnsafeMutableRawPointer
    private let wake: WakeEvent?
    // Each of them in a cache line of its own: both sides write to theirs all the time.
    private let paddingBefore = InlineArray<8, UInt64>(repeating: 0)
    /// Slots ever taken.
    private let head = Atomic<UInt64>(0)
    private let paddingBetween = InlineArray<8, UInt64>(repeating: 0)
    /// Slots ever filled.
    private let tail = Atomic<UInt64>(0)
    /// What found no room.
    private let dropped = Atomic<UInt64>(0)
    private let paddingAfter = InlineArray<8, UInt64>(repeating: 0)

    /// - Parameters:
    ///   - capacity: slots; a power of two, others are rounded up.
    ///   - wake: signalled when something comes into the empty ring.
    package init(capacity: Int = usualCapacity, wake: WakeEvent? = nil) {
        var rounded = 2
        while rounded < capacity, rounded < 1 << 20 { rounded *= 2 }
        self.capacity = rounded
        self.wake = wake
        unsafe self.slots = .allocate(byteCount: rounded * Self.slotByteCount, alignment: 64)
    }

    deinit { unsafe self.slots.deallocate() }

    private func slot(_ number: UInt64) -> UnsafeMutableRawBufferPointer {
        let index = Int(truncatingIfNeeded: number) & (self.capacity - 1)
        return unsafe UnsafeMutableRawBufferPointer(
            start: self.slots + index * Self.slotByteCount,
            count: Self.slotByteCount
        )
    }

    // MARK: The producer's side

    /// The memory of the next slot, which nobody sees before `commit`; `nil` when there is no room, which is counted.
    package func reserve() -> UnsafeMutableRawBufferPointer? {
        let tail = self.tail.load(ordering: .relaxed)
        guard tail &- self.head.load(ordering: .acquiring) < UInt64(self.capacity) else {
            self.dropped.store(self.dropped.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
            return nil
        }
        return unsafe self.slot(tail)
    }

    /// Hands over the slot that `reserve` gave.
    package func commit() {
        let tail = self.tail.load(ordering: .relaxed)
        self.tail.store(tail &+ 1, ordering: .sequentiallyConsistent)
        if self.head.load(ordering: .sequentiallyConsistent) == tail { self.wake?.signal() }
    }

    /// Slots that are free at least.
    package var freeCount: Int {
        let taken = self.tail.load(ordering: .relaxed) &- self.head.load(ordering: .acquiring)
        return self.capacity - Int(truncatingIfNeeded: taken)
    }

    // MARK: The consumer's side

    /// The oldest slot, or one that came `offset` later, to read and to change until `release`; `nil` when there is none.
    /// When it is the oldest that is missing, `wake` is signalled as soon as it comes.
    package func front(_ offset: Int = 0) -> UnsafeMutableRawBufferPointer? {
        let number = self.head.load(ordering: .relaxed) &+ UInt64(truncatingIfNeeded: offset)
        guard self.tail.load(ordering: .sequentiallyConsistent) != number else { return nil }
        return unsafe self.slot(number)
    }

    /// Gives the oldest slots back, all of which `front` gave.
    package func release(_ count: Int = 1) {
        let head = self.head.load(ordering: .relaxed)
        self.head.store(head &+ UInt64(truncatingIfNeeded: count), ordering: .sequentiallyConsistent)
    }

    // MARK: Anybody

    /// What found no room so far.
    package var droppedCount: UInt64 { self.dropped.load(ordering: .relaxed) }
}
