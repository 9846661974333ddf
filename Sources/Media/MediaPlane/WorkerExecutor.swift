import Basics
import CLinux
import Synchronization

/// Runs a worker actor's jobs on that worker's own thread, between two waits for its sockets.
///
/// The control plane can so `await` a worker without a lock on any packet path. `assumeIsolated` from the thread costs
/// about 50 ns and is paid once for each turn of the loop, not for each packet.
///
/// Whoever awaits a worker that has stopped gets its answer too: from then on jobs run on the thread that brings them,
/// one after the other.
final class WorkerExecutor: SerialExecutor {
    private struct Pending {
        var jobs: [UnownedJob] = []
        /// The worker's thread runs no more jobs.
        var hasEnded = false
        /// A thread runs what there is since then, and what comes meanwhile.
        var isRunning = false
    }

    private let pending = Mutex(Pending())
    private let wake: WakeEvent
    /// The thread that runs the jobs; 0 = none.
    private let thread = Atomic<UInt64>(0)

    /// - Parameter wake: what the worker's loop waits on.
    init(wake: WakeEvent) { self.wake = wake }

    func adoptCurrentThread() { self.thread.store(cl_thread_id(), ordering: .releasing) }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        // The job may be what keeps the worker, and with it this: another thread may run it as soon as it is there.
        let kept = unsafe Unmanaged.passRetained(self)
        defer { unsafe kept.release() }
        let (wakes, runs) = self.pending.withLock { pending in
            defer { pending.jobs.append(job) }
            guard pending.hasEnded else { return (pending.jobs.isEmpty, false) }
            defer { pending.isRunning = true }
            return (false, !pending.isRunning)
        }
        if wakes { self.wake.signal() }
        if runs { self.runToTheEnd() }
    }

    func checkIsolated() {
        precondition(
            cl_thread_id() == self.thread.load(ordering: .acquiring),
            "a worker's state was touched from outside its thread"
        )
    }

    /// From the worker's thread only, once for each turn of its loop: at least one job, and no more once `budget` is
    /// used up, because media waits meanwhile. Returns whether jobs are left, which `wake` says nothing of.
    func runPendingJobs(for budget: Nanoseconds) -> Bool {
        let jobs = self.pending.withLock { pending in
            defer { pending.jobs.removeAll(keepingCapacity: true) }
            return pending.jobs
        }
        guard !jobs.isEmpty else { return false }
        let end = cl_monotonic_nanoseconds() + budget.count
        for (index, job) in jobs.enumerated() {
            unsafe job.runSynchronously(on: self.asUnownedSerialExecutor())
            let rest = jobs.index(after: index)
            guard rest < jobs.endIndex, cl_monotonic_nanoseconds() >= end else { continue }
            self.pending.withLock { $0.jobs.insert(contentsOf: jobs[rest...], at: 0) }
            return true
        }
        return false
    }

    /// From the worker's thread, as the last that it does.
    func end() {
        self.pending.withLock { pending in
            pending.hasEnded = true
            pending.isRunning = true
        }
        self.runToTheEnd()
    }

    /// Runs jobs on this thread until there are none.
    private func runToTheEnd() {
        self.adoptCurrentThread()
        while true {
            let jobs = self.pending.withLock { pending in
                if pending.jobs.isEmpty {
                    pending.isRunning = false
                    self.thread.store(0, ordering: .releasing)
                }
                defer { pending.jobs.removeAll() }
                return pending.jobs
            }
            guard !jobs.isEmpty else { return }
            for job in jobs { unsafe job.runSynchronously(on: self.asUnownedSerialExecutor()) }
        }
    }
}
