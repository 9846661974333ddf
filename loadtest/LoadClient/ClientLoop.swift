package import Basics
import CLinux
import DTLS
import Forwarding
import RTP
import Synchronization

/// What a peer is to publish and to receive.
package struct PeerPlan: Sendable {
    package var video: VideoProfile?
    package var audio: Bool
    /// m-lines to receive on.
    package var receivesVideo: Int
    package var receivesAudio: Int
    package var audioBitrate: Bitrate

    package init(
        video: VideoProfile? = nil,
        audio: Bool = false,
        receivesVideo: Int = 0,
        receivesAudio: Int = 0,
        audioBitrate: Bitrate = .kbps(32)
    ) {
        self.video = video
        self.audio = audio
        self.receivesVideo = receivesVideo
        self.receivesAudio = receivesAudio
        self.audioBitrate = audioBitrate
    }
}

/// Why a client could not be made.
package enum LoadClientError: Error, Equatable {
    case noSocket(errno: Int32)
    case noCertificate
    case noEncoder
    case badAnswer(String)
    case noSuchPeer
    /// The server's HTTP answer was not the expected one.
    case refused(status: Int, body: String)
    case connectionFailed(String)
}

/// One thread that runs many headless peers, each on a UDP socket of its own.
///
/// Peers are made and commanded from anywhere; everything of theirs is touched on the loop's thread alone.
package final class ClientLoop: Sendable {
    private enum Command: Sendable {
        case add(PeerID, PeerPlan, CheckedContinuation<String, any Error>)
        case start(PeerID, answer: String, CheckedContinuation<Void, any Error>)
        case close(PeerID)
        case report(CheckedContinuation<Snapshot, Never>)
        case stop
    }

    /// What all peers of a loop have seen.
    package struct Snapshot: Sendable {
        package var peers: [PeerID: PeerReport] = [:]
        package var latency = LatencyHistogram()

        package init() {}
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

    /// Makes a peer. Returns its offer.
    package func add(_ plan: PeerPlan) async throws -> (id: PeerID, offer: String) {
        let id = PeerID(
            self.nextID.withLock { next in
                next += 1
                return next
            }
        )
        let offer = try await withCheckedThrowingContinuation { self.post(.add(id, plan, $0)) }
        return (id, offer)
    }

    /// Gives a peer the server's answer: it connects.
    package func start(_ id: PeerID, answer: String) async throws {
        try await withCheckedThrowingContinuation { self.post(.start(id, answer: answer, $0)) }
    }

    package func close(_ id: PeerID) { self.post(.close(id)) }

    /// What has been seen since the loop began; latencies since the last call.
    package func snapshot() async -> Snapshot { await withCheckedContinuation { self.post(.report($0)) } }

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
                    case .close(let id): self.state.close(id)
                    case .report(let continuation): continuation.resume(returning: self.state.snapshot())
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
