import Basics
import LoadClient
import Synchronization

/// The clients of one run: who joined as what, and how to leave.
final class LoadRun: Sendable {
    struct Plan: Sendable {
        var client: WHIPClient
        var whipPath: String
        var whepPath: String
        var rooms: Int
        var publishers: Int
        var subscribers: Int
        var video: VideoProfile?
        var audio: Bool
        var joinRate: Int
    }

    private struct Client: Sendable {
        let loop: ClientLoop
        let id: PeerID
        let session: WHIPClient.Session
    }

    private let plan: Plan
    private let loops: [ClientLoop]
    private let clients = Mutex<[Client]>([])
    private let failures = Mutex<[String]>([])

    init(plan: Plan, loops: [ClientLoop]) {
        self.plan = plan
        self.loops = loops
    }

    /// What went wrong at joining, in words.
    var failedJoins: [String] { self.failures.withLock { $0 } }

    /// Publishers first: a WHEP session is bound to tracks that are there.
    func joinAll() async throws {
        var count = 0
        for room in 0..<self.plan.rooms {
            for publisher in 0..<self.plan.publishers {
                await self.join(
                    PeerPlan(video: self.plan.video, audio: self.plan.audio),
                    path: Self.fill(self.plan.whipPath, room, publisher),
                    loop: self.loops[count % self.loops.count]
                )
                count += 1
            }
        }
        try await withThrowingDiscardingTaskGroup { group in
            for room in 0..<self.plan.rooms {
                for _ in 0..<self.plan.subscribers {
                    for publisher in 0..<self.plan.publishers {
                        let loop = self.loops[count % self.loops.count]
                        count += 1
                        group.addTask {
                            await self.join(
                                PeerPlan(
                                    receivesVideo: self.plan.video == nil ? 0 : 1,
                                    receivesAudio: self.plan.audio ? 1 : 0
                                ),
                                path: Self.fill(self.plan.whepPath, room, publisher),
                                loop: loop
                            )
                        }
                        try await Task.sleep(for: .microseconds(1_000_000 / self.plan.joinRate))
                    }
                }
            }
        }
    }

    private static func fill(_ path: String, _ room: Int, _ publisher: Int) -> String {
        path.replacing("ROOM", with: "load\(room)").replacing("IDENTITY", with: "publisher\(publisher)")
    }

    private func join(_ plan: PeerPlan, path: String, loop: ClientLoop) async {
        do {
            let (id, offer) = try await loop.add(plan)
            do {
                let session = try await self.plan.client.post(offer: offer, to: path)
                self.clients.withLock { $0.append(Client(loop: loop, id: id, session: session)) }
                try await loop.start(id, answer: session.answer)
            } catch {
                loop.close(id)
                throw error
            }
        } catch {
            self.failures.withLock { $0.append("\(path): \(error)") }
        }
    }

    func snapshot() async -> ClientLoop.Snapshot {
        var all = ClientLoop.Snapshot()
        for (index, loop) in self.loops.enumerated() {
            let one = await loop.snapshot()
            for (id, report) in one.peers { all.peers[PeerID(id.value * self.loops.count + index)] = report }
            all.latency.merge(one.latency)
        }
        return all
    }

    func leaveAll() async {
        for client in self.clients.withLock({ $0 }) {
            try? await self.plan.client.delete(client.session)
            client.loop.close(client.id)
        }
        for loop in self.loops { loop.stop() }
    }
}
