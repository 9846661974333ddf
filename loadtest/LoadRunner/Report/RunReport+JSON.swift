import Basics
import Foundation
import LoadClient

/// The report as JSON: names say the unit; durations are milliseconds.
private struct ReportDocument: Encodable {
    struct Measured: Encodable {
        var kind: String
        var limit: Double
        var measured: Double?
        var kept: Bool
    }

    struct Quantiles: Encodable {
        var p50: Double?
        var p95: Double?
        var p99: Double?
    }

    struct Group: Encodable {
        var name: String
        var link: String?
        var sessions: Int
        var connected: Int
        var packetsReceived: UInt64
        var bytesReceived: UInt64
        var packetsLost: Int64
        var packetsRecovered: UInt64
        var packetsNeverCame: UInt64
        var packetsOutOfOrder: UInt64
        var packetsDuplicated: UInt64
        var packetsUnreadable: UInt64
        var packetsSent: UInt64
        var loss: Double
        var latencyMilliseconds: Quantiles
        var joinMilliseconds: Quantiles
    }

    struct Server: Encodable {
        var cpuShareOfCore: Double
        var cpuNanosecondsPerPacket: Double?
        var packetsOut: Double
        var residentBytes: Double
        var droppedPackets: [String: Double]
    }

    struct Point: Encodable {
        var seconds: Double
        var phase: String
        var connected: Int
        var packetsPerSecond: Double
        var bitsPerSecond: Double
        var loss: Double
        var latencyMilliseconds: Quantiles
        var picturesByHeight: [String: Int]
        var serverCPUShareOfCore: Double?
        var serverCPUNanosecondsPerPacket: Double?
        var clientCPUShare: Double
        var clientWaitShare: Double
        var clientProcessCPUShare: Double
    }

    struct Client: Encodable {
        /// Of the busiest thread.
        var cpuShare: Double
        /// Of that thread: it could have run, and had no core.
        var waitShare: Double
        /// Of the process, of all cores that it may use.
        var processCPUShare: Double
        /// Whether figures may be the client's, not the server's.
        var isShort: Bool
        var latenessMilliseconds: Quantiles
        var droppedDatagrams: UInt64
        var refusedDatagrams: UInt64
    }

    struct Settings: Encodable {
        var transport: String
        var rooms: Int
        var publishersPerRoom: Int
        var subscribersPerRoom: Int
        var joinsPerSecond: Double
        var settleSeconds: Double
        var durationSeconds: Double
        var threads: Int
        var seed: UInt64
    }

    struct Join: Encodable {
        var seconds: Double
        var tookMilliseconds: Double
    }

    var scenario: String
    var description: String
    var startedAt: String
    var serverAddress: String
    var settings: Settings
    var passed: Bool
    /// Why it is not the run that the scenario asks for.
    var endedEarly: String?
    var limits: [Measured]
    var seconds: Double
    /// That the joins took all together.
    var joinSeconds: Double
    var participants: Int
    var sessions: Int
    var notJoined: Int
    var disconnected: Int
    var leftAndCameAnew: Int
    var streams: Int
    var silentStreams: Int
    var pausedStreams: Int
    var unboundStreams: Int
    var firstPictureMilliseconds: Quantiles
    /// Of each peer to the server and back.
    var roundTripMilliseconds: Quantiles
    var total: Group
    var groups: [Group]
    var server: Server?
    var client: Client
    var clientCPUShare: Double
    var clientBytes: Int
    var warnings: [String]
    var failures: [String]
    var timeline: [Point]
    var joins: [Join]
}

extension RunReport {
    package func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self.document), as: UTF8.self)
    }

    private var document: ReportDocument {
        ReportDocument(
            scenario: self.scenario.name,
            description: self.scenario.description,
            startedAt: self.startedAt,
            serverAddress: self.serverAddress,
            settings: .init(
                transport: self.scenario.transport.rawValue,
                rooms: self.scenario.rooms,
                publishersPerRoom: self.scenario.publishersPerRoom,
                subscribersPerRoom: self.scenario.subscribersPerRoom,
                joinsPerSecond: self.scenario.joinRate,
                settleSeconds: self.scenario.settle.inSeconds,
                durationSeconds: self.scenario.duration.inSeconds,
                threads: self.scenario.threads,
                seed: self.scenario.seed
            ),
            passed: self.passed,
            endedEarly: self.endedEarly,
            limits: self.limits.map {
                .init(kind: $0.limit.kind.rawValue, limit: $0.limit.most, measured: $0.measured, kept: $0.isKept)
            },
            seconds: self.seconds,
            joinSeconds: self.joinSeconds,
            participants: self.scenario.participants,
            sessions: self.sessions,
            notJoined: self.notJoined,
            disconnected: self.disconnected,
            leftAndCameAnew: self.left,
            streams: self.streams,
            silentStreams: self.silentStreams,
            pausedStreams: self.pausedStreams,
            unboundStreams: self.unboundStreams,
            firstPictureMilliseconds: Self.quantiles(self.firstPicture),
            roundTripMilliseconds: Self.quantiles(self.roundTrip),
            total: Self.document(self.total),
            groups: self.groups.map { Self.document($0) },
            server: self.server.map {
                .init(
                    cpuShareOfCore: $0.cpu,
                    cpuNanosecondsPerPacket: $0.cpuPerPacket.map { $0 * 1e9 },
                    packetsOut: $0.packetsOut,
                    residentBytes: $0.residentBytes,
                    droppedPackets: Dictionary($0.drops.map { ($0.reason, $0.count) }) { first, _ in first }
                )
            },
            client: .init(
                cpuShare: self.client.running,
                waitShare: self.client.waiting,
                processCPUShare: self.client.process,
                isShort: self.isInconclusive,
                latenessMilliseconds: Self.quantiles(self.lateness),
                droppedDatagrams: self.clientDrops,
                refusedDatagrams: self.clientRefusals
            ),
            clientCPUShare: self.client.running,
            clientBytes: self.clientBytes,
            warnings: self.warnings,
            failures: self.failures,
            timeline: self.points.map { Self.document($0) },
            joins: self.joins.map { .init(seconds: $0.at, tookMilliseconds: $0.took * 1_000) }
        )
    }

    private static func document(_ group: Group) -> ReportDocument.Group {
        .init(
            name: group.name,
            link: group.linkName,
            sessions: group.totals.peers,
            connected: group.totals.connected,
            packetsReceived: group.totals.packetsReceived,
            bytesReceived: group.totals.bytesReceived,
            packetsLost: group.totals.packetsLost,
            packetsRecovered: group.totals.packetsRecovered,
            packetsNeverCame: group.totals.packetsAbandoned,
            packetsOutOfOrder: group.totals.packetsOutOfOrder,
            packetsDuplicated: group.totals.packetsDuplicated,
            packetsUnreadable: group.totals.packetsUnreadable,
            packetsSent: group.totals.packetsSent,
            loss: group.loss,
            latencyMilliseconds: Self.quantiles(group.latency),
            joinMilliseconds: Self.quantiles(group.join)
        )
    }

    private static func document(_ point: TimelinePoint) -> ReportDocument.Point {
        .init(
            seconds: point.seconds,
            phase: point.phase.rawValue,
            connected: point.connected,
            packetsPerSecond: point.packetsPerSecond,
            bitsPerSecond: point.bitsPerSecond,
            loss: point.loss,
            latencyMilliseconds: .init(p50: point.latency[0], p95: point.latency[1], p99: point.latency[2]),
            picturesByHeight: Dictionary(uniqueKeysWithValues: point.pictures.map { ("\($0)", $1) }),
            serverCPUShareOfCore: point.serverCPU,
            serverCPUNanosecondsPerPacket: point.cpuPerPacket.map { $0 * 1e9 },
            clientCPUShare: point.clientCPU,
            clientWaitShare: point.clientWait,
            clientProcessCPUShare: point.clientProcessCPU
        )
    }

    private static func quantiles(_ times: LatencyHistogram) -> ReportDocument.Quantiles {
        guard times.count > 0 else { return .init() }
        return .init(
            p50: times.milliseconds(at: 0.5),
            p95: times.milliseconds(at: 0.95),
            p99: times.milliseconds(at: 0.99)
        )
    }

    private static func quantiles(_ values: Distribution) -> ReportDocument.Quantiles {
        .init(
            p50: values.quantile(0.5).map { $0 * 1_000 },
            p95: values.quantile(0.95).map { $0 * 1_000 },
            p99: values.quantile(0.99).map { $0 * 1_000 }
        )
    }
}
