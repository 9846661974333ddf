/// What a link does to packets. Times are microseconds, rates bits per second of the whole packet on the wire.
package struct LinkConfiguration: Sendable {
    /// Packets are held for `duration` at the end of every `period`, as a Wi-Fi access point does that scans or serves
    /// others.
    package struct Pauses: Sendable {
        package var period: Microseconds
        package var duration: Microseconds

        package init(period: Microseconds, duration: Microseconds) {
            self.period = period
            self.duration = duration
        }
    }

    /// A token bucket that drops what it has no tokens for, and queues nothing.
    package struct Policer: Sendable {
        package var rate: Int64
        package var bucketBytes: Int

        package init(rate: Int64, bucketBytes: Int) {
            self.rate = rate
            self.bucketBytes = bucketBytes
        }
    }

    /// Loss in bursts (Gilbert-Elliott): a chain of two states, a step per packet.
    package struct BurstLoss: Sendable {
        /// From good to bad, and back.
        package var entering: Double
        package var leaving: Double
        /// The share lost in the bad state.
        package var lossWhenBad: Double

        /// - Parameters:
        ///   - share: of all packets, 0 to below 1.
        ///   - meanLength: packets lost in one burst.
        package init(share: Double, meanLength: Double) {
            self.leaving = 1 / meanLength
            self.entering = share / (1 - share) / meanLength
            self.lossWhenBad = 1
        }
    }

    /// 0 = nothing is served: the link pauses.
    package var capacity: Schedule<Int64>
    /// Drop-tail limit, the packet in service included.
    package var queueBytes: Int
    package var delay: Schedule<Microseconds>
    /// The share of packets lost behind the queue, each by itself.
    package var loss: Schedule<Double> = .constant(0)
    package var burstLoss: BurstLoss?
    /// Added to the delay: min(30 ms, |N(0, this)|), never so that packets overtake each other.
    package var jitterDeviation: Microseconds = 0
    /// The share of packets that are held back for `reorderingDelay` and so overtaken.
    package var reordering: Double = 0
    package var reorderingDelay: Microseconds = 10_000
    package var pauses: Pauses?
    package var policer: Policer?
    /// Packets that were in the queue for longer are marked "congestion experienced".
    package var markingThreshold: Microseconds?

    /// - Parameters:
    ///   - capacity: seconds and bits per second.
    ///   - delay: one way.
    ///   - queueMilliseconds: at the first capacity.
    package init(
        capacity: [(seconds: Double, value: Int64)],
        delayMilliseconds: Int64 = 25,
        queueMilliseconds: Int64 = 300
    ) {
        self.capacity = Schedule(capacity)
        self.queueBytes = Int((capacity.first?.value ?? 0) * queueMilliseconds / 8_000)
        self.delay = .constant(delayMilliseconds * 1_000)
    }

    /// A path that is never the bottleneck.
    package static func ample(delayMilliseconds: Int64 = 25) -> Self {
        Self(capacity: [(0, 100_000_000)], delayMilliseconds: delayMilliseconds)
    }

    /// The mean capacity from one time to another, pauses taken off, in bits per second.
    package func meanCapacity(from start: Double, to end: Double) -> Double {
        var sum = 0.0
        for (index, step) in self.capacity.steps.enumerated() {
            let from = max(index == 0 ? 0 : Double(step.at) / 1e6, start)
            let until = index + 1 < self.capacity.steps.count ? Double(self.capacity.steps[index + 1].at) / 1e6 : end
            sum += max(0, min(until, end) - from) * Double(step.value)
        }
        let mean = sum / max(end - start, 1e-9)
        guard let pauses = self.pauses else { return mean }
        return mean * (1 - Double(pauses.duration) / Double(pauses.period))
    }
}
