package import Basics

/// What a browser without transport-wide feedback estimates for itself, as a model: it sees the queue as it is, where
/// a browser has to infer it. Increase and decrease are those of GCC's receiver side: 8 % a second up to 1.5 times what
/// arrives, 0.85 of what arrives as soon as a queue of 50 ms stands for 200 ms; in the first two seconds it takes a run of
/// packets that arrive as far apart as they were sent for a probe.
package struct ReceiverEstimateModel: Sendable {
    private static let window: Microseconds = 1_000_000
    private static let queueLimit: Microseconds = 50_000
    private static let standingTime: Microseconds = 200_000

    private static let probingTime: Microseconds = 2_000_000
    private static let clusterPackets = 6

    private var estimate = 300_000.0
    private var firstAt: Microseconds?
    private var cluster: [(sent: Microseconds, arrived: Microseconds, bytes: Int)] = []
    private var arrivals: [(time: Microseconds, bytes: Int)] = []
    private var windowBytes = 0
    private var lastLowDelay: Microseconds = 0
    private var updatedAt: Microseconds?
    private var messageAt: Microseconds = .min / 2
    private var decreasedAt: Microseconds = .min / 2

    package init() {}

    package var nextDeadline: Microseconds { self.updatedAt.map { $0 + 100_000 } ?? .max }

    package mutating func received(bytes: Int, sentAt: Microseconds, delay: Microseconds, at now: Microseconds) {
        if self.updatedAt == nil {
            self.updatedAt = now
            self.lastLowDelay = now
        }
        self.arrivals.append((now, bytes))
        self.windowBytes += bytes
        if delay <= Self.queueLimit { self.lastLowDelay = now }
        let firstAt = self.firstAt ?? now
        self.firstAt = firstAt
        if bytes >= 200, now - firstAt < Self.probingTime { self.noteProbe(bytes: bytes, sentAt: sentAt, at: now) }
    }

    private mutating func noteProbe(bytes: Int, sentAt: Microseconds, at now: Microseconds) {
        self.cluster.append((sentAt, now, bytes))
        if self.cluster.count > Self.clusterPackets { self.cluster.removeFirst() }
        guard self.cluster.count == Self.clusterPackets else { return }
        let gaps = Microseconds(Self.clusterPackets - 1)
        let sending = (sentAt - self.cluster[0].sent) / gaps
        let arriving = (now - self.cluster[0].arrived) / gaps
        guard sending >= 1_000, arriving >= 1_000, arriving - sending <= 2_000, sending - arriving <= 5_000 else {
            return
        }
        let bits = Double(self.cluster.dropFirst().reduce(0) { $0 + $1.bytes }) * 8
        self.estimate = max(self.estimate, bits / Double(max(sending, arriving) * gaps) * 1e6)
    }

    /// Call every 100 ms.
    /// - Returns: what to tell the sender; `nil` = nothing new for now.
    package mutating func message(at now: Microseconds) -> Bitrate? {
        guard let updatedAt = self.updatedAt, now >= updatedAt + 100_000 else { return nil }
        self.updatedAt = now
        var first = 0
        while first < self.arrivals.count, self.arrivals[first].time <= now - Self.window {
            self.windowBytes -= self.arrivals[first].bytes
            first += 1
        }
        self.arrivals.removeFirst(first)
        let incoming = Double(self.windowBytes) * 8
        var mustTell = now - self.messageAt >= 1_000_000
        if now - self.lastLowDelay > Self.standingTime {
            if now - self.decreasedAt > 300_000 {
                self.estimate = min(self.estimate, 0.85 * incoming)
                self.decreasedAt = now
                mustTell = true
            }
        } else {
            let seconds = Double(now - updatedAt) / 1e6
            self.estimate = max(self.estimate, min(self.estimate * (1 + 0.08 * seconds), 1.5 * incoming + 10_000))
        }
        guard mustTell else { return nil }
        self.messageAt = now
        return Bitrate(bitsPerSecond: Int64(self.estimate))
    }
}
