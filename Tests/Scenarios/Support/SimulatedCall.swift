import Basics
import DTLS
import MediaControl
import MediaPlane
import Negotiation
import PeerSession
import RTP
import TestSupport

/// A worker's router and its clients over a simulated network, in virtual time.
final class SimulatedCall {
    static let serverAddress = TransportAddress(ipv4: 0x0A00_0001, port: 7_880)
    static let secondServerAddress = TransportAddress(ipv4: 0x0A00_0002, port: 7_881)
    static let serverIPv6Address = TransportAddress(high: 0x2001_0DB8_0000_0000, low: 1, port: 7_880)
    /// Made once: a key costs milliseconds, and no scenario needs its own.
    static let serverCertificate = certificate()
    static let clientCertificates = (0..<4).map { _ in certificate() }

    private static func certificate() -> DTLSCertificate {
        guard let certificate = try? DTLSCertificate(unixSeconds: 1_795_000_000) else {
            preconditionFailure("OpenSSL makes no certificate")
        }
        return certificate
    }

    let seed: UInt64
    var network: SimulatedNetwork
    let workers: [SimulatedWorker]
    /// Of the first worker: the only one of most scenarios.
    var router: MediaRouter {
        _read { yield self.workers[0].router }
        _modify { yield &self.workers[0].router }
    }
    /// The worker that each client is on, where that is not the first.
    private var places: [SessionID: Int] = [:]
    var clients: [SimulatedClient] = []
    private var clientCount: UInt64 = 0
    private var indexByAddress: [TransportAddress: Int] = [:]
    var events: [MediaEvent] = []
    private(set) var now = Instant.zero + .seconds(1)
    private var random: RandomSource
    private var negotiators: [SessionID: Negotiator] = [:]
    private var credentials: [SessionID: (String, Redacted<String>)] = [:]
    /// What the server sent to whom, for tests that count.
    var sentByServer: [TransportAddress: Int] = [:]
    /// Those datagrams themselves, and those of the clients, as they leave.
    var watchesServer: (_ datagram: [UInt8], _ to: TransportAddress, _ socket: Int) -> Void = { _, _, _ in }
    var watchesClients: (_ datagram: [UInt8], SimulatedClient) -> Void = { _, _ in }
    /// Narrow links to clients, by address.
    var bottlenecks: [TransportAddress: Bottleneck] = [:]
    /// What becomes of the ECN bits of datagrams on their way to clients; `nil` = the datagram is dropped.
    var changesMark: (ECNMark) -> ECNMark? = { $0 }
    /// How long the first worker waits for the rest of a frame, where that pays; zero = not at all.
    var sendBatchInterval = Nanoseconds.zero
    /// Applied to every offer on its way to the server.
    var tampersWithOffer: (String) -> String = { $0 }
    /// Applied to every answer on its way to a client.
    var tampersWithAnswer: (String) -> String = { $0 }
    /// The server's sockets, in their order; all are candidates.
    let sockets: [TransportAddress]

    /// Jobs that were handed out; they are run and given back in the next step, the last first.
    private(set) var heldHandshakes: [(session: SessionID, job: HandshakeJob)] = []
    /// Keeps jobs until it is switched off.
    var holdsHandshakes = false

    init(
        impairment: SimulatedNetwork.Impairment = .perfect,
        seed: UInt64,
        packetsPerSecond: Int = 0,
        offloadsHandshakes: Bool = false,
        sockets: [TransportAddress] = [serverAddress],
        workerCount: Int = 1,
        usesMarks: Bool = false
    ) {
        self.seed = seed
        self.sockets = sockets
        self.network = SimulatedNetwork(impairment: impairment, seed: seed)
        self.random = .seeded(state: seed)
        var configuration = MediaRouter.Configuration(
            certificate: Self.serverCertificate,
            packetsPerSecondPerTransport: packetsPerSecond,
            offloadsHandshakes: offloadsHandshakes
        )
        configuration.usesMarks = usesMarks
        let made = configuration
        let start = self.now
        self.workers = (0..<workerCount).map { index in
            SimulatedWorker(
                configuration: made,
                sockets: index == 0 ? sockets : [Self.serverAddress.withPort(7_900 + UInt16(index))],
                seed: seed &+ UInt64(index),
                at: start
            )
        }
    }

    /// - Parameter worker: the one whose candidates the client is told.
    func addClient(at address: TransportAddress? = nil, on worker: Int = 0) -> SimulatedClient {
        self.clientCount += 1
        let number = self.clientCount
        if worker != 0 { self.places[SessionID(number)] = worker }
        let usual = TransportAddress(ipv4: 0x0A00_0100 + UInt32(number), port: 5_000 + UInt16(number))
        let client = SimulatedClient(
            id: number,
            address: address ?? usual,
            certificate: Self.clientCertificates[Int(number) % Self.clientCertificates.count],
            seed: self.seed
        )
        self.clients.append(client)
        return client
    }

    /// Takes a client away without a word, as if its machine had lost power.
    func remove(_ client: SimulatedClient) {
        self.clients.removeAll { $0 === client }
        self.negotiators[client.id] = nil
        self.credentials[client.id] = nil
    }

    /// Offer, answer, apply: what signalling does. Answers the client's next offer.
    func negotiate(_ client: SimulatedClient) throws {
        var negotiator = self.negotiators[client.id] ?? Negotiator(codecs: Codec.allCases, using: &self.random)
        let negotiated = try negotiator.receive(
            offer: self.tampersWithOffer(client.offer.makeOffer()),
            using: &self.random
        )
        if self.credentials[client.id] == nil || negotiator.isICERestart {
            self.credentials[client.id] = (
                String(
                    (0..<8).map { _ in "abcdefghijklmnopqrstuvwxyz0123456789".randomElement(using: &self.random) ?? "a"
                    }
                ),
                Redacted(
                    String((0..<24).map { _ in "ABCDEFGHIJKLMNOPQRSTUVWXYZ".randomElement(using: &self.random) ?? "A" })
                )
            )
        }
        guard let (fragment, password) = self.credentials[client.id] else { return }
        self.negotiators[client.id] = negotiator
        let worker = self.worker(of: client.id)
        try worker.router.apply(
            SessionConfiguration(
                localUsernameFragment: fragment,
                localPassword: password,
                negotiated: negotiated
            ),
            to: client.id,
            at: self.now
        )
        let answer = self.tampersWithAnswer(
            negotiator.answer(
                local: LocalTransport(
                    usernameFragment: fragment,
                    password: password,
                    fingerprint: Fingerprint(hash: .sha256, digest: Self.serverCertificate.fingerprint.digest),
                    candidates: worker.sockets
                ),
                labels: [:]
            )
        )
        if client.peer == nil {
            try client.start(answer, at: self.now)
        } else {
            try client.update(answer, at: self.now)
        }
        self.step()
    }

    func bind(_ publisher: SimulatedClient, _ publisherMID: String, to subscriber: SimulatedClient, _ mid: String)
        throws
    {
        let track = PublishedTrack(session: publisher.id, mid: publisherMID)
        let section = SectionReference(session: subscriber.id, mid: mid)
        let source = self.worker(of: publisher.id)
        let target = self.worker(of: subscriber.id)
        if source === target {
            try target.router.bind(track, to: section, at: self.now)
        } else {
            guard let description = source.router.describe(track) else { throw MediaError.noSuchTrack }
            let home = self.places[publisher.id] ?? 0
            try target.router.bind(description, from: home, to: section, at: self.now)
        }
        self.step()
    }

    /// Datagrams of the batch in hand.
    private var received: [UnsafeMutableRawBufferPointer] = []

    func worker(of session: SessionID) -> SimulatedWorker { self.workers[self.places[session] ?? 0] }

    func send(_ bytes: [UInt8]?, from client: SimulatedClient, after delay: Nanoseconds = .zero) {
        guard let bytes else { return }
        self.watchesClients(bytes, client)
        let server = client.peer?.selected ?? Self.serverAddress
        self.network.send(bytes, from: client.wireAddress, to: server, mark: client.marksSent, at: self.now + delay)
    }

    /// A datagram from anywhere, with a forged source if need be.
    func inject(_ bytes: [UInt8], from source: TransportAddress, socket: Int = 0) {
        self.inject(CollectionOfOne(bytes), from: source, socket: socket)
    }

    /// Many at once: what they cause leaves after the last.
    func inject(_ datagrams: some Sequence<[UInt8]>, from source: TransportAddress, socket: Int = 0) {
        for datagram in datagrams {
            var bytes = datagram
            bytes.withUnsafeMutableBytes { self.router.receive($0, from: source, socket: socket, at: self.now) }
        }
        self.step()
    }

    /// What the room does when it hears that a participant left.
    func close(_ client: SimulatedClient) {
        self.worker(of: client.id).router.close(client.id, at: self.now)
        self.step()
    }

    func statistics(of client: SimulatedClient) -> SessionStatistics? {
        self.worker(of: client.id).router.statistics(of: client.id)
    }

    /// The reason that the server ended a session for.
    func end(of client: SimulatedClient) -> SessionEndReason? {
        for case .ended(client.id, let reason) in self.events { return reason }
        return nil
    }

    /// Lets virtual time pass, in steps of at most `tick`, and calls `each` after every step.
    func run(for duration: Nanoseconds, tick: Nanoseconds = .milliseconds(5), each: (Instant) -> Void = { _ in }) {
        let end = self.now + duration
        while self.now < end {
            var next = min(end, self.now + tick)
            if let arrival = self.network.nextArrival { next = min(next, max(arrival, self.now)) }
            // What is paced is not to leave in lumps of a tick.
            for worker in self.workers {
                if let deadline = worker.router.nextDeadline(), deadline > self.now { next = min(next, deadline) }
            }
            self.now = next
            self.deliverWhatArrived()
            while !self.holdsHandshakes, let (session, job) = self.heldHandshakes.popLast() {
                job.run()
                self.worker(of: session).router.finishHandshake(job, of: session, at: self.now)
            }
            for worker in self.workers { worker.router.handleTimers(at: self.now) }
            for client in self.clients {
                client.peer?.handleTimeout(at: self.now)
                while let feedback = client.takeFeedback(at: self.now) { self.send(feedback, from: client) }
            }
            self.step()
            each(self.now)
        }
    }

    /// Runs until the condition holds, or the time is over. Returns whether it held.
    func run(upTo duration: Nanoseconds, until condition: () -> Bool) -> Bool {
        let end = self.now + duration
        while self.now < end {
            if condition() { return true }
            self.run(for: .milliseconds(5))
        }
        return condition()
    }

    /// As a worker's loop reads: what arrived together is one batch, and stays where it is until the batch ends.
    private func deliverWhatArrived() {
        for worker in self.workers { worker.router.beginBatch() }
        while let delivery = self.network.receive(by: self.now) { self.deliver(delivery) }
        let latest = self.now + self.sendBatchInterval
        while let rest = self.router.restExpected(at: self.now, latest: latest) {
            self.now = rest
            while let delivery = self.network.receive(by: self.now) { self.deliver(delivery) }
        }
        for worker in self.workers { worker.router.endBatch(at: self.now) }
        for buffer in self.received { buffer.deallocate() }
        self.received.removeAll(keepingCapacity: true)
    }

    private func deliver(_ delivery: SimulatedNetwork.Delivery) {
        for worker in self.workers {
            guard let socket = worker.sockets.firstIndex(of: delivery.to) else { continue }
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: delivery.bytes.count, alignment: 1)
            buffer.copyBytes(from: delivery.bytes)
            self.received.append(buffer)
            worker.router.receive(
                buffer,
                from: delivery.from,
                socket: socket,
                arrival: delivery.at,
                mark: delivery.mark,
                at: self.now
            )
            return
        }
        if let client = self.client(at: delivery.to) {
            client.receive(delivery.bytes, from: delivery.from, mark: delivery.mark, at: self.now)
        }
    }

    private func client(at address: TransportAddress) -> SimulatedClient? {
        // A client may move, or another take its place.
        if let index = self.indexByAddress[address], index < self.clients.count,
            self.clients[index].wireAddress == address
        {
            return self.clients[index]
        }
        guard let index = self.clients.firstIndex(where: { $0.wireAddress == address }) else { return nil }
        self.indexByAddress[address] = index
        return self.clients[index]
    }

    /// Hands on what anybody wants to send or tell.
    private func step() {
        self.exchangeCrossings()
        for worker in self.workers { self.step(worker) }
        for client in self.clients {
            _ = client.drain(at: self.now) { bytes, to in
                guard client.sends(bytes) else { return }
                self.watchesClients(bytes, client)
                self.network.send(bytes, from: client.wireAddress, to: to, at: self.now)
            }
        }
    }

    private func step(_ worker: SimulatedWorker) {
        worker.router.flush()
        for datagram in worker.outbox.datagrams {
            self.sentByServer[datagram.to, default: 0] += 1
            self.watchesServer(datagram.bytes, datagram.to, datagram.socket)
            let leaves = self.bottlenecks[datagram.to]?.pass(byteCount: datagram.bytes.count, at: self.now)
            guard self.bottlenecks[datagram.to] == nil || leaves != nil,
                let mark = self.changesMark(datagram.isMarked ? .capable1 : .notCapable)
            else { continue }
            self.network.send(
                datagram.bytes,
                from: worker.sockets[datagram.socket],
                to: datagram.to,
                mark: mark,
                at: leaves ?? self.now
            )
        }
        worker.outbox.datagrams.removeAll(keepingCapacity: true)
        while let handshake = worker.router.nextHandshake() { self.heldHandshakes.append(handshake) }
        self.events += worker.router.takeEvents()
    }
}
