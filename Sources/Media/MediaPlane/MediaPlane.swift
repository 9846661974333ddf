package import Basics
import CLinux
package import CongestionControl
import DTLS
import Glibc
package import MediaControl
import Negotiation
import SRTP
import Synchronization

/// All media workers of the process: binds their sockets, starts their threads, and finds the one for a new room.
package final class MediaPlane: MediaWorkers {
    package struct Configuration: Sendable {
        /// Addresses to bind; an unspecified address stands for all of the machine's of that family.
        package var hosts: [TransportAddress]
        /// UDP port of worker 0; worker *i* listens on `port + i`. 0 = any free port, for tests.
        package var port: UInt16
        /// What clients are told instead of the bound addresses (a host behind 1:1 NAT); empty = the bound ones.
        package var advertisedAddresses: [TransportAddress]
        package var workerCount: Int
        package var packetsPerSecondPerTransport: Int
        /// The longest wait for packets to one destination to leave together; 0 = none.
        package var sendBatchInterval: Nanoseconds
        /// Where every subscriber's estimate starts, and how far it may go.
        package var estimator = EstimatorConfiguration()
        package var encryption = MediaEncryption.automatic
        /// Packets may leave with ECT(1), to subscribers that report marks.
        package var usesMarks = false

        package init(
            hosts: [TransportAddress],
            port: UInt16,
            advertisedAddresses: [TransportAddress] = [],
            workerCount: Int = 1,
            packetsPerSecondPerTransport: Int = 0,
            sendBatchInterval: Nanoseconds = .milliseconds(1)
        ) {
            self.hosts = hosts
            self.port = port
            self.advertisedAddresses = advertisedAddresses
            self.workerCount = workerCount
            self.packetsPerSecondPerTransport = packetsPerSecondPerTransport
            self.sendBatchInterval = sendBatchInterval
        }
    }

    /// What the kernel granted, for the start-up log: small buffers lose packets in bursts.
    package struct SocketReport: Sendable {
        package let address: TransportAddress
        package let receiveBufferByteCount: Int
        package let sendBufferByteCount: Int
    }

    package let workers: [MediaWorker]
    package let sockets: [SocketReport]
    /// Of all addresses of the machine, those that could not be bound.
    package let unusableAddresses: [TransportAddress]
    /// The library that protects packets, and its version.
    package let encryption: String
    /// Rooms' events of all workers, in order for each worker. One consumer.
    package let events: AsyncStream<MediaEvent>
    private let continuation: AsyncStream<MediaEvent>.Continuation
    private let places: SessionPlaces
    private let nextWorker = Atomic<Int>(0)

    /// Binds and makes everything; nothing runs before `start`.
    package init(_ configuration: Configuration) throws(MediaPlaneError) {
        var addresses = Self.bindAddresses(configuration.hosts)
        guard !addresses.isEmpty else { throw .noAddress }
        var unusable: [TransportAddress] = []
        let library = try configuration.encryption.library()
        let certificate: DTLSCertificate
        do throws(DTLSSetupError) {
            certificate = try DTLSCertificate(unixSeconds: cl_realtime_nanoseconds() / 1_000_000_000)
        } catch { throw .systemRefused(call: "OpenSSL's certificate", errno: 0) }
        let fingerprint = Fingerprint(hash: .sha256, digest: certificate.fingerprint.digest)
        let (events, continuation) = AsyncStream.makeStream(of: MediaEvent.self)
        let workerCount = max(1, configuration.workerCount)
        let places = SessionPlaces(workerCount: workerCount)
        var mailboxes: [WorkerMailbox] = []
        for _ in 0..<workerCount { mailboxes.append(try WorkerMailbox()) }
        var workers: [MediaWorker] = []
        var reports: [SocketReport] = []
        for index in 0..<workerCount {
            let port = configuration.port == 0 ? 0 : configuration.port &+ UInt16(truncatingIfNeeded: index)
            var sockets: [UDPSocket] = []
            var commonPort = port
            for address in addresses {
                let socket: UDPSocket
                do throws(MediaPlaneError) {
                    socket = try UDPSocket(binding: address.withPort(commonPort))
                } catch {
                    // Of "all addresses" one may be of no use (yet), as IPv6 is that the kernel still looks for doubles of.
                    guard case .bindFailed(_, errno: EADDRNOTAVAIL) = error, index == 0, addresses.count > 1,
                        !configuration.hosts.contains(address)
                    else { throw error }
                    unusable.append(address)
                    continue
                }
                // With "any port", all addresses of a worker share the one that the first was given.
                commonPort = socket.address.port
                sockets.append(socket)
            }
            addresses.removeAll { unusable.contains($0) }
            guard !sockets.isEmpty else { throw .noAddress }
            reports += sockets.map {
                SocketReport(
                    address: $0.address,
                    receiveBufferByteCount: $0.receiveBufferByteCount,
                    sendBufferByteCount: $0.sendBufferByteCount
                )
            }
            let advertised =
                configuration.advertisedAddresses.isEmpty
                ? sockets.map(\.address) : configuration.advertisedAddresses.map { $0.withPort(commonPort) }
            var routing = MediaRouter.Configuration(
                certificate: certificate,
                packetsPerSecondPerTransport: configuration.packetsPerSecondPerTransport,
                offloadsHandshakes: true
            )
            routing.estimator = configuration.estimator
            routing.srtpLibrary = library
            routing.usesMarks = configuration.usesMarks
            routing.wake = mailboxes[index].wake
            let worker = try MediaWorker(
                index: index,
                sockets: sockets,
                mailboxes: mailboxes,
                endpoint: MediaEndpoint(
                    candidates: Self.preferred(advertised),
                    fingerprint: fingerprint,
                    worker: index
                ),
                configuration: routing,
                sendBatchInterval: configuration.sendBatchInterval,
                events: { event in
                    if case .ended(let session, _) = event { places.remove(session) }
                    continuation.yield(event)
                }
            )
            workers.append(worker)
        }
        self.workers = workers
        self.places = places
        self.sockets = reports
        self.unusableAddresses = unusable
        self.encryption = library.description
        self.events = events
        self.continuation = continuation
    }

    /// Starts the workers' threads.
    package func start() throws(MediaPlaneError) {
        for worker in self.workers { try worker.start() }
    }

    /// Ends the threads and the event stream.
    package func stop() async {
        for worker in self.workers { await worker.stop() }
        self.continuation.finish()
    }

    /// Gives memory back to the system after many sessions have left, until it is cancelled.
    package func returnMemory() async {
        var policy = MemoryReturn()
        while (try? await Task.sleep(for: .seconds(1))) != nil {
            let sessions = self.counters().reduce(0) { $0 + Int(clamping: $1.sessions) }
            if policy.isDue(sessions: sessions) { cl_return_memory() }
        }
    }

    // MARK: MediaWorkers

    package var all: [any MediaWorkerControl] { self.workers }

    /// The worker with the least to do, and the others for when the room has grown too large for it.
    package func workerForNewRoom() -> any MediaWorkerControl {
        let start = self.nextWorker.wrappingAdd(1, ordering: .relaxed).oldValue
        let loads = Self.loads(of: self.workers, sessions: self.places.counts().sessions)
        let home = WorkerPlacement().workerForRoom(loads, from: Int(UInt(bitPattern: start) % UInt(loads.count)))
        return RoomWorkers(home: self.workers[home], workers: self.workers, places: self.places)
    }

    /// - Parameter sessions: that were placed on each.
    static func loads(of workers: [MediaWorker], sessions: [Int]) -> [WorkerLoad] {
        zip(workers, sessions).map { worker, sessions in
            let counters = worker.counters.snapshot()
            return WorkerLoad(
                busyPermille: Int(clamping: counters.busyPermille),
                measuredSessions: Int(clamping: counters.sessions),
                sessions: sessions
            )
        }
    }

    /// Sums of all workers, and each by itself.
    package func counters() -> [RouterCounters] { self.workers.map { $0.counters.snapshot() } }

    // MARK: Addresses

    /// The concrete addresses behind `media.host`. Each is bound by itself, so that an answer leaves from the address
    /// that it was asked at on a machine that has several.
    private static func bindAddresses(_ hosts: [TransportAddress]) -> [TransportAddress] {
        var addresses: [TransportAddress] = []
        for host in hosts {
            if host.isUnspecified {
                let all = UDPSocket.interfaceAddresses().filter { $0.isIPv4 == host.isIPv4 && !$0.isLoopback }
                // A machine without a network still serves itself.
                addresses += all.isEmpty ? UDPSocket.interfaceAddresses().filter { $0.isIPv4 == host.isIPv4 } : all
            } else {
                addresses.append(host)
            }
        }
        var seen = Set<TransportAddress>()
        // A worker's loop tells its sockets apart by a small number.
        return Array(addresses.filter { seen.insert($0).inserted }.prefix(12))
    }

    /// IPv6 before IPv4 of the same reach, loopback last (RFC 8421 §4).
    private static func preferred(_ addresses: [TransportAddress]) -> [TransportAddress] {
        func rank(_ address: TransportAddress) -> Int { (address.isLoopback ? 2 : 0) + (address.isIPv4 ? 1 : 0) }
        return addresses.enumerated()
            .sorted { (rank($0.element), $0.offset) < (rank($1.element), $1.offset) }
            .map(\.element)
    }
}
