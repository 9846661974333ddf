import ArgumentParser
import Basics
import LoadClient

/// Loads a WebRTC server with publishers and subscribers that do all that a browser does on the wire, over WHIP and WHEP,
/// and says what became of every packet.
@main
struct SluiceLoad: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sluice-load",
        abstract: "Publishers and subscribers without a browser, for load tests.",
        discussion: """
            Each publisher gets /whip/ROOM/IDENTITY, each subscriber /whep/ROOM/IDENTITY of a publisher, so any server \
            that speaks WHIP and WHEP can be tested; the paths are options. Forwarding latency is measured inside this \
            process, from the making of a packet to its arrival at a subscriber.
            """
    )

    @Option(help: "The server's HTTP address.")
    var url = "http://127.0.0.1:8080"
    @Option(help: "Where the server's /metrics is; nothing is said of the server without it.")
    var metrics = "http://127.0.0.1:8081"
    @Option(help: "Bearer token for WHIP and WHEP.")
    var token: String?
    @Flag(name: .customLong("insecure"), help: "Accept any TLS certificate.")
    var acceptsAnyCertificate = false
    @Option(help: "Address that the clients' UDP sockets are bound to.")
    var bind = "127.0.0.1"
    @Option(help: "Path of WHIP; ROOM and IDENTITY are filled in.")
    var whip = "/whip/ROOM/IDENTITY"
    @Option(help: "Path of WHEP; ROOM and IDENTITY (of the publisher) are filled in.")
    var whep = "/whep/ROOM/IDENTITY"

    @Option(help: "Rooms, all alike.")
    var rooms = 1
    @Option(help: "Publishers in each room.")
    var publishers = 1
    @Option(help: "Subscribers in each room; each receives every publisher.")
    var subscribers = 10
    @Option(help: "Video of each publisher: kbit/s, `simulcast`, or 0 for none.")
    var video = "1500"
    @Option(help: "Bytes of RTP payload of a full video packet.")
    var payload = 1_100
    @Flag(inversion: .prefixedNo, help: "Whether publishers send Opus.")
    var audio = true
    @Option(name: .customLong("join-rate"), help: "Clients that join in a second.")
    var joinRate = 100
    @Option(help: "Seconds of the measurement, after all have joined.")
    var duration = 10
    @Option(help: "Seconds between all having joined and the measurement.")
    var settle = 2
    @Option(help: "Threads that run the clients.")
    var threads = 1
    @Flag(help: "Print one JSON object in place of the report.")
    var json = false

    func validate() throws {
        guard ServerAddress(self.url) != nil else { throw ValidationError("--url '\(self.url)' is no HTTP address") }
        guard TransportAddress(self.bind, port: 0) != nil else {
            throw ValidationError("--bind '\(self.bind)' is no IP address")
        }
        guard self.video == "simulcast" || Int64(self.video).map({ (0...100_000).contains($0) }) == true else {
            throw ValidationError("--video takes kbit/s up to 100000, `simulcast`, or 0")
        }
        for (name, value) in [
            ("rooms", self.rooms), ("publishers", self.publishers), ("join-rate", self.joinRate),
            ("duration", self.duration), ("threads", self.threads),
        ] where value < 1 {
            throw ValidationError("--\(name) must be at least 1")
        }
        guard self.video != "0" || self.audio else { throw ValidationError("nothing to publish: no video, no audio") }
    }

    func run() async throws {
        guard let server = ServerAddress(self.url), let address = TransportAddress(self.bind, port: 0) else { return }
        let run = LoadRun(
            plan: LoadRun.Plan(
                client: WHIPClient(
                    server: server,
                    token: self.token,
                    acceptsAnyCertificate: self.acceptsAnyCertificate
                ),
                whipPath: self.whip,
                whepPath: self.whep,
                rooms: self.rooms,
                publishers: self.publishers,
                subscribers: self.subscribers,
                video: self.videoProfile,
                audio: self.audio,
                joinRate: self.joinRate
            ),
            loops: try (0..<self.threads).map { _ in try ClientLoop(bindingTo: address) }
        )
        try await run.joinAll()
        try await Task.sleep(for: .seconds(self.settle))
        let before = await run.snapshot()
        let cpuBefore = await ServerMetrics.read(self.metrics)
        try await Task.sleep(for: .seconds(self.duration))
        let cpuAfter = await ServerMetrics.read(self.metrics)
        let after = await run.snapshot()
        let result = LoadResult(
            before: before,
            after: after,
            server: ServerMetrics.difference(cpuBefore, cpuAfter),
            failedJoins: run.failedJoins,
            seconds: Double(self.duration)
        )
        print(self.json ? result.json : result.text)
        await run.leaveAll()
        if !result.isComplete { throw ExitCode(1) }
    }

    private var videoProfile: VideoProfile? {
        if self.video == "simulcast" { return .simulcast }
        guard let kilobits = Int64(self.video), kilobits > 0 else { return nil }
        var profile = VideoProfile.single(.kbps(kilobits))
        profile.largestPayload = self.payload
        return profile
    }
}
