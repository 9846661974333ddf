import Basics
import NIOCore
import Synchronization

/// What waits to be sent on one WebSocket. Anybody may put something in, without waiting; one task sends.
///
/// Bounded in bytes and in time (ATTACKS A-70): a client that does not read is closed with 1013.
final class Outbox: Sendable {
    enum Item: Sendable, Equatable {
        case text([UInt8])
        case ping
        case pong([UInt8])
        case close(code: UInt16, reason: String)
    }

    private struct State {
        var queuedBytes = 0
        /// When the sending of the current item began.
        var sendingSince: Instant?
        var closing: Item?
        var isOverflowing = false
    }

    let items: AsyncStream<Item>
    private let continuation: AsyncStream<Item>.Continuation
    private let maxBytes: Int
    private let sendTimeout: Nanoseconds
    private let state = Mutex(State())

    init(maxBytes: Int, sendTimeout: Nanoseconds) {
        (self.items, self.continuation) = AsyncStream.makeStream()
        self.maxBytes = maxBytes
        self.sendTimeout = sendTimeout
    }

    /// Returns whether the item was taken: not after the end, and not past the bound.
    @discardableResult
    func put(_ item: Item) -> Bool {
        let size = Self.size(of: item)
        let isTaken = self.state.withLock { state in
            guard state.closing == nil else { return false }
            guard state.queuedBytes + size <= self.maxBytes else {
                state.isOverflowing = true
                state.closing = Self.tooSlow
                return false
            }
            state.queuedBytes += size
            return true
        }
        if isTaken { self.continuation.yield(item) } else { self.continuation.finish() }
        return isTaken
    }

    /// Ends the connection with this code. What was put in before is still sent.
    func close(code: UInt16, reason: String) {
        let item = Item.close(code: code, reason: reason)
        let isFirst = self.state.withLock { state in
            guard state.closing == nil else { return false }
            state.closing = item
            return true
        }
        guard isFirst else { return }
        self.continuation.yield(item)
        self.continuation.finish()
    }

    /// The connection is gone: nothing more can be sent.
    func abandon() {
        self.state.withLock { $0.closing = $0.closing ?? .close(code: 1006, reason: "") }
        self.continuation.finish()
    }

    // MARK: For the sending task

    /// Returns whether to send the item: after an overflow what is left is dropped.
    func startsSending(at now: Instant) -> Bool {
        self.state.withLock { state in
            guard !state.isOverflowing else { return false }
            state.sendingSince = now
            return true
        }
    }

    func sent(_ item: Item) {
        self.state.withLock { state in
            state.queuedBytes -= Self.size(of: item)
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

    private static let tooSlow = Item.close(code: 1013, reason: "the client does not read")

    private static func size(of item: Item) -> Int {
        switch item {
        case .text(let bytes), .pong(let bytes): bytes.count + 16
        case .ping, .close: 16
        }
    }
}
