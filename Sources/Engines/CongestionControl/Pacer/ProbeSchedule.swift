public import Basics

/// When the next packet of a probe cluster is due: the first at once, each further one when what was sent of the
/// cluster has taken its time at the cluster's bitrate.
///
/// A cluster whose packets come late proves nothing, so it is given up (libwebrtc `BitrateProber` has the same limits for
/// its clusters of 15 ms), and whoever asked for it is told. A packet that is late does not make the next one late.
@usableFromInline package struct ProbeSchedule: BitwiseCopyable, Sendable {
    /// A send that is later than this spoils the cluster,
    static let lateLimit = Nanoseconds.milliseconds(10)
    /// or than this part of a long one: a busy machine wakes a worker 10 to 20 ms late every few times.
    static let lateDivisor: Int64 = 4
    /// A cluster that has not begun by then asks about a path of the past.
    static let startLimit = Nanoseconds.seconds(5)
    /// More than these are not kept: the oldest goes.
    static let maximumCount = 5

    private struct Waiting: BitwiseCopyable, Sendable {
        var cluster = ProbeCluster(id: 0, bitrate: .zero, minimumBytes: 0, minimumPackets: 0)
        var createdAt = Instant.zero
    }

    private var waiting = InlineArray<5, Waiting>(repeating: Waiting())
    private var count = 0
    /// When the first packet of the first cluster left; `nil` before.
    private var startedAt: Instant?
    private var sentBytes = 0
    private var sentPackets = 0
    /// The last cluster that was given up; 0 = none since `takeAborted`.
    private var aborted: UInt16 = 0

    package init() {}

    /// The cluster in work; 0 = none. Kept, because every packet asks and `waiting` is large.
    @usableFromInline package private(set) var currentID: UInt16 = 0

    @usableFromInline package mutating func add(_ cluster: ProbeCluster, at now: Instant) {
        guard cluster.id != 0, cluster.bitrate > .zero else { return }
        if self.count == Self.maximumCount { self.abort() }
        self.waiting[self.count] = Waiting(cluster: cluster, createdAt: now)
        self.count += 1
        self.currentID = self.waiting[0].cluster.id
    }

    /// When the next packet of a cluster is to leave, `now` or later; `nil` when there is no cluster.
    @usableFromInline package mutating func due(at now: Instant) -> Instant? {
        while self.count > 0 {
            let first = self.waiting[0]
            guard let startedAt = self.startedAt else {
                if now - first.createdAt <= Self.startLimit { return now }
                self.abort()
                continue
            }
            let seconds = Double(self.sentBytes) * 8 / Double(first.cluster.bitrate.bitsPerSecond)
            // Half a minute is beyond any cluster: more would be a mistake in its figures.
            let due = startedAt + .fractionalSeconds(min(seconds, 30))
            if now - due <= Self.lateLimit(of: first.cluster) { return max(due, now) }
            self.abort()
        }
        return nil
    }

    private static func lateLimit(of cluster: ProbeCluster) -> Nanoseconds {
        let seconds = Double(cluster.minimumBytes) * 8 / Double(cluster.bitrate.bitsPerSecond)
        return max(Self.lateLimit, .fractionalSeconds(min(max(seconds, 0), 1) / Double(Self.lateDivisor)))
    }

    /// Counts a packet of the current cluster.
    @usableFromInline package mutating func sent(byteCount: Int, at now: Instant) {
        guard self.count > 0 else { return }
        if self.startedAt == nil { self.startedAt = now }
        self.sentBytes += byteCount
        self.sentPackets += 1
        let cluster = self.waiting[0].cluster
        if self.sentBytes >= cluster.minimumBytes, self.sentPackets >= cluster.minimumPackets { self.removeFirst() }
    }

    /// Gives up the current cluster.
    @usableFromInline package mutating func abort() {
        guard self.count > 0 else { return }
        self.aborted = self.currentID
        self.removeFirst()
    }

    /// The last cluster that was given up since the last call; 0 = none.
    @usableFromInline package mutating func takeAborted() -> UInt16 {
        defer { self.aborted = 0 }
        return self.aborted
    }

    /// The size on the wire of a padding packet for the current cluster: small enough that a slow cluster has its
    /// packets within little more than its 15 ms, large enough that headers do not rule.
    @usableFromInline package var paddingSize: Int {
        let cluster = self.waiting[0].cluster
        return min(max(cluster.minimumBytes / max(cluster.minimumPackets, 1), 200), 1_200)
    }

    private mutating func removeFirst() {
        for index in 1..<Self.maximumCount { self.waiting[index - 1] = self.waiting[index] }
        self.count -= 1
        self.currentID = self.count > 0 ? self.waiting[0].cluster.id : 0
        self.startedAt = nil
        self.sentBytes = 0
        self.sentPackets = 0
    }
}
