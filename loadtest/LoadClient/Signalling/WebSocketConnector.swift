import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import NIOWebSocket

/// Opens the WebSocket of a participant (RFC 6455) at `/v1/signal`.
enum WebSocketConnector {
    static let path = "/v1/signal"
    static let subprotocol = "sluice.v1"
    /// From the connection to the server's agreement.
    private static let upgradeTimeout = TimeAmount.seconds(10)
    /// An answer with hundreds of m-lines is some 200 KB.
    private static let largestMessage = 4 << 20

    /// - Parameter makeHandler: of what gets what comes, on the channel's event loop.
    static func connect(
        to server: ServerAddress,
        acceptsAnyCertificate: Bool,
        makeHandler: @escaping @Sendable () -> SignallingHandler
    ) async throws -> any Channel {
        let upgraded: EventLoopFuture<(any Channel)?>
        do {
            upgraded = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .connectTimeout(.seconds(5))
                .connect(host: server.host, port: server.port) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try Self.configure(
                            channel,
                            server: server,
                            acceptsAnyCertificate: acceptsAnyCertificate,
                            makeHandler: makeHandler
                        )
                    }
                }
        } catch { throw LoadClientError.connectionFailed(server.explaining(error)) }
        let channel: (any Channel)?
        let start = NIODeadline.now()
        do { channel = try await upgraded.get() } catch {
            guard NIODeadline.now() - start < Self.upgradeTimeout - .seconds(1) else {
                throw LoadClientError.timedOut("GET \(Self.path) at \(server)")
            }
            throw LoadClientError.connectionFailed("no WebSocket: \(server.explaining(error))")
        }
        guard let channel else {
            throw LoadClientError.connectionFailed("\(server) does not make a WebSocket of \(Self.path)")
        }
        return channel
    }

    private static func configure(
        _ channel: any Channel,
        server: ServerAddress,
        acceptsAnyCertificate: Bool,
        makeHandler: @escaping @Sendable () -> SignallingHandler
    ) throws -> EventLoopFuture<(any Channel)?> {
        let pipeline = channel.pipeline.syncOperations
        if server.isSecure {
            try pipeline.addHandler(server.makeTLSHandler(acceptsAnyCertificate: acceptsAnyCertificate))
        }
        let upgrader = NIOTypedWebSocketClientUpgrader<(any Channel)?>(maxFrameSize: Self.largestMessage) {
            channel,
            _ in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandlers(
                    NIOWebSocketFrameAggregator(
                        minNonFinalFragmentSize: 0,
                        maxAccumulatedFrameCount: 1_024,
                        maxAccumulatedFrameSize: Self.largestMessage
                    ),
                    makeHandler()
                )
                return channel
            }
        }
        var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: Self.path)
        head.headers.add(name: "Host", value: server.description)
        head.headers.add(name: "Sec-WebSocket-Protocol", value: Self.subprotocol)
        let configuration = NIOTypedHTTPClientUpgradeConfiguration<(any Channel)?>(
            upgradeRequestHead: head,
            upgraders: [upgrader],
            notUpgradingCompletionHandler: { channel in channel.close().map { nil } }
        )
        let upgraded = try pipeline.configureUpgradableHTTPClientPipeline(
            configuration: NIOUpgradableHTTPClientPipelineConfiguration(upgradeConfiguration: configuration)
        )
        // A server that takes connections and says nothing.
        let timer = channel.eventLoop.scheduleTask(in: Self.upgradeTimeout) { channel.close(promise: nil) }
        upgraded.whenComplete { _ in timer.cancel() }
        return upgraded
    }
}

extension ServerAddress {
    func makeTLSHandler(acceptsAnyCertificate: Bool) throws -> NIOSSLClientHandler {
        var configuration = TLSConfiguration.makeClientConfiguration()
        if acceptsAnyCertificate { configuration.certificateVerification = .none }
        return try NIOSSLClientHandler(
            context: NIOSSLContext(configuration: configuration),
            serverHostname: self.nameForTLS
        )
    }
}
