import Basics
import NIOCore
import Synchronization

/// What waits to be sent on one WebSocket. Anybody may put something in, without waiting; one task sends.
///
/// Bounded in bytes and in time (ATTACKS A-70): a client that does not read is closed with 1013. What other clients make
/// the server say can't bring that about: see `Standing`.
final class Outbox: Sendable {
    enum Item: Sendable, Equatable {
        case text([UInt8])
        case ping
        case pong([UInt8])
        case close(code: UInt16, reason: String)
    }

    /// What may become of an item that waits.
    enum Standing: Sendable, Equatable {
        /// Sent, or the connection is closed.
        case required
        /// Refused past half of the bound: the rest is for the server's own messages.
        case expendable
        /// Replaces the one of the same topic that still waits: only the last state is of use.
        case latest(Topic)
    }

    struct Topic: Sendable, Hashable {
        /// The type of message, and what it is about.
        let type: String
        let subject: String
    }

    fileprivate struct Entry {
        let item: Item
        let topic: Topic?
    }

    fileprivate struct State {
        /// From `first` on; `nil` = replaced by a later one.
        var entries: [Entry?] = []
        var first = 0
        /// Counts all entries that ever were, so that it stays right while `entries` is shortened at its front.
        var removedCount = 0
        var replacedCount = 0
        var positions: [Topic: Int] = [:]
        var queuedBytes = 0
        /// When the sending of the current batch began.
        var sendingSince: Instant?
        var closing: Item?
        var isOverflowing = false
    }

    /// One for each time that there may be something to take; ends when nothing more will come.
    let signals: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation
    private let maxBytes: Int
    private let sendTimeout: Nanoseconds
    private let state = Mutex(State())

    init(maxBytes: Int, sendTimeout: Nanoseconds) {
        (self.signals, self.continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        self.maxBytes = maxBytes
        self.sendTimeout = sendTimeout
    }

    /// Returns whether the item was taken: not after the end, and not past the bound that its standing has.
    @discardableResult
    func put(_ item: Item, as standing: Standing = .required) -> Bool {
        let size = Self.size(of: item)
        let (isTaken, isOver) = self.state.withLock { state in
            guard state.closing == nil else { return (false, true) }
            var topic: Topic?
            switch standing {
            case .required: break
            case .expendable:
                guard state.queuedBytes + size <= self.maxBytes / 2 else { return (false, false) }
            case .latest(let named):
                topic = named
                state.removeEntry(for: named)
            }
            guard state.queuedBytes + size <= self.maxBytes else {
                state.isOverflowing = true
                state.closing = Self.tooSlow
                return (false, true)
            }
            state.append(Entry(item: item, topic: topic))
            return (true, false)
        }
        if isTaken { self.continuation.yield() }
        if isOver { self.continuation.finish() }
        return isTaken
    }

    /// Ends the connection with this code. What was put in before is still sent.
    func close(code: UInt16, reason: String) {
        let item = Item.close(code: code, reason: reason)
        self.state.withLock { state in
            guard state.closing == nil else { return }
            state.closing = item
            state.append(Entry(item: item, topic: nil))
        }
        self.continuation.yield()
        self.continuation.finish()
    }

    /// The connection is gone: nothing more can be sent.
    func abandon() {
        self.state.withLock { $0.closing = $0.closing ?? .close(code: 1006, reason: "") }
        self.continuation.finish()
    }

    // MARK: For the sending task

    /// Takes out what is to be sent next, in one piece: while many join a room, one send call for each of them and each
    /// message is most of what the joins cost. Empty = nothing for now. After an overflow what is left is dropped.
    func takeBatch(at now: Instant) -> [Item] {
        self.state.withLock { state in
            var batch: [Item] = []
            var bytes = 0
            while batch.count < Self.largestBatchCount, bytes < Self.largestBatchBytes, !state.isOverflowing,
                let item = state.popFirst()
            {
                bytes += Self.size(of: item)
                batch.append(item)
            }
            if !batch.isEmpty { state.sendingSince = now }
            return batch
        }
    }

    func sent(_ batch: [Item]) {
        self.state.withLock { state in
            for item in batch { state.queuedBytes -= Self.size(of: item) }
            state.sendingSince = nil
        }
    }

    /// The close frame for a client that does not read, once that is certain.
    func verdict(at now: Instant) -> Item? {
        self.state.withLock { state in
            let isStuck = state.sendingSince.map { now - $0 >= self.sendTimeout } ?? false
            guard isStuck || state.isOverflowing else { return nil }
            state.isOverflowing = true
            state.closing = state.closing ?? Self.tooSlow
            return Self.tooSlow
        }
    }

    var isOverflowing: Bool { self.state.withLock { $0.isOverflowing } }

    private static let largestBatchCount = 64
    private static let largestBatchBytes = 16_384
    private static let tooSlow = Item.close(code: 1013, reason: "the client does not read")

    fileprivate static func size(of item: Item) -> Int {
        switch item {
        case .text(let bytes), .pong(let bytes): bytes.count + 16
        case .ping, .close: 16
        }
    }
}

extension Outbox.State {
    mutating func append(_ entry: Outbox.Entry) {
        if let topic = entry.topic { self.positions[topic] = self.removedCount + self.entries.count }
        self.entries.append(entry)
        self.queuedBytes += Outbox.size(of: entry.item)
    }

    mutating func removeEntry(for topic: Outbox.Topic) {
        guard let position = self.positions.removeValue(forKey: topic) else { return }
        let index = position - self.removedCount
        guard self.entries.indices.contains(index), let entry = self.entries[index] else { return }
        self.queuedBytes -= Outbox.size(of: entry.item)
        self.entries[index] = nil
        self.replacedCount += 1
        if self.replacedCount > 64, self.replacedCount > self.entries.count / 2 { self.removeGaps() }
    }

    mutating func popFirst() -> Outbox.Item? {
        while self.first < self.entries.count {
            let entry = self.entries[self.first]
            self.entries[self.first] = nil
            self.first += 1
            if self.first == self.entries.count || self.first >= 64 { self.removeTaken() }
            guard let entry else {
                self.replacedCount -= 1
                continue
            }
            if let topic = entry.topic { self.positions[topic] = nil }
            return entry.item
        }
        return nil
    }

    private mutating func removeTaken() {
        self.entries.removeFirst(self.first)
        self.removedCount += self.first
        self.first = 0
    }

    /// A client that does not read, and much that is replaced: without this the gaps would grow without a bound.
    private mutating func removeGaps() {
        self.removeTaken()
        self.entries.removeAll { $0 == nil }
        self.replacedCount = 0
        for (index, entry) in self.entries.enumerated() {
            if let topic = entry?.topic { self.positions[topic] = self.removedCount + index }
        }
    }
}
