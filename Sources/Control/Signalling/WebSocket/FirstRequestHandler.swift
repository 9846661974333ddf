import NIOCore

/// Looks at a connection's first request before any HTTP codec does, and lets the rest of the pipeline be built to fit.
///
/// Hummingbird builds a pipeline for HTTP, NIO one for WebSocket; neither hands over to the other. So this waits for
/// the end of the first header, decides, and passes the bytes on as they came. It also ends connections that are slow
/// with that header (ATTACKS A-70).
final class FirstRequestHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    enum Kind: Sendable { case http, webSocket }

    /// Longest header that is looked at; a longer one is HTTP's to refuse.
    static let maxHeaderBytes = 16_384

    private let timeout: TimeAmount
    private let decide: (Kind) -> Void
    private let fail: (any Error) -> Void
    private var buffer = ByteBuffer()
    private var searchStart = 0
    private var deadline: Scheduled<Void>?
    private var isDecided = false
    private var hasEndOfInput = false

    /// - Parameters:
    ///   - decide: builds the pipeline; called once, on the event loop.
    ///   - fail: the connection ended before.
    init(timeout: TimeAmount, decide: @escaping (Kind) -> Void, fail: @escaping (any Error) -> Void) {
        self.timeout = timeout
        self.decide = decide
        self.fail = fail
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        self.deadline = context.eventLoop.scheduleTask(in: self.timeout) { channel.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = Self.unwrapInboundIn(data)
        guard !self.isDecided else {
            context.fireChannelRead(Self.wrapInboundOut(bytes))
            return
        }
        self.buffer.writeBuffer(&bytes)
        guard let kind = self.kind() else { return }
        self.isDecided = true
        self.deadline?.cancel()
        self.decide(kind)
        context.fireChannelRead(Self.wrapInboundOut(self.buffer))
        context.fireChannelReadComplete()
        self.buffer = ByteBuffer()
        if self.hasEndOfInput { context.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // A server that stops waits for no first request.
        if event is ChannelShouldQuiesceEvent, !self.isDecided { context.close(promise: nil) }
        if let event = event as? ChannelEvent, event == .inputClosed, !self.isDecided {
            context.close(promise: nil)
            return
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.deadline?.cancel()
        if !self.isDecided { self.fail(ChannelError.eof) }
        context.fireChannelInactive()
    }

    /// `nil` until the header is complete.
    private func kind() -> Kind? {
        let view = self.buffer.readableBytesView
        let start = max(view.startIndex, view.startIndex + self.searchStart - 3)
        var end: Int?
        for index in start..<view.endIndex where view[index] == 0x0A {
            // CRLF CRLF, or the bare LF LF that a lenient parser takes too.
            if index >= view.startIndex + 3, view[index - 1] == 0x0D, view[index - 2] == 0x0A { end = index }
            if index > view.startIndex, view[index - 1] == 0x0A { end = index }
            if end != nil { break }
        }
        self.searchStart = view.count
        guard let end else { return view.count > Self.maxHeaderBytes ? .http : nil }
        return Self.isWebSocketRequest(String(decoding: view[..<end], as: UTF8.self)) ? .webSocket : .http
    }

    /// Whether NIO's upgrader will take it: it may not be asked for what it refuses, since then the request is lost.
    static func isWebSocketRequest(_ header: String) -> Bool {
        let lines = header.split(whereSeparator: \.isNewline)
        guard let request = lines.first?.split(separator: " "), request.count == 3, request[0] == "GET",
            request[1].split(separator: "?", omittingEmptySubsequences: false).first == "/v1/signal",
            request[2] == "HTTP/1.1"
        else { return false }
        var fields: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { return false }
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            let name = line[..<colon].lowercased()
            // Two of these are no request to upgrade that anybody should guess at.
            if fields[name] != nil, name.hasPrefix("sec-websocket-k") || name.hasPrefix("sec-websocket-v") {
                return false
            }
            fields[name] = (fields[name].map { $0 + "," } ?? "") + value.lowercased()
        }
        let connection = fields["connection", default: ""].split(separator: ",").map { $0.filter { $0 != " " } }
        let upgrade = fields["upgrade", default: ""].split(separator: ",").map { $0.filter { $0 != " " } }
        return connection.contains("upgrade") && upgrade.contains("websocket") && fields["sec-websocket-key"] != nil
            && fields["sec-websocket-version"]?.filter { $0 != " " } == "13"
            && fields["content-length", default: "0"] == "0" && fields["transfer-encoding"] == nil
    }
}
