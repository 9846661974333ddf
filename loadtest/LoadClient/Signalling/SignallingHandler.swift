import NIOCore
import NIOWebSocket

/// Turns frames into messages, answers pings, and pings itself, so that a connection that is dead is noticed.
final class SignallingHandler: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    private static let pingInterval = TimeAmount.seconds(20)

    private let onMessage: @Sendable (SignalMessage) -> Void
    private let onClosed: @Sendable (String) -> Void
    private var pings: RepeatedTask?
    /// Pings without an answer.
    private var unanswered = 0
    /// Why it ended, as far as anybody said.
    private var reason = "the connection broke"

    init(onMessage: @escaping @Sendable (SignalMessage) -> Void, onClosed: @escaping @Sendable (String) -> Void) {
        self.onMessage = onMessage
        self.onClosed = onClosed
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        self.pings = context.eventLoop.scheduleRepeatedTask(
            initialDelay: Self.pingInterval,
            delay: Self.pingInterval
        ) { _ in
            let (handler, context) = bound.value
            handler.ping(context)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.pings?.cancel() }

    private func ping(_ context: ChannelHandlerContext) {
        guard self.unanswered < 2 else {
            self.reason = "two pings were not answered"
            return context.close(promise: nil)
        }
        self.unanswered += 1
        let frame = WebSocketFrame(fin: true, opcode: .ping, maskKey: .random(), data: ByteBuffer())
        context.writeAndFlush(Self.wrapOutboundOut(frame), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = Self.unwrapInboundIn(data)
        self.unanswered = 0
        switch frame.opcode {
        case .text:
            if let message = SignalMessage(Array(frame.unmaskedData.readableBytesView)) { self.onMessage(message) }
        case .ping:
            let pong = WebSocketFrame(fin: true, opcode: .pong, maskKey: .random(), data: frame.unmaskedData)
            context.writeAndFlush(Self.wrapOutboundOut(pong), promise: nil)
        case .connectionClose:
            var data = frame.unmaskedData
            if let code = data.readInteger(as: UInt16.self) {
                self.reason = "the server closed it with \(code) \(String(buffer: data).prefix(100))"
            }
            context.close(promise: nil)
        default: break
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.pings?.cancel()
        self.onClosed(self.reason)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.reason = "\(error)"
        context.close(promise: nil)
    }
}
