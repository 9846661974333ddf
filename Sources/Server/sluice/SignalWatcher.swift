import Dispatch
import Glibc
import Synchronization

/// The signals of the process. ServiceGroup's own handling knows no second signal, so it is done here.
final class SignalWatcher {
    enum Event: Sendable {
        /// SIGTERM or SIGINT, the first.
        case stop
        /// SIGHUP.
        case reload
    }

    let events: AsyncStream<Event>
    private let sources: [any DispatchSourceSignal]

    init() {
        let (events, continuation) = AsyncStream.makeStream(of: Event.self)
        let queue = DispatchQueue(label: "sluice.signals")
        let stops = StopCount()
        self.events = events
        self.sources = [SIGTERM, SIGINT, SIGHUP].map { number in
            // The default action would end the process before the source sees anything.
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler {
                guard number != SIGHUP else {
                    continuation.yield(.reload)
                    return
                }
                if stops.increment() > 1 { _exit(130) }
                continuation.yield(.stop)
            }
            source.resume()
            return source
        }
    }

    deinit { for source in self.sources { source.cancel() } }
}

/// How often the process was asked to stop.
private final class StopCount: Sendable {
    private let count = Atomic<Int>(0)

    func increment() -> Int { self.count.add(1, ordering: .relaxed).newValue }
}
