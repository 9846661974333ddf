package import Basics
import HTTPTypes
import Hummingbird
import HummingbirdCore
package import Logging
import NIOCore
package import Rooms
import ServiceLifecycle
import Synchronization

/// The public listener: WebSocket signalling, WHIP, WHEP, the demo page and the browser SDK.
package final class SignallingServer: Service {
    private let configuration: SignallingConfiguration
    private let context: SignallingContext
    private let tls: TLSSource?
    private let logger: Logger
    private let onListening: @Sendable (Int) async -> Void

    /// - Parameters:
    ///   - iceServers: the STUN and TURN servers for a client of this identity.
    ///   - onListening: called once with the port, when the server takes connections.
    ///   - now: monotonic time.
    /// - Throws: what is wrong with the certificate or the key.
    package init(
        configuration: SignallingConfiguration,
        directory: RoomDirectory,
        accessControl: AccessControl,
        iceServers: @escaping @Sendable (String) -> [ICEServer] = { _ in [] },
        logger: Logger,
        onListening: @escaping @Sendable (Int) async -> Void = { _ in },
        now: @escaping @Sendable () -> Instant = RoomDirectory.monotonicNow
    ) throws(TLSFileError) {
        self.configuration = configuration
        self.tls = if let files = configuration.tls { try TLSSource(files) } else { nil }
        self.logger = logger
        self.onListening = onListening
        self.context = SignallingContext(
            directory: directory,
            accessControl: accessControl,
            settings: LiveSettings(limits: configuration.limits),
            iceServers: iceServers,
            version: configuration.version,
            corsOrigins: configuration.corsOrigins,
            now: now,
            logger: logger
        )
    }

    // MARK: Reload

    /// Takes reloaded limits; open connections keep those they began with.
    package func update(limits: SignallingLimits) { self.context.settings.limits = limits }

    /// Reads the certificate and the key again if their files changed. Runs by itself every ten seconds as well.
    package func reloadTLS() throws(TLSFileError) {
        if try self.tls?.reload() == true { self.logger.notice("the new TLS certificate is in use") }
    }

    // MARK: Running

    /// Runs until a graceful shutdown or a cancellation. - Throws: `ListenError`.
    package func run() async throws {
        let isListening = Atomic<Bool>(false)
        do {
            try await self.serve { isListening.store(true, ordering: .relaxed) }
        } catch  where !isListening.load(ordering: .relaxed) && !(error is CancellationError) {
            throw ListenError(
                listener: "http",
                host: self.configuration.host,
                port: self.configuration.port,
                reason: "\(error)"
            )
        }
    }

    private func serve(onRunning: @escaping @Sendable () -> Void) async throws {
        let context = self.context
        let tls = self.tls
        let server = HTTPServerBuilder { responder in
            SignallingChannel(
                http: HTTP1Channel(
                    responder: responder,
                    configuration: .init(
                        // Longer than the 60 s that nginx keeps an idle connection to us: it must not take one that we close.
                        idleTimeout: .seconds(75),
                        httpDecoderConfiguration: .init(
                            maxHeaderFieldSize: 16_384,
                            maxHeaderListSize: 32_768,
                            maxHeaderFieldCount: 100
                        )
                    )
                ),
                tls: tls,
                settings: context.settings,
                onWebSocket: { channel, _ in
                    let session = SignallingSession(
                        context: context,
                        outbox: channel.outbox,
                        address: channel.remoteAddress
                    )
                    let connection = WebSocketConnection(
                        channel: channel,
                        limits: context.settings.limits,
                        now: context.now
                    )
                    await connection.run(session: session)
                }
            )
        }
        let application = Application(
            router: self.router(),
            server: server,
            configuration: ApplicationConfiguration(
                address: .hostname(self.configuration.host, port: self.configuration.port),
                backlog: 1_024
            ),
            onServerRunning: { [onListening = self.onListening] channel in
                onRunning()
                await onListening(channel.localAddress?.port ?? 0)
            },
            logger: self.logger
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await application.run() }
            if self.tls != nil { group.addTask { await self.watchCertificate() } }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func watchCertificate() async {
        while !Task.isCancelled {
            do { try await Task.sleep(for: .seconds(10)) } catch { return }
            do throws(TLSFileError) { try self.reloadTLS() } catch {
                self.logger.error(
                    "the TLS files changed and cannot be used; the former stay in use",
                    metadata: ["error": "\(error)"]
                )
            }
        }
    }

    private func router() -> Router<HTTPContext> {
        let router = Router(context: HTTPContext.self)
        router.add(middleware: HeadMiddleware())
        router.add(middleware: HTTPMetricsMiddleware())
        router.add(middleware: CORSMiddleware(origins: self.configuration.corsOrigins))
        router.add(middleware: ProblemMiddleware())
        StaticPages.addRoutes(to: router)
        StreamEndpoint(kind: .whip, context: self.context).addRoutes(to: router)
        StreamEndpoint(kind: .whep, context: self.context).addRoutes(to: router)
        let context = self.context
        router.get("/v1/signal") { _, _ -> Response in
            throw Problem(
                .upgradeRequired,
                "this is a WebSocket (RFC 6455, version 13)",
                headers: [.upgrade: "websocket", .connection: "Upgrade", .secWebSocketVersion: "13"]
            )
        }
        router.get("/v1/ice-servers") { request, _ in
            let token = StreamEndpoint.bearer(request)
            let access = try await context.access(token: token, room: nil)
            let servers = context.iceServers(access.identity ?? "guest")
            return Response(
                status: .ok,
                headers: [.contentType: "application/json", .cacheControl: "no-store"],
                body: ResponseBody(byteBuffer: ByteBuffer(bytes: JSONValue.array(servers.map(\.json)).bytes))
            )
        }
        return router
    }
}
