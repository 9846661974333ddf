package import Basics

/// Datagrams under way on one direction of a link, in the order of their arrival.
package struct DelayLine: Sendable {
    package struct Entry: Sendable, Equatable {
        /// When it is there.
        package var arrival: Instant
        /// When it entered the link.
        package var entry: Instant
        /// The other end.
        package var address: TransportAddress
        package var slot: Int32
        package var length: Int32

        package init(arrival: Instant, entry: Instant, address: TransportAddress, slot: Int32, length: Int32) {
            self.arrival = arrival
            self.entry = entry
            self.address = address
            self.slot = slot
            self.length = length
        }
    }

    private var entries: [Entry?] = []
    private var head = 0
    package private(set) var count = 0

    package init() {}

    package var nextArrival: Instant {
        self.count > 0 ? self.entries[self.head]?.arrival ?? .distantFuture : .distantFuture
    }

    package mutating func append(_ entry: Entry) {
        if self.count == self.entries.count { self.grow() }
        self.entries[(self.head + self.count) % self.entries.count] = entry
        self.count += 1
    }

    /// What has arrived, one at a time.
    package mutating func takeArrived(at now: Instant) -> Entry? {
        guard self.count > 0, self.nextArrival <= now else { return nil }
        return self.takeFirst()
    }

    package mutating func takeFirst() -> Entry? {
        guard self.count > 0 else { return nil }
        let entry = self.entries[self.head]
        self.entries[self.head] = nil
        self.head = (self.head + 1) % self.entries.count
        self.count -= 1
        return entry
    }

    private mutating func grow() {
        var larger: [Entry?] = []
        larger.reserveCapacity(max(16, self.count * 2))
        for offset in 0..<self.count { larger.append(self.entries[(self.head + offset) % self.entries.count]) }
        larger.append(contentsOf: repeatElement(nil, count: max(16, self.count * 2) - self.count))
        self.entries = larger
        self.head = 0
    }
}
