import Basics
import CLinux

/// How busy a worker's loop is, and the publishing of its counters.
struct LoopStatistics {
    private static let publishInterval = Nanoseconds.milliseconds(100)
    private static let busyInterval = Nanoseconds.seconds(1)

    private var nextPublish = Instant.zero
    private var busySince = Instant.zero
    private var cpuAtBusySince: Int64 = 0
    private var busyPermille: UInt64 = 0
    /// SO_RXQ_OVFL is a running count for each descriptor: of 12 sockets, two each.
    private var overflow = InlineArray<32, UInt32>(repeating: 0)
    private(set) var dropped: UInt64 = 0
    private var socketWait = DurationHistogram<ForwardingScale>()

    mutating func socketDropped(_ count: UInt32, socket: Int) {
        guard socket < 32 else { return }
        // A batch in which the kernel says nothing has 0. Else only growth counts, over the turn of the count too.
        let growth = Int32(bitPattern: count &- self.overflow[socket])
        guard count != 0, growth > 0 else { return }
        self.dropped &+= UInt64(growth)
        self.overflow[socket] = count
    }

    /// Notes a read of a socket: how long its oldest datagram had lain there.
    mutating func read(wait: Nanoseconds) { self.socketWait.record(wait) }

    mutating func publishIfDue(at now: Instant, router: inout MediaRouter, to shared: SharedCounters) {
        guard now >= self.nextPublish else { return }
        self.nextPublish = now + Self.publishInterval
        if now - self.busySince >= Self.busyInterval {
            let cpu = cl_thread_cpu_nanoseconds()
            let elapsed = (now - self.busySince).count
            if self.busySince != .zero, elapsed > 0 {
                self.busyPermille = UInt64(max(0, min(1_000, (cpu - self.cpuAtBusySince) * 1_000 / elapsed)))
            }
            self.busySince = now
            self.cpuAtBusySince = cpu
        }
        var counters = router.currentCounters()
        counters.busyPermille = self.busyPermille
        counters.socketDropped = self.dropped
        counters.socketWait = self.socketWait
        shared.publish(counters)
    }
}
