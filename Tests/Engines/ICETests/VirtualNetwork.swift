import Basics
import ICE
import STUN
import TestSupport

/// A full agent and a lite one with a network between them that loses, doubles and reorders, in virtual time.
struct VirtualNetwork {
    struct Conditions {
        var loss = 0.0
        var duplication = 0.0
        var delay: ClosedRange<Int64> = 5...50
    }

    private struct Datagram {
        let arrival: Instant
        let bytes: [UInt8]
        let from: TransportAddress
        let to: TransportAddress
    }

    var conditions = Conditions()
    /// Nothing arrives at these.
    var deadAddresses: Set<TransportAddress> = []
    /// What a NAT has made of the client's addresses.
    var mappings: [TransportAddress: TransportAddress] = [:]
    var client: ICEAgent
    var server = ICELiteAgent.make()
    let serverAddresses: Set<TransportAddress>
    var random: SeededRandom
    private(set) var now = epoch
    private var inFlight: [Datagram] = []
    private(set) var clientEvents: [(Instant, ICEAgent.Event)] = []
    private(set) var serverEvents: [ICELiteAgent.Event] = []
    /// When the client sent new transactions, and to whom.
    private(set) var checks: [(at: Instant, id: STUNTransactionID, to: TransportAddress)] = []

    init(
        seed: UInt64,
        locals: [TransportAddress] = [alice],
        servers: [TransportAddress] = [bob],
        configuration: ICEAgent.Configuration = .init()
    ) {
        self.random = SeededRandom(seed: seed)
        self.client = ICEAgent(
            local: clientCredentials,
            remote: serverCredentials,
            locals: locals,
            configuration: configuration,
            using: &self.random
        )
        self.serverAddresses = Set(servers)
        for (index, address) in servers.enumerated() {
            self.client.add(
                ICECandidate(
                    host: address,
                    priority: ICECandidate.priority(
                        typePreference: 126,
                        localPreference: UInt16(65_535 - index),
                        component: 1
                    )
                )
            )
        }
    }

    mutating func start() { self.client.start(at: self.now) }

    private mutating func send(_ bytes: [UInt8], from: TransportAddress, to: TransportAddress) {
        let from = self.mappings[from] ?? from
        let to = self.mappings.first { $0.value == to }?.key ?? to
        for _ in 0..<(self.random.chance(self.conditions.duplication) ? 2 : 1) {
            guard !self.random.chance(self.conditions.loss), !self.deadAddresses.contains(to) else { continue }
            let delay = Nanoseconds.milliseconds(Int64.random(in: self.conditions.delay, using: &self.random))
            self.inFlight.append(Datagram(arrival: self.now + delay, bytes: bytes, from: from, to: to))
        }
    }

    /// Lets time pass until the condition holds or the time is over.
    ///
    /// - Returns: whether the condition held.
    mutating func run(for duration: Nanoseconds, until isDone: (VirtualNetwork) -> Bool = { _ in false }) -> Bool {
        let end = self.now + duration
        // Every step moves time or takes a datagram out; the bound finds an agent that asks for the same instant again.
        for _ in 0..<200_000 {
            var timeout = self.drain()
            if isDone(self) { return true }
            if let deadline = self.server.consentDeadline { timeout = min(timeout, deadline) }
            let arrival = self.inFlight.map(\.arrival).min() ?? .distantFuture
            let next = max(self.now, min(timeout, arrival))
            guard next <= end else {
                self.now = end
                return isDone(self)
            }
            self.now = next
            if let index = self.inFlight.firstIndex(where: { $0.arrival <= next }) {
                self.deliver(self.inFlight.remove(at: index))
            }
            _ = self.server.handleTimeout(at: next)
            self.client.handleTimeout(at: next, using: &self.random)
        }
        return false
    }

    private mutating func deliver(_ datagram: Datagram) {
        if self.serverAddresses.contains(datagram.to) {
            let result = self.server.handle(datagram.bytes.span.bytes, from: datagram.from, at: self.now)
            if result.event != .none { self.serverEvents.append(result.event) }
            if let response = result.response { self.send(response, from: datagram.to, to: datagram.from) }
        } else {
            self.client.handle(
                datagram.bytes.span.bytes,
                from: datagram.from,
                to: datagram.to,
                at: self.now,
                using: &self.random
            )
        }
    }

    private mutating func drain() -> Instant {
        while true {
            switch self.client.nextOutput() {
            case .transmit(let bytes, let from, let to):
                if let id = (try? STUNMessageView(bytes.span.bytes))?.transactionID,
                    !self.checks.contains(where: { $0.id == id })
                {
                    self.checks.append((self.now, id, to))
                }
                self.send(bytes, from: from, to: to)
            case .event(let event): self.clientEvents.append((self.now, event))
            case .wait(let deadline): return deadline ?? .distantFuture
            }
        }
    }
}
