import Foundation
import NIOCore
import NIOWebSocket
import Synchronization

/// A participant's WebSocket with subprotocol `sluice.v1`: requests and their replies, and what the server says by
/// itself.
package final class SignallingClient: Sendable {
    private static let replyTimeout = Duration.seconds(15)

    private struct State {
        var channel: (any Channel)?
        var nextID = 1
        var isClosed = false
        var waiting: [Int: CheckedContinuation<SignalMessage, any Error>] = [:]
    }

    private let state = Mutex(State())
    private let onMessage: @Sendable (SignalMessage) -> Void
    private let onLost: @Sendable (String) -> Void

    /// - Parameters:
    ///   - onMessage: each message, replies too and before the request is done, in order.
    ///   - onLost: the connection ended, and not because of `leave`; gets the reason.
    package init(
        onMessage: @escaping @Sendable (SignalMessage) -> Void,
        onLost: @escaping @Sendable (String) -> Void
    ) {
        self.onMessage = onMessage
        self.onLost = onLost
    }

    package func connect(to server: ServerAddress, acceptsAnyCertificate: Bool) async throws {
        let channel = try await WebSocketConnector.connect(
            to: server,
            acceptsAnyCertificate: acceptsAnyCertificate
        ) { [weak self] in
            SignallingHandler { [weak self] in
                self?.receive($0)
            } onClosed: { [weak self] in
                self?.closed($0)
            }
        }
        self.state.withLock { $0.channel = channel }
    }

    /// Sends a request and waits for its reply.
    /// - Throws: `LoadClientError.signalling` when the reply is an error.
    package func request(_ type: String, _ payload: some Encodable & Sendable) async throws -> SignalMessage {
        let (id, channel) = try self.begin()
        let bytes = try SignalRequest(type: type, id: id, payload: payload).bytes()
        let timeout = Task {
            try await Task.sleep(for: Self.replyTimeout)
            self.resume(id, .failure(LoadClientError.timedOut(type)))
        }
        defer { timeout.cancel() }
        let reply = try await withCheckedThrowingContinuation { continuation in
            let isOpen = self.state.withLock { state in
                guard !state.isClosed else { return false }
                state.waiting[id] = continuation
                return true
            }
            guard isOpen else {
                return continuation.resume(throwing: LoadClientError.connectionFailed("the WebSocket is closed"))
            }
            Self.write(bytes, to: channel)
        }
        guard reply.type != "error" else {
            throw LoadClientError.signalling(code: reply.payload?.code ?? "", message: reply.payload?.message ?? "")
        }
        return reply
    }

    /// Sends what has no reply; an error that answers it comes by `onMessage`.
    package func tell(_ type: String, _ payload: some Encodable & Sendable) {
        guard let (id, channel) = try? self.begin(),
            let bytes = try? SignalRequest(type: type, id: id, payload: payload).bytes()
        else { return }
        Self.write(bytes, to: channel)
    }

    /// Says goodbye; the server closes.
    /// - Returns: whether there was a connection to say it on.
    package func leave() async -> Bool {
        self.tell("leave", SignalPayload.Empty())
        let channel = self.state.withLock { state in
            state.isClosed = true
            return state.channel.take()
        }
        guard let channel else { return false }
        // A server that does not close is left alone.
        let timer = channel.eventLoop.scheduleTask(in: .seconds(2)) { channel.close(promise: nil) }
        try? await channel.closeFuture.get()
        timer.cancel()
        return true
    }

    private func begin() throws -> (id: Int, channel: any Channel) {
        try self.state.withLock { state in
            guard let channel = state.channel, !state.isClosed else {
                throw LoadClientError.connectionFailed("the WebSocket is closed")
            }
            state.nextID += 1
            return (state.nextID, channel)
        }
    }

    private static func write(_ bytes: [UInt8], to channel: any Channel) {
        // A client masks what it sends (RFC 6455 §5.3).
        let frame = WebSocketFrame(fin: true, opcode: .text, maskKey: .random(), data: ByteBuffer(bytes: bytes))
        channel.writeAndFlush(frame, promise: nil)
    }

    private func receive(_ message: SignalMessage) {
        self.onMessage(message)
        if let id = message.id { self.resume(id, .success(message)) }
    }

    private func resume(_ id: Int, _ result: Result<SignalMessage, any Error>) {
        self.state.withLock { $0.waiting.removeValue(forKey: id) }?.resume(with: result)
    }

    private func closed(_ reason: String) {
        let (wasClosed, waiting) = self.state.withLock { state in
            defer {
                state.isClosed = true
                state.channel = nil
                state.waiting = [:]
            }
            return (state.isClosed, Array(state.waiting.values))
        }
        for continuation in waiting {
            continuation.resume(throwing: LoadClientError.connectionFailed("the WebSocket ended: \(reason)"))
        }
        if !wasClosed { self.onLost(reason) }
    }
}
