import Basics
import CongestionControl
import TestSupport

private let megabit = 1_000_000.0

/// One subscriber whose publisher follows the estimate: how well the estimate follows the link.
let estimatorScenarios: [Scenario] =
    joining + capacityChanges + lossy + jittery + otherPaths

private let joining: [Scenario] =
    [25, 50, 100].map { delay in
        Scenario("E1/\(delay * 2)", "join 2.5 M, RTT \(delay * 2) ms", seconds: 10) { trial in
            let link = LinkConfiguration(capacity: [(0, 2_500_000)], delayMilliseconds: Int64(delay))
            let flow = trial.addEncoderFlow(on: link).metrics
            trial.run(10)
            return [
                .atMost("t90 s", flow.timeToReach(2.5 * megabit, from: 0, to: 10), 1, worst: 2),
                .atLeast("util 2–10", flow.goodput(from: 2, to: 10) / 2.5e6, 0.92),
                .atMost("p95q ms", flow.delay(0.95, from: 0, to: 10), 60),
                .atMost("maxq ms", flow.maximumDelay(from: 0, to: 10), 120),
                .atMost("loss", flow.loss(from: 0, to: 10), 0),
            ]
        }
    } + [
        joinScenario("0.3", 300_000) { [.atMost("maxq ms", $0.maximumDelay(from: 0, to: 30), 300)] },
        joinScenario("1", 1_000_000) { _ in [] },
        joinScenario("10", 10_000_000) { _ in [] },
        joinScenario("30", 30_000_000) {
            [.atMost("t90 s", $0.timeToReach(30 * megabit, from: 0, to: 30), 3)]
        },
        Scenario("E3", "start estimate 5 times too high (1.5 M on 0.3 M)", seconds: 10) { trial in
            let link = LinkConfiguration(capacity: [(0, 300_000)])
            let flow = trial.addEncoderFlow(on: link, control: trial.control(start: 1_500_000)).metrics
            trial.run(10)
            return [
                .atMost("below C s", flow.timeBelow(0.3 * megabit, from: 0, to: 10), 0.7),
                .atMost("q < 50 ms s", flow.drainTime(from: 0, to: 10, limit: 50), 3),
            ]
        },
        Scenario("E4", "steady 3 M", seconds: 120) { steady($0, seconds: 120) },
    ]

private func joinScenario(
    _ name: String,
    _ capacity: Int64,
    _ more: @escaping @Sendable (FlowMetrics) -> [Figure]
) -> Scenario {
    Scenario("E2/\(name)", "join \(name) M", seconds: 30) { trial in
        let flow = trial.addEncoderFlow(
            on: LinkConfiguration(capacity: [(0, capacity)]),
            source: EncoderSource(maximum: 40_000_000),
            control: trial.control(maximum: 40_000_000)
        ).metrics
        trial.run(30)
        return [.atLeast("util 10–30", flow.goodput(from: 10, to: 30) / Double(capacity), 0.9)] + more(flow)
    }
}

private func steady(_ trial: Trial, seconds: Double, drift: Int64 = 0) -> [Figure] {
    let link = LinkConfiguration(capacity: [(0, 3_000_000)])
    let flow = trial.addEncoderFlow(on: link, receiver: trial.receiver(drift: drift)).metrics
    trial.run(seconds)
    let dip = flow.estimateRange(from: 10, to: seconds).lowerBound / 3e6
    return [
        .atLeast("util", flow.goodput(from: 10, to: seconds) / 3e6, 0.93, worst: 0.88),
        .atMost("p95q ms", flow.delay(0.95, from: 10, to: seconds), 40),
        drift == 0 ? .atLeast("lowest/C", dip, 0.75) : .told("lowest/C", dip),
    ]
}

/// One call alone on a link that changes.
/// - Parameter capacity: from which second on, in bit/s.
private func flow(_ trial: Trial, capacity: [(seconds: Double, value: Int64)], seconds: Double) -> FlowMetrics {
    let flow = trial.addEncoderFlow(on: LinkConfiguration(capacity: capacity)).metrics
    trial.run(seconds)
    return flow
}

private let capacityChanges: [Scenario] = [
    Scenario("E5", "3 → 1.5 M @20, → 3 M @40", seconds: 70) { trial in
        let flow = flow(trial, capacity: [(0, 3_000_000), (20, 1_500_000), (40, 3_000_000)], seconds: 70)
        return [
            .atMost("below C s", flow.timeBelow(1.5 * megabit, from: 20, to: 40), 0.6, worst: 1),
            .atMost("drained s", flow.drainTime(from: 20, to: 40, limit: 20), 2),
            .atMost("p95q 22–40", flow.delay(0.95, from: 22, to: 40), 60),
            .atMost("p95q 20–40", flow.delay(0.95, from: 20, to: 40), 100),
            .atMost("back s", flow.timeToReach(3 * megabit, from: 40, to: 70), 4, worst: 8),
            .told("p95q 20–25", flow.delay(0.95, from: 20, to: 25)),
            .told("util 22–40", flow.goodput(from: 22, to: 40) / 1.5e6),
        ]
    },
    Scenario("E6", "3 → 0.75 M @20, → 3 M @50", seconds: 80) { trial in
        let flow = flow(trial, capacity: [(0, 3_000_000), (20, 750_000), (50, 3_000_000)], seconds: 80)
        return [
            .atMost("below C s", flow.timeBelow(0.75 * megabit, from: 20, to: 50), 0.9),
            .atMost("drained s", flow.drainTime(from: 20, to: 50, limit: 20), 4.5),
            .atMost("back s", flow.timeToReach(3 * megabit, from: 50, to: 80), 6),
            .told("maxq ms", flow.maximumDelay(from: 20, to: 50)),
            .told("util 25–50", flow.goodput(from: 25, to: 50) / 0.75e6),
        ]
    },
    Scenario("E21", "1 → 0.4 M @20, → 1 M @40", seconds: 70) { trial in
        let flow = flow(trial, capacity: [(0, 1_000_000), (20, 400_000), (40, 1_000_000)], seconds: 70)
        return [
            .atMost("below C s", flow.timeBelow(0.4 * megabit, from: 20, to: 40), 0.35, worst: 0.5),
            .atMost("drained s", flow.drainTime(from: 20, to: 40, limit: 20), 2),
            .atMost("back s", flow.timeToReach(1 * megabit, from: 40, to: 70), 4),
            .told("maxq ms", flow.maximumDelay(from: 20, to: 40)),
            .told("util 25–40", flow.goodput(from: 25, to: 40) / 0.4e6),
        ]
    },
    Scenario("E7", "3 M, nothing passes 20–23 s", seconds: 50) { trial in
        let flow = flow(trial, capacity: [(0, 3_000_000), (20, 0), (23, 3_000_000)], seconds: 50)
        return [
            .atMost("sent blind Mbit", flow.sendRate(from: 20, to: 23) * 3 / megabit, 3),
            .atMost("back s", flow.timeToReach(3 * megabit, from: 23, to: 50), 3),
        ]
    },
    Scenario("E14", "5 M, 100 ms pause each 300 ms", seconds: 40) { trial in
        var link = LinkConfiguration(capacity: [(0, 5_000_000)])
        link.pauses = .init(period: 300_000, duration: 100_000)
        let flow = trial.addEncoderFlow(on: link).metrics
        trial.run(40)
        return [.atLeast("goodput M", flow.goodput(from: 5, to: 40) / megabit, 2)]
    },
    Scenario("E15", "1 M, delay +70 ms at 3 s", seconds: 30) { trial in
        var link = LinkConfiguration(capacity: [(0, 1_000_000)])
        link.delay = Schedule([(0, 25_000), (3, 95_000)])
        let endpoint = trial.addEncoderFlow(on: link)
        trial.run(18)
        let standing = endpoint.control.estimate.standingQueue?.inMilliseconds ?? 0
        trial.run(30)
        let back = endpoint.metrics.timeToReach(megabit, from: 3, to: 30, reach: 0.85, keep: 0.75)
        return [.atMost("back to .85 s", back, 8), .atMost("base error at +15 s ms", standing, 20)]
    },
    Scenario("E18", "500 k, 800 k @12, 100 k and 200 ms @22", seconds: 32) { trial in
        var link = LinkConfiguration(
            capacity: [(0, 500_000), (12, 800_000), (22, 100_000)],
            delayMilliseconds: 100
        )
        link.delay = Schedule([(0, 100_000), (22, 200_000)])
        let flow = trial.addEncoderFlow(on: link).metrics
        trial.run(32)
        return [
            .within("at 12 s k", flow.estimate(at: 12) / 1_000, 350...550),
            .within("at 22 s k", flow.estimate(at: 22) / 1_000, 600...900),
            .within("at 32 s k", flow.estimate(at: 32) / 1_000, 65...115),
        ]
    },
]

private func lossScenario(_ percent: Int, goal: Double) -> Scenario {
    Scenario("E8/\(percent)", "3 M, \(percent) % random loss", seconds: 60) { trial in
        var link = LinkConfiguration(capacity: [(0, 3_000_000)])
        link.loss = .constant(Double(percent) / 100)
        let flow = trial.addEncoderFlow(on: link).metrics
        trial.run(60)
        let possible = 3e6 * (1 - Double(percent) / 100)
        return [
            .atLeast("util of C(1−p)", flow.goodput(from: 10, to: 60) / possible, goal),
            .told("p95q ms", flow.delay(0.95, from: 10, to: 60)),
        ]
    }
}

private let lossy: [Scenario] = [
    lossScenario(2, goal: 0.92), lossScenario(5, goal: 0.90), lossScenario(10, goal: 0.85),
    lossScenario(20, goal: 0.70),
    Scenario("E9", "3 M, 10 % loss 20–40 s", seconds: 60) { trial in
        var link = LinkConfiguration(capacity: [(0, 3_000_000)])
        link.loss = Schedule([(0, 0), (20, 0.1), (40, 0)])
        let flow = trial.addEncoderFlow(on: link).metrics
        trial.run(60)
        return [
            .atLeast("goodput in loss M", flow.goodput(from: 20, to: 40) / megabit, 2.3),
            .atMost("back s", flow.timeToReach(3 * megabit, from: 40, to: 60), 3),
        ]
    },
    Scenario("E10", "3 M, 5 % loss in bursts of 8", seconds: 60) { trial in
        var link = LinkConfiguration(capacity: [(0, 3_000_000)])
        link.burstLoss = .init(share: 0.05, meanLength: 8)
        let flow = trial.addEncoderFlow(on: link).metrics
        trial.run(60)
        return [.atLeast("util of C(1−p)", flow.goodput(from: 10, to: 60) / (3e6 * 0.95), 0.8)]
    },
    Scenario("E11", "policer 1 M, bucket 30 kB, on 5 M", seconds: 40) { trial in
        var link = LinkConfiguration(capacity: [(0, 5_000_000)])
        link.policer = .init(rate: 1_000_000, bucketBytes: 30_000)
        let flow = trial.addEncoderFlow(on: link).metrics
        trial.run(40)
        return [
            .within("goodput M", flow.goodput(from: 10, to: 40) / megabit, 0.7...1.05),
            .atMost("loss after 10 s", flow.loss(from: 10, to: 40), 0.08),
        ]
    },
]

private func jitterScenario(_ deviation: Int64, goal: Double, delay: Double) -> Scenario {
    Scenario("E12/\(deviation)", "4 M, jitter σ \(deviation) ms", seconds: 60) { trial in
        var link = LinkConfiguration(capacity: [(0, 4_000_000)])
        link.jitterDeviation = deviation * 1_000
        let flow = trial.addEncoderFlow(on: link).metrics
        trial.run(60)
        return [
            .atLeast("util", flow.goodput(from: 10, to: 60) / 4e6, goal),
            .atMost("p95q ms", flow.delay(0.95, from: 10, to: 60), delay),
        ]
    }
}

private func pauseScenario(_ duration: Int64, each period: Int64, goal: Double) -> Scenario {
    Scenario("E13/\(duration)", "4 M, \(duration) ms pause each \(period) ms", seconds: 60) { trial in
        var link = LinkConfiguration(capacity: [(0, 4_000_000)])
        link.pauses = .init(period: period * 1_000, duration: duration * 1_000)
        let flow = trial.addEncoderFlow(on: link).metrics
        trial.run(60)
        let available = link.meanCapacity(from: 10, to: 60)
        return [.atLeast("of available", flow.goodput(from: 10, to: 60) / available, goal)]
    }
}

private let jittery: [Scenario] = [
    jitterScenario(5, goal: 0.92, delay: 60), jitterScenario(10, goal: 0.9, delay: 80),
    jitterScenario(20, goal: 0.85, delay: 120),
    pauseScenario(30, each: 200, goal: 0.88), pauseScenario(100, each: 1_000, goal: 0.75),
    pauseScenario(500, each: 4_000, goal: 0.75),
]

private func feedbackScenario(
    _ name: String,
    _ title: String,
    goal: Double,
    interval: Microseconds = 50_000,
    back: LinkConfiguration
) -> Scenario {
    Scenario("E16/\(name)", "3 M, \(title)", seconds: 60) { trial in
        let link = LinkConfiguration(capacity: [(0, 3_000_000)])
        let flow = trial.addEncoderFlow(on: link, back: back, receiver: trial.receiver(interval: interval)).metrics
        trial.run(60)
        return [
            .atLeast("util", flow.goodput(from: 10, to: 60) / 3e6, goal),
            .told("p95q ms", flow.delay(0.95, from: 10, to: 60)),
        ]
    }
}

private func lossyBack(_ share: Double) -> LinkConfiguration {
    var link = LinkConfiguration.ample()
    link.loss = .constant(share)
    return link
}

private let otherPaths: [Scenario] = [
    feedbackScenario("loss10", "10 % of feedback lost", goal: 0.85, back: lossyBack(0.1)),
    feedbackScenario("loss30", "30 % of feedback lost", goal: 0.7, back: lossyBack(0.3)),
    feedbackScenario("slow", "feedback each 250 ms", goal: 0.85, interval: 250_000, back: .ample()),
    feedbackScenario("narrow", "way back 100 kbit/s", goal: 0.75, back: LinkConfiguration(capacity: [(0, 100_000)])),
    Scenario("E17/fast", "3 M, receiver's clock +100 ppm", seconds: 600) { steady($0, seconds: 600, drift: 100) },
    Scenario("E17/slow", "3 M, receiver's clock −100 ppm", seconds: 600) { steady($0, seconds: 600, drift: -100) },
    Scenario("E19", "2 M, ECT(1), marks at 5 ms, RFC 8888 feedback", seconds: 60) { trial in
        var link = LinkConfiguration(capacity: [(0, 2_000_000)])
        link.markingThreshold = 5_000
        var receiver = trial.receiver()
        receiver.feedback = .congestionControl
        let flow = trial.addEncoderFlow(on: link, receiver: receiver).metrics
        trial.run(60)
        return [
            .atMost("p95q ms", flow.delay(0.95, from: 10, to: 60), 15),
            .atLeast("util", flow.goodput(from: 10, to: 60) / 2e6, 0.8),
        ]
    },
    Scenario("E20", "2.5 M, REMB only", seconds: 60) { trial in
        var receiver = trial.receiver()
        receiver.feedback = .receiverEstimate
        let flow = trial.addEncoderFlow(
            on: LinkConfiguration(capacity: [(0, 2_500_000)]),
            control: trial.control(hasTransportFeedback: false),
            receiver: receiver
        ).metrics
        trial.run(60)
        return [
            .atMost("t90 s", flow.timeToReach(2.5 * megabit, from: 0, to: 60), 15),
            .told("util 15–60", flow.goodput(from: 15, to: 60) / 2.5e6),
            .told("p95q ms", flow.delay(0.95, from: 15, to: 60)),
        ]
    },
]
