import Basics
import Rooms

/// The rules of one signalling connection, without I/O: join first, no floods, no endless nonsense.
struct SignallingMachine {
    enum Action: Equatable {
        case perform(ClientMessage, id: Int64?)
        case reply(ServerMessage)
        case close(code: UInt16, reason: String)
    }

    private enum Phase { case new, joined, closed }

    private let limits: SignallingLimits
    private var phase = Phase.new
    private var bucket: TokenBucket
    private let openedAt: Instant
    /// In a row.
    private var badMessageCount = 0
    /// Over the rate, less those within it since.
    private var floodCount = 0

    /// Malformed frames in a row that end the connection.
    static let maxBadMessages = 10
    /// Frames over the rate that end it, less those within the rate since: who sends at twice the rate or more is ended.
    static let maxFloodedMessages = 100

    init(limits: SignallingLimits, openedAt now: Instant) {
        self.limits = limits
        self.openedAt = now
        self.bucket = TokenBucket(perSecond: Double(max(limits.messagesPerSecond, 1)), at: now)
    }

    mutating func receive(_ text: [UInt8], at now: Instant) -> [Action] {
        guard self.phase != .closed else { return [] }
        guard self.bucket.take(at: now) else {
            let limit = "more than \(self.limits.messagesPerSecond) messages a second"
            return self.flooded(reply: .error(RoomError(.rateLimited, limit)))
        }
        self.floodCount = max(self.floodCount - 1, 0)
        let frame = ClientFrame(parsing: text, limits: .init(bytes: self.limits.messageBytes))
        switch frame.message {
        case .failure(let error): return self.refuse(error, id: frame.id)
        case .success(let message):
            switch self.phase {
            case .new where message.isJoin, .joined where !message.isJoin:
                self.badMessageCount = 0
                return [.perform(message, id: frame.id)]
            case .new where message == .leave:
                self.phase = .closed
                return [.close(code: 1000, reason: "")]
            case .new: return self.refuse(RoomError(.badMessage, "join first"), id: frame.id)
            case .joined: return self.refuse(RoomError(.badMessage, "joined already"), id: frame.id)
            case .closed: return []
            }
        }
    }

    /// Pings and pongs are cheap for the peer and not for us: they count as messages.
    mutating func receivedControlFrame(at now: Instant) -> [Action] {
        guard self.phase != .closed else { return [] }
        guard !self.bucket.take(at: now) else {
            self.floodCount = max(self.floodCount - 1, 0)
            return []
        }
        return self.flooded(reply: nil)
    }

    mutating func joined() { if self.phase == .new { self.phase = .joined } }

    /// Ends a connection that never joins.
    mutating func tick(at now: Instant) -> [Action] {
        guard self.phase == .new, now - self.openedAt >= self.limits.joinTimeout else { return [] }
        self.phase = .closed
        return [.close(code: 1008, reason: "no join in time")]
    }

    private mutating func flooded(reply: ServerMessage?) -> [Action] {
        self.floodCount += 1
        guard self.floodCount < Self.maxFloodedMessages else {
            self.phase = .closed
            return [.close(code: 1008, reason: "rateLimited")]
        }
        return reply.map { [.reply($0)] } ?? []
    }

    private mutating func refuse(_ error: RoomError, id: Int64?) -> [Action] {
        self.badMessageCount += 1
        let reply = Action.reply(.error(error, id: id))
        guard self.badMessageCount >= Self.maxBadMessages else { return [reply] }
        self.phase = .closed
        return [reply, .close(code: 1008, reason: "badMessage")]
    }
}

extension ClientMessage {
    fileprivate var isJoin: Bool {
        guard case .join = self else { return false }
        return true
    }
}
