import Basics
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOSSL

/// A connection to the public listener: HTTP by Hummingbird, over TLS where that is set, until it becomes the
/// signalling's WebSocket.
struct SignallingChannel: ServerChildChannel {
    struct Value: ServerChildChannelValue {
        let http: HTTP1Channel.Value
        /// `nil` when the connection was HTTP to its end.
        let webSocket: EventLoopFuture<WebSocketChannel?>

        var channel: any Channel { self.http.channel }
    }

    let http: HTTP1Channel
    let tls: TLSSource?
    let settings: LiveSettings
    let onWebSocket: @Sendable (WebSocketChannel, Logger) async -> Void

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        let limits = self.settings.limits
        return channel.eventLoop.makeCompletedFuture {
            if let tls = self.tls {
                try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls.context))
            }
            try channel.pipeline.syncOperations.addHandler(
                RequestTimer(
                    header: .nanoseconds(limits.handshakeTimeout.count),
                    body: .nanoseconds(limits.requestTimeout.count),
                    answer: .nanoseconds(limits.answerTimeout.count),
                    shutdown: .nanoseconds(limits.shutdownTimeout.count)
                )
            )
        }.flatMap {
            self.http.setup(channel: channel, logger: logger)
        }.flatMapThrowing { http in
            let pipeline = channel.pipeline.syncOperations
            let timer = try pipeline.handler(type: RequestTimer.self)
            let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
            let promise = channel.eventLoop.makePromise(of: WebSocketChannel?.self)
            let upgrade = UpgradeHandler(timer: timer, limits: limits, promise: promise)
            try pipeline.addHandler(upgrade, position: .after(decoder))
            return Value(http: http, webSocket: promise.futureResult)
        }
    }

    func handle(value: Value, logger: Logger) async {
        await withTaskGroup(of: Void.self) { group in
            // Goes on beside the WebSocket, with nothing to do.
            group.addTask { await self.http.handle(value: value.http, logger: logger) }
            if let channel = (try? await value.webSocket.get()) ?? nil {
                await self.onWebSocket(channel, logger)
            }
        }
    }
}
