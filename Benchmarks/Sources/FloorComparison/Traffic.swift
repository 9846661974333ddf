import CTraffic
import LoopbackPeers

/// What a round of traffic through a forwarder gave.
struct RoundResult {
    /// Of the forwarder's CPU, for each packet that a subscriber got.
    var nanosecondsPerPacket = 0.0
    /// Packets that arrived in one message: what was sent with UDP_SEGMENT stays together on the loopback.
    var packetsPerMessage = 0.0
    var lost = 0
}

/// Something that forwards, with the sockets of its publishers and subscribers.
protocol Forwarder: AnyObject {
    var port: UInt16 { get }
    /// The thread whose CPU time counts.
    var thread: CInt { get }
    var publisherSockets: [CInt] { get }
    var sinks: OpaquePointer { get }
    /// Writes publisher `publisher`'s packet number `index`, sealed, to the front of `buffer`; returns its length.
    func seal(publisher: Int, index: Int, into buffer: UnsafeMutableRawBufferPointer) -> Int
}

/// Keeps a forwarder busy: a new burst whenever fewer than `window` packets are on their way.
final class Traffic {
    private static let stride = 1_536
    private let scenario: Scenario
    private let forwarder: any Forwarder
    /// The next packet of each publisher.
    private var index = 0
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * Traffic.stride, alignment: 64)

    init(_ scenario: Scenario, through forwarder: any Forwarder) {
        self.scenario = scenario
        self.forwarder = forwarder
    }

    deinit { self.buffer.deallocate() }

    /// One round of so many published packets, after a few that do not count.
    func run(packets: Int) -> RoundResult {
        // Swift may go on with another thread after each wait.
        _ = ct_run_on(1)
        _ = self.send(packets: 4 * self.scenario.burst * self.scenario.publishers)
        let before = ct_cpu_nanoseconds(self.forwarder.thread)
        let (counts, lost) = self.send(packets: packets)
        let used = ct_cpu_nanoseconds(self.forwarder.thread) - before
        return RoundResult(
            nanosecondsPerPacket: Double(used) / Double(max(1, counts.packets)),
            packetsPerMessage: Double(counts.packets) / Double(max(1, counts.messages)),
            lost: lost
        )
    }

    private func send(packets: Int) -> (counts: ct_counts, lost: Int) {
        var counts = ct_counts()
        let subscribers = self.scenario.subscribers
        var sent = 0
        var lost = 0
        var progress = (packets: UInt64(0), at: ct_now_nanoseconds())
        while true {
            let outstanding = sent * subscribers - Int(counts.packets) - lost
            if sent < packets, outstanding < self.scenario.window * subscribers {
                sent += self.sendBurst()
                ct_sinks_drain(self.forwarder.sinks, 0, &counts)
                continue
            }
            if sent >= packets, outstanding <= 0 { return (counts, lost) }
            ct_sinks_drain(self.forwarder.sinks, 1, &counts)
            if counts.packets > progress.packets {
                progress = (counts.packets, ct_now_nanoseconds())
            } else if ct_now_nanoseconds() - progress.at > 100_000_000 {
                // Nothing has come for a tenth of a second: what is missing will not.
                lost += outstanding
                progress.at = ct_now_nanoseconds()
            }
        }
    }

    /// One burst of each publisher. Returns how many packets it was.
    private func sendBurst() -> Int {
        for (publisher, socket) in self.forwarder.publisherSockets.enumerated() {
            var length = 0
            for place in 0..<self.scenario.burst {
                let slot = UnsafeMutableRawBufferPointer(
                    rebasing: self.buffer[place * Self.stride..<(place + 1) * Self.stride]
                )
                length = self.forwarder.seal(publisher: publisher, index: self.index + place, into: slot)
            }
            let bytes = self.buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
            let stride = CInt(Self.stride)
            guard length > 0,
                ct_send_run(socket, self.forwarder.port, bytes, stride, CInt(length), CInt(self.scenario.burst)) == 1
            else { fatalError("not sent") }
        }
        self.index += self.scenario.burst
        return self.scenario.burst * self.scenario.publishers
    }
}
