import Basics
import CLinux
import MediaControl
import Synchronization
import TestSupport
import Testing

@testable import MediaPlane

@Suite struct PacketRingTests {
    private static func put(_ value: UInt64, into ring: PacketRing) -> Bool {
        guard let slot = ring.reserve() else { return false }
        slot.storeBytes(of: value, as: UInt64.self)
        // At the other end too: what is seen must be whole.
        slot.storeBytes(of: ~value, toByteOffset: slot.count - 8, as: UInt64.self)
        ring.commit()
        return true
    }

    /// `nil` = it is empty; `UInt64.max` = a slot that is not whole.
    private static func take(from ring: PacketRing) -> UInt64? {
        guard let slot = ring.front() else { return nil }
        defer { ring.release() }
        let value = slot.load(as: UInt64.self)
        return slot.load(fromByteOffset: slot.count - 8, as: UInt64.self) == ~value ? value : .max
    }

    @Test func `what goes in comes out once, in order, through many turns of the ring`() {
        let ring = PacketRing(capacity: 8)
        var random = SeededRandom(seed: 41)
        var next: UInt64 = 0
        var expected: UInt64 = 0
        for _ in 0..<2_000 {
            for _ in 0..<Int.random(in: 0...8, using: &random) where Self.put(next, into: ring) { next += 1 }
            // Several at once: seen one after the other, given back together.
            var count = 0
            let limit = Int.random(in: 0...8, using: &random)
            while count < limit, let slot = ring.front(count) {
                #expect(slot.load(as: UInt64.self) == expected)
                expected += 1
                count += 1
            }
            ring.release(count)
        }
        while Self.take(from: ring) != nil { expected += 1 }
        #expect(expected == next)
        #expect(next > 4_000)
        #expect(ring.freeCount == 8)
    }

    @Test(arguments: [(2, 2), (5, 8), (1_000, 1_024)])
    func `a full ring refuses and counts, and goes on as soon as there is room`(asked: Int, capacity: Int) {
        let ring = PacketRing(capacity: asked)
        #expect(ring.capacity == capacity)
        for value in 0..<UInt64(capacity) { #expect(Self.put(value, into: ring)) }
        #expect(ring.freeCount == 0)
        for _ in 0..<3 { #expect(!Self.put(99, into: ring)) }
        #expect(ring.droppedCount == 3)
        #expect(Self.take(from: ring) == 0)
        #expect(Self.put(100, into: ring))
        #expect(!Self.put(101, into: ring))
        for value in 1..<UInt64(capacity) { #expect(Self.take(from: ring) == value) }
        #expect(Self.take(from: ring) == 100)
        #expect(Self.take(from: ring) == nil)
        #expect(ring.droppedCount == 4)
    }

    @Test func `the consumer is woken for what comes into the empty ring, and for nothing else`() throws {
        let wake = try WakeEvent()
        let ring = PacketRing(capacity: 8, wake: wake)
        #expect(!Self.isReadable(wake))
        _ = Self.put(1, into: ring)
        #expect(Self.isReadable(wake))
        wake.drain()
        _ = Self.put(2, into: ring)
        #expect(!Self.isReadable(wake))
        _ = Self.take(from: ring)
        _ = Self.put(3, into: ring)
        #expect(!Self.isReadable(wake))
        while Self.take(from: ring) != nil {}
        _ = Self.put(4, into: ring)
        #expect(Self.isReadable(wake))
    }

    private static func isReadable(_ wake: WakeEvent) -> Bool {
        let epoll = cl_epoll_create()
        defer { _ = cl_close(epoll) }
        _ = cl_epoll_add_readable(epoll, wake.descriptor, 0)
        var tag: UInt64 = 0
        return cl_epoll_wait(epoll, &tag, 1, 0) > 0
    }

    /// The consumer sleeps for good when a wake-up is lost.
    @Test func `between threads nothing is lost or torn, and the consumer never sleeps over a packet`() async throws {
        let count: UInt64 = 100_000
        let wake = try WakeEvent()
        let ring = PacketRing(capacity: 16, wake: wake)
        let tally = Tally()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await onThread {
                    var random = SeededRandom(seed: 43)
                    for value in 0..<count {
                        while !Self.put(value, into: ring) {
                            guard !tally.isOver.load(ordering: .relaxed) else { return }
                            letTheOtherRun()
                        }
                        // Lets the ring run empty now and then.
                        if UInt64.random(in: 0..<64, using: &random) == 0 { letTheOtherRun() }
                    }
                }
            }
            group.addTask { try await onThread { try Self.consume(count, of: ring, wokenBy: wake, tally) } }
            try await group.waitForAll()
        }
        #expect(tally.problems.load(ordering: .relaxed) == 0)
        #expect(tally.sleeps.load(ordering: .relaxed) > 0)
        #expect(ring.front() == nil)
    }

    private static func consume(_ count: UInt64, of ring: PacketRing, wokenBy wake: WakeEvent, _ tally: Tally) throws {
        let epoll = cl_epoll_create()
        defer {
            _ = cl_close(epoll)
            tally.isOver.store(true, ordering: .relaxed)
        }
        _ = cl_epoll_add_readable(epoll, wake.descriptor, 0)
        var expected: UInt64 = 0
        while expected < count {
            if let value = Self.take(from: ring) {
                if value != expected { tally.problems.wrappingAdd(1, ordering: .relaxed) }
                expected += 1
                continue
            }
            tally.sleeps.wrappingAdd(1, ordering: .relaxed)
            var tag: UInt64 = 0
            // Nobody else wakes it: after 20 s without it, the wake-up was lost.
            guard cl_epoll_wait(epoll, &tag, 1, 20_000_000_000) > 0 else { throw LostWakeUp() }
            wake.drain()
        }
    }

    private struct LostWakeUp: Error {}

    private final class Tally: Sendable {
        let problems = Atomic<Int>(0)
        let sleeps = Atomic<Int>(0)
        /// Nobody empties the ring any more.
        let isOver = Atomic<Bool>(false)
    }
}

@Suite struct WorkerMailboxTests {
    private static let track = PublishedTrack(session: SessionID(1), mid: "0")

    @Test func `what is lost for good is kept, what is asked for again is bounded`() throws {
        let mailbox = try WorkerMailbox()
        #expect(mailbox.take().isEmpty)
        for layer in 0..<5_000 { mailbox.post(.keyFrameWanted(Self.track, layer: layer), from: 3) }
        for id in 0..<10 { mailbox.post(.ended(mirror: UInt64(id)), from: 3) }
        let mail = mailbox.take()
        #expect(mail.count == 4_096 + 10)
        #expect(mail.allSatisfy { $0.from == 3 })
        let ended = mail.compactMap { if case .ended(let mirror) = $0.message { mirror } else { nil } }
        #expect(ended == Array(0..<10))
        #expect(mailbox.take().isEmpty)
        mailbox.post(.ended(mirror: 7), from: 1)
        #expect(mailbox.take().count == 1)
    }
}

/// Gives the other thread a chance.
private func letTheOtherRun() { _ = cl_thread_id() }

/// Runs what waits or spins on a thread of its own: there are no more threads for tasks than cores, and one side of a ring
/// would wait for the other one to be let onto them.
private func onThread(_ body: @escaping @Sendable () throws -> Void) async throws {
    try await withCheckedThrowingContinuation { continuation in
        let job = Unmanaged.passRetained(ThreadJob { continuation.resume(with: Result(catching: body)) })
        let result = cl_thread_start(
            "test",
            { context in
                guard let context else { return }
                Unmanaged<ThreadJob>.fromOpaque(context).takeRetainedValue().run()
            },
            job.toOpaque()
        )
        guard result != 0 else { return }
        job.release()
        continuation.resume(throwing: MediaPlaneError.systemRefused(call: "pthread_create", errno: result))
    }
}

private final class ThreadJob {
    let run: () -> Void
    init(_ run: @escaping () -> Void) { self.run = run }
}
