import Basics

/// What came of one cluster.
struct ProbeResult: Sendable, BitwiseCopyable, Equatable {
    var cluster: UInt16
    /// bit/s: what GCC takes as proven.
    var bitrate: Double
    var sendRate: Double
    var receiveRate: Double
}

/// Compares how fast the packets of a cluster left with how fast they arrived (libwebrtc, probe_bitrate_estimator).
///
/// Bound: the last eight clusters, each forgotten one second after its last arrival.
struct ProbeBitrateEstimator: Sendable {
    private static let slots = 8
    private static let requiredShare = 0.8
    private static let maximumSpan: Int64 = 1_000_000
    private static let maximumRatio = 2.0
    private static let keptRatio = 0.9
    private static let utilization = 0.95

    private struct Cluster: Sendable, BitwiseCopyable {
        var id: UInt16 = 0
        var minimumPackets = 0
        var minimumBytes = 0
        var packets = 0
        var bytes = 0
        var firstSend = Int64.max
        var lastSend = Int64.min
        var lastSentBytes = 0
        var firstArrival = Int64.max
        var firstReceivedBytes = 0
        var lastArrival = Int64.min
    }

    private var clusters = InlineArray<8, Cluster>(repeating: Cluster())

    /// A cluster was handed out: packets of others are not counted.
    mutating func expect(_ cluster: ProbeCluster) {
        var entry = Cluster()
        entry.id = cluster.id
        entry.minimumPackets = cluster.minimumPackets
        entry.minimumBytes = cluster.minimumBytes
        self.clusters[Int(cluster.id) % Self.slots] = entry
    }

    /// - Returns: a result as soon as 80 % of the cluster have arrived, and a better one with each packet after that.
    mutating func add(cluster id: UInt16, send: Int64, arrival: Int64, byteCount: Int) -> ProbeResult? {
        let slot = Int(id) % Self.slots
        var cluster = self.clusters[slot]
        guard id != 0, cluster.id == id else { return nil }
        guard cluster.packets == 0 || arrival &- cluster.lastArrival <= Self.maximumSpan else { return nil }
        if send < cluster.firstSend { cluster.firstSend = send }
        if send > cluster.lastSend {
            cluster.lastSend = send
            cluster.lastSentBytes = byteCount
        }
        if arrival < cluster.firstArrival {
            cluster.firstArrival = arrival
            cluster.firstReceivedBytes = byteCount
        }
        cluster.lastArrival = max(cluster.lastArrival, arrival)
        cluster.bytes += byteCount
        cluster.packets += 1
        self.clusters[slot] = cluster
        return Self.result(of: cluster)
    }

    private static func result(of cluster: Cluster) -> ProbeResult? {
        guard Double(cluster.packets) >= Double(cluster.minimumPackets) * Self.requiredShare,
            Double(cluster.bytes) >= Double(cluster.minimumBytes) * Self.requiredShare
        else { return nil }
        let sendSpan = cluster.lastSend &- cluster.firstSend
        let receiveSpan = cluster.lastArrival &- cluster.firstArrival
        guard sendSpan > 0, sendSpan <= Self.maximumSpan, receiveSpan > 0, receiveSpan <= Self.maximumSpan else {
            return nil
        }
        let sendRate = Double(cluster.bytes - cluster.lastSentBytes) * 8e6 / Double(sendSpan)
        let receiveRate = Double(cluster.bytes - cluster.firstReceivedBytes) * 8e6 / Double(receiveSpan)
        // Something on the path held the packets and let them go together.
        guard receiveRate <= Self.maximumRatio * sendRate else { return nil }
        let isQueueing = receiveRate < Self.keptRatio * sendRate
        return ProbeResult(
            cluster: cluster.id,
            bitrate: isQueueing ? Self.utilization * receiveRate : min(sendRate, receiveRate),
            sendRate: sendRate,
            receiveRate: receiveRate
        )
    }
}
