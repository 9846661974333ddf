import Basics

/// Finds out whether losses depend on the rate (rule L): send a fifth less for a moment; what is lost as before is lost
/// by the radio, and sending less does not help. A policer, or a short queue, loses much less then.
///
/// Only loss without a standing queue is looked at: a full queue is congestion.
struct InherentLoss: Sendable {
    /// Below this GCC's own model copes: it allows 5 % at any rate.
    private static let suspicious = 0.035
    private static let trialFactor = 0.8
    private static let trialTime = Nanoseconds.milliseconds(1_550)
    private static let longestTrial = Nanoseconds.seconds(4)
    /// Before and in a trial. One in ten lost of sixty is six, give or take two and a half.
    private static let leastPackets = 60.0
    /// 1.5 s: what is lost in the first moments of a path is no measure to compare a trial with.
    private static let leastBuckets: Int64 = 6
    /// Above this four fifths of the rate would not be enough to tell a policer from a radio.
    private static let tooMuch = 0.38
    /// What stays of the loss in the trial, when it does not depend on the rate. A policer that drops a tenth drops
    /// nothing at four fifths; random loss of a few hundred packets spreads by a quarter.
    private static let keptShare = 0.6
    /// What stays of the loss in the trial, when a policer makes it: it drops what is too much, and nothing else.
    private static let policedShare = 0.25
    /// Of what passed a policer.
    private static let policedRate = 0.95
    static let cleared = 0.02
    private static let tolerance = 0.06
    private static let toleranceFactor = 1.3
    /// Of the loss that so few packets have by chance.
    private static let deviations = 2.0
    /// Of a new value each 250 ms: half in seven seconds.
    private static let weight = 0.025
    private static let shortestPause = Nanoseconds.seconds(4)
    private static let longestPause = Nanoseconds.seconds(32)
    private static let bucketMicroseconds: Int64 = 250_000

    /// What a trial has shown. Rates are in bit/s.
    enum Verdict: Sendable, BitwiseCopyable, Equatable {
        /// The loss has nothing to do with the rate: back to the one before the trial.
        case radio(Double)
        /// The loss went with the excess: no more than what had passed.
        case policer(Double)
    }

    private struct Bucket: Sendable, BitwiseCopyable {
        var bytes = 0.0
        var lost = 0.0
        var packets = 0.0

        var loss: Double { self.bytes > 0 ? min(self.lost / self.bytes, 1) : 0 }
    }

    /// By send time: 250 ms each, the last four seconds.
    private var buckets = InlineArray<16, Bucket>(repeating: Bucket())
    /// Bytes lost in all of them: whole numbers, so that it is exact however often it changes.
    private var lost = 0.0
    private var index: Int64?
    private var firstIndex: Int64 = 0
    private var trialSince: Instant?
    private var trialIndex: Int64 = 0
    private var lossBefore = 0.0
    private var rateBefore = 0.0
    private var notBefore: Instant?
    private var pause = Self.shortestPause
    /// The loss that does not depend on the rate: 0...1.
    private(set) var share = 0.0
    /// The same as the last trial found it.
    private var found = 0.0
    private var followedIndex: Int64 = 0

    var isTrying: Bool { self.trialSince != nil }
    /// bit/s, while a trial runs.
    var ceiling: Double? { self.isTrying ? self.rateBefore * Self.trialFactor : nil }

    /// - Parameter send: microseconds of our clock.
    @inline(__always) mutating func add(byteCount: Int, isLost: Bool, wasLost: Bool, send: Int64) {
        let index = send / Self.bucketMicroseconds
        if index != self.index { guard self.begin(index) else { return } }
        let slot = Int(index & 15)
        let bytes = Double(byteCount)
        if wasLost {
            let back = min(self.buckets[slot].lost, bytes)
            self.buckets[slot].lost -= back
            self.lost -= back
        } else {
            self.buckets[slot].bytes += bytes
            self.buckets[slot].packets += 1
            guard isLost else { return }
            self.buckets[slot].lost += bytes
            self.lost += bytes
        }
    }

    /// Makes room for a bucket that is not the one of the packet before.
    /// - Returns: whether it is not too old.
    private mutating func begin(_ index: Int64) -> Bool {
        let last = self.index ?? index - 16
        if index > last {
            for passed in max(last + 1, index - 15)...index {
                self.lost -= self.buckets[Int(passed & 15)].lost
                self.buckets[Int(passed & 15)] = Bucket()
            }
            self.index = index
        }
        if last < index - 15 { self.firstIndex = index }
        return index > (self.index ?? index) - 16
    }

    /// Of the last `count` buckets, the one that is being filled included: 0...1.
    @inline(__always) private func loss(last count: Int64) -> Double { self.lost > 0 ? self.sum(last: count).loss : 0 }

    @inline(__always) private func sum(last count: Int64, notBefore first: Int64 = .min) -> Bucket {
        var sum = Bucket()
        guard let last = self.index else { return sum }
        let buckets = self.buckets.span
        for passed in 0..<min(count, 16) where last - passed >= first {
            let bucket = buckets[Int((last - passed) & 15)]
            sum.bytes += bucket.bytes
            sum.lost += bucket.lost
            sum.packets += bucket.packets
        }
        return sum
    }

    /// Of the last second.
    @inline(__always) var recentLoss: Double { self.loss(last: 5) }

    /// How much of a lost packet is to be blamed on the rate: 0...1.
    @inline(__always) var blame: Double {
        guard self.share > 0 else { return 1 }
        let recent = self.sum(last: 5)
        let chance = Self.deviations * (self.share * (1 - self.share) / max(recent.packets, 1)).squareRoot()
        let tolerance = max(Self.tolerance, (Self.toleranceFactor - 1) * self.share, chance)
        guard recent.loss > self.share + tolerance else { return 0 }
        return (recent.loss - self.share) / recent.loss
    }

    /// What was counted does not belong to the path as it is; what was learnt may.
    mutating func forget() {
        self.buckets = InlineArray(repeating: Bucket())
        self.lost = 0
        self.index = nil
        self.trialSince = nil
    }

    /// Once per feedback.
    /// - Parameter rate: bit/s now.
    /// - Returns: what a trial that has ended now has shown, if it has shown anything.
    mutating func update(rate: Double, queueMilliseconds: Double?, roundTripTime: Nanoseconds, at now: Instant)
        -> Verdict?
    {
        if let since = self.trialSince { return self.endTrial(since, roundTripTime: roundTripTime, at: now) }
        // Nothing is lost, and nothing is known that would have to be forgotten.
        guard self.lost > 0 || self.share > 0 else { return nil }
        let all = self.sum(last: 12)
        let long = all.loss
        if self.share > 0, all.packets >= Self.leastPackets { self.follow(long) }
        let short = self.loss(last: 6)
        let isSuspicious = short > Self.suspicious && long > Self.suspicious && self.blame > 0
        if isSuspicious, short > Self.tooMuch { self.share = 0 }
        guard isSuspicious, short < Self.tooMuch, all.packets >= Self.leastPackets else { return nil }
        guard let index = self.index, index - self.firstIndex >= Self.leastBuckets else { return nil }
        guard let queue = queueMilliseconds, queue < QueueDrain.standing else { return nil }
        guard self.notBefore.map({ now >= $0 }) ?? true else { return nil }
        self.trialSince = now
        self.trialIndex = (now + roundTripTime).nanoseconds / 1_000 / Self.bucketMicroseconds + 1
        self.lossBefore = long
        self.rateBefore = rate
        return nil
    }

    /// The loss may have become less since the trial: so much less that it is gone, or by and by.
    private mutating func follow(_ loss: Double) {
        if self.loss(last: 8) < min(Self.cleared, self.share / 2) {
            self.share = 0
        } else if let index = self.index, index != self.followedIndex {
            self.followedIndex = index
            self.share = min(max(self.share + (loss - self.share) * Self.weight, Self.cleared), self.found)
        }
    }

    private mutating func endTrial(_ since: Instant, roundTripTime: Nanoseconds, at now: Instant) -> Verdict? {
        let elapsed = now - since - roundTripTime
        let trial = self.sum(last: 16, notBefore: self.trialIndex)
        guard elapsed >= Self.longestTrial || (elapsed >= Self.trialTime && trial.packets >= Self.leastPackets) else {
            return nil
        }
        self.trialSince = nil
        let loss = trial.loss
        guard loss > Self.keptShare * self.lossBefore else {
            self.notBefore = now + self.pause
            self.pause = min(self.pause * 2, Self.longestPause)
            guard loss < Self.policedShare * self.lossBefore else { return nil }
            return .policer(Self.policedRate * self.rateBefore * (1 - self.lossBefore))
        }
        self.share = min(max(loss, self.lossBefore), 0.5)
        self.found = self.share
        self.pause = Self.shortestPause
        self.notBefore = now + Nanoseconds.seconds(2)
        return .radio(self.rateBefore)
    }
}
