import NIOCore

/// Ends connections that are slow with a request (ATTACKS A-70). The first handler after TLS: it sees bytes, and is told
/// by `UpgradeHandler` how far the request has come that these make.
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
    private var phase = Phase.header
    private var deadline: Scheduled<Void>?
    private var context: ChannelHandlerContext?

    /// - Parameters:
    ///   - header: from the connection, or the first byte of a later request, to the end of the request's header.
    ///   - body: from there to the end of the request.
    init(header: TimeAmount, body: TimeAmount) {
        self.headerTimeout = header
        self.bodyTimeout = body
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        // The handshake of TLS counts as part of the first header.
        self.start(self.headerTimeout)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.deadline?.cancel()
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .idle = self.phase {
            self.phase = .header
            self.start(self.headerTimeout)
        }
        context.fireChannelRead(data)
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
    }

    private func start(_ timeout: TimeAmount) {
        self.deadline?.cancel()
        self.deadline = self.context?.eventLoop.assumeIsolated().scheduleTask(in: timeout) {
            self.context?.close(promise: nil)
        }
    }
}
