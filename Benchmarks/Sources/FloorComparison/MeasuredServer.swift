import CTraffic
import LoopbackPeers

/// The server with one worker, on core 0.
final class MeasuredServer: Forwarder {
    let sinks: OpaquePointer
    private let server: Server

    init(_ scenario: Scenario, cipher: String) async throws {
        self.server = try await Server(scenario, cipher: cipher, cores: [0])
        let sockets = self.server.subscriberSockets
        guard let sinks = ct_sinks_make(sockets, CInt(sockets.count)) else { throw Failure("no epoll") }
        self.sinks = sinks
    }

    var port: UInt16 { self.server.port }
    var thread: CInt { self.server.threads[0] }
    var publisherSockets: [CInt] { self.server.publisherSockets }

    func seal(publisher: Int, index: Int, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        self.server.seal(publisher: publisher, index: index, into: buffer)
    }

    /// Connectivity checks, so that the sessions live on.
    func refresh() { self.server.refresh() }

    func stop() async {
        await self.server.stop()
        ct_sinks_free(self.sinks)
    }
}
