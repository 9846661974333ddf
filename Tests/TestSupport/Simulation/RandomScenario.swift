import Basics
package import CongestionControl
import Glibc
import RTP

/// A path made by chance, and what became of one flow on it: capacities that walk between 0.15 and 12 Mbit/s, up to 20 %
/// of loss, round trips of 10 to 400 ms, jitter, queues of 100 to 1,000 ms.
package struct RandomScenario: Sendable {
    package static let seconds = 60.0

    package struct Result: Sendable {
        package var seed: UInt64
        /// Of what the link carries and does not lose, from 10 s on.
        package var utilisation: Double
        /// In milliseconds.
        package var delay95: Double
        /// The longest time, in seconds, at less than half of what the link carries.
        package var longestStarved: Double
        /// The estimate was outside of its limits, or the hash differs in a second run.
        package var isBroken: Bool
        package var traceHash: UInt64
    }

    package let seed: UInt64
    private let link: LinkConfiguration
    private let loss: Double

    package init(seed: UInt64) {
        self.seed = seed
        var random = SeededRandom(seed: seed)
        var capacity = 0.2 * (1 + 49 * pow(Double.random(in: 0...1, using: &random), 3))
        var steps: [(seconds: Double, value: Int64)] = []
        var time = 0.0
        while time < Self.seconds {
            steps.append((time, Int64(capacity * 1_000_000)))
            time += Double.random(in: 5...20, using: &random)
            capacity = min(max(capacity * Double.random(in: 0.4...2.2, using: &random), 0.15), 12)
        }
        var link = LinkConfiguration(
            capacity: steps,
            delayMilliseconds: Int64.random(in: 5...200, using: &random),
            queueMilliseconds: Int64.random(in: 100...1_000, using: &random)
        )
        self.loss = random.chance(0.5) ? 0 : Double.random(in: 0...0.2, using: &random)
        link.loss = .constant(self.loss)
        if random.chance(0.3) { link.jitterDeviation = Microseconds.random(in: 0...10_000, using: &random) }
        self.link = link
    }

    package var text: String {
        let capacities = self.link.capacity.steps.map { "\($0.at / 1_000_000) s: \($0.value / 1_000) k" }
        let delay = self.link.delay.value(at: 0) / 1_000
        return "seed \(self.seed): \(capacities.joined(separator: ", ")); \(delay) ms, loss \(Int(self.loss * 100)) %, "
            + "jitter \(self.link.jitterDeviation / 1_000) ms, queue \(self.link.queueBytes) bytes"
    }

    package func run(rules: EstimatorRules = .sluice) -> Result {
        let simulation = Simulation(seed: self.seed)
        let configuration = EstimatorConfiguration(rules: rules, firstSequence: 65_000)
        var back = LinkConfiguration.ample()
        back.delay = self.link.delay
        let flow = EncoderFlow(
            control: SimulatedSubscriber(configuration, at: simulation.instant),
            path: SimulatedPath(link: simulation.addLink(self.link)),
            source: EncoderSource(),
            startsAt: 0,
            seed: simulation.makeSeed()
        )
        simulation.add(flow)
        simulation.add(
            ReceivingEndpoint(
                ReceiverConfiguration(),
                sender: flow,
                reversePath: SimulatedPath(link: simulation.addLink(back))
            )
        )
        simulation.run(until: Microseconds(Self.seconds * 1e6))
        let carried = self.link.meanCapacity(from: 10, to: Self.seconds) * (1 - self.loss)
        let range = flow.metrics.estimateRange(from: 1, to: Self.seconds)
        return Result(
            seed: self.seed,
            utilisation: flow.metrics.goodput(from: 10, to: Self.seconds) / carried,
            delay95: flow.metrics.delay(0.95, from: 10, to: Self.seconds),
            longestStarved: self.longestStarved(flow.metrics),
            isBroken: range.lowerBound < Double(configuration.minimum.bitsPerSecond)
                || range.upperBound > Double(configuration.maximum.bitsPerSecond),
            traceHash: simulation.traceHash
        )
    }

    private func longestStarved(_ metrics: FlowMetrics) -> Double {
        var (longest, current) = (0.0, 0.0)
        for second in 0..<Int(Self.seconds) {
            let (from, to) = (Double(second), Double(second + 1))
            let half = self.link.meanCapacity(from: from, to: to) * (1 - self.loss) / 2
            current = metrics.goodput(from: from, to: to) < half ? current + 1 : 0
            longest = max(longest, current)
        }
        return longest
    }
}

/// Hands an estimator RTCP that nobody sane would send: random bytes, and feedback with some bytes changed.
///
/// - Returns: the estimates that were out of bounds.
package func fuzzFeedback(count: Int, seed: UInt64, rules: EstimatorRules = .sluice) -> Int {
    var random = SeededRandom(seed: seed)
    var now = Instant(simulated: 0)
    let configuration = EstimatorConfiguration(rules: rules, firstSequence: 65_000)
    var estimator = BandwidthEstimator(configuration: configuration, at: now)
    var violations = 0
    for _ in 0..<count {
        for _ in 0..<Int.random(in: 0...8, using: &random) {
            let bytes = Int.random(in: 60...1_240, using: &random)
            let probe = UInt16.random(in: 0...3, using: &random)
            _ = estimator.sent(byteCount: bytes, probe: probe, isPadding: random.chance(0.2), at: now)
            now = now + .microseconds(Int64.random(in: 0...5_000, using: &random))
        }
        now = now + .microseconds(Int64.random(in: 0...200_000, using: &random))
        let bytes = randomFeedback(using: &random)
        _ = forEachRTCPPacket(in: bytes.span.bytes) { packet in
            if let feedback = packet.transportFeedback { estimator.handle(feedback, at: now) }
            if let bitrate = packet.maximumBitrate { estimator.handleREMB(bitrate, at: now) }
        }
        if random.chance(0.2) { estimator.advance(to: now) }
        _ = estimator.nextProbe(at: now)
        let bitrate = estimator.estimate.bitrate
        if bitrate < configuration.minimum || bitrate > configuration.maximum { violations += 1 }
    }
    return violations
}

/// A feedback packet with random base, count, times and statuses, mostly well-formed.
private func randomFeedback(using random: inout SeededRandom) -> [UInt8] {
    let chunkCount = Int.random(in: 0...12, using: &random)
    let deltaCount = Int.random(in: 0...80, using: &random)
    var bytes: [UInt8] = [0x8F, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2]
    // Base near where numbers are; any count; any time.
    bytes += random.chance(0.8) ? [0xFD, UInt8.random(in: 0...255, using: &random)] : random.bytes(2)
    bytes += random.chance(0.8) ? [0, UInt8.random(in: 0...100, using: &random)] : random.bytes(2)
    bytes += random.bytes(4)
    bytes += random.bytes(2 * chunkCount)
    bytes += random.bytes(deltaCount)
    while bytes.count % 4 != 0 { bytes.append(0) }
    let words = bytes.count / 4 - 1
    bytes[2] = UInt8(words >> 8)
    bytes[3] = UInt8(words & 0xFF)
    return bytes
}
