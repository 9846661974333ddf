import ArgumentParser
import Basics
import LoadClient
import LoadRunner

struct ServerOptions: ParsableArguments {
    @Option(help: "The server's HTTP address.")
    var url = "http://127.0.0.1:8080"
    @Option(help: "Where the server's /metrics is; nothing is said of the server without it. `none` does not ask.")
    var metrics = "http://127.0.0.1:8081"
    @Option(help: "Process of the server, on this machine: its CPU and memory are read from /proc, not from /metrics.")
    var process: Int32?
    @Option(help: "Bearer token for WHIP and WHEP, token of `join` over WebSocket.")
    var token: String?
    @Flag(name: .customLong("insecure"), help: "Accept any TLS certificate.")
    var acceptsAnyCertificate = false
    @Option(
        help: "Address that the clients' UDP sockets are bound to. Default: the one from which the server is reached."
    )
    var bind: String?
    @Flag(
        name: .customLong("gro"),
        inversion: .prefixedNo,
        help: "Whether clients read what the server sent as one message as one (UDP_GRO). Browsers do not."
    )
    var readsMerged = true
    @Option(help: "Path of WHIP; ROOM and IDENTITY are filled in.")
    var whip = "/whip/ROOM/IDENTITY"
    @Option(
        help: "Path of WHEP; ROOM and IDENTITY (of the publisher) are filled in. Without IDENTITY: one session for all."
    )
    var whep = "/whep/ROOM/IDENTITY"
    @Option(name: .customLong("room-prefix"), help: "Rooms are called so, with a number.")
    var roomPrefix = "load"

    func target() async throws -> RunTarget {
        guard let server = ServerAddress(self.url) else { throw UsageError("--url '\(self.url)' is no HTTP address") }
        let bind: TransportAddress
        if let text = self.bind {
            guard let address = TransportAddress(text, port: 0) else {
                throw UsageError("--bind '\(text)' is no IP address")
            }
            bind = address
        } else {
            bind = try await LocalAddress.towards(server)
        }
        var metrics: ServerAddress?
        if self.metrics != "none" {
            metrics = ServerAddress(self.metrics)
            if metrics == nil { throw UsageError("--metrics '\(self.metrics)' is no HTTP address; or none") }
        }
        if let process, await ServerFigures.process(process).read(received: 0) == nil {
            throw UsageError("--process \(process): there is no such process on this machine")
        }
        var target = RunTarget(server: server, metrics: metrics, bind: bind)
        target.process = self.process
        target.readsMerged = self.readsMerged
        target.token = self.token
        target.acceptsAnyCertificate = self.acceptsAnyCertificate
        target.whipPath = self.whip
        target.whepPath = self.whep
        target.roomPrefix = self.roomPrefix
        return target
    }
}

/// A scenario on the command line; with a file, what is given here takes the place of what the file says.
struct ScenarioOptions: ParsableArguments {
    @Option(help: "whip (WHIP and WHEP) or websocket. Default: whip.")
    var transport: String?
    @Option(help: "Rooms, all alike. Default: 1.")
    var rooms: Int?
    @Option(help: "Publishers in each room. Default: 1.")
    var publishers: Int?
    @Option(help: "Subscribers in each room; each receives every publisher. Default: 10.")
    var subscribers: Int?
    @Option(help: "Video of each publisher: kbit/s, `simulcast`, or 0 for none. Default: 1500.")
    var video: String?
    @Option(help: "Bytes of RTP payload of a full video packet. Default: 1100.")
    var payload: Int?
    @Flag(inversion: .prefixedNo, help: "Whether publishers send Opus. Default: they do.")
    var audio: Bool?
    @Option(name: .customLong("join-rate"), help: "Participants that join in a second. Default: 100.")
    var joinRate: Double?
    @Option(help: "Seconds of the measurement, after all have joined. Default: 30.")
    var duration: Int?
    @Option(help: "Seconds between all having joined and the measurement. Default: 2.")
    var settle: Int?
    @Option(help: "Threads that run the clients. Default: 1.")
    var threads: Int?
    @Option(help: "Of everything random.")
    var seed: UInt64?

    func scenario() throws -> Scenario {
        var scenario = Scenario(name: "command line")
        var publisher = ParticipantGroup(name: "publishers")
        publisher.publishes = true
        publisher.audio = .kbps(32)
        publisher.video = .single(.kbps(1_500))
        publisher.receives = self.transport == Scenario.Transport.websocket.rawValue
        var subscriber = ParticipantGroup(name: "subscribers")
        subscriber.count = 10
        scenario.publishers = [publisher]
        scenario.subscribers = [subscriber]
        return try self.adjust(scenario)
    }

    func adjust(_ original: Scenario) throws -> Scenario {
        var scenario = original
        func bounded<Value: Comparable>(_ name: String, _ value: Value?, _ range: ClosedRange<Value>) throws -> Value? {
            if let value, !range.contains(value) {
                throw UsageError("--\(name) takes \(range.lowerBound) to \(range.upperBound)")
            }
            return value
        }
        if let text = self.transport {
            guard let transport = Scenario.Transport(rawValue: text) else {
                throw UsageError("--transport '\(text)' is neither whip nor websocket")
            }
            scenario.transport = transport
            if transport == .whip {
                for index in scenario.publishers.indices { scenario.publishers[index].receives = false }
            }
        }
        scenario.rooms = try bounded("rooms", self.rooms, 1...10_000) ?? scenario.rooms
        if let count = try bounded("publishers", self.publishers, 1...10_000) {
            scenario = RaisedLoad.publishers.setting(count, in: scenario)
        }
        if let count = try bounded("subscribers", self.subscribers, 0...100_000) {
            if scenario.subscribers.isEmpty { scenario.subscribers = [ParticipantGroup(name: "subscribers")] }
            scenario = RaisedLoad.subscribers.setting(count, in: scenario)
        }
        scenario.joinRate = try bounded("join-rate", self.joinRate, 0.1...10_000) ?? scenario.joinRate
        if let seconds = try bounded("duration", self.duration, 1...86_400) {
            scenario.duration = .seconds(Int64(seconds))
        }
        if let seconds = try bounded("settle", self.settle, 0...600) { scenario.settle = .seconds(Int64(seconds)) }
        scenario.threads = try bounded("threads", self.threads, 1...64) ?? scenario.threads
        scenario.seed = self.seed ?? scenario.seed
        for index in scenario.publishers.indices { try self.adjust(&scenario.publishers[index]) }
        guard scenario.sessions <= 100_000 else {
            throw UsageError("\(scenario.sessions) peer connections are more than 100000")
        }
        return scenario
    }

    private func adjust(_ group: inout ParticipantGroup) throws {
        if let video = self.video {
            if video == "simulcast" {
                group.video = .simulcast
            } else if let kilobits = Int64(video), (0...100_000).contains(kilobits) {
                group.video = kilobits > 0 ? .single(.kbps(kilobits)) : nil
            } else {
                throw UsageError("--video takes kbit/s up to 100000, `simulcast`, or 0")
            }
        }
        if let payload = self.payload { group.video?.largestPayload = min(max(payload, 64), 1_300) }
        if let audio = self.audio { group.audio = audio ? group.audio ?? .kbps(32) : nil }
        guard group.video != nil || group.audio != nil else {
            throw UsageError("nothing to publish: no video, no audio")
        }
    }
}

struct ReportOptions: ParsableArguments {
    @Option(help: "Write the report as JSON to this file; - = standard output, in place of the text.")
    var json: String?
    @Option(help: "Write the report as one HTML page to this file.")
    var html: String?
    @Flag(inversion: .prefixedNo, help: "Whether to show progress on standard error.")
    var progress = true
}

struct SearchOptions: ParsableArguments {
    @Flag(
        name: .customLong("find-limit"),
        help: "Raise the load until a limit breaks, and say how much the server holds."
    )
    var isOn = false
    @Option(help: "What is raised: subscribers, publishers (of each room) or rooms. Default: subscribers, else rooms.")
    var raise: String?
    @Option(help: "The largest load to try.")
    var most = 5_000
    @Option(help: "The most runs.")
    var steps = 12

    func raised(for scenario: Scenario) throws -> RaisedLoad {
        guard let raise else { return .natural(for: scenario) }
        if raise == RaisedLoad.subscribers.rawValue, scenario.subscribers.isEmpty {
            throw UsageError(
                "--raise subscribers: '\(scenario.name)' has none; add --subscribers, or raise publishers or rooms"
            )
        }
        guard let raised = RaisedLoad(rawValue: raise) else {
            throw UsageError(
                "--raise '\(raise)' is none of: \(RaisedLoad.allCases.map(\.rawValue).joined(separator: ", "))"
            )
        }
        return raised
    }
}
