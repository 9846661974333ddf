import Basics

/// The rate that reception reports allow (libwebrtc's first loss controller): up by 8 % a second below 2 % of loss,
/// unchanged to 10 %, down by half of the loss above. It rules where there is no transport-wide feedback.
/// It stays within its limits: what has grown for an hour without loss would take as long until its fall is felt.
struct LossRateControl: Sendable, BitwiseCopyable {
    private static let minimumPackets = 20
    private static let lowLoss = 0.02
    private static let highLoss = 0.1
    private static let interval = Nanoseconds.seconds(1)
    private static let decreaseInterval = Nanoseconds.milliseconds(300)
    /// What was lost so long ago says nothing of what would be lost now. Without this, video that was paused for its loss stays
    /// so for ever: there is nothing to report about.
    private static let memory = Nanoseconds.seconds(6)

    private(set) var bitrate: Double
    private let minimum: Double
    private let maximum: Double
    private var packets = 0
    private var lostPackets = 0.0
    private(set) var lossFraction = 0.0
    private var decreasedAt: Instant?
    private var reportedAt: Instant?
    /// The lowest rate of each of the last four quarters of a second.
    private var minima: InlineArray<4, Double>
    private var quarter: Int64 = 0

    init(start: Double, minimum: Double, maximum: Double) {
        self.bitrate = start
        self.minimum = minimum
        self.maximum = maximum
        self.minima = InlineArray(repeating: start)
    }

    /// Another part of the estimator knows better.
    mutating func set(_ rate: Double) {
        self.bitrate = min(rate, self.maximum)
        self.minima = InlineArray(repeating: self.bitrate)
    }

    /// - Parameters:
    ///   - fractionLost: 0...1; anything else is ignored.
    ///   - packetCount: how many packets the report is about.
    mutating func report(fractionLost: Double, packetCount: Int, roundTripTime: Nanoseconds, at now: Instant) {
        guard fractionLost >= 0, fractionLost <= 1, packetCount > 0 else { return }
        let counted = min(packetCount, 1 << 20)
        self.packets += counted
        self.lostPackets += fractionLost * Double(counted)
        // A few packets say little: wait for more.
        guard self.packets >= Self.minimumPackets else { return }
        self.lossFraction = self.lostPackets / Double(self.packets)
        self.packets = 0
        self.lostPackets = 0
        self.reportedAt = now
        self.update(roundTripTime: roundTripTime, at: now)
    }

    /// Forgets a loss that nothing has been reported since.
    mutating func advance(to now: Instant) {
        guard let reportedAt, now - reportedAt > Self.memory else { return }
        self.reportedAt = nil
        self.lossFraction = 0
        self.packets = 0
        self.lostPackets = 0
    }

    private mutating func update(roundTripTime: Nanoseconds, at now: Instant) {
        self.remember(at: now)
        if self.lossFraction <= Self.lowLoss {
            var minimum = self.bitrate
            for index in self.minima.indices { minimum = min(minimum, self.minima[index]) }
            self.bitrate = min(minimum * 1.08 + 1_000, self.maximum)
        } else if self.lossFraction > Self.highLoss {
            if let last = self.decreasedAt, now - last < Self.decreaseInterval + roundTripTime { return }
            self.decreasedAt = now
            self.bitrate = max(self.bitrate * (1 - 0.5 * self.lossFraction), self.minimum)
            self.remember(at: now)
        }
    }

    private mutating func remember(at now: Instant) {
        let quarter = now.nanoseconds / (Self.interval.count / 4)
        for passed in 0..<min(max(quarter &- self.quarter, 0), 4) {
            self.minima[Int((quarter - passed) & 3)] = .infinity
        }
        self.quarter = quarter
        let slot = Int(quarter & 3)
        self.minima[slot] = min(self.minima[slot], self.bitrate)
    }
}
