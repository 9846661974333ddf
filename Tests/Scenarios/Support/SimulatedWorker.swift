import Basics
import MediaPlane
import PeerSession

/// One worker of a simulated call: a router, its sockets, and what it wants to send.
final class SimulatedWorker {
    final class Outbox {
        var datagrams: [(bytes: [UInt8], to: TransportAddress, socket: Int, isMarked: Bool)] = []
        /// What time it is when the kernel would have taken what a busy worker sends; `nil` = it takes no time.
        var clock: () -> Instant? = { nil }
    }

    var router: MediaRouter
    let outbox: Outbox
    let sockets: [TransportAddress]
    /// Takes nothing out of its rings, as one that is busy with something else.
    var isStalled = false

    init(configuration: MediaRouter.Configuration, sockets: [TransportAddress], seed: UInt64, at now: Instant) {
        let outbox = Outbox()
        guard
            let egress = EgressQueue(
                descriptors: [],
                sink: { bytes, to, socket, isMarked in
                    outbox.datagrams.append((Array(bytes), to, socket, isMarked))
                },
                sinkClock: { outbox.clock() }
            )
        else { preconditionFailure("no memory") }
        self.outbox = outbox
        self.sockets = sockets
        self.router = MediaRouter(
            configuration: configuration,
            egress: egress,
            wallClock: NTPTime(unixNanoseconds: 1_795_000_000_000_000_000),
            randomSeed: seed,
            at: now
        )
    }
}

extension SimulatedCall {
    /// Carries what workers have for each other until nothing is left, but for the packets of those that are stalled.
    func exchangeCrossings() {
        guard self.workers.count > 1 else { return }
        var hasMoved = true
        while hasMoved {
            hasMoved = false
            for (index, worker) in self.workers.enumerated() {
                for (other, message) in worker.router.takeCrossingMessages() {
                    hasMoved = true
                    self.workers[other].router.receive(message, from: index, at: self.now)
                }
            }
            for worker in self.workers where !worker.isStalled {
                while worker.router.receiveCrossings(at: self.now) {}
            }
        }
    }
}
