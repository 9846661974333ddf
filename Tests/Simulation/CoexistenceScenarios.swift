import Basics
import TestSupport

private let megabit = 1_000_000.0

/// The cases of RFC 8867 §5, and flows among each other: encoders of 150 kbit/s to 1.5 Mbit/s, one-way delay 50 ms.
let coexistenceScenarios: [Scenario] = variable + fairness + withTCP + amongOthers

private let source = EncoderSource(minimum: 150_000, maximum: 1_500_000)

private func active(_ steps: [(seconds: Double, value: Bool)]) -> EncoderSource {
    EncoderSource(minimum: 150_000, maximum: 1_500_000, isActive: Schedule(steps))
}

extension Trial {
    /// A flow of RFC 8867 on a link that it may share.
    fileprivate func addCall(
        _ link: Int,
        startsAt start: Double = 0,
        extraDelay: Microseconds = 0,
        source call: EncoderSource = source,
        back: SimulatedPath? = nil
    ) -> FlowMetrics {
        self.addEncoderFlow(
            over: SimulatedPath(link: link, extraDelay: extraDelay),
            back: back,
            source: call,
            startsAt: start,
            control: self.control(start: 150_000)
        ).metrics
    }
}

/// Of the lesser of the capacity and what the calls can use.
private func utilisation(_ flows: [FlowMetrics], _ capacity: Double, from: Double, to: Double) -> Double {
    let sum = flows.reduce(0) { $0 + $1.goodput(from: from, to: to) }
    return sum / min(capacity, 1.5e6 * Double(flows.count))
}

private let variable: [Scenario] = [
    Scenario("R5.1", "one call; 1, 2.5 @40, 0.6 @60, 1 M @80", seconds: 100) { trial in
        let link = trial.addLink(
            LinkConfiguration(
                capacity: [(0, 1_000_000), (40, 2_500_000), (60, 600_000), (80, 1_000_000)],
                delayMilliseconds: 50
            )
        )
        let flow = trial.addCall(link, back: SimulatedPath(link: trial.addLink(.ample(delayMilliseconds: 50))))
        trial.run(100)
        return [
            .atLeast("util 10–40", utilisation([flow], 1e6, from: 10, to: 40), 0.9),
            .atLeast("40–60", utilisation([flow], 2.5e6, from: 40, to: 60), 0.9),
            .atLeast("60–80", utilisation([flow], 0.6e6, from: 60, to: 80), 0.9),
            .atLeast("80–100", utilisation([flow], 1e6, from: 80, to: 100), 0.85),
            .atMost("p95q 10–60", flow.delay(0.95, from: 10, to: 60), 60),
            .atMost("60–80", flow.delay(0.95, from: 60, to: 80), 250),
            .atMost("80–100", flow.delay(0.95, from: 80, to: 100), 60),
            .atMost("down s", flow.timeBelow(0.6 * megabit, from: 60, to: 80), 1),
            .atMost("up s", flow.timeToReach(megabit, from: 80, to: 100), 4),
        ]
    },
    Scenario("R5.2", "two calls; 4, 2 @25, 3.5 @50, 1 @75, 2 M @100", seconds: 125) { trial in
        let steps: [(seconds: Double, value: Int64)] = [
            (0, 4_000_000), (25, 2_000_000), (50, 3_500_000), (75, 1_000_000), (100, 2_000_000),
        ]
        let link = trial.addLink(LinkConfiguration(capacity: steps, delayMilliseconds: 50))
        let back = SimulatedPath(link: trial.addLink(.ample(delayMilliseconds: 50)))
        let flows = [trial.addCall(link, back: back), trial.addCall(link, back: back)]
        trial.run(125)
        var fairness: [Double] = []
        var used = 0.0
        for (start, capacity) in steps {
            fairness.append(jainIndex(flows.map { $0.goodput(from: start + 8, to: start + 25) }))
            used += utilisation(flows, Double(capacity), from: start + 8, to: start + 25) / 5
        }
        return [
            .atLeast("util", used, 0.85),
            .atLeast("lowest Jain of a phase", fairness.min(), 0.9),
        ]
    },
    Scenario("R5.3", "a call each way; 2, 1, 0.5, 2 M / 2, 0.8, 2 M", seconds: 100) { trial in
        let forward = trial.addLink(
            LinkConfiguration(
                capacity: [(0, 2_000_000), (20, 1_000_000), (40, 500_000), (60, 2_000_000)],
                delayMilliseconds: 50
            )
        )
        let back = trial.addLink(
            LinkConfiguration(
                capacity: [(0, 2_000_000), (35, 800_000), (70, 2_000_000)],
                delayMilliseconds: 50
            )
        )
        let flows = [
            trial.addCall(forward, back: SimulatedPath(link: back)),
            trial.addCall(back, back: SimulatedPath(link: forward)),
        ]
        trial.run(100)
        let possible = [(10.0 * 1.5 + 20 * 1 + 20 * 0.5 + 40 * 1.5) / 90, (25 * 1.5 + 35 * 0.8 + 30 * 1.5) / 90]
        return [
            .atLeast("util there", flows[0].goodput(from: 10, to: 100) / 1e6 / possible[0], 0.75),
            .atLeast("util back", flows[1].goodput(from: 10, to: 100) / 1e6 / possible[1], 0.75),
            .atMost("below 100 k s", flows.map { $0.longestBelow(100_000, from: 5, to: 100) }.max(), 2),
        ]
    },
]

private let fairness: [Scenario] = [
    Scenario("R5.4", "three calls on 3.5 M, from 0, 20, 40 s", seconds: 360) { trial in
        let link = trial.addLink(LinkConfiguration(capacity: [(0, 3_500_000)], delayMilliseconds: 50))
        let back = SimulatedPath(link: trial.addLink(.ample(delayMilliseconds: 50)))
        let flows = [0, 20, 40].map { trial.addCall(link, startsAt: $0, back: back) }
        trial.run(120)
        let fair = 3.5e6 / 3
        return [
            .atLeast("Jain 60–120", jainIndex(flows.map { $0.goodput(from: 60, to: 120) }), 0.95),
            .atLeast("util", utilisation(flows, 3.5e6, from: 60, to: 120), 0.88),
            .atMost("p95q ms", flows[0].delay(0.95, from: 60, to: 120), 120),
            .atMost(
                "newcomer at .7 of its share s",
                flows[2].timeToReach(fair, from: 40, to: 120, reach: 0.7, keep: 0.6),
                15
            ),
        ]
    },
    Scenario("R5.5", "five calls on 4 M, delays 10 to 150 ms", seconds: 1_500) { trial in
        let link = trial.addLink(LinkConfiguration(capacity: [(0, 4_000_000)], delayMilliseconds: 10))
        let back = trial.addLink(.ample(delayMilliseconds: 10))
        let flows = [10, 25, 50, 100, 150].enumerated().map { index, delay in
            let extra = Microseconds(delay - 10) * 1_000
            return trial.addCall(
                link,
                startsAt: Double(index) * 10,
                extraDelay: extra,
                back: SimulatedPath(link: back, extraDelay: extra)
            )
        }
        trial.run(300)
        return [
            .atLeast("Jain 60–300", jainIndex(flows.map { $0.goodput(from: 60, to: 300) }), 0.9),
            .told("util", utilisation(flows, 4e6, from: 60, to: 300)),
            .told("p95q ms", flows[0].delay(0.95, from: 60, to: 300)),
        ]
    },
    Scenario("R5.8", "three calls on 3.5 M, one pauses 40–60 s", seconds: 360) { trial in
        let link = trial.addLink(LinkConfiguration(capacity: [(0, 3_500_000)], delayMilliseconds: 50))
        let back = SimulatedPath(link: trial.addLink(.ample(delayMilliseconds: 50)))
        let pausing = active([(0, true), (40, false), (60, true)])
        let flows = [source, source, pausing].map { trial.addCall(link, source: $0, back: back) }
        trial.run(120)
        let fair = 3.5e6 / 3
        return [
            .atMost(
                "resumed at .7 of its share s",
                flows[2].timeToReach(fair, from: 60, to: 120, reach: 0.7, keep: 0.6),
                4
            ),
            .told("Jain 70–120", jainIndex(flows.map { $0.goodput(from: 70, to: 120) })),
        ]
    },
    Scenario("F2", "two flows on 3 M, the second from 15 s", seconds: 240) { trial in
        let link = trial.addLink(LinkConfiguration(capacity: [(0, 3_000_000)]))
        let flows = [0.0, 15].map {
            trial.addEncoderFlow(over: SimulatedPath(link: link), startsAt: $0).metrics
        }
        trial.run(120)
        return [
            .atLeast("Jain 30–120", jainIndex(flows.map { $0.goodput(from: 30, to: 120) }), 0.95),
            .atMost("p95q ms", flows[0].delay(0.95, from: 30, to: 120), 100),
            .atMost(
                "newcomer at .4 C s",
                flows[1].timeToReach(3e6, from: 15, to: 120, reach: 0.4, keep: 0.35),
                15
            ),
            .told("Jain 80–120", jainIndex(flows.map { $0.goodput(from: 80, to: 120) })),
        ]
    },
]

private func tcpScenario(_ algorithm: CongestionWindow.Algorithm, queue: Int64) -> Scenario {
    let name = algorithm == .cubic ? "CUBIC" : "NewReno"
    return Scenario(
        "R5.6/\(name)/\(queue)",
        "call and \(name) 40–80 s on 2 M, queue \(queue) ms",
        seconds: 160
    ) { trial in
        let link = trial.addLink(
            LinkConfiguration(capacity: [(0, 2_000_000)], delayMilliseconds: 50, queueMilliseconds: queue)
        )
        let back = SimulatedPath(link: trial.addLink(.ample(delayMilliseconds: 50)))
        let call = trial.addCall(link, startsAt: 5, back: back)
        let demand = TCPDemand.unlimited(from: 40_000_000, to: 80_000_000)
        let tcp = trial.addTCP(algorithm, demand, over: SimulatedPath(link: link), back: back).metrics
        trial.run(120)
        return [
            .atLeast("call M", call.goodput(from: 45, to: 80) / megabit, 0.45),
            .atLeast("TCP M", tcp.goodput(from: 45, to: 80) / megabit, 0.6),
            .atMost("call below 150 k s", call.longestBelow(150_000, from: 40, to: 80), 3),
            .told("p95q ms", call.delay(0.95, from: 45, to: 80)),
        ]
    }
}

private let withTCP: [Scenario] = [
    tcpScenario(.newReno, queue: 300), tcpScenario(.newReno, queue: 1_000),
    tcpScenario(.cubic, queue: 300), tcpScenario(.cubic, queue: 1_000),
    Scenario("R5.7", "two calls and ten short TCP flows on 2 M", seconds: 900) { trial in
        let link = trial.addLink(LinkConfiguration(capacity: [(0, 2_000_000)], delayMilliseconds: 50))
        let back = SimulatedPath(link: trial.addLink(.ample(delayMilliseconds: 50)))
        let calls = [trial.addCall(link, back: back), trial.addCall(link, back: back)]
        let transfers = (0..<10).map { index in
            let demand = TCPDemand.files(bytes: 30_000...50_000, meanPause: 10_000_000, startsOn: index < 2)
            return trial.addTCP(.newReno, demand, over: SimulatedPath(link: link), back: back).metrics
        }
        trial.run(300)
        let media = calls.reduce(0) { $0 + $1.goodput(from: 10, to: 300) }
        let tcp = transfers.reduce(0) { $0 + $1.goodput(from: 10, to: 300) }
        return [
            .atLeast("util", (media + tcp) / 2e6, 0.8),
            .atMost("below half its mean s", longestDip(calls, below: 0.5 * media, from: 10, to: 300), 5),
            .told("calls M", media / megabit),
            .told("TCP M", tcp / megabit),
        ]
    },
]

/// The longest time, in seconds, in which all flows together stayed below `bitrate` in every second.
private func longestDip(_ flows: [FlowMetrics], below bitrate: Double, from: Int, to: Int) -> Double {
    var (longest, current) = (0, 0)
    for second in from..<to {
        let sum = flows.reduce(0) { $0 + $1.goodput(from: Double(second), to: Double(second + 1)) }
        current = sum < bitrate ? current + 1 : 0
        longest = max(longest, current)
    }
    return Double(longest)
}

private let amongOthers: [Scenario] = [
    Scenario("F3", "this system against a GCC flow on 3 M", seconds: 240) { trial in
        let link = trial.addLink(LinkConfiguration(capacity: [(0, 3_000_000)]))
        let path = SimulatedPath(link: link)
        let ours = trial.addEncoderFlow(over: path).metrics
        let other = trial.addEncoderFlow(over: path, control: trial.control(.googCC)).metrics
        trial.run(120)
        let rates = [ours, other].map { $0.goodput(from: 30, to: 120) }
        return [.within("share %", 100 * rates[0] / max(rates[0] + rates[1], 1), 35...65)]
    }
]
