import Basics
import CongestionControl
import TestSupport
import Testing

/// What is asked and told of several packets at once must come to what it comes to of each.
@Suite struct PacketsTogetherTests {
    @Test func `the pacer lets as many pass together as one by one`() {
        for seed in 0..<20 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            var together = Pacer<Int>(capacity: 256, at: .zero)
            var apart = Pacer<Int>(capacity: 256, at: .zero)
            var now = Instant.zero
            for _ in 0..<400 {
                now = now + .microseconds(Int64.random(in: 0...20_000, using: &random))
                switch Int.random(in: 0..<20, using: &random) {
                case 0:
                    let rate = Bitrate.kbps(Int64.random(in: 100...20_000, using: &random))
                    let padding = Bitrate.kbps(Int64.random(in: 0...2_000, using: &random))
                    together.setRates(pacing: rate, padding: padding, at: now)
                    apart.setRates(pacing: rate, padding: padding, at: now)
                case 1:
                    let probe = ProbeCluster(id: 7, bitrate: .kbps(900), minimumBytes: 4_000, minimumPackets: 3)
                    together.start(probe, at: now)
                    apart.start(probe, at: now)
                case 2...5:
                    let (one, other) = (Self.next(&together, at: now), Self.next(&apart, at: now))
                    #expect(one == other, "seed \(seed)")
                default:
                    let sizes = (0..<Int.random(in: 1...30, using: &random)).map { _ in
                        Int.random(in: 20...1_200, using: &random)
                    }
                    var sent = together.admit(upTo: sizes.count, at: now) { sizes[$0] }
                    while sent < sizes.count {
                        _ = together.admit(.video, byteCount: sizes[sent], reference: sent, at: now)
                        sent += 1
                    }
                    for (index, size) in sizes.enumerated() {
                        _ = apart.admit(.video, byteCount: size, reference: index, at: now)
                    }
                }
                let (one, other) = (together.mediaDebt, apart.mediaDebt)
                #expect(one == other, "seed \(seed)")
                let (queued, expected) = (together.queuedBytes, apart.queuedBytes)
                #expect(queued == expected, "seed \(seed)")
                let (padding, otherPadding) = (together.paddingDebt, apart.paddingDebt)
                #expect(padding == otherPadding, "seed \(seed)")
            }
        }
    }

    private static func next(_ pacer: inout Pacer<Int>, at now: Instant) -> String { "\(pacer.next(at: now))" }

    @Test func `the estimator is told of as much together as one by one`() {
        for seed in 0..<20 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            let configuration = EstimatorConfiguration(firstSequence: 65_500)
            var together = BandwidthEstimator(configuration: configuration, at: .zero)
            var apart = BandwidthEstimator(configuration: configuration, at: .zero)
            var now = Instant.zero
            for _ in 0..<600 {
                now = now + .milliseconds(Int64.random(in: 0...40, using: &random))
                let sizes = (0..<Int.random(in: 1...20, using: &random)).map { _ in
                    Int.random(in: 40...1_200, using: &random)
                }
                let sum = sizes.reduce(0, +)
                if random.chance(0.2) {
                    together.sentUntracked(sizes.count, first: sizes[0], byteCount: sum, at: now)
                    for size in sizes { apart.sentUntracked(byteCount: size, at: now) }
                } else {
                    for size in sizes {
                        let number = together.takeNumber(byteCount: size, at: now)
                        let expected = apart.sent(byteCount: size, probe: 0, isPadding: false, at: now)
                        #expect(number == expected, "seed \(seed)")
                    }
                    together.noteSent(sizes.count, first: sizes[0], byteCount: sum, at: now)
                }
                together.advance(to: now)
                apart.advance(to: now)
                let (deadline, expectedDeadline) = (together.nextDeadline, apart.nextDeadline)
                #expect(deadline == expectedDeadline, "seed \(seed)")
                let (probe, expectedProbe) = (together.nextProbe(at: now), apart.nextProbe(at: now))
                #expect(probe?.bitrate == expectedProbe?.bitrate, "seed \(seed)")
                let (estimate, expectedEstimate) = ("\(together.estimate)", "\(apart.estimate)")
                #expect(estimate == expectedEstimate, "seed \(seed)")
            }
        }
    }
}
