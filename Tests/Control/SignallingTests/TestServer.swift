import Basics
import ControlTestSupport
import Logging
import Rooms
import ServiceLifecycle
import Signalling
import Synchronization

/// A public listener on a free port of 127.0.0.1, for as long as `body` runs.
struct TestServer {
    private(set) var port: Int
    let directory: RoomDirectory
    let worker: RecordingWorker
    let tokens: TokenAuthority
    let server: SignallingServer
    /// As SIGTERM does.
    let stop: @Sendable () async -> Void
    let hasStopped: @Sendable () async -> Void

    static let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
    static let secret = Redacted("0123456789abcdef0123456789abcdef")
    static let otherSecret = Redacted("fedcba9876543210fedcba9876543210")

    /// A machine that runs all tests at once is slow, and no attack.
    static let patientLimits = SignallingLimits(
        joinsPerSecondPerAddress: 0,
        sendTimeout: .seconds(30),
        handshakeTimeout: .seconds(30),
        joinTimeout: .seconds(30),
        silenceTimeout: .seconds(60)
    )

    static func run(
        limits: SignallingLimits = TestServer.patientLimits,
        corsOrigins: [String] = [],
        needsTokens: Bool = false,
        iceServers: [ICEServer] = [],
        tls: SignallingConfiguration.TLS? = nil,
        now: @escaping @Sendable () -> Instant = RoomDirectory.monotonicNow,
        _ body: @escaping @Sendable (TestServer) async throws -> Void
    ) async throws {
        let worker = RecordingWorker()
        let logger = Self.logger
        let directory = RoomDirectory(workers: OneWorker(worker: worker), logger: logger)
        let tokens = await TokenAuthority(keys: needsTokens ? ["key": Self.secret, "other": Self.otherSecret] : [:])
        let (ports, port) = AsyncStream<Int>.makeStream()
        let server = try SignallingServer(
            configuration: SignallingConfiguration(port: 0, tls: tls, corsOrigins: corsOrigins, limits: limits),
            directory: directory,
            accessControl: AccessControl(tokens: tokens, allowsAnyone: !needsTokens),
            iceServers: { _ in iceServers },
            logger: logger,
            onListening: { port.yield($0) },
            now: now
        )
        let services = ServiceGroup(services: [server], logger: logger)
        let (ends, end) = AsyncStream<Void>.makeStream()
        let made = TestServer(
            port: 0,
            directory: directory,
            worker: worker,
            tokens: tokens,
            server: server,
            stop: { await services.triggerGracefulShutdown() },
            hasStopped: { for await _ in ends {} }
        )
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                defer { end.finish() }
                try await services.run()
                return false
            }
            group.addTask {
                for await number in ports {
                    var server = made
                    server.port = number
                    try await body(server)
                    break
                }
                return true
            }
            // A server that was stopped ends before the test does.
            while try await group.next() == false {}
            group.cancelAll()
        }
    }

    func token(room: String = "r", identity: String? = "alice", key: String = "key", grants: Grants = Grants())
        async throws -> String
    {
        try await TokenAuthority.mint(
            TokenClaims(
                key: key,
                identity: identity,
                room: room,
                grants: grants,
                expiresAt: WallClock.secondsSince1970 + 3_600
            ),
            secret: key == "key" ? Self.secret : Self.otherSecret
        )
    }
}
