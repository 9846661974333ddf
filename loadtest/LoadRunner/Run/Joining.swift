import Basics
import LoadClient
import Synchronization

/// Makes participants of places.
final class Joining: Sendable {
    private let scenario: Scenario
    private let target: RunTarget
    private let loops: [ClientLoop]
    /// Of those who only publish: their packets leave on time however busy the others are.
    private let publishing: ClientLoop
    private let count = Mutex(0)
    private let failures = Mutex<[String]>([])
    private let failureCount = Mutex(0)
    private let ownFailureCount = Mutex(0)
    private let limitedCount = Mutex(0)
    private static let largestFailureCount = 1_000

    init(scenario: Scenario, target: RunTarget, loops: [ClientLoop], publishing: ClientLoop) {
        self.scenario = scenario
        self.target = target
        self.loops = loops
        self.publishing = publishing
    }

    /// What went wrong, in words: the first thousand.
    var failed: Failures {
        Failures(
            count: self.failureCount.withLock { $0 },
            ownCount: self.ownFailureCount.withLock { $0 },
            limitedCount: self.limitedCount.withLock { $0 },
            texts: self.failures.withLock { $0 }
        )
    }

    struct Failures {
        /// Sessions that could not join.
        var count = 0
        /// Of these, for which this machine had no socket: nothing that the server could help.
        var ownCount = 0
        /// Of these, that the server's limit of joins refused.
        var limitedCount = 0
        var texts: [String] = []
    }

    /// Adds a line about something that went wrong.
    private func note(_ failure: String, sessions: Int) {
        self.failureCount.withLock { $0 += sessions }
        self.failures.withLock { if $0.count < Self.largestFailureCount { $0.append(failure) } }
    }

    private func note(_ error: any Error, of whom: String) {
        let known = error as? LoadClientError
        if case .noSocket = known { self.ownFailureCount.withLock { $0 += 1 } }
        if known?.isRateLimit == true { self.limitedCount.withLock { $0 += 1 } }
        self.note("\(whom): \(error)", sessions: 1)
    }

    /// - Returns: `nil` when it could not join; `failed` says why.
    func join(_ place: Place) async -> Participant? {
        if self.scenario.transport == .whip, place.publishes {
            let path = self.fill(self.target.whipPath, place.room, place.number)
            return await self.joinByHTTP(place, self.publishing, paths: [path])
        }
        let loop = self.loops[self.nextNumber() % self.loops.count]
        guard self.scenario.transport == .whip else { return await self.joinBySocket(place, loop) }
        let paths = (0..<self.scenario.publishersPerRoom).map { self.fill(self.target.whepPath, place.room, $0) }
        return await self.joinByHTTP(
            place,
            loop,
            paths: self.scenario.receivesAtOnce ? Array(paths.prefix(1)) : paths
        )
    }

    private func nextNumber() -> Int {
        self.count.withLock { count in
            count += 1
            return count
        }
    }

    private func roomName(_ room: Int) -> String { "\(self.target.roomPrefix)\(room)" }

    private func fill(_ path: String, _ room: Int, _ publisher: Int) -> String {
        path.replacing("ROOM", with: self.roomName(room)).replacing("IDENTITY", with: "publisher\(publisher)")
    }

    private func plan(_ place: Place) -> PeerPlan {
        let group = self.scenario.groups[place.group]
        var plan = PeerPlan()
        plan.group = place.group
        plan.link = group.link
        plan.readsMerged = self.target.readsMerged
        plan.feedback = group.feedback
        plan.seed = self.scenario.seed &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(self.nextNumber())
        if place.publishes {
            plan.video = group.video
            plan.audio = group.audio != nil
            if let bitrate = group.audio { plan.audioBitrate = bitrate }
            plan.phase = self.phase(place)
        }
        plan.describesFrames = self.scenario.describesFrames(plan.video)
        guard group.receives || !place.publishes else { return plan }
        guard self.scenario.transport == .websocket else {
            let video = self.scenario.publishers.filter { $0.video != nil }
            let audio = self.scenario.publishers.filter { $0.audio != nil }
            let isAll = self.scenario.receivesAtOnce
            plan.receivesVideo = isAll ? video.reduce(0) { $0 + $1.count } : min(video.count, 1)
            plan.receivesAudio = isAll ? audio.reduce(0) { $0 + $1.count } : min(audio.count, 1)
            return plan
        }
        // All publishers but oneself.
        for publisher in self.scenario.publishers {
            if publisher.video != nil { plan.receivesVideo += publisher.count }
            if publisher.audio != nil { plan.receivesAudio += publisher.count }
        }
        if place.publishes {
            if group.video != nil { plan.receivesVideo -= 1 }
            if group.audio != nil { plan.receivesAudio -= 1 }
        }
        return plan
    }

    private func phase(_ place: Place) -> PublishingPhase? {
        switch self.scenario.groups[place.group].phase {
        case .joining: return nil
        case .together: return PublishingPhase(0)
        case .spread:
            let position = place.room * self.scenario.publishersPerRoom + place.number
            let count = self.scenario.rooms * self.scenario.publishersPerRoom
            return PublishingPhase(Double(position) / Double(max(count, 1)))
        case .random:
            // Of the place, not of the order in which they join: whoever comes anew has the phase of who was there.
            let position = UInt64(place.room) << 32 | UInt64(place.number)
            var random = RandomSource.seeded(state: self.scenario.seed ^ (position &+ 1) &* 0x9E37_79B9_7F4A_7C15)
            return PublishingPhase(Double.random(in: 0..<1, using: &random))
        }
    }

    private func joinByHTTP(_ place: Place, _ loop: ClientLoop, paths: [String]) async -> Participant? {
        let client = self.target.whip
        var connections: [Participant.Connection] = []
        for path in paths {
            do {
                let offer = try await loop.add(self.plan(place))
                do {
                    let session = try await client.post(offer: offer.sdp, to: path)
                    connections.append(.http(client, session, offer.id))
                    try await loop.start(offer.id, answer: session.answer)
                    if place.publishes, self.scenario.speakers != nil { loop.setSilent(offer.id, true) }
                } catch {
                    loop.close(offer.id)
                    throw error
                }
            } catch { self.note(error, of: path) }
        }
        return connections.isEmpty ? nil : Participant(place: place, loop: loop, connections: connections)
    }

    private func joinBySocket(_ place: Place, _ loop: ClientLoop) async -> Participant? {
        let name = (place.publishes ? "publisher" : "subscriber") + "\(place.number)"
        let room = self.roomName(place.room)
        let invitation = RoomMember.Invitation(
            server: self.target.server,
            token: self.target.token,
            acceptsAnyCertificate: self.target.acceptsAnyCertificate,
            room: room,
            name: name,
            preference: self.scenario.groups[place.group].preference
        )
        do {
            let member = try await RoomMember.join(invitation, plan: self.plan(place), on: loop) { [weak self] in
                self?.note("\(room)/\(name): the WebSocket was lost: \($0)", sessions: 0)
            }
            if place.publishes, self.scenario.speakers?.others == .silent, let peer = member.peer {
                loop.setSilent(peer, true)
            }
            return Participant(place: place, loop: loop, connections: [.webSocket(member)])
        } catch {
            self.note(error, of: "\(room)/\(name)")
            return nil
        }
    }
}
