import Basics
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOSSL
import NIOWebSocket

/// A connection to the public listener: HTTP by Hummingbird, or the signalling's WebSocket, over TLS where that is set.
struct SignallingChannel: ServerChildChannel {
    typealias WebSocketChannel = NIOAsyncChannel<WebSocketFrame, WebSocketFrame>

    enum Connection: Sendable {
        case http(HTTP1Channel.Value)
        case webSocket(WebSocketChannel, Outbox)
    }

    /// A child channel's value must be there before the first byte is read; what it will be is known later.
    struct Value: ServerChildChannelValue {
        let connection: EventLoopFuture<Connection>
        let channel: any Channel
    }

    let http: HTTP1Channel
    let tls: TLSSource?
    let settings: LiveSettings
    let onWebSocket: @Sendable (WebSocketChannel, Outbox, Logger) async -> Void

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            if let tls = self.tls {
                try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls.context))
            }
            let promise = channel.eventLoop.makePromise(of: Connection.self)
            let handler = FirstRequestHandler(
                timeout: .nanoseconds(self.settings.limits.handshakeTimeout.count),
                decide: { kind in promise.completeWith(self.configure(channel, as: kind, logger: logger)) },
                fail: { promise.fail($0) }
            )
            try channel.pipeline.syncOperations.addHandler(handler)
            return Value(connection: promise.futureResult, channel: channel)
        }
    }

    private func configure(
        _ channel: any Channel,
        as kind: FirstRequestHandler.Kind,
        logger: Logger
    ) -> EventLoopFuture<Connection> {
        switch kind {
        case .http: return self.http.setup(channel: channel, logger: logger).map { .http($0) }
        case .webSocket:
            do { return try self.configureWebSocket(channel) } catch {
                return channel.eventLoop.makeFailedFuture(error)
            }
        }
    }

    private func configureWebSocket(_ channel: any Channel) throws -> EventLoopFuture<Connection> {
        let limits = self.settings.limits
        let upgrader = NIOTypedWebSocketServerUpgrader<Connection>(
            maxFrameSize: limits.messageBytes,
            shouldUpgrade: { channel, head in channel.eventLoop.makeSucceededFuture(Self.responseHeaders(for: head)) },
            upgradePipelineHandler: { channel, _ in
                channel.eventLoop.makeCompletedFuture {
                    let outbox = Outbox(maxBytes: limits.outboundQueueBytes, sendTimeout: limits.sendTimeout)
                    try channel.pipeline.syncOperations.addHandler(GoingAwayHandler(outbox: outbox))
                    return .webSocket(try WebSocketChannel(wrappingChannelSynchronously: channel), outbox)
                }
            }
        )
        var configuration = NIOUpgradableHTTPServerPipelineConfiguration(
            upgradeConfiguration: NIOTypedHTTPServerUpgradeConfiguration(
                upgraders: [upgrader],
                notUpgradingCompletionHandler: { channel in
                    channel.close(promise: nil)
                    return channel.eventLoop.makeFailedFuture(ChannelError.inputClosed)
                }
            )
        )
        configuration.enablePipelining = false
        return try channel.pipeline.syncOperations.configureUpgradableHTTPServerPipeline(configuration: configuration)
    }

    /// Takes clients that ask for our subprotocol, and those that ask for none.
    private static func responseHeaders(for head: HTTPRequestHead) -> HTTPHeaders {
        let asked = head.headers[canonicalForm: "sec-websocket-protocol"]
        return asked.contains("sluice.v1") ? ["sec-websocket-protocol": "sluice.v1"] : [:]
    }

    func handle(value: Value, logger: Logger) async {
        do {
            switch try await value.connection.get() {
            case .http(let channel): await self.http.handle(value: channel, logger: logger)
            case .webSocket(let channel, let outbox): await self.onWebSocket(channel, outbox, logger)
            }
        } catch {
            logger.trace("connection ended before its first request", metadata: ["error": "\(error)"])
            value.channel.close(promise: nil)
        }
    }
}

/// Tells the client when the server stops (RFC 6455 §7.4.1: 1001).
private final class GoingAwayHandler: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame

    private let outbox: Outbox

    init(outbox: Outbox) { self.outbox = outbox }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent { self.outbox.close(code: 1001, reason: "the server stops") }
        context.fireUserInboundEventTriggered(event)
    }
}
