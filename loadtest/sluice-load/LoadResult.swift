import Basics
import LoadClient

/// What a run amounts to.
struct LoadResult {
    private(set) var clients = 0
    private(set) var connected = 0
    private(set) var withMedia = 0
    private(set) var packetsReceived: UInt64 = 0
    private(set) var bytesReceived: UInt64 = 0
    private(set) var packetsLost: Int64 = 0
    private(set) var packetsOutOfOrder: UInt64 = 0
    private(set) var packetsRecovered: UInt64 = 0
    private(set) var streams = 0
    private(set) var silentStreams = 0
    private(set) var joinMilliseconds: [Double] = []
    private(set) var firstPictureMilliseconds: [Double] = []
    let latency: LatencyHistogram
    let server: ServerMetrics?
    let failedJoins: [String]
    let seconds: Double

    init(
        before: ClientLoop.Snapshot,
        after: ClientLoop.Snapshot,
        server: ServerMetrics?,
        failedJoins: [String],
        seconds: Double
    ) {
        self.latency = after.latency
        self.server = server
        self.failedJoins = failedJoins
        self.seconds = seconds
        for (id, report) in after.peers {
            self.clients += 1
            if let time = report.connectedAfter {
                self.connected += 1
                self.joinMilliseconds.append(time.inSeconds * 1_000)
            }
            if let time = report.firstKeyFrameAfter { self.firstPictureMilliseconds.append(time.inSeconds * 1_000) }
            let earlier = before.peers[id]
            var hasMedia = !report.streams.isEmpty
            for (index, stream) in report.streams.enumerated() {
                let old = earlier.flatMap { index < $0.streams.count ? $0.streams[index] : nil }
                let received = stream.packetsReceived - (old?.packetsReceived ?? 0)
                self.streams += 1
                if received == 0 {
                    self.silentStreams += 1
                    hasMedia = false
                }
                self.packetsReceived += received
                self.bytesReceived += stream.bytesReceived - (old?.bytesReceived ?? 0)
                self.packetsLost += stream.packetsLost - (old?.packetsLost ?? 0)
                self.packetsOutOfOrder += stream.packetsOutOfOrder - (old?.packetsOutOfOrder ?? 0)
                self.packetsRecovered += stream.packetsRecovered - (old?.packetsRecovered ?? 0)
            }
            if hasMedia { self.withMedia += 1 }
        }
    }

    /// Everybody joined, and every stream flowed.
    var isComplete: Bool { self.failedJoins.isEmpty && self.connected == self.clients && self.silentStreams == 0 }

    var text: String {
        func number(_ value: Double, _ digits: Int = 1) -> String {
            let scale = [1.0, 10.0, 100.0, 1_000.0][min(digits, 3)]
            return "\((value * scale).rounded() / scale)"
        }
        var lines = [
            "clients      \(self.connected) of \(self.clients) connected, \(self.failedJoins.count) joins failed",
            "streams      \(self.streams), \(self.silentStreams) silent",
            "packets      \(self.packetsReceived) received (\(number(Double(self.packetsReceived) / self.seconds, 0))/s), "
                + "\(self.packetsLost) lost, \(self.packetsRecovered) recovered, \(self.packetsOutOfOrder) out of order",
            "throughput   \(number(Double(self.bytesReceived) * 8 / self.seconds / 1_000_000)) Mbit/s of payload",
            "latency      p50 \(number(self.latency.milliseconds(at: 0.5), 3)) ms, "
                + "p95 \(number(self.latency.milliseconds(at: 0.95), 3)) ms, "
                + "p99 \(number(self.latency.milliseconds(at: 0.99), 3)) ms",
            "join         p50 \(number(Self.quantile(self.joinMilliseconds, 0.5))) ms, "
                + "p95 \(number(Self.quantile(self.joinMilliseconds, 0.95))) ms",
            "first picture p50 \(number(Self.quantile(self.firstPictureMilliseconds, 0.5))) ms, "
                + "p95 \(number(Self.quantile(self.firstPictureMilliseconds, 0.95))) ms",
        ]
        if let server {
            let perPacket = server.packetsOut > 0 ? server.cpuSeconds * 1e9 / server.packetsOut : 0
            lines.append(
                "server       \(number(server.cpuSeconds / self.seconds * 100)) % of a core, "
                    + "\(number(perPacket, 0)) ns per forwarded packet, \(number(server.residentBytes / 1e6)) MB"
            )
        }
        lines += self.failedJoins.prefix(5).map { "failed       \($0)" }
        return lines.joined(separator: "\n")
    }

    var json: String {
        var fields: [(String, Double)] = [
            ("clients", Double(self.clients)), ("connected", Double(self.connected)),
            ("failedJoins", Double(self.failedJoins.count)), ("streams", Double(self.streams)),
            ("silentStreams", Double(self.silentStreams)), ("packetsReceived", Double(self.packetsReceived)),
            ("bytesReceived", Double(self.bytesReceived)), ("packetsLost", Double(self.packetsLost)),
            ("packetsRecovered", Double(self.packetsRecovered)), ("packetsOutOfOrder", Double(self.packetsOutOfOrder)),
            ("seconds", self.seconds), ("latencyP50Milliseconds", self.latency.milliseconds(at: 0.5)),
            ("latencyP95Milliseconds", self.latency.milliseconds(at: 0.95)),
            ("latencyP99Milliseconds", self.latency.milliseconds(at: 0.99)),
            ("joinP50Milliseconds", Self.quantile(self.joinMilliseconds, 0.5)),
            ("joinP95Milliseconds", Self.quantile(self.joinMilliseconds, 0.95)),
        ]
        if let server {
            fields += [
                ("serverCPUSeconds", server.cpuSeconds), ("serverPacketsOut", server.packetsOut),
                ("serverResidentBytes", server.residentBytes),
            ]
        }
        return "{" + fields.map { "\"\($0.0)\": \($0.1)" }.joined(separator: ", ") + "}"
    }

    private static func quantile(_ values: [Double], _ quantile: Double) -> Double {
        guard !values.isEmpty else { return 0 }
        return values.sorted()[min(Int(Double(values.count) * quantile), values.count - 1)]
    }
}
