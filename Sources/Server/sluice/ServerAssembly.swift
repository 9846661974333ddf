import Administration
import Basics
import Logging
import MediaControl
import MediaPlane
import Observability
import Rooms
import ServerConfiguration
import ServiceLifecycle
import Signalling

/// Puts the parts together, runs them, and takes them down in order.
///
/// The services start from the media up and stop from the signalling down, so that nothing is asked for what is gone.
struct ServerAssembly {
    private let request: ConfigurationRequest
    private let loaded: LoadedConfiguration
    private let output: LogOutput
    private let registry: MetricRegistry
    private let logger: Logger

    /// Sets up logging and metrics of the process, so there can be only one.
    init(_ request: ConfigurationRequest, _ loaded: LoadedConfiguration) {
        self.request = request
        self.loaded = loaded
        let log = loaded.configuration.log
        self.output = LogOutput(level: log.loggerLevel, format: log.outputFormat)
        self.output.bootstrap()
        self.registry = MetricRegistry()
        self.registry.bootstrap()
        self.registry.addProcessMetrics()
        self.registry.addBuildInfo(version: Sluice.version, swift: swiftVersion)
        self.output.register(in: self.registry)
        self.logger = Logger(label: "sluice")
    }

    /// Returns when the server was asked to stop and has stopped.
    func run() async throws(StartupFailure) {
        let configuration = self.loaded.configuration
        for warning in self.loaded.warnings { self.logger.warning("\(warning)") }
        let plane = try self.makeMediaPlane()
        let directory = RoomDirectory(
            workers: plane,
            settings: configuration.roomSettings,
            logger: Logger(label: "sluice.rooms")
        )
        let tokens = await TokenAuthority(keys: configuration.auth.keys)
        let ready = ReadyLine(configuration, media: plane.workers.first?.endpoint.candidates ?? [])
        let signalling: SignallingServer
        do {
            signalling = try SignallingServer(
                configuration: configuration.signalling(version: Sluice.version),
                directory: directory,
                // Only development may be without keys; with keys a token is needed there too.
                accessControl: AccessControl(tokens: tokens, allowsAnyone: configuration.auth.keys.isEmpty),
                logger: Logger(label: "sluice.signalling"),
                onListening: { port in await ready.httpIsListening(on: port) }
            )
        } catch {
            throw .configuration("\(error).")
        }
        let drain = DrainController(
            directory: directory,
            timeout: .nanoseconds(configuration.drain.timeout.count),
            secondsSince1970: { WallClock.secondsSince1970 },
            logger: self.logger
        )
        let administration = AdministrationServer(
            configuration: configuration.administration,
            directory: directory,
            drain: drain,
            metrics: { [registry] format in registry.text(format.exposition) },
            isOverloaded: { plane.counters().contains { $0.busyPermille > Self.overloadPermille } },
            logger: Logger(label: "sluice.admin"),
            onListening: { port in await ready.adminIsListening(on: port) }
        )
        let reloader = ConfigurationReloader(self.request, current: self.loaded) { [output, logger] outcome in
            await Reload(
                output: output,
                logger: logger,
                directory: directory,
                tokens: tokens,
                signalling: signalling
            ).apply(outcome)
        }
        let group = ServiceGroup(
            services: [
                MediaService(plane: plane, directory: directory, logger: Logger(label: "sluice.media")),
                reloader, administration, signalling,
            ],
            logger: self.logger
        )
        try await self.run(group, reloader: reloader, drain: drain, directory: directory)
    }

    /// A worker this busy, in thousandths of its time, takes no more rooms: `/readyz` says so.
    private static let overloadPermille: UInt64 = 900

    private func makeMediaPlane() throws(StartupFailure) -> MediaPlane {
        let plane: MediaPlane
        do { plane = try MediaPlane(self.loaded.configuration.mediaPlane) } catch { throw StartupFailure(error) }
        self.registry.addCollector {
            MediaMetrics.families(plane.counters())
                + MediaMetrics.buffers(plane.sockets, workerCount: plane.workers.count)
        }
        self.logger.info("media encryption", metadata: ["library": "\(plane.encryption)"])
        for socket in plane.sockets {
            self.logger.info(
                "media socket",
                metadata: [
                    "address": "\(socket.address)", "receiveBuffer": "\(socket.receiveBufferByteCount)",
                    "sendBuffer": "\(socket.sendBufferByteCount)",
                ]
            )
        }
        for (sizes, key) in [
            (plane.sockets.map(\.receiveBufferByteCount), "rmem_max"),
            (plane.sockets.map(\.sendBufferByteCount), "wmem_max"),
        ] {
            guard let smallest = sizes.min(), smallest < 1 << 20 else { continue }
            self.logger.warning(
                "the kernel allows only small socket buffers, so bursts may lose packets: raise net.core.\(key) (ops/sysctl)",
                metadata: ["bytes": "\(smallest)"]
            )
        }
        for address in plane.unusableAddresses {
            self.logger.warning(
                "an address of this machine can't be used, and is left out: IPv6 that is not ready yet, or a duplicate",
                metadata: ["address": "\(address)"]
            )
        }
        return plane
    }

    private func run(
        _ group: ServiceGroup,
        reloader: ConfigurationReloader,
        drain: DrainController,
        directory: RoomDirectory
    ) async throws(StartupFailure) {
        let watcher = SignalWatcher()
        let logger = self.logger
        let events = watcher.events
        let signals = Task {
            for await event in events {
                switch event {
                case .reload:
                    await reloader.reloadNow()
                case .stop:
                    // A reload would have nothing left to apply to; the second signal ends the process by itself.
                    _ = await drain.drain()
                    await directory.stop()
                    await group.triggerGracefulShutdown()
                }
            }
        }
        defer {
            signals.cancel()
            // Its sources work as long as it lives.
            withExtendedLifetime(watcher) {}
        }
        do {
            try await group.run()
        } catch let failure as StartupFailure {
            throw failure
        } catch let error as ListenError {
            throw .system("\(error).")
        } catch {
            throw .system("The server stopped: \(error).")
        }
        logger.notice("stopped")
    }
}

/// What a reload changes while the server runs.
private struct Reload {
    let output: LogOutput
    let logger: Logger
    let directory: RoomDirectory
    let tokens: TokenAuthority
    let signalling: SignallingServer

    func apply(_ outcome: ReloadOutcome) async {
        switch outcome {
        case .rejected(let error):
            self.logger.error("the new configuration has an error; the old one stays", metadata: ["error": "\(error)"])
        case .applied(let loaded, let changed, let needRestart, let certificateChanged):
            let configuration = loaded.configuration
            self.output.configure(level: configuration.log.loggerLevel, format: configuration.log.outputFormat)
            self.signalling.update(limits: configuration.signallingLimits)
            await self.directory.update(configuration.roomSettings)
            await self.tokens.update(keys: configuration.auth.keys)
            if certificateChanged { self.reloadCertificate() }
            if !changed.isEmpty { for warning in loaded.warnings { self.logger.warning("\(warning)") } }
            if !needRestart.isEmpty {
                let keys = needRestart.joined(separator: ", ")
                self.logger.warning("these keys take effect only after a restart", metadata: ["keys": "\(keys)"])
            }
            self.logger.notice(
                "configuration reloaded",
                metadata: ["changed": "\(changed.isEmpty ? "nothing" : changed.joined(separator: ", "))"]
            )
        }
    }

    private func reloadCertificate() {
        do { try self.signalling.reloadTLS() } catch {
            self.logger.error("the new TLS files can't be used; the old ones stay", metadata: ["error": "\(error)"])
        }
    }
}

private var swiftVersion: String {
    #if compiler(>=6.4)
        "6.4 or later"
    #elseif compiler(>=6.3)
        "6.3"
    #else
        "6.2"
    #endif
}
