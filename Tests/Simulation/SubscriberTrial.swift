import Basics
import CongestionControl
import TestSupport

/// One subscriber of layered tracks with everything around it.
struct SimulatedViewer {
    let endpoint: LayeredSubscriber
    let receiver: VideoReceiver

    func screen(_ track: Int = 0) -> Screen {
        track < self.receiver.screens.count ? self.receiver.screens[track] : Screen()
    }

    /// The highest spatial layer shown in each 200 ms; -1 = none.
    private func levels(_ track: Int, from: Double, to: Double) -> [Int] {
        var levels = [Int](repeating: -1, count: max(Int((to - from) * 5), 1))
        for frame in self.screen(track).shown {
            let bin = Int((Double(frame.time) / 1e6 - from) * 5)
            if bin >= 0, bin < levels.count, Double(frame.time) / 1e6 >= from {
                levels[bin] = max(levels[bin], frame.spatial)
            }
        }
        return levels
    }

    /// The share of time in which a layer, or a higher one, was shown.
    func share(of spatial: Int, track: Int = 0, from: Double, to: Double) -> Double {
        let levels = self.levels(track, from: from, to: to)
        return Double(levels.count { $0 >= spatial }) / Double(levels.count)
    }

    /// Pictures shown, per second.
    func framesPerSecond(_ track: Int = 0, from: Double, to: Double) -> Double {
        let shown = self.screen(track).shown.filter { Double($0.time) / 1e6 >= from && Double($0.time) / 1e6 < to }
        return Double(Set(shown.map(\.picture)).count) / (to - from)
    }

    /// Seconds from `start` until a layer, or a higher one, with a temporal layer or a higher one is shown.
    func timeToShow(_ spatial: Int, temporal: Int = 0, track: Int = 0, from start: Double) -> Double? {
        let frame = self.screen(track).shown.first {
            Double($0.time) / 1e6 >= start && $0.spatial >= spatial && $0.temporal >= temporal
        }
        return frame.map { Double($0.time) / 1e6 - start }
    }

    /// Seconds from `start` until a layer, or a higher one, is shown in nine tenths of the next ten seconds.
    func timeToSettle(on spatial: Int, track: Int = 0, from start: Double, to end: Double) -> Double? {
        let levels = self.levels(track, from: start, to: end)
        for index in levels.indices where index + 50 <= levels.count && levels[index] >= spatial {
            if levels[index..<(index + 50)].count(where: { $0 >= spatial }) >= 45 { return Double(index) / 5 }
        }
        return nil
    }

    /// Seconds from `start` until no layer above `spatial` goes out.
    func timeToFall(to spatial: Int, track: Int = 0, from start: Double) -> Double? {
        let layers = self.endpoint.tracks[track].layers
        let before = layers.last { Double($0.time) / 1e6 < start }?.spatial ?? -1
        if before <= spatial { return 0 }
        let change = layers.first { Double($0.time) / 1e6 >= start && $0.spatial <= spatial }
        return change.map { Double($0.time) / 1e6 - start }
    }

    /// Changes of the spatial layer; a pause and the same layer again is none.
    func flaps(track: Int = 0, from: Double, to: Double) -> Double {
        var last: Int?
        var count = 0
        for layer in self.endpoint.tracks[track].layers where layer.spatial >= 0 {
            let time = Double(layer.time) / 1e6
            if let last, last != layer.spatial, time >= from, time < to { count += 1 }
            last = layer.spatial
        }
        return Double(count)
    }

    /// Freezes that began in a time.
    func freezes(track: Int = 0, from: Double, to: Double, longerThan limit: Double = 0) -> Double {
        let freezes = self.screen(track).freezes.filter {
            Double($0.start) / 1e6 >= from && Double($0.start) / 1e6 < to && Double($0.duration) / 1e3 > limit
        }
        return Double(freezes.count)
    }

    var dangling: Double { Double(self.endpoint.tracks.reduce(0) { $0 + $1.danglingCount }) }
}

extension Trial {
    func addPublisher(_ configuration: PublishedTrackConfiguration = .init(), track: Int = 0) -> LayeredPublisher {
        let seed = self.simulation.makeSeed()
        return self.simulation.add(LayeredPublisher(track: track, configuration: configuration, seed: seed))
    }

    /// Congestion control and layers' rule of a system. GCC gets our allocator, so that rows show what estimators do.
    func viewerControl() -> (control: any SubscriberControl, policy: any LayerPolicy) {
        switch self.system {
        case .sluice, .googCC:
            return (self.control(), AllocatorPolicy(maximumTracks: 64, at: self.simulation.instant))
        case .jitsi:
            let control = self.control()
            return (control, JitsiPolicy(control: control))
        case .liveKit:
            let control = LiveKitControl()
            return (control, LiveKitPolicy(control: control))
        }
    }

    func addViewer(
        on link: LinkConfiguration,
        startsAt start: Double = 0,
        policy: (any LayerPolicy)? = nil
    ) -> SimulatedViewer {
        let parts = self.viewerControl()
        var reverse = LinkConfiguration.ample()
        reverse.delay = link.delay
        let endpoint = LayeredSubscriber(
            control: parts.control,
            path: SimulatedPath(link: self.addLink(link)),
            policy: policy ?? parts.policy,
            startsAt: Microseconds(start * 1e6)
        )
        self.simulation.add(endpoint)
        let receiver = VideoReceiver(
            self.receiver(),
            sender: endpoint,
            reversePath: SimulatedPath(link: self.addLink(reverse))
        )
        self.simulation.add(receiver)
        self.note(endpoint)
        return SimulatedViewer(endpoint: endpoint, receiver: receiver)
    }

    /// One publisher and one viewer of it, which joins at 2 s, when the layers have been measured.
    func addPair(
        on link: LinkConfiguration,
        _ configuration: PublishedTrackConfiguration = .init()
    ) -> SimulatedViewer {
        let publisher = self.addPublisher(configuration)
        let viewer = self.addViewer(on: link, startsAt: 2)
        viewer.endpoint.subscribe(SimulatedSubscription(publisher), in: self.simulation)
        return viewer
    }
}
