import Basics
import CongestionControl
import TestSupport

private let megabit = 1_000_000.0

/// Rooms: many tracks, changing tiles, publishers that change, paths that change.
let roomScenarios: [Scenario] = [
    Scenario("S7", "25 tiles on 3 M, another speaker each 5 s", seconds: 400) { trial in
        var speakers: [(time: Double, index: Int)] = []
        for turn in 0..<6 { speakers.append((10 + 5 * Double(turn), turn * 7 % 25)) }
        let publishers = (0..<25).map { trial.addPublisher(track: $0) }
        let viewer = trial.addViewer(on: LinkConfiguration(capacity: [(0, 3_000_000)]), startsAt: 2)
        for publisher in publishers { viewer.endpoint.subscribe(tile(publisher), in: trial.simulation) }
        var last: Int?
        var reached: [Double] = []
        for (time, index) in speakers {
            trial.run(time)
            if let last { viewer.endpoint.update(last, in: trial.simulation, resetSpeaker) }
            viewer.endpoint.update(index, in: trial.simulation) {
                $0.weight = 4
                $0.isOnStage = true
                $0.viewportHeight = 720
            }
            last = index
        }
        trial.run(40)
        for (time, index) in speakers {
            reached.append(viewer.timeToShow(1, track: index, from: time) ?? .infinity)
        }
        let pauses = viewer.endpoint.tracks.map { track in track.pauses.count { $0.isPaused } }
        return [
            .atMost("speaker at ≥ 500 k s", reached.sorted()[reached.count / 2], 1.5),
            .told("slowest s", reached.max()),
            .atMost("most pauses of a tile", Double(pauses.max() ?? 0), 1),
            .told("p95q ms", viewer.endpoint.metrics.delay(0.95, from: 6, to: 40)),
        ]
    },
    Scenario("S8", "60 kbit/s, 1 M from 30 s", seconds: 40) { trial in
        let link = LinkConfiguration(capacity: [(0, 60_000), (30, 1_000_000)], queueMilliseconds: 600)
        let viewer = trial.addPair(on: link)
        trial.run(40)
        let audio = viewer.receiver.audioReceived.count { $0 >= 3_000_000 && $0 < 30_000_000 }
        let pause = viewer.endpoint.tracks[0].pauses.first { $0.isPaused }
        let isPaused = viewer.share(of: 0, from: 10, to: 30)
        return [
            .atMost("audio lost after 1 s %", max(0, 100 * (1 - Double(audio) / 1_350)), 0.2),
            .atMost("told of the pause s", pause.map { Double($0.time) / 1e6 - 2 }, 1.5),
            .atMost("resumed s", viewer.timeToShow(0, from: 30), 4),
            .told("video shown 10–30", isPaused),
        ]
    },
    Scenario("S9", "1 pinned, 9 thumbnails, 0 → 5 → 0 M in 120 s", seconds: 240) { trial in
        var steps: [(seconds: Double, value: Int64)] = []
        for second in 0..<120 {
            let sixtieths = Int64(min(second + 1, 120 - second))
            steps.append((Double(second), 5_000_000 * sixtieths / 60))
        }
        var link = LinkConfiguration(capacity: steps)
        link.queueBytes = 100_000
        let publishers = (0..<10).map { trial.addPublisher(track: $0) }
        let viewer = trial.addViewer(on: link, startsAt: 2)
        for (index, publisher) in publishers.enumerated() {
            var subscription = tile(publisher)
            if index == 0 {
                subscription.weight = 8
                subscription.isOnStage = true
                subscription.viewportHeight = 720
            }
            viewer.endpoint.subscribe(subscription, in: trial.simulation)
        }
        trial.run(60)
        let changes = viewer.endpoint.changeCount
        let pinnedFirst = viewer.timeToShow(1, from: 0) ?? .infinity
        trial.run(120)
        let falls = viewer.flaps(from: 4, to: 60)
        return [
            .atMost("runs with a change, up", Double(changes), 20),
            .atMost("pinned at 500 k s", pinnedFirst, 30),
            .atMost("pinned changes up", falls, 3),
            .told("pinned on top 30–90", viewer.share(of: 2, from: 30, to: 90)),
        ]
    },
    Scenario("S10", "the top layer goes at 20 s and returns at 40 s, 3 M", seconds: 60) { trial in
        var configuration = PublishedTrackConfiguration()
        configuration.layerCount = Schedule([(0, 3), (20, 2), (40, 3)])
        let viewer = trial.addPair(on: LinkConfiguration(capacity: [(0, 3_000_000)]), configuration)
        trial.run(60)
        let fallen = viewer.screen().shown.first { Double($0.time) / 1e6 > 20.05 && $0.spatial == 1 }
        return [
            .atMost("down s", fallen.map { Double($0.time) / 1e6 - 20 }, 0.3),
            .atMost("freezes > 500 ms", viewer.freezes(from: 15, to: 60, longerThan: 500), 0),
            .atLeast("back after s", viewer.timeToShow(2, from: 40), 2),
            .told("back s", viewer.timeToShow(2, from: 40)),
        ]
    },
    Scenario("S11", "100 viewers of one publisher join within 1 s", seconds: 600) { trial in
        let publisher = trial.addPublisher()
        let viewers = (0..<100).map { index in
            trial.addViewer(
                on: LinkConfiguration(capacity: [(0, 4_000_000)]),
                startsAt: 2 + Double(index) / 100
            )
        }
        for viewer in viewers { viewer.endpoint.subscribe(SimulatedSubscription(publisher), in: trial.simulation) }
        trial.run(8)
        let first = viewers.enumerated().map { $1.timeToShow(0, from: 2 + Double($0) / 100) ?? .infinity }
        var requests = 0
        for times in publisher.keyFrameRequests {
            for start in times { requests = max(requests, times.count { $0 >= start && $0 < start + 1_000_000 }) }
        }
        return [
            .atMost("requests/s and encoding", Double(requests), 2),
            .atMost("first picture s", first.max(), 1),
        ]
    },
    Scenario("S13", "a screen of bursts up to 2.5 M, on 2 M", seconds: 120) { trial in
        var configuration = PublishedTrackConfiguration(layerCount: 2)
        configuration.isScreen = true
        configuration.framesPerSecond = 5
        configuration.bitrates = [750_000, 2_500_000]
        configuration.heights = [720, 1_080]
        let publisher = trial.addPublisher(configuration)
        let viewer = trial.addViewer(on: LinkConfiguration(capacity: [(0, 2_000_000)]), startsAt: 2)
        var subscription = SimulatedSubscription(publisher)
        subscription.isScreenShare = true
        subscription.weight = 8
        viewer.endpoint.subscribe(subscription, in: trial.simulation)
        trial.run(120)
        let layers = viewer.endpoint.tracks[0].layers
        let falls = zip(layers, layers.dropFirst()).count { $1.spatial < $0.spatial && $1.time > 10_000_000 }
        return [
            .atMost("falls/60 s", Double(falls) / 110 * 60, 1),
            .atMost("p95q ms", viewer.endpoint.metrics.delay(0.95, from: 2, to: 120), 200),
        ]
    },
    Scenario("S14", "layers wobble by 30 % each second, 2 M", seconds: 92) { trial in
        var configuration = PublishedTrackConfiguration()
        configuration.wobble = 0.3
        let viewer = trial.addPair(on: LinkConfiguration(capacity: [(0, 2_000_000)]), configuration)
        trial.run(92)
        return [
            .atMost("flaps/30 s", viewer.flaps(from: 12, to: 92) / 80 * 30, 1),
            .told("on top", viewer.share(of: 2, from: 12, to: 92)),
        ]
    },
    Scenario("S16", "padding on 1.2 M", seconds: 122, baselines: [.googCC, .jitsi, .liveKit]) { trial in
        let viewer = trial.addPair(on: LinkConfiguration(capacity: [(0, 1_200_000)]))
        trial.run(122)
        return [
            .atMost("padding after 30 s %", 100 * viewer.endpoint.metrics.paddingShare(from: 32, to: 122), 5),
            .told("flaps/30 s", viewer.flaps(from: 12, to: 122) / 110 * 30),
        ]
    },
    Scenario("S17", "one layer of 2.5 M, one viewer with 0.8 M", seconds: 40) {
        trial in
        var configuration = PublishedTrackConfiguration(layerCount: 1)
        configuration.bitrates = [2_500_000]
        configuration.heights = [720]
        let publisher = trial.addPublisher(configuration)
        let viewer = trial.addViewer(on: LinkConfiguration(capacity: [(0, 800_000)]), startsAt: 2)
        viewer.endpoint.limitsPublisher = true
        viewer.endpoint.subscribe(SimulatedSubscription(publisher), in: trial.simulation)
        trial.run(40)
        let first = publisher.limits.first { $0.bitrate < 800_000 }
        return [
            .atMost("told s", first.map { Double($0.time) / 1e6 - 2 }, 1),
            .within("publisher sends M", publisher.sendRate(from: 10, to: 40) / megabit, 0.6...0.8),
            .atMost("p95q ms", viewer.endpoint.metrics.delay(0.95, from: 10, to: 40), 80),
            .told("goodput M", viewer.endpoint.metrics.goodput(from: 10, to: 40) / megabit),
        ]
    },
    Scenario("S18", "another path at 20 s: 3 M and 25 ms become 1 M and 60 ms", seconds: 40) { trial in
        var link = LinkConfiguration(capacity: [(0, 3_000_000), (20, 1_000_000)])
        link.delay = Schedule([(0, 25_000), (20, 60_000)])
        let viewer = trial.addPair(on: link)
        trial.run(20)
        let before = viewer.endpoint.control.estimate.acknowledged?.bitsPerSecond ?? 0
        viewer.endpoint.routeChanged(in: trial.simulation)
        trial.run(40)
        let metrics = viewer.endpoint.metrics
        return [
            .atMost("restart M", metrics.estimate(at: 20.01) / megabit, Double(min(before, 300_000)) / megabit + 0.01),
            .atMost("540 k again s", viewer.timeToShow(1, temporal: 2, from: 20.1), 3),
            .told("p95q ms", metrics.delay(0.95, from: 20, to: 40)),
        ]
    },
]

private func tile(_ publisher: LayeredPublisher) -> SimulatedSubscription {
    var subscription = SimulatedSubscription(publisher)
    subscription.viewportHeight = 180
    return subscription
}

private func resetSpeaker(_ subscription: inout SimulatedSubscription) {
    subscription.weight = 1
    subscription.isOnStage = false
    subscription.viewportHeight = 180
}

/// S15: an estimator that is asked to prove what a threshold needs must get there, whatever the threshold.
let thresholdScenarios: [Scenario] = [1.05, 1.15, 1.3, 1.5].map { threshold in
    Scenario("S15/\(number(threshold))", "0.7 → 3 M @20, up at \(number(threshold)) times the need", seconds: 50) {
        trial in
        let publisher = trial.addPublisher()
        let link = LinkConfiguration(capacity: [(0, 700_000), (20, 3_000_000)])
        let viewer = trial.addViewer(on: link, startsAt: 2, policy: ThresholdPolicy(threshold: threshold))
        viewer.endpoint.subscribe(SimulatedSubscription(publisher), in: trial.simulation)
        trial.run(50)
        return [.atMost("top s", viewer.timeToShow(2, temporal: 2, from: 20), 6)]
    }
}
