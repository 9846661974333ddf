import Basics
import CTraffic
import CongestionControl
import DTLS
import MediaControl
import MediaPlane
import Negotiation
import RouterHarness

/// The server's media plane with a worker on each of some cores: its sockets, its loops, its sessions, as in the server.
///
/// Publishers are on the first worker; subscribers take turns.
package final class Server {
    /// Of the first worker.
    package let port: UInt16
    /// Of each worker.
    package private(set) var threads: [CInt] = []
    package private(set) var publisherSockets: [CInt] = []
    /// Of each subscriber; subscriber i is on worker i modulo the number of workers.
    package private(set) var subscriberSockets: [CInt] = []
    private let scenario: Scenario
    private let plane: MediaPlane
    private var publishers: [Client] = []
    private var subscribers: [Client] = []

    /// - Parameters:
    ///   - cipher: "evp" or "ipsec-mb".
    ///   - cores: one for each worker.
    package init(_ scenario: Scenario, cipher: String, cores: [CInt]) async throws {
        self.scenario = scenario
        var configuration = MediaPlane.Configuration(
            hosts: [TransportAddress(ipv4: 0x7F00_0001, port: 0)],
            port: 0,
            workerCount: cores.count
        )
        // Nobody sends feedback here: the paths carry everything from the start.
        configuration.estimator = EstimatorConfiguration(
            start: .kbps(2_000_000),
            maximum: .kbps(2_000_000),
            rules: EstimatorRules.sluice.subtracting(.feedbackSilence)
        )
        configuration.encryption = cipher == "evp" ? .openSSL : .multiBuffer
        self.plane = try MediaPlane(configuration)
        let endpoints = self.plane.workers.map(\.endpoint)
        guard let address = endpoints.first?.candidates.first else { throw Failure("no address") }
        self.port = address.port
        try self.plane.start()
        let room = self.plane.workerForNewRoom()
        let certificate = try DTLSCertificate(unixSeconds: 1_795_000_000)
        let isVideo = scenario.kind == .video
        let mid = isVideo ? "1" : "0"
        func client(_ id: Int, on worker: Int, _ sections: [NegotiatedSection]) async throws -> Client {
            let client = try Client(
                SessionID(UInt64(id)),
                sections,
                server: endpoints[worker],
                certificate: certificate
            )
            try await room.apply(client.configuration, to: client.id)
            return client
        }
        for index in 0..<scenario.publishers {
            let ssrc = UInt32(index)
            self.publishers.append(
                try await client(
                    1 + index,
                    on: 0,
                    [isVideo ? .video(mid, .receive, ssrc: ssrc + 2_000) : .audio(mid, .receive, ssrc: ssrc + 1_000)]
                )
            )
        }
        for index in 0..<scenario.subscribers {
            let sections = (0..<scenario.publishers).map { publisher -> NegotiatedSection in
                let ssrc = UInt32(100_000 + index * 100 + publisher * 2)
                return isVideo
                    ? .video("\(publisher)", .send, ssrc: ssrc) : .audio("\(publisher)", .send, ssrc: ssrc)
            }
            self.subscribers.append(try await client(1_000 + index, on: index % cores.count, sections))
        }
        try Self.connect(self.publishers + self.subscribers)
        for subscriber in self.subscribers {
            for (number, publisher) in self.publishers.enumerated() {
                try await room.bind(
                    PublishedTrack(session: publisher.id, mid: mid),
                    to: SectionReference(session: subscriber.id, mid: "\(number)")
                )
            }
        }
        self.publisherSockets = self.publishers.map(\.socket.descriptor)
        self.subscriberSockets = self.subscribers.map(\.socket.descriptor)
        self.threads = cores.indices.map { ct_thread_named("sluice-media-\($0)") }
        for (thread, core) in zip(self.threads, cores) where ct_run_thread_on(thread, core) != 0 {
            throw Failure("the machine has no core \(core)")
        }
    }

    /// ICE and DTLS of all of them side by side.
    private static func connect(_ clients: [Client]) throws {
        let deadline = ct_now_nanoseconds() + 20_000_000_000
        while !clients.allSatisfy(\.isConnected) {
            guard ct_now_nanoseconds() < deadline else { throw Failure("clients do not connect") }
            for client in clients where !client.isConnected { client.exchange() }
        }
    }

    /// Media packets to subscribers that the workers have counted so far. They tell a few times a second.
    package var forwarded: UInt64 {
        self.plane.counters().reduce(0) { $0 + $1.packetsOut.audio + $1.packetsOut.video }
    }

    package func stop() async { await self.plane.stop() }

    /// Connectivity checks, so that the sessions live on.
    package func refresh() { for client in self.publishers + self.subscribers { client.exchange() } }

    /// Writes publisher `publisher`'s packet number `index`, sealed, to the front of `buffer`; returns its length.
    package func seal(publisher: Int, index: Int, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        let ssrc = UInt32(publisher + (self.scenario.kind == .video ? 2_000 : 1_000))
        let packet = self.scenario.packet(publisher: publisher, ssrc: ssrc, index: index)
        buffer.copyBytes(from: packet)
        return self.publishers[publisher].seal(
            buffer,
            length: packet.count,
            rolloverCounter: UInt32(truncatingIfNeeded: index >> 16)
        )
    }
}
