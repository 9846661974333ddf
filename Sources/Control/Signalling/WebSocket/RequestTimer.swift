import NIOCore

/// Ends connections that are slow with a request or do not read the answers (ATTACKS A-70), and those that outlast the
/// server. The first handler after TLS: it sees bytes, and is told by `UpgradeHandler` how far the request has come that
/// these make.
final class RequestTimer: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private enum Phase {
        /// Between two requests; how long that may last is HTTP's idle timeout to say.
        case idle
        case header, body
        /// The connection has become a WebSocket.
        case over
    }

    private let headerTimeout: TimeAmount
    private let bodyTimeout: TimeAmount
    private let answerTimeout: TimeAmount
    private let shutdownTimeout: TimeAmount
    private var phase = Phase.header
    private var deadline: Scheduled<Void>?
    /// While more waits to be sent than a channel takes.
    private var answerDeadline: Scheduled<Void>?
    private var shutdownDeadline: Scheduled<Void>?
    private var context: ChannelHandlerContext?

    /// - Parameters:
    ///   - header: from the connection, or the first byte of a later request, to the end of the request's header.
    ///   - body: from there to the end of the request.
    ///   - answer: how long the client may take to read so much that answers go on.
    ///   - shutdown: from the server's wish to stop to the end of whatever is left.
    init(header: TimeAmount, body: TimeAmount, answer: TimeAmount, shutdown: TimeAmount) {
        self.headerTimeout = header
        self.bodyTimeout = body
        self.answerTimeout = answer
        self.shutdownTimeout = shutdown
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        // The handshake of TLS counts as part of the first header.
        self.start(self.headerTimeout)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        for deadline in [self.deadline, self.answerDeadline, self.shutdownDeadline] { deadline?.cancel() }
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .idle = self.phase {
            self.phase = .header
            self.start(self.headerTimeout)
        }
        context.fireChannelRead(data)
    }

    /// HTTP's idle timeout does not count while an answer is on its way, and that of who never reads always is.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        self.answerDeadline?.cancel()
        self.answerDeadline = nil
        if case .over = self.phase {
            // A WebSocket's `Outbox` has its own bound.
        } else if !context.channel.isWritable {
            self.answerDeadline = self.close(in: self.answerTimeout)
        }
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // The server waits for every connection, and whoever started it does not wait for ever.
        if event is ChannelShouldQuiesceEvent, self.shutdownDeadline == nil {
            self.shutdownDeadline = self.close(in: self.shutdownTimeout)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func headerReceived() {
        self.phase = .body
        self.start(self.bodyTimeout)
    }

    func requestReceived() {
        self.phase = .idle
        self.deadline?.cancel()
    }

    func stop() {
        self.phase = .over
        self.deadline?.cancel()
        self.answerDeadline?.cancel()
    }

    private func start(_ timeout: TimeAmount) {
        self.deadline?.cancel()
        self.deadline = self.close(in: timeout)
    }

    private func close(in time: TimeAmount) -> Scheduled<Void>? {
        self.context?.eventLoop.assumeIsolated().scheduleTask(in: time) { self.context?.close(promise: nil) }
    }
}
