/// One direction of a path: a queue in bytes in front of a line of changing capacity, then a delay and what else can
/// happen on the way.
///
/// It needs no events of its own: first in, first out, and a capacity that is known beforehand make the time of arrival
/// known as a packet enters. Packets enter in order of time.
package struct Link {
    package enum Outcome {
        /// `delay`: from entering to arriving, less the link's propagation delay and the packet's own service: what it
        /// waits for others, for pauses and for jitter.
        case arrives(at: Microseconds, delay: Microseconds, isMarked: Bool)
        case overflowed
        case policed
        case lost
    }

    private struct Waiting {
        var departure: Int64
        var bytes: Int
    }

    package let configuration: LinkConfiguration
    private var random: SeededRandom
    /// When the line is free, in nanoseconds.
    private var freeAt: Int64 = 0
    private var waiting: [Waiting] = []
    private var firstWaiting = 0
    package private(set) var queuedBytes = 0
    private var capacityCursor = 0
    private var delayCursor = 0
    private var lossCursor = 0
    private var isInBurst = false
    private var tokens: Double
    private var tokensAt: Microseconds = 0
    private var lastArrival: Microseconds = 0

    package private(set) var droppedCount = 0

    package init(_ configuration: LinkConfiguration, seed: UInt64) {
        self.configuration = configuration
        self.random = SeededRandom(seed: seed)
        self.tokens = Double(configuration.policer?.bucketBytes ?? 0)
    }

    /// One packet enters.
    /// - Parameter bytes: on the wire.
    package mutating func send(bytes: Int, at now: Microseconds) -> Outcome {
        guard self.passesPolicer(bytes: bytes, at: now) else {
            self.droppedCount += 1
            return .policed
        }
        self.forgetDeparted(at: now)
        guard self.queuedBytes + bytes <= max(self.configuration.queueBytes, bytes),
            let departure = self.departure(ofBytes: bytes, from: max(self.freeAt, now * 1_000))
        else {
            self.droppedCount += 1
            return .overflowed
        }
        self.freeAt = departure
        self.waiting.append(Waiting(departure: departure, bytes: bytes))
        self.queuedBytes += bytes
        let left = (departure + 999) / 1_000
        guard !self.isLost(at: now) else { return .lost }
        let propagation = self.configuration.delay.value(at: now, cursor: &self.delayCursor)
        var arrival = left + propagation + self.jitter()
        if self.configuration.reordering > 0, self.random.chance(self.configuration.reordering) {
            arrival += self.configuration.reorderingDelay
        } else {
            arrival = max(arrival, self.lastArrival)
            self.lastArrival = arrival
        }
        let isMarked = self.configuration.markingThreshold.map { left - now > $0 } ?? false
        let service = Int64(bytes) * 8_000_000 / max(self.configuration.capacity.steps[self.capacityCursor].value, 1)
        let delay = max(arrival - now - propagation - service, 0)
        return .arrives(at: arrival, delay: delay, isMarked: isMarked)
    }

    private mutating func passesPolicer(bytes: Int, at now: Microseconds) -> Bool {
        guard let policer = self.configuration.policer else { return true }
        let gained = Double(now - self.tokensAt) * Double(policer.rate) / 8e6
        self.tokens = min(Double(policer.bucketBytes), self.tokens + gained)
        self.tokensAt = now
        guard self.tokens >= Double(bytes) else { return false }
        self.tokens -= Double(bytes)
        return true
    }

    private mutating func forgetDeparted(at now: Microseconds) {
        while self.firstWaiting < self.waiting.count, self.waiting[self.firstWaiting].departure <= now * 1_000 {
            self.queuedBytes -= self.waiting[self.firstWaiting].bytes
            self.firstWaiting += 1
        }
        if self.firstWaiting > 512, self.firstWaiting * 2 > self.waiting.count {
            self.waiting.removeFirst(self.firstWaiting)
            self.firstWaiting = 0
        }
    }

    /// When the last bit of a packet leaves whose service starts at `start`, in nanoseconds; `nil` = never.
    private mutating func departure(ofBytes bytes: Int, from start: Int64) -> Int64? {
        var time = start
        // Bits times 10^9, so that one nanosecond at one bit per second is one unit.
        var work = Int64(bytes) * 8 * 1_000_000_000
        while true {
            let (rate, until) = self.service(at: time)
            if rate > 0 {
                let needed = (work + rate - 1) / rate
                if until == .max || time + needed <= until { return time + needed }
                work -= rate * (until - time)
            } else if until == .max {
                return nil
            }
            time = until
        }
    }

    /// The rate at a time, and until when it holds.
    private mutating func service(at time: Int64) -> (rate: Int64, until: Int64) {
        let steps = self.configuration.capacity.steps
        while self.capacityCursor + 1 < steps.count, steps[self.capacityCursor + 1].at * 1_000 <= time {
            self.capacityCursor += 1
        }
        let next = self.capacityCursor + 1
        let stepEnd = next < steps.count ? steps[next].at * 1_000 : Int64.max
        let rate = steps[self.capacityCursor].value
        guard let pauses = self.configuration.pauses else { return (rate, stepEnd) }
        let (period, duration) = (pauses.period * 1_000, pauses.duration * 1_000)
        let start = time / period * period
        let pauseStart = start + period - duration
        return time < pauseStart ? (rate, min(stepEnd, pauseStart)) : (0, min(stepEnd, start + period))
    }

    private mutating func isLost(at now: Microseconds) -> Bool {
        if let burst = self.configuration.burstLoss {
            self.isInBurst =
                self.isInBurst ? !self.random.chance(burst.leaving) : self.random.chance(burst.entering)
            if self.isInBurst, self.random.chance(burst.lossWhenBad) { return true }
        }
        let loss = self.configuration.loss.value(at: now, cursor: &self.lossCursor)
        return loss > 0 && self.random.chance(loss)
    }

    private mutating func jitter() -> Microseconds {
        let deviation = self.configuration.jitterDeviation
        guard deviation > 0 else { return 0 }
        return min(30_000, Microseconds(abs(self.random.normal()) * Double(deviation)))
    }
}

extension SeededRandom {
    /// About N(0, 1): the sum of twelve uniform numbers, which needs no library whose last digit differs elsewhere.
    package mutating func normal() -> Double {
        var sum = -6.0
        for _ in 0..<12 { sum += Double.random(in: 0..<1, using: &self) }
        return sum
    }
}
