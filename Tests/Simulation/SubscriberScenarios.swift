import Basics
import CongestionControl
import TestSupport

private let megabit = 1_000_000.0
private let others: [System] = [.googCC, .jitsi, .liveKit]

/// Estimator and allocator together, for viewers of layered tracks: three encodings of 150, 500 and 1,500 kbit/s, audio
/// of 40 kbit/s, one-way delay 25 ms.
let subscriberScenarios: [Scenario] =
    scalableAndNot(.simulcast, prefix: "")
    + [
        Scenario("S6", "audio only for 60 s, then video, on 2.5 M", seconds: 80) { trial in
            let publisher = trial.addPublisher()
            let viewer = trial.addViewer(on: LinkConfiguration(capacity: [(0, 2_500_000)]))
            trial.run(60)
            viewer.endpoint.subscribe(SimulatedSubscription(publisher), in: trial.simulation)
            trial.run(80)
            let padding = viewer.endpoint.metrics.paddingRate(from: 0, to: 60) / 1_000
            return [
                .atMost("top s", viewer.timeToShow(2, from: 60), 2),
                .atMost("padding in silence k", padding, 20),
            ]
        }
    ]
    + scalableAndNot(.scalable, prefix: "S12/")

/// The rows that are run with simulcast and, as S12, with scalable video.
private func scalableAndNot(_ structure: PublishedTrackConfiguration.Structure, prefix: String) -> [Scenario] {
    var configuration = PublishedTrackConfiguration()
    configuration.structure = structure
    // The same totals.
    if structure == .scalable { configuration.bitrates = [150_000, 350_000, 1_000_000] }
    let track = configuration
    let isScalable = structure == .scalable
    let systems = isScalable ? [] : others
    let intact: @Sendable (SimulatedViewer) -> [Figure] = {
        isScalable ? [.atMost("missing references", $0.dangling, 0)] : []
    }
    return [
        Scenario(prefix + "S1", "join 2.5 M", seconds: 92, baselines: systems) { trial in
            let viewer = trial.addPair(on: LinkConfiguration(capacity: [(0, 2_500_000)]), track)
            trial.run(92)
            return [
                .atMost("top s", viewer.timeToShow(2, temporal: 2, from: 2), 2),
                .atMost("flaps/30 s", viewer.flaps(from: 32, to: 92) / 2, 1),
                .told("on top", viewer.share(of: 2, from: 12, to: 92)),
            ] + intact(viewer)
        }
    ]
        + [(1_000_000, 1), (1_200_000, 1), (1_450_000, 1), (1_600_000, 1), (1_750_000, 2)].map {
            capacity,
            spatial in
            let name = number(Double(capacity) / megabit)
            return Scenario(
                prefix + "S2/\(name)",
                "\(name) M: all frames of the middle layer need 0.54 M, of the top layer 1.54 M",
                seconds: 62,
                baselines: systems
            ) {
                trial in
                let viewer = trial.addPair(on: LinkConfiguration(capacity: [(0, Int64(capacity))]), track)
                trial.run(62)
                return [
                    .atMost("right layer s", viewer.timeToSettle(on: spatial, from: 2, to: 62), 4),
                    .atMost("flaps/30 s", viewer.flaps(from: 6, to: 62) / 56 * 30, 1),
                    .atMost("p95q ms", viewer.endpoint.metrics.delay(0.95, from: 6, to: 62), 60),
                    .atLeast("frames/s", viewer.framesPerSecond(from: 6, to: 62), 25),
                    .told("on it", viewer.share(of: spatial, from: 6, to: 62)),
                ] + intact(viewer)
            }
        }
        + [
            Scenario(prefix + "S3", "0.7 → 3 → 0.7 → 3 M, 30 s each", seconds: 120, baselines: systems) { trial in
                let link = LinkConfiguration(
                    capacity: [(0, 700_000), (30, 3_000_000), (60, 700_000), (90, 3_000_000)]
                )
                let viewer = trial.addPair(on: link, track)
                trial.run(120)
                let metrics = viewer.endpoint.metrics
                return [
                    .atMost("up s", viewer.timeToShow(2, from: 30), 3, worst: 6),
                    .atMost("2nd up s", viewer.timeToShow(2, from: 90), 8),
                    .atMost("down s", viewer.timeToFall(to: 1, from: 60), 1),
                    .atMost("p95q 60–65", metrics.delay(0.95, from: 60, to: 65), 420),
                    .atMost("p95q 65–90", metrics.delay(0.95, from: 65, to: 90), 60),
                ] + intact(viewer)
            },
            Scenario(prefix + "S4", "3 M, 10 % loss", seconds: 127, baselines: systems) { trial in
                var link = LinkConfiguration(capacity: [(0, 3_000_000)])
                link.loss = .constant(0.1)
                let viewer = trial.addPair(on: link, track)
                trial.run(127)
                // Two minutes: in less than one a single freeze would be more than one a minute.
                return [
                    .atLeast("on top", viewer.share(of: 2, from: 7, to: 127), 0.9),
                    .atMost("freezes/min", viewer.freezes(from: 7, to: 127) / 2, 1),
                    .atLeast("frames/s", viewer.framesPerSecond(from: 7, to: 127), 25),
                ] + intact(viewer)
            },
            Scenario(prefix + "S5", "4 M, 100 ms pause each 1 s", seconds: 92, baselines: systems) { trial in
                var link = LinkConfiguration(capacity: [(0, 4_000_000)])
                link.pauses = .init(period: 1_000_000, duration: 100_000)
                let viewer = trial.addPair(on: link, track)
                trial.run(92)
                return [
                    .atMost("flaps/90 s", viewer.flaps(from: 7, to: 92), 3),
                    .atLeast("on top", viewer.share(of: 2, from: 7, to: 92), 0.85),
                ] + intact(viewer)
            },
        ]
}
