import Basics
import DTLS

/// A piece of a DTLS handshake to be done elsewhere: half a millisecond of public-key arithmetic that would hold up
/// every packet of a worker.
///
/// The association leaves its `PeerSession` with the job and comes back with `PeerSession.finish`; meanwhile datagrams
/// for it wait. So it has one owner at every moment, and its order is that of one thread.
package final class HandshakeJob: @unchecked Sendable {
    // `@unchecked`: made on the worker, run once elsewhere, read on the worker after that. Each hand-over is an
    // `await`, which orders the accesses.
    private var session: DTLSSession?
    private let datagrams: [[UInt8]]
    private let now: Instant
    private(set) var outputs: [DTLSOutput] = []
    private(set) var deadline: Instant?

    init(_ session: consuming DTLSSession, datagrams: [[UInt8]], at now: Instant) {
        self.session = consume session
        self.datagrams = datagrams
        self.now = now
    }

    /// Does the work; once, on any thread.
    package func run() {
        for datagram in self.datagrams {
            unsafe self.session?.handle(datagram.span.bytes, at: self.now)
            while let output = self.session?.nextOutput() {
                if case .wait(let deadline) = output {
                    self.deadline = deadline
                    break
                }
                self.outputs.append(output)
            }
        }
    }

    func takeSession() -> DTLSSession? { self.session.take() }
}
