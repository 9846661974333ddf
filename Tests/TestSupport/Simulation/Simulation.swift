package import Basics

/// Something that sends and receives in a simulation.
package class Endpoint {
    package fileprivate(set) var index = -1
    /// When the simulation is going to call `wake`; `.max` = never.
    fileprivate var wakeAt = Microseconds.max

    package init() {}

    /// Called once, when it is added.
    package func start(in simulation: Simulation) {}
    package func receive(_ packet: SimulatedPacket, in simulation: Simulation) {}
    package func wake(in simulation: Simulation) {}
}

/// A link, and how long packets of one flow travel besides: flows of different round-trip times share bottlenecks.
package struct SimulatedPath: Sendable {
    package var link: Int
    package var extraDelay: Microseconds

    package init(link: Int, extraDelay: Microseconds = 0) {
        self.link = link
        self.extraDelay = extraDelay
    }
}

/// A network in virtual time: endpoints, links between them, and the events to come.
///
/// No clock, no sockets, no threads: a run is decided by its seed. `traceHash` is over every arrival and every estimate,
/// so two runs that differ anywhere have different ones.
package final class Simulation {
    private enum Event: BitwiseCopyable {
        case arrival(SimulatedPacket)
        case wake(Int32)
    }

    package let seed: UInt64
    package private(set) var now: Microseconds = 0
    package private(set) var traceHash: UInt64 = 0xCBF2_9CE4_8422_2325
    private var events = EventQueue<Event>()
    private var endpoints: [Endpoint] = []
    private var links: [Link] = []
    private var payloads: [[UInt8]] = []
    private var freePayloads: [Int32] = []
    private var randomCount: UInt64 = 0

    package init(seed: UInt64) { self.seed = seed }

    package var instant: Instant { Instant(simulated: self.now) }

    /// A source of randomness of its own for everything that needs one, so that a change in one does not move others.
    package func makeSeed() -> UInt64 {
        self.randomCount += 1
        var random = SeededRandom(seed: self.seed &* 0x1_0000 &+ self.randomCount)
        return random.next()
    }

    package func addLink(_ configuration: LinkConfiguration) -> Int {
        self.links.append(Link(configuration, seed: self.makeSeed()))
        return self.links.count - 1
    }

    @discardableResult
    package func add<E: Endpoint>(_ endpoint: E) -> E {
        endpoint.index = self.endpoints.count
        self.endpoints.append(endpoint)
        endpoint.start(in: self)
        return endpoint
    }

    /// Puts a packet on a path. What does not arrive is not told to anybody.
    @discardableResult
    package func transmit(_ packet: SimulatedPacket, over path: SimulatedPath) -> Link.Outcome {
        let outcome = self.links[path.link].send(bytes: Int(packet.wireBytes), at: self.now)
        guard case .arrives(let time, let delay, let isMarked) = outcome else {
            if packet.payload >= 0 { _ = self.takePayload(of: packet) }
            return outcome
        }
        var packet = packet
        packet.sentAt = self.now
        packet.delay = delay
        packet.isMarked = isMarked
        self.events.insert(.arrival(packet), at: time + path.extraDelay)
        return outcome
    }

    package func keep(_ bytes: [UInt8]) -> Int32 {
        if let free = self.freePayloads.popLast() {
            self.payloads[Int(free)] = bytes
            return free
        }
        self.payloads.append(bytes)
        return Int32(self.payloads.count - 1)
    }

    package func takePayload(of packet: SimulatedPacket) -> [UInt8] {
        guard packet.payload >= 0 else { return [] }
        self.freePayloads.append(packet.payload)
        return self.payloads[Int(packet.payload)]
    }

    /// Calls `wake` of an endpoint at `time`, or earlier: whoever is woken looks what is due and asks again.
    package func wake(_ endpoint: Endpoint, at time: Microseconds) {
        guard time < endpoint.wakeAt else { return }
        endpoint.wakeAt = max(time, self.now)
        self.events.insert(.wake(Int32(endpoint.index)), at: endpoint.wakeAt)
    }

    package func run(until end: Microseconds) {
        while let time = self.events.nextTime, time <= end, let (_, event) = self.events.next() {
            self.now = time
            switch event {
            case .arrival(let packet):
                self.note(UInt64(bitPattern: time) ^ UInt64(packet.destination) << 40)
                self.note(UInt64(packet.wireBytes) ^ UInt64(packet.transportSequence.value) << 16)
                self.endpoints[Int(packet.destination)].receive(packet, in: self)
            case .wake(let index):
                let endpoint = self.endpoints[Int(index)]
                guard endpoint.wakeAt == time else { continue }
                endpoint.wakeAt = .max
                endpoint.wake(in: self)
            }
        }
        self.now = max(self.now, end)
    }

    /// Mixes a value into the hash of the trace.
    package func note(_ value: UInt64) {
        self.traceHash = (self.traceHash ^ value) &* 0x0000_0100_0000_01B3
        self.traceHash ^= self.traceHash >> 29
    }
}
