import Basics
import Logging
import Metrics
import NIOCore
import Rooms

/// One signalling connection: performs what the machine lets through, on the rooms.
///
/// An actor only because the watching task asks it too; messages are performed one after the other by the reading task.
actor SignallingSession {
    private let context: SignallingContext
    private let outbox: Outbox
    private let address: SocketAddress?
    private var machine: SignallingMachine
    private var joined: JoinedRoom?
    private var hasLeft = false
    /// It came with a token for `resume` that is good for nothing.
    private var hasFailedToResume = false

    init(context: SignallingContext, outbox: Outbox, address: SocketAddress?) {
        self.context = context
        self.outbox = outbox
        self.address = address
        self.machine = SignallingMachine(limits: context.settings.limits, openedAt: context.now())
    }

    // MARK: Input

    func receive(_ text: [UInt8]) async { await self.run(self.machine.receive(text, at: self.context.now())) }

    func receivedControlFrame() async { await self.run(self.machine.receivedControlFrame(at: self.context.now())) }

    func tick() async { await self.run(self.machine.tick(at: self.context.now())) }

    /// The connection is closed; without a `leave` the media stays for a while.
    func connectionEnded() async {
        guard let joined = self.joined, !self.hasLeft else { return }
        self.joined = nil
        await joined.room.detach(joined.participant, resumeToken: joined.resumeToken, at: self.context.now())
    }

    private func run(_ actions: [SignallingMachine.Action]) async {
        for action in actions {
            switch action {
            case .perform(let message, let id): await self.perform(message, id: id)
            case .reply(let reply):
                SignallingMetrics.message(.received, type: "other", result: reply.payload["code"]?.stringValue ?? "")
                self.send(reply)
            case .close(let code, let reason): self.outbox.close(code: code, reason: reason)
            }
        }
    }

    // MARK: Performing

    private func perform(_ message: ClientMessage, id: Int64?) async {
        var result = "ok"
        do throws(RoomError) {
            if let reply = try await self.reply(to: message, id: id) { self.send(reply) }
        } catch {
            result = error.code.rawValue
            self.send(.error(error, id: id))
        }
        SignallingMetrics.message(.received, type: message.name, result: result)
        if case .join = message { SignallingMetrics.join(.websocket, result: result) }
    }

    private func reply(to message: ClientMessage, id: Int64?) async throws(RoomError) -> ServerMessage? {
        if case .join(let join) = message { return try await self.join(join, id: id) }
        guard let joined = self.joined else { throw RoomError(.badMessage, "join first") }
        let room = joined.room
        let participant = joined.participant
        switch message {
        case .join, .candidate: return nil
        case .offer(let sdp): return .answer(try await room.offer(sdp, from: participant), id: id)
        case .publish(let intents):
            try await room.declare(intents, by: participant)
            return nil
        case .subscribe(let track, let mid):
            return .subscribed(track: track, mid: try await room.subscribe(participant, to: track, mid: mid), id: id)
        case .unsubscribe(let track):
            try await room.unsubscribe(participant, from: track)
            return ServerMessage("unsubscribed", ["trackId": .string(track)], id: id)
        case .prefer(let track, let preference):
            try await room.prefer(preference, for: track, by: participant)
            return nil
        case .mute(let track, let muted):
            try await room.mute(track, muted: muted, by: participant)
            return nil
        case .setMetadata(let metadata):
            try await room.setMetadata(metadata, of: participant)
            return nil
        case .stats: return ServerMessage("stats", try await room.report(of: participant).statisticsJSON, id: id)
        case .leave:
            self.hasLeft = true
            await room.leave(participant)
            self.outbox.close(code: 1000, reason: "")
            return nil
        case .relay(let type, let to, let payload):
            try await room.relay(type: type, payload: payload, from: participant, to: to)
            return nil
        }
    }

    private func join(_ join: ClientMessage.Join, id: Int64?) async throws(RoomError) -> ServerMessage {
        let room = RoomID(join.roomID)
        // What waits for `resume` was let in before, and only its owner knows the token: it is no join. An office that
        // comes back after a moment without a network does so from one address, all at once. Wrong tokens count.
        if let token = join.resume, !self.hasFailedToResume {
            if let joined = await self.resume(room, token: token) { return self.welcome(joined, id: id) }
            self.hasFailedToResume = true
        }
        let limit = self.context.settings.limits.joinsPerSecondPerAddress
        guard self.context.joins.admit(self.address, perSecond: limit, at: self.context.now()) else {
            throw RoomError(.rateLimited, "more than \(limit) joins a second from this address")
        }
        let access = try await self.context.access(token: join.token, room: join.roomID)
        let request = JoinRequest(
            kind: .websocket,
            identity: access.identity ?? join.identity.flatMap { $0.isEmpty ? nil : $0 } ?? "guest-"
                + RandomIdentifiers.token(8),
            isIdentityAsserted: access.identity != nil,
            name: access.name ?? join.name ?? "",
            metadata: join.metadata ?? access.metadata ?? .null,
            grants: access.grants,
            autoSubscribe: join.autoSubscribe,
            onRemoved: { [accessControl = self.context.accessControl] in accessControl.revoke(access.credential) }
        )
        let (outbox, told) = (self.outbox, self.context.told)
        let joined = try await self.context.directory.join(room, request) { Self.deliver($0, to: outbox, by: told) }
        return self.welcome(joined, id: id)
    }

    private func resume(_ room: RoomID, token: String) async -> JoinedRoom? {
        let (outbox, told) = (self.outbox, self.context.told)
        return await self.context.directory.resume(room, token: token) { Self.deliver($0, to: outbox, by: told) }
    }

    private func welcome(_ joined: JoinedRoom, id: Int64?) -> ServerMessage {
        self.joined = joined
        self.machine.joined()
        let servers = self.context.iceServers(joined.identity)
        return .joined(joined, iceServers: servers, version: self.context.version, id: id)
    }

    // MARK: Output

    private func send(_ message: ServerMessage) { Self.send(message, to: self.outbox) }

    /// Returns whether it was taken.
    @discardableResult
    private static func send(_ message: ServerMessage, _ bytes: [UInt8]? = nil, to outbox: Outbox) -> Bool {
        let isTaken = outbox.put(.text(bytes ?? message.bytes), as: message.standing)
        SignallingMetrics.message(.sent, type: message.label, result: isTaken ? "ok" : "rateLimited")
        return isTaken
    }

    private static func deliver(_ event: RoomEvent, to outbox: Outbox, by told: ToldEvents) -> Bool {
        switch event {
        case .removed(.left): outbox.close(code: 1000, reason: "")
        case .removed(.roomClosed): outbox.close(code: 1000, reason: LeaveReason.roomClosed.rawValue)
        // Going away (RFC 6455 §7.4.1): clients come back, as they would after a crash.
        case .removed(.serverStopped): outbox.close(code: 1001, reason: LeaveReason.serverStopped.rawValue)
        case .removed(let reason): outbox.close(code: 1008, reason: reason.rawValue)
        case .resumedElsewhere: outbox.close(code: 1008, reason: "resumed")
        default:
            if let (message, bytes) = told.message(of: event) { return self.send(message, bytes, to: outbox) }
        }
        return true
    }
}
