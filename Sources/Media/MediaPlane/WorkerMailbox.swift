import Synchronization

/// What other workers have to say to one worker about the tracks that cross between them: a few messages for each track
/// and change, never one for each packet.
///
/// Reliable and in order for each sender. The lock is held to append or to take the list, by control work only; the
/// worker's loop looks at `hasMail` first, so that a turn without mail takes no lock.
final class WorkerMailbox: Sendable {
    /// Requests that are made again anyway are dropped above this: a worker that does not read fills nobody's memory.
    private static let largestBacklog = 4_096

    let wake: WakeEvent
    private let messages = Mutex<[(from: Int, message: CrossingMessage)]>([])
    private let hasMail = Atomic<Bool>(false)

    init() throws(MediaPlaneError) { self.wake = try WakeEvent() }

    func post(_ message: CrossingMessage, from worker: Int) {
        let wasEmpty = self.messages.withLock { messages in
            guard messages.count < Self.largestBacklog || !message.isRepeatedAnyway else { return false }
            defer { messages.append((worker, message)) }
            return messages.isEmpty
        }
        guard wasEmpty else { return }
        self.hasMail.store(true, ordering: .releasing)
        self.wake.signal()
    }

    /// By the worker that owns it only.
    func take() -> [(from: Int, message: CrossingMessage)] {
        guard self.hasMail.exchange(false, ordering: .acquiringAndReleasing) else { return [] }
        return self.messages.withLock { messages in
            defer { messages = [] }
            return messages
        }
    }
}
