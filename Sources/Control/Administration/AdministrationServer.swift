import Basics
import HTTPTypes
import Hummingbird
package import Logging
import NIOCore
package import Rooms
import ServiceLifecycle
import Synchronization

/// The admin listener: metrics, health, and the admin API. Never on the public listener.
package final class AdministrationServer: Service {
    private let configuration: AdministrationConfiguration
    private let directory: RoomDirectory
    private let drain: DrainController
    private let metrics: @Sendable (MetricsFormat) async -> String
    private let isOverloaded: @Sendable () async -> Bool
    private let logger: Logger
    private let onListening: @Sendable (Int) async -> Void

    /// - Parameters:
    ///   - metrics: renders all metrics; the gauges of the rooms are brought up to date before.
    ///   - isOverloaded: whether a worker is over its load limit, for `/readyz`.
    ///   - onListening: called once with the port, when the server takes connections.
    package init(
        configuration: AdministrationConfiguration,
        directory: RoomDirectory,
        drain: DrainController,
        metrics: @escaping @Sendable (MetricsFormat) async -> String,
        isOverloaded: @escaping @Sendable () async -> Bool = { false },
        logger: Logger,
        onListening: @escaping @Sendable (Int) async -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.directory = directory
        self.drain = drain
        self.metrics = metrics
        self.isOverloaded = isOverloaded
        self.logger = logger
        self.onListening = onListening
    }

    /// Runs until a graceful shutdown or a cancellation. - Throws: `ListenError`.
    package func run() async throws {
        let isListening = Atomic<Bool>(false)
        let onListening = self.onListening
        let application = Application(
            router: self.router(),
            server: .http1(configuration: .init(idleTimeout: .seconds(60))),
            configuration: ApplicationConfiguration(
                address: .hostname(self.configuration.host, port: self.configuration.port)
            ),
            onServerRunning: { channel in
                isListening.store(true, ordering: .relaxed)
                await onListening(channel.localAddress?.port ?? 0)
            },
            logger: self.logger
        )
        do { try await application.run() } catch
            where !isListening.load(ordering: .relaxed) && !(error is CancellationError)
        {
            throw ListenError(
                listener: "admin",
                host: self.configuration.host,
                port: self.configuration.port,
                reason: "\(error)"
            )
        }
    }

    private func router() -> Router<BasicRequestContext> {
        let router = Router()
        router.add(middleware: AdminErrorMiddleware())
        self.addHealthRoutes(to: router)
        // Metrics and health are for machines on the same network; what names people needs the token.
        let api = router.group("/v1").add(middleware: AdminTokenMiddleware(token: self.configuration.token))
        AdminAPI(directory: self.directory, drain: self.drain).addRoutes(to: api)
        return router
    }

    private func addHealthRoutes(to router: Router<BasicRequestContext>) {
        let (directory, drain, metrics, isOverloaded) = (self.directory, self.drain, self.metrics, self.isOverloaded)
        let scrape: @Sendable (Request, BasicRequestContext) async throws -> Response = { request, _ in
            await directory.recordGauges()
            let format = MetricsFormat(accept: request.headers[.accept])
            let text = await metrics(format)
            return Response(
                status: .ok,
                headers: [.contentType: format.contentType, .vary: "Accept"],
                body: ResponseBody(byteBuffer: ByteBuffer(string: text))
            )
        }
        let readiness: @Sendable (Request, BasicRequestContext) async throws -> Response = { _, _ in
            if drain.isDraining { return Self.health(.serviceUnavailable, "draining") }
            if await isOverloaded() { return Self.health(.serviceUnavailable, "overloaded") }
            return Self.health(.ok, "ready")
        }
        router.resource("/metrics", [(.get, scrape)])
        router.resource("/healthz", [(.get, { _, _ in Self.health(.ok, "ok") })])
        router.resource("/readyz", [(.get, readiness)])
    }

    private static func health(_ status: HTTPResponse.Status, _ text: String) -> Response {
        Response(
            status: status,
            headers: [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text + "\n"))
        )
    }
}
