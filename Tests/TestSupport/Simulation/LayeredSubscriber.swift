package import Basics
import CongestionControl

/// What a subscriber wants of one track.
package struct SimulatedSubscription {
    package var publisher: LayeredPublisher
    package var weight: Float = 1
    package var isOnStage = false
    package var isScreenShare = false
    /// Of the tile; 0 = any.
    package var viewportHeight: Int32 = 0

    package init(_ publisher: LayeredPublisher) { self.publisher = publisher }
}

/// What a subscriber of layered tracks gets: allocation, layer switches and packets, as the media plane does it.
///
/// An estimate or a deadline -> policy -> a target per track. A switch up asks the publisher for a key frame and goes
/// on with the old layer until it comes; a switch down under congestion gives up frame rate at once, and the old layer
/// as a whole when not even its base fits.
package final class LayeredSubscriber: SendingEndpoint {
    private static let audioInterval: Microseconds = 20_000
    /// 40 kbit/s.
    private static let audioBytes = 100
    package static let audioRate = Bitrate.kbps(40)
    private static let firstRetry: Microseconds = 500_000
    private static let longestRetry: Microseconds = 4_000_000

    private let policy: any LayerPolicy
    private let hasAudio: Bool
    package private(set) var tracks: [ForwardedTrack] = []
    private var requests: [AllocationRequest] = []
    private var isDue = false
    private var nextAudio: Microseconds = .max
    private var startsAt: Microseconds
    private var allocatedAt: Microseconds = .min / 2
    /// Runs of the policy that changed the layer of a track, or of several.
    package private(set) var changeCount = 0
    /// Asks a lone publisher to send no more than this path carries.
    package var limitsPublisher = false
    private var publisherLimit = PublisherLimit()
    private var firstDecision: AllocationDecision?

    package init(
        control: any SubscriberControl,
        path: SimulatedPath,
        policy: any LayerPolicy,
        hasAudio: Bool = true,
        startsAt start: Microseconds = 0
    ) {
        self.policy = policy
        self.hasAudio = hasAudio
        self.startsAt = start
        super.init(control: control, path: path)
    }

    package override func start(in simulation: Simulation) {
        if self.hasAudio { self.nextAudio = self.startsAt }
        simulation.wake(self, at: self.startsAt)
    }

    /// Call between runs of the simulation.
    package func subscribe(_ subscription: SimulatedSubscription, in simulation: Simulation) {
        self.tracks.append(ForwardedTrack(subscription, index: self.tracks.count))
        if !subscription.publisher.hasSubscriber(self) { subscription.publisher.add(self) }
        self.changed(in: simulation)
    }

    /// Changes what is wanted of a track; call between runs of the simulation.
    package func update(_ index: Int, in simulation: Simulation, _ body: (inout SimulatedSubscription) -> Void) {
        body(&self.tracks[index].subscription)
        self.changed(in: simulation)
    }

    private func changed(in simulation: Simulation) {
        guard simulation.now >= self.startsAt else { return }
        self.allocate(in: simulation)
        self.settle(in: simulation)
    }

    package func routeChanged(in simulation: Simulation) {
        self.control.routeChanged(at: simulation.instant)
        self.estimateChanged(in: simulation)
        self.settle(in: simulation)
    }

    // MARK: Deadlines

    package override var sourceDeadline: Microseconds {
        var next = min(self.nextAudio, self.policy.nextDeadline.simulated)
        if self.allocatedAt < 0 { next = min(next, self.startsAt) }
        for track in self.tracks { next = min(next, track.retryAt) }
        return next
    }

    package override func runSource(in simulation: Simulation) {
        let now = simulation.now
        while self.nextAudio <= now {
            self.nextAudio += Self.audioInterval
            self.control.admit(
                SimulatedPacket(.audio, to: self.receiver, wireBytes: Self.audioBytes),
                at: simulation.instant
            )
        }
        if self.policy.nextDeadline.simulated <= now || (self.allocatedAt < 0 && now >= self.startsAt) {
            self.allocate(in: simulation)
        }
        for index in self.tracks.indices where self.tracks[index].retryAt <= now {
            self.tracks[index].retryDelay = min(self.tracks[index].retryDelay * 2, Self.longestRetry)
            self.tracks[index].retryAt = now + self.tracks[index].retryDelay
            self.tracks[index].subscription.publisher.requestKeyFrame(self.tracks[index].target, in: simulation)
        }
    }

    package override func estimateChanged(in simulation: Simulation) {
        guard simulation.now >= self.startsAt else { return }
        self.allocate(in: simulation)
        if self.limitsPublisher { self.limitPublisher(in: simulation) }
    }

    // MARK: Allocation

    private func allocate(in simulation: Simulation) {
        self.allocatedAt = simulation.now
        let now = simulation.instant
        self.requests.removeAll(keepingCapacity: true)
        for track in self.tracks { self.requests.append(track.request(at: now)) }
        let (decisions, goal) = self.policy.decide(
            self.requests,
            estimate: self.control.estimate,
            audio: self.hasAudio ? Self.audioRate : .zero,
            at: now
        )
        self.control.setGoal(goal, at: now)
        self.firstDecision = decisions.first
        var isChanged = false
        for index in self.tracks.indices {
            isChanged = self.take(decisions[index], of: index, in: simulation) || isChanged
        }
        if isChanged { self.changeCount += 1 }
    }

    /// Returns whether the layer is another.
    private func take(_ decision: AllocationDecision, of index: Int, in simulation: Simulation) -> Bool {
        let now = simulation.now
        var track = self.tracks[index]
        defer { self.tracks[index] = track }
        if decision.isPausedForBandwidth != track.isPaused {
            track.isPaused = decision.isPausedForBandwidth
            track.pauses.append((now, track.isPaused))
        }
        let (spatial, temporal) = (Int(decision.spatial), Int(decision.temporal))
        guard spatial != track.target || temporal != track.targetTemporal else { return false }
        let wasTarget = track.target
        track.target = spatial
        track.targetTemporal = temporal
        guard spatial >= 0 else {
            track.stop(at: now)
            return true
        }
        if spatial == track.current || (track.subscription.publisher.isScalable && spatial < track.current) {
            track.stay(at: spatial, temporal: temporal, at: now)
            return true
        }
        if spatial < track.current {
            // Frame rate first; the old layer as a whole goes when not even its base fits.
            track.temporal = 0
            let base = track.baseRate(of: track.current, at: simulation.instant)
            if base > 0.9 * Double(self.control.estimate.bitrate.bitsPerSecond) { track.leave(at: now) }
        }
        guard spatial != wasTarget || track.retryAt == .max else { return true }
        track.retryDelay = max(
            Self.firstRetry,
            2 * (self.control.estimate.roundTripTime.map { $0.count / 1_000 } ?? 0)
        )
        track.retryAt = now + track.retryDelay
        track.subscription.publisher.requestKeyFrame(spatial, in: simulation)
        return true
    }

    /// What the server tells the publisher of a track without layers that only this subscriber watches.
    private func limitPublisher(in simulation: Simulation) {
        guard self.control.estimate.source != .none, let track = self.tracks.first, let decision = self.firstDecision
        else { return }
        var share = self.control.estimate.bitrate.bitsPerSecond * 95 / 100 - Self.audioRate.bitsPerSecond
        if decision.isPausedForBandwidth { share = share * 1_000 / UpThreshold.resume }
        let published = track.subscription.publisher.bitrate(0, temporal: 2, at: simulation.instant)
        let order = self.publisherLimit.update(
            carried: Bitrate(bitsPerSecond: share),
            published: Bitrate(bitsPerSecond: Int64(published)),
            isUnserved: decision.nextNeeds > .zero || decision.spatial < 0,
            at: simulation.instant
        )
        switch order {
        case .limit(let bitrate)?:
            track.subscription.publisher.limit(to: Double(bitrate.bitsPerSecond), in: simulation)
        case .lift?: track.subscription.publisher.limit(to: .infinity, in: simulation)
        case nil: break
        }
    }

    // MARK: Packets

    /// One picture of a publisher, lowest layer first.
    func take(_ frames: [EncodedFrame], in simulation: Simulation) {
        guard simulation.now >= self.startsAt else { return }
        for index in self.tracks.indices {
            for frame in frames where frame.track == self.tracks[index].subscription.publisher.track {
                guard self.tracks[index].forwards(frame, at: simulation.now) else { continue }
                self.send(frame, of: index, in: simulation)
            }
        }
        self.settle(in: simulation)
    }

    private func send(_ frame: EncodedFrame, of index: Int, in simulation: Simulation) {
        let count = (frame.bytes + SimulatedPacket.maximumBytes - 1) / SimulatedPacket.maximumBytes
        for part in 0..<count {
            var packet = SimulatedPacket(.video, to: self.receiver, wireBytes: max(frame.bytes / count, 60))
            packet.media = MediaPart(frame, track: index, part: part, of: count)
            packet.media.sequence = self.tracks[index].keep(packet)
            self.control.admit(packet, at: simulation.instant)
        }
    }

    package override func receive(_ packet: SimulatedPacket, in simulation: Simulation) {
        switch packet.kind {
        case .repairRequest:
            let index = Int(packet.media.track)
            guard var again = self.tracks[index].kept(packet.media.sequence) else { return }
            again.kind = .retransmission
            self.control.admit(again, at: simulation.instant)
            self.settle(in: simulation)
        case .keyFrameRequest:
            let track = self.tracks[Int(packet.media.track)]
            if track.current >= 0 {
                track.subscription.publisher.requestKeyFrame(track.current, in: simulation)
            }
        default: super.receive(packet, in: simulation)
        }
    }
}
