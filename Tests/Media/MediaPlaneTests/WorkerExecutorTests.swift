import Basics
import Synchronization
import Testing

@testable import MediaPlane

/// What jobs take of a loop's time is bounded, because media waits meanwhile.
@Suite struct WorkerExecutorTests {
    /// Lives on an executor, as a worker does, and keeps the order in which it was asked.
    private actor Resident {
        private let executor: WorkerExecutor
        private let order: Order

        init(on executor: WorkerExecutor, order: Order) {
            self.executor = executor
            self.order = order
        }

        nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe self.executor.asUnownedSerialExecutor() }

        /// - Parameter meanwhile: done while the job runs.
        func visit(_ number: Int, meanwhile: @Sendable () -> Void = {}) {
            self.order.numbers.withLock { $0.append(number) }
            meanwhile()
        }
    }

    private final class Order: Sendable {
        let numbers = Mutex<[Int]>([])
        var all: [Int] { self.numbers.withLock { $0 } }
    }

    @Test func `jobs for which there is no more time wait for the next turn, in their order`() throws {
        let executor = WorkerExecutor(wake: try WakeEvent())
        let order = Order()
        let resident = Resident(on: executor, order: order)
        // What comes while a job runs, and what comes after its turn, is behind what waits.
        Task.immediate { await resident.visit(1) { Task.immediate { await resident.visit(6) } } }
        for number in 2...5 { Task.immediate { await resident.visit(number) } }
        #expect(order.all == [])
        for turn in 1...2 {
            #expect(executor.runPendingJobs(for: .zero))
            #expect(order.all == Array(1...turn))
        }
        Task.immediate { await resident.visit(7) }
        while executor.runPendingJobs(for: .seconds(60)) {}
        #expect(order.all == Array(1...7))
        #expect(executor.runPendingJobs(for: .zero) == false)
    }

    @Test func `jobs that wait when a worker ends are done by the last turn`() throws {
        let executor = WorkerExecutor(wake: try WakeEvent())
        let order = Order()
        let resident = Resident(on: executor, order: order)
        for number in 1...3 { Task.immediate { await resident.visit(number) } }
        #expect(executor.runPendingJobs(for: .zero))
        executor.end()
        #expect(order.all == [1, 2, 3])
        Task.immediate { await resident.visit(4) }
        #expect(order.all == [1, 2, 3, 4])
    }
}
