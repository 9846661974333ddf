import NIOCore
import NIOHTTP1
import NIOWebSocket

/// Makes a WebSocket of an HTTP connection, at whichever of its requests asks for it.
///
/// NIO's own upgrade handlers look at a connection's first request only, while a reverse proxy or a client with a pool
/// asks on a connection that has been in use. This one stands between the HTTP codec and Hummingbird. When a request for
/// the signalling comes and all answers before it are out, it answers itself, puts the WebSocket's handlers in front of
/// HTTP's, and lets neither input nor output of these through any more: to Hummingbird the connection is idle until it
/// closes.
final class UpgradeHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// NIO's decoder stops after a request for another protocol, so nothing follows the states after `http`.
    private enum State {
        case http
        /// A request for a protocol that we do not have: answered as if it had not asked, and the connection ends.
        case lastRequest
        /// A request for the signalling, perhaps behind others that are still being answered.
        case waiting(HTTPRequestHead, isComplete: Bool)
        case webSocket
    }

    static let path = "/v1/signal"

    private let timer: RequestTimer
    private let limits: SignallingLimits
    /// `nil` when the connection ended without having become one.
    private let promise: EventLoopPromise<WebSocketChannel?>
    private var isPromiseKept = false
    private var state = State.http
    private var unansweredCount = 0

    /// - Parameter promise: for what the connection becomes; kept at the latest when it ends.
    init(timer: RequestTimer, limits: SignallingLimits, promise: EventLoopPromise<WebSocketChannel?>) {
        self.timer = timer
        self.limits = limits
        self.promise = promise
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.keepPromise(nil) }

    private func keepPromise(_ channel: WebSocketChannel?) {
        guard !self.isPromiseKept else { return }
        self.isPromiseKept = true
        self.promise.succeed(channel)
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch Self.unwrapInboundIn(data) {
        case .head(let head):
            self.timer.headerReceived()
            if Self.isWebSocketRequest(head) {
                self.state = .waiting(head, isComplete: false)
                return
            }
            if Self.asksForAnotherProtocol(head) { self.state = .lastRequest }
            self.unansweredCount += 1
            self.continueIfAsked(context, head)
        case .body: break
        case .end:
            self.timer.requestReceived()
            if case .waiting(let head, _) = self.state {
                self.state = .waiting(head, isComplete: true)
                self.upgradeIfReady(context)
                return
            }
        }
        context.fireChannelRead(data)
    }

    /// Who expects 100 waits with the body for it, a second or for ever (RFC 9110 §10.1.1). Behind an answer that is still
    /// under way it would be that one's.
    private func continueIfAsked(_ context: ChannelHandlerContext, _ head: HTTPRequestHead) {
        guard head.version == .http1_1, self.unansweredCount == 1,
            head.headers[canonicalForm: "expect"].contains(where: { $0.lowercased() == "100-continue" })
        else { return }
        context.writeAndFlush(
            Self.wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))),
            promise: nil
        )
    }

    // MARK: Answers

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .webSocket = self.state {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        switch Self.unwrapOutboundIn(data) {
        case .head(var head):
            if case .lastRequest = self.state, self.unansweredCount == 1 {
                head.headers.replaceOrAdd(name: "connection", value: "close")
            }
            context.write(Self.wrapOutboundOut(.head(head)), promise: promise)
        case .body: context.write(data, promise: promise)
        case .end:
            self.unansweredCount -= 1
            guard self.unansweredCount == 0, !self.isPlainHTTP else {
                context.write(data, promise: promise)
                return
            }
            let sent = promise ?? context.eventLoop.makePromise()
            context.writeAndFlush(data, promise: sent)
            if case .lastRequest = self.state {
                sent.futureResult.assumeIsolated().whenComplete { _ in context.close(promise: nil) }
            } else {
                self.upgradeIfReady(context)
            }
        }
    }

    func flush(context: ChannelHandlerContext) { if !self.isWebSocket { context.flush() } }

    /// `WebSocketHandler` asks for its own input.
    func read(context: ChannelHandlerContext) { if !self.isWebSocket { context.read() } }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard self.isWebSocket else {
            context.close(mode: mode, promise: promise)
            return
        }
        promise?.fail(ChannelError.alreadyClosed)
    }

    private var isPlainHTTP: Bool { if case .http = self.state { true } else { false } }
    private var isWebSocket: Bool { if case .webSocket = self.state { true } else { false } }

    // MARK: Becoming a WebSocket

    private func upgradeIfReady(_ context: ChannelHandlerContext) {
        guard case .waiting(let head, isComplete: true) = self.state, self.unansweredCount == 0 else { return }
        // Only what it says to the key is of use: the pipeline that NIO would build knows nothing of this one.
        let upgrader = NIOWebSocketServerUpgrader(
            shouldUpgrade: { channel, head in channel.eventLoop.makeSucceededFuture(Self.responseHeaders(for: head)) },
            upgradePipelineHandler: { channel, _ in channel.eventLoop.makeSucceededVoidFuture() }
        )
        upgrader.buildUpgradeResponse(channel: context.channel, upgradeRequest: head, initialResponseHeaders: [:])
            .assumeIsolated()
            .whenComplete { result in
                do { try self.upgrade(context, headers: try result.get()) } catch { context.close(promise: nil) }
            }
    }

    private func upgrade(_ context: ChannelHandlerContext, headers: HTTPHeaders) throws {
        let response = HTTPResponseHead(version: .http1_1, status: .switchingProtocols, headers: headers)
        context.write(Self.wrapOutboundOut(.head(response)), promise: nil)
        context.writeAndFlush(Self.wrapOutboundOut(.end(nil)), promise: nil)
        self.state = .webSocket
        self.timer.stop()
        let handler = WebSocketHandler(
            outbox: Outbox(maxBytes: self.limits.outboundQueueBytes, sendTimeout: self.limits.sendTimeout)
        )
        let decoder = WebSocketFrameDecoder(maxFrameSize: self.limits.messageBytes)
        try context.pipeline.syncOperations.addHandlers(
            [WebSocketFrameEncoder(), ByteToMessageHandler(decoder), WebSocketProtocolErrorHandler(), handler],
            position: .after(self.timer)
        )
        self.keepPromise(handler.makeChannel(context.channel))
    }

    /// Takes clients that ask for our subprotocol, and those that ask for none.
    private static func responseHeaders(for head: HTTPRequestHead) -> HTTPHeaders {
        let asked = head.headers[canonicalForm: "sec-websocket-protocol"]
        return asked.contains("sluice.v1") ? ["sec-websocket-protocol": "sluice.v1"] : [:]
    }

    /// As NIO's decoder sees it (llhttp): what it stops after.
    private static func asksForAnotherProtocol(_ head: HTTPRequestHead) -> Bool {
        if head.method == .CONNECT { return true }
        let connection = head.headers[canonicalForm: "connection"]
        return head.headers.contains(name: "upgrade") && connection.contains { $0.lowercased() == "upgrade" }
    }

    /// RFC 6455 §4.2.1. What is not quite one is HTTP's to refuse.
    static func isWebSocketRequest(_ head: HTTPRequestHead) -> Bool {
        guard self.asksForAnotherProtocol(head), head.method == .GET, head.version == .http1_1 else { return false }
        let path = head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false).first
        let protocols = head.headers[canonicalForm: "upgrade"].map { $0.lowercased() }
        guard path == Self.path[...], protocols.contains("websocket") else { return false }
        // Two keys or versions are no request that anybody should guess at.
        let keys = head.headers["sec-websocket-key"]
        guard keys.count == 1, keys[0].utf8.count == 24, keys[0].hasSuffix("==") else { return false }
        guard head.headers["sec-websocket-version"] == ["13"] else { return false }
        return !head.headers.contains(name: "transfer-encoding")
            && head.headers["content-length"].allSatisfy { $0 == "0" }
    }
}
