/// Virtual time in whole microseconds since the start of a run.
package typealias Microseconds = Int64

/// What is going to happen, earliest first; of equal times, what was put in first.
///
/// A binary heap of small keys over a slab of payloads, so that moving an entry does not move its packet.
package struct EventQueue<Payload: BitwiseCopyable> {
    private struct Entry {
        var time: Microseconds
        var order: UInt64
        var slot: Int32

        func isEarlier(than other: Entry) -> Bool {
            self.time != other.time ? self.time < other.time : self.order < other.order
        }
    }

    private var heap: [Entry] = []
    private var slab: [Payload] = []
    private var freeSlots: [Int32] = []
    private var insertions: UInt64 = 0

    package init() {}

    package var isEmpty: Bool { self.heap.isEmpty }
    package var nextTime: Microseconds? { self.heap.first?.time }

    package mutating func insert(_ payload: Payload, at time: Microseconds) {
        let slot: Int32
        if let free = self.freeSlots.popLast() {
            slot = free
            self.slab[Int(free)] = payload
        } else {
            slot = Int32(self.slab.count)
            self.slab.append(payload)
        }
        self.insertions += 1
        let entry = Entry(time: time, order: self.insertions, slot: slot)
        self.heap.append(entry)
        var hole = self.heap.count - 1
        while hole > 0 {
            let parent = (hole - 1) / 2
            guard entry.isEarlier(than: self.heap[parent]) else { break }
            self.heap[hole] = self.heap[parent]
            hole = parent
        }
        self.heap[hole] = entry
    }

    package mutating func next() -> (time: Microseconds, payload: Payload)? {
        guard let first = self.heap.first, let last = self.heap.popLast() else { return nil }
        self.freeSlots.append(first.slot)
        let count = self.heap.count
        if count > 0 {
            var hole = 0
            while true {
                var child = 2 * hole + 1
                guard child < count else { break }
                if child + 1 < count, self.heap[child + 1].isEarlier(than: self.heap[child]) { child += 1 }
                guard self.heap[child].isEarlier(than: last) else { break }
                self.heap[hole] = self.heap[child]
                hole = child
            }
            self.heap[hole] = last
        }
        return (first.time, self.slab[Int(first.slot)])
    }
}
