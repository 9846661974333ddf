import NIOCore
import NIOWebSocket

/// The end of the pipeline for a connection that has become a WebSocket: nothing gets past it to the HTTP handlers that
/// lie behind. Input waits until it is taken (back-pressure); output goes where the channel's owner says.
final class WebSocketHandler: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    private let outbox: Outbox
    private var source: WebSocketChannel.Frames.Source?
    private var context: ChannelHandlerContext?
    private var wantsMore = true

    init(outbox: Outbox) { self.outbox = outbox }

    func makeChannel(_ channel: any Channel) -> WebSocketChannel {
        let handler = NIOLoopBound(self, eventLoop: channel.eventLoop)
        let made = WebSocketChannel.Frames.makeSequence(
            backPressureStrategy: .init(lowWatermark: 2, highWatermark: 10),
            finishOnDeinit: true,
            delegate: WebSocketChannel.Demand(handler: handler)
        )
        if self.context == nil { made.source.finish() } else { self.source = made.source }
        return WebSocketChannel(frames: made.sequence, outbox: self.outbox, channel: channel, handler: handler)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        // What asked for input so far is behind us now.
        context.read()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.finish()
        self.context = nil
    }

    // MARK: Input

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = Self.unwrapInboundIn(data)
        switch self.source?.yield(frame) {
        case .stopProducing: self.wantsMore = false
        case .produceMore, .dropped, nil: break
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) { if self.wantsMore { context.read() } }

    /// HTTP learns it from the removal of its handlers.
    func channelInactive(context: ChannelHandlerContext) { self.finish() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { self.finish() }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // RFC 6455 §7.4.1.
        if event is ChannelShouldQuiesceEvent { self.outbox.close(code: 1001, reason: "the server stops") }
        if let event = event as? ChannelEvent, event == .inputClosed { self.finish() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {}

    private func finish() {
        self.source?.finish()
        self.source = nil
    }

    fileprivate func produceMore() {
        guard !self.wantsMore else { return }
        self.wantsMore = true
        self.context?.read()
    }

    // MARK: Output

    /// The promise is kept with the last frame.
    fileprivate func write(_ frames: [WebSocketFrame], promise: EventLoopPromise<Void>?) {
        guard let context = self.context else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        for frame in frames.dropLast() { context.write(Self.wrapOutboundOut(frame), promise: nil) }
        guard let last = frames.last else {
            promise?.succeed()
            return
        }
        context.writeAndFlush(Self.wrapOutboundOut(last), promise: promise)
    }

    fileprivate func close() { self.context?.close(promise: nil) }
}

/// A WebSocket from outside its event loop.
struct WebSocketChannel: Sendable {
    typealias Frames = NIOThrowingAsyncSequenceProducer<
        WebSocketFrame, any Error, NIOAsyncSequenceProducerBackPressureStrategies.HighLowWatermark, Demand
    >

    /// What was received; for one reader.
    let frames: Frames
    let outbox: Outbox
    private let channel: any Channel
    private let handler: NIOLoopBound<WebSocketHandler>

    fileprivate init(
        frames: Frames,
        outbox: Outbox,
        channel: any Channel,
        handler: NIOLoopBound<WebSocketHandler>
    ) {
        self.frames = frames
        self.outbox = outbox
        self.channel = channel
        self.handler = handler
    }

    var remoteAddress: SocketAddress? { self.channel.remoteAddress }

    /// Returns when the kernel has taken the frames.
    func write(_ frames: [WebSocketFrame]) async throws {
        let handler = self.handler
        let sent = self.channel.eventLoop.makePromise(of: Void.self)
        self.channel.eventLoop.execute { handler.value.write(frames, promise: sent) }
        try await sent.futureResult.get()
    }

    func post(_ frame: WebSocketFrame) {
        let handler = self.handler
        self.channel.eventLoop.execute { handler.value.write([frame], promise: nil) }
    }

    func close(in delay: TimeAmount = .zero) {
        let handler = self.handler
        self.channel.eventLoop.scheduleTask(in: delay) { handler.value.close() }
    }

    func waitUntilClosed() async { try? await self.channel.closeFuture.get() }

    /// Asks for more input when some was taken.
    struct Demand: NIOAsyncSequenceProducerDelegate {
        fileprivate let handler: NIOLoopBound<WebSocketHandler>

        func produceMore() {
            let handler = self.handler
            handler.eventLoop.execute { handler.value.produceMore() }
        }

        func didTerminate() {}
    }
}
