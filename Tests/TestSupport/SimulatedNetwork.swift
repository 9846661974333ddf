package import Basics
package import RTP

/// A network in virtual time: datagrams between addresses, with loss, delay, jitter, reordering and duplication.
///
/// The same seed gives the same run. It knows nothing of what it carries.
package struct SimulatedNetwork {
    /// What one direction of a path does to datagrams.
    package struct Impairment: Sendable {
        /// 0 to 1.
        package var loss: Double
        package var delay: Nanoseconds
        /// Added to the delay, uniformly from 0 to this: alone it reorders what is sent closer together.
        package var jitter: Nanoseconds
        /// The share of datagrams that are held back for another `delay`, so that later ones overtake them.
        package var reordering: Double
        package var duplication: Double

        package init(
            loss: Double = 0,
            delay: Nanoseconds = .milliseconds(10),
            jitter: Nanoseconds = .zero,
            reordering: Double = 0,
            duplication: Double = 0
        ) {
            self.loss = loss
            self.delay = delay
            self.jitter = jitter
            self.reordering = reordering
            self.duplication = duplication
        }

        package static let perfect = Impairment(delay: .milliseconds(1))
    }

    package struct Delivery {
        package let bytes: [UInt8]
        package let from: TransportAddress
        package let to: TransportAddress
        package let at: Instant
        /// The ECN bits of its IP header.
        package let mark: ECNMark
        fileprivate let order: Int
    }

    package var impairment: Impairment
    /// Links with a capacity and a queue, by the address that they lead to; they take the place of impairments.
    private var links: [TransportAddress: (link: Link, start: Instant)] = [:]
    /// For one address as sender or receiver, in place of the general one.
    private var overrides: [TransportAddress: Impairment] = [:]
    /// A binary heap, earliest first.
    private var queue: [Delivery] = []
    private var random: SeededRandom
    private var sentCount = 0
    package private(set) var lostCount = 0

    package init(impairment: Impairment, seed: UInt64) {
        self.impairment = impairment
        self.random = SeededRandom(seed: seed)
    }

    package mutating func setImpairment(_ impairment: Impairment?, of address: TransportAddress) {
        self.overrides[address] = impairment
    }

    /// Puts a link in front of one address, in place of its impairment; `nil` takes it away.
    ///
    /// The link's schedules begin at `start`. Datagrams count with their IP and UDP headers.
    package mutating func setLink(
        _ configuration: LinkConfiguration?,
        to address: TransportAddress,
        from start: Instant
    ) {
        let seed = self.random.next()
        self.links[address] = configuration.map { (Link($0, seed: seed), start) }
    }

    /// Returns `false` when there is no link to this address.
    private mutating func sendOverLink(
        _ bytes: [UInt8],
        from: TransportAddress,
        to: TransportAddress,
        mark: ECNMark,
        at now: Instant
    ) -> Bool {
        guard let start = self.links[to]?.start else { return false }
        let time = max((now - start).count / 1_000, 0)
        let wireBytes = bytes.count + SimulatedPacket.headerBytes
        guard let outcome = self.links[to]?.link.send(bytes: wireBytes, at: time) else { return false }
        guard case .arrives(let arrival, _, let isMarked) = outcome else {
            self.lostCount += 1
            return true
        }
        self.sentCount += 1
        let instant = start + .microseconds(arrival)
        let told = isMarked && mark != .notCapable ? .congestionExperienced : mark
        self.push(Delivery(bytes: bytes, from: from, to: to, at: instant, mark: told, order: self.sentCount))
        return true
    }

    /// - Parameter mark: its ECN bits; a link that marks makes `congestionExperienced` of those that are capable.
    package mutating func send(
        _ bytes: [UInt8],
        from: TransportAddress,
        to: TransportAddress,
        mark: ECNMark = .notCapable,
        at now: Instant
    ) {
        if self.sendOverLink(bytes, from: from, to: to, mark: mark, at: now) { return }
        let path = self.overrides[from] ?? self.overrides[to] ?? self.impairment
        let copies = self.random.chance(path.duplication) ? 2 : 1
        for _ in 0..<copies {
            if self.random.chance(path.loss) {
                self.lostCount += 1
                continue
            }
            var arrival = now + path.delay
            if path.jitter > .zero {
                arrival = arrival + Nanoseconds(Int64.random(in: 0...path.jitter.count, using: &self.random))
            }
            if self.random.chance(path.reordering) { arrival = arrival + path.delay }
            self.sentCount += 1
            self.push(Delivery(bytes: bytes, from: from, to: to, at: arrival, mark: mark, order: self.sentCount))
        }
    }

    /// When the next datagram arrives; `nil` when none is under way.
    package var nextArrival: Instant? { self.queue.first?.at }

    /// The next datagram that has arrived by `now`.
    package mutating func receive(by now: Instant) -> Delivery? {
        guard let first = self.queue.first, first.at <= now else { return nil }
        return self.pop()
    }

    private static func isEarlier(_ lhs: Delivery, _ rhs: Delivery) -> Bool {
        (lhs.at, lhs.order) < (rhs.at, rhs.order)
    }

    private mutating func push(_ delivery: Delivery) {
        self.queue.append(delivery)
        var child = self.queue.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard Self.isEarlier(self.queue[child], self.queue[parent]) else { return }
            self.queue.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func pop() -> Delivery {
        self.queue.swapAt(0, self.queue.count - 1)
        let first = self.queue.removeLast()
        var parent = 0
        while true {
            var smallest = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < self.queue.count && Self.isEarlier(self.queue[child], self.queue[smallest]) {
                smallest = child
            }
            guard smallest != parent else { return first }
            self.queue.swapAt(parent, smallest)
            parent = smallest
        }
    }
}
