import CLinux
import Synchronization

/// Runs a worker actor's jobs on that worker's own thread, between two waits for its sockets.
///
/// The control plane can so `await` a worker without a lock on any packet path. `assumeIsolated` from the thread costs
/// about 50 ns and is paid once for each turn of the loop, not for each packet.
final class WorkerExecutor: SerialExecutor {
    private let jobs = Mutex<[UnownedJob]>([])
    private let wake: WakeEvent
    /// The thread that runs the jobs; 0 before it has started.
    private let thread = Atomic<UInt64>(0)

    /// - Parameter wake: what the worker's loop waits on.
    init(wake: WakeEvent) { self.wake = wake }

    func adoptCurrentThread() { self.thread.store(cl_thread_id(), ordering: .releasing) }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let wasEmpty = self.jobs.withLock { jobs in
            defer { jobs.append(job) }
            return jobs.isEmpty
        }
        if wasEmpty { self.wake.signal() }
    }

    func checkIsolated() {
        precondition(
            cl_thread_id() == self.thread.load(ordering: .acquiring),
            "a worker's state was touched from outside its thread"
        )
    }

    /// From the worker's thread only, once for each turn of its loop.
    func runPendingJobs() {
        let pending = self.jobs.withLock { jobs in
            defer { jobs.removeAll(keepingCapacity: true) }
            return jobs
        }
        for job in pending { unsafe job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }
}
