import CTraffic
import Glibc
import LoopbackPeers

/// A server that always finds packets to forward, however fast it is.
///
/// Nobody reads what most of its subscribers are sent, so that the machine's cores are the workers': the kernel drops it at
/// the subscriber's socket, in the worker's time. Of each worker two subscribers are read: the one that it serves first
/// paces the publishers, so that the next packets are there when the last one has got these.
final class SaturatedServer {
    private static let stride = 1_536
    /// One that no worker has, or the second worker's.
    static let sourceCore: CInt = sysconf(CInt(_SC_NPROCESSORS_ONLN)) > 2 ? 2 : 1
    private let scenario: Scenario
    private let server: Server
    /// Bursts that are sealed and not yet sent, so that sealing takes none of the second worker's time.
    private var bursts: [Burst] = []
    /// The first subscriber of each worker, then the last of each.
    private let samples: [OpaquePointer]
    /// Packets that these have got.
    private var arrived: [ct_counts]
    /// The next packet of each publisher.
    private var index = 0
    /// By all publishers, since the beginning.
    private(set) var published = 0

    init(_ scenario: Scenario, cipher: String, cores: [CInt]) async throws {
        self.scenario = scenario
        self.server = try await Server(scenario, cipher: cipher, cores: cores)
        let sockets = self.server.subscriberSockets
        let sampled = sockets.prefix(cores.count) + sockets.suffix(cores.count)
        self.samples = sampled.compactMap { socket in withUnsafePointer(to: socket) { ct_sinks_make($0, 1) } }
        self.arrived = self.samples.map { _ in ct_counts() }
        guard self.samples.count == 2 * cores.count else { throw Failure("no epoll") }
        for socket in sockets.dropFirst(cores.count).dropLast(cores.count) where ct_shrink(socket) != 0 {
            throw Failure("no small buffer")
        }
    }

    deinit {
        for sample in self.samples { ct_sinks_free(sample) }
        for burst in self.bursts { burst.bytes.deallocate() }
    }

    /// Packets of one publisher that leave together.
    private struct Burst {
        var socket: CInt
        var bytes: UnsafeMutableRawBufferPointer
        var length: Int
    }

    struct Round {
        /// To all subscribers together.
        var packetsPerSecond: Double
        /// Of all workers' CPU, for each packet to one subscriber.
        var nanosecondsPerPacket: Double
        /// Of each worker's CPU, for each packet to one of its own subscribers.
        var nanosecondsByWorker: [Double]
        /// CPU of all workers, in cores.
        var busyCores: Double
    }

    /// One round of so many published packets, after a few that do not count.
    func run(packets: Int) throws -> Round {
        // Swift may go on with another thread after each wait.
        _ = ct_run_on(Self.sourceCore)
        self.server.refresh()
        let first = 4 * self.scenario.burst * self.scenario.publishers
        for _ in 0..<(first + packets) / (self.scenario.burst * self.scenario.publishers) { self.sealBursts() }
        // The first to be sent is the last.
        self.bursts.reverse()
        try self.send(packets: first)
        let (began, before) = (ct_now_nanoseconds(), self.workerTimes)
        try self.send(packets: packets)
        let seconds = Double(ct_now_nanoseconds() - began) / 1e9
        let times = zip(self.workerTimes, before).map { Double($0 - $1) }
        let used = times.reduce(0, +)
        let forwarded = Double(packets * self.scenario.subscribers)
        return Round(
            packetsPerSecond: forwarded / seconds,
            nanosecondsPerPacket: used / forwarded,
            // Subscribers take turns, and there is an even number of them.
            nanosecondsByWorker: times.map { $0 / (forwarded / Double(times.count)) },
            busyCores: used / 1e9 / seconds
        )
    }

    private var workerTimes: [Int64] { self.server.threads.map { ct_cpu_nanoseconds($0) } }

    private func send(packets: Int) throws {
        let end = self.published + packets
        var lastProgress = (packets: UInt64(0), at: ct_now_nanoseconds())
        while true {
            // Until all is sent, those that are served first count; then the last.
            let counted =
                self.published < end ? self.samples.indices.prefix(self.samples.count / 2) : self.samples.indices
            let slowest = counted.min { self.arrived[$0].packets < self.arrived[$1].packets } ?? 0
            let arrived = self.arrived[slowest].packets
            if arrived >= end { return }
            let isFull = self.published >= end || self.published - Int(arrived) >= self.scenario.window
            if !isFull { try self.sendBursts() }
            for sample in self.samples.indices {
                ct_sinks_drain(self.samples[sample], sample == slowest && isFull ? 1 : 0, &self.arrived[sample])
            }
            if arrived > lastProgress.packets {
                lastProgress = (arrived, ct_now_nanoseconds())
            } else if ct_now_nanoseconds() - lastProgress.at > 1_000_000_000 {
                throw Failure("of \(self.published) packets a worker forwarded \(arrived), and no more for a second")
            }
        }
    }

    /// One burst of each publisher.
    private func sealBursts() {
        for (publisher, socket) in self.server.publisherSockets.enumerated() {
            let bytes = UnsafeMutableRawBufferPointer.allocate(
                byteCount: self.scenario.burst * Self.stride,
                alignment: 64
            )
            var length = 0
            for place in 0..<self.scenario.burst {
                let slot = UnsafeMutableRawBufferPointer(
                    rebasing: bytes[place * Self.stride..<(place + 1) * Self.stride]
                )
                length = self.server.seal(publisher: publisher, index: self.index + place, into: slot)
            }
            self.bursts.append(Burst(socket: socket, bytes: bytes, length: length))
        }
        self.index += self.scenario.burst
    }

    /// One burst of each publisher.
    private func sendBursts() throws {
        let (stride, count) = (CInt(Self.stride), CInt(self.scenario.burst))
        for _ in 0..<self.scenario.publishers {
            guard let burst = self.bursts.popLast() else { throw Failure("nothing is sealed") }
            defer { burst.bytes.deallocate() }
            let bytes = burst.bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            guard burst.length > 0,
                ct_send_run(burst.socket, self.server.port, bytes, stride, CInt(burst.length), count) == 1
            else { throw Failure("a burst was not sent") }
        }
        self.published += self.scenario.burst * self.scenario.publishers
    }

    /// What a message to a subscriber holds, on the average since the beginning.
    var packetsPerMessage: Double {
        let packets = self.arrived.reduce(0) { $0 + $1.packets }
        return Double(packets) / Double(max(1, self.arrived.reduce(0) { $0 + $1.messages }))
    }

    /// Packets to subscribers that the workers have counted. They tell a few times a second.
    var forwarded: UInt64 { self.server.forwarded }

    func stop() async { await self.server.stop() }
}
