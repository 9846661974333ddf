package import Basics
import CLinux
import DTLS
import Forwarding
import RTP
import Synchronization

/// One thread that runs many headless peers, each on a UDP socket of its own.
///
/// Peers are made and commanded from anywhere; everything of theirs is touched on the loop's thread alone.
package final class ClientLoop: Sendable {
    private enum Command: Sendable {
        case add(PeerID, PeerPlan, CheckedContinuation<PeerOffer, any Error>)
        case start(PeerID, answer: String, CheckedContinuation<Void, any Error>)
        case beginToLeave(PeerID, CheckedContinuation<Void, Never>)
        case close(PeerID)
        case setSilent(PeerID, Bool)
        case setState(PeerID, mid: String, StreamReport.State)
        case noteLostSignalling(PeerID)
        case report(CheckedContinuation<[PeerID: PeerReport], Never>)
        case sample(CheckedContinuation<LoadSample, Never>)
        case stop
    }

    private let inbox = Mutex<[Command]>([])
    private let nextID = Mutex(0)
    private let wakeDescriptor: CInt
    private let bindAddress: TransportAddress

    /// - Parameter address: that peers' sockets are bound to; port 0.
    package init(bindingTo address: TransportAddress) throws(LoadClientError) {
        let wake = cl_eventfd_create()
        guard wake >= 0 else { throw .noSocket(errno: -wake) }
        self.wakeDescriptor = wake
        self.bindAddress = address.withPort(0)
        let state = try ClientLoopState(wakeDescriptor: wake)
        let box = unsafe Unmanaged.passRetained(LoopThread(loop: self, state: state))
        let result = unsafe cl_thread_start(
            "sluice-load",
            { context in
                guard let context = unsafe context else { return }
                unsafe Unmanaged<LoopThread>.fromOpaque(context).takeRetainedValue().run()
            },
            unsafe box.toOpaque()
        )
        guard result == 0 else {
            unsafe box.release()
            throw .noSocket(errno: result)
        }
    }

    deinit { _ = cl_close(self.wakeDescriptor) }

    private func post(_ command: Command) {
        self.inbox.withLock { $0.append(command) }
        cl_eventfd_signal(self.wakeDescriptor)
    }

    /// Makes a peer, and its offer.
    package func add(_ plan: PeerPlan) async throws -> PeerOffer {
        let id = PeerID(
            self.nextID.withLock { next in
                next += 1
                return next
            }
        )
        return try await withCheckedThrowingContinuation { self.post(.add(id, plan, $0)) }
    }

    /// Gives a peer the server's answer: it connects.
    package func start(_ id: PeerID, answer: String) async throws {
        try await withCheckedThrowingContinuation { self.post(.start(id, answer: answer, $0)) }
    }

    /// The peer goes: what the server does with its session once this returns is no fault of the server.
    package func beginToLeave(_ id: PeerID) async {
        await withCheckedContinuation { self.post(.beginToLeave(id, $0)) }
    }

    package func close(_ id: PeerID) { self.post(.close(id)) }

    /// Whether a publisher of audio is silent, as DTX sends silence.
    package func setSilent(_ id: PeerID, _ isSilent: Bool) { self.post(.setSilent(id, isSilent)) }

    /// What the signalling said of a stream that a peer receives.
    package func setState(_ id: PeerID, mid: String, _ state: StreamReport.State) {
        self.post(.setState(id, mid: mid, state))
    }

    /// The server's WebSocket of a peer that should still be there is gone.
    package func noteLostSignalling(of id: PeerID) { self.post(.noteLostSignalling(id)) }

    /// What each peer has seen since it was made, and those that are gone.
    package func reports() async -> [PeerID: PeerReport] { await withCheckedContinuation { self.post(.report($0)) } }

    /// Sums since the loop began; latencies since the last call.
    package func sample() async -> LoadSample { await withCheckedContinuation { self.post(.sample($0)) } }

    package func stop() { self.post(.stop) }

    /// Carries the state to its thread, which owns it from then on.
    private final class LoopThread {
        let loop: ClientLoop
        var state: ClientLoopState

        init(loop: ClientLoop, state: consuming ClientLoopState) {
            self.loop = loop
            self.state = state
        }

        func run() {
            while true {
                for command in self.loop.inbox.withLock({ commands in
                    defer { commands = [] }
                    return commands
                }) {
                    switch command {
                    case .add(let id, let plan, let continuation):
                        do {
                            continuation.resume(
                                returning: try self.state.add(id, plan, bindingTo: self.loop.bindAddress)
                            )
                        } catch { continuation.resume(throwing: error) }
                    case .start(let id, let answer, let continuation):
                        do { continuation.resume(returning: try self.state.start(id, answer: answer)) } catch {
                            continuation.resume(throwing: error)
                        }
                    case .beginToLeave(let id, let continuation):
                        self.state.beginToLeave(id)
                        continuation.resume()
                    case .close(let id): self.state.close(id)
                    case .setSilent(let id, let isSilent): self.state.setSilent(id, isSilent)
                    case .setState(let id, let mid, let state): self.state.setState(id, mid: mid, state)
                    case .noteLostSignalling(let id): self.state.noteLostSignalling(of: id)
                    case .report(let continuation): continuation.resume(returning: self.state.reports())
                    case .sample(let continuation): continuation.resume(returning: self.state.sample())
                    case .stop:
                        self.state.closeAll()
                        return
                    }
                }
                self.state.turn()
            }
        }
    }
}
