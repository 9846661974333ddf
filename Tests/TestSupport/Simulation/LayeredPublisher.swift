import Basics
import CongestionControl
import Forwarding

/// One published track at the SFU: its encoder far away, what is measured of its layers, and the gate for key-frame
/// requests that all subscribers share.
package final class LayeredPublisher: Endpoint {
    package let track: Int
    package let configuration: PublishedTrackConfiguration
    private var encoder: LayeredEncoder
    private var nextPicture: Microseconds
    private var frames: [EncodedFrame] = []
    private var subscribers: [LayeredSubscriber] = []
    /// By spatial and temporal layer: each with what it needs of the lower ones.
    private var meters: [[LayerRateMeter]]
    private var limiters: [KeyFrameLimiter]
    /// When each request went to the publisher, by spatial layer.
    package private(set) var keyFrameRequests: [[Microseconds]]
    private var limitAt: [(time: Microseconds, bitrate: Double)] = []
    /// When the publisher was told a limit, and which.
    package private(set) var limits: [(time: Microseconds, bitrate: Double)] = []
    private var sentBytes: [(time: Microseconds, total: Int)] = [(0, 0)]

    package init(track: Int, configuration: PublishedTrackConfiguration, seed: UInt64) {
        self.track = track
        self.configuration = configuration
        self.encoder = LayeredEncoder(track: track, configuration: configuration, seed: seed)
        self.nextPicture = Microseconds(seed % 33_000)
        let count = configuration.bitrates.count
        self.meters = Array(repeating: Array(repeating: LayerRateMeter(), count: 3), count: count)
        self.limiters = Array(repeating: KeyFrameLimiter(), count: count)
        self.keyFrameRequests = Array(repeating: [], count: count)
    }

    func add(_ subscriber: LayeredSubscriber) { self.subscribers.append(subscriber) }

    package override func start(in simulation: Simulation) { simulation.wake(self, at: self.nextPicture) }

    package override func wake(in simulation: Simulation) {
        let now = simulation.now
        for spatial in self.limiters.indices where self.limiters[spatial].takePending(at: simulation.instant) {
            self.sendRequest(spatial, in: simulation)
        }
        if let first = self.limitAt.first, first.time <= now {
            self.encoder.limit = first.bitrate
            self.limitAt.removeFirst()
        }
        if now >= self.nextPicture {
            self.nextPicture += 1_000_000 / self.configuration.framesPerSecond
            self.encoder.encode(at: now, into: &self.frames)
            for frame in self.frames {
                self.measure(frame, at: simulation.instant)
                self.sentBytes.append((now, (self.sentBytes.last?.total ?? 0) + frame.bytes))
                if frame.isKey { self.limiters[frame.spatial].keyFrameArrived() }
            }
            for subscriber in self.subscribers { subscriber.take(self.frames, in: simulation) }
        }
        self.schedule(in: simulation)
    }

    private func schedule(in simulation: Simulation) {
        var next = self.nextPicture
        for limiter in self.limiters { next = min(next, limiter.nextDeadline?.simulated ?? .max) }
        simulation.wake(self, at: min(next, self.limitAt.first?.time ?? .max))
    }

    private func hasLayer(_ spatial: Int) -> Bool { self.frames.contains { $0.spatial == spatial } }

    private func measure(_ frame: EncodedFrame, at now: Instant) {
        // Frames of a layer count for all operating points that need them.
        let end = self.isScalable ? self.meters.count : frame.spatial + 1
        for spatial in frame.spatial..<end where spatial == frame.spatial || self.hasLayer(spatial) {
            for temporal in frame.temporal..<3 {
                self.meters[spatial][temporal].received(byteCount: frame.bytes, startsFrame: true, at: now)
            }
        }
    }

    /// A subscriber needs a key frame of a layer.
    func requestKeyFrame(_ spatial: Int, in simulation: Simulation) {
        if self.limiters[spatial].request(at: simulation.instant) { self.sendRequest(spatial, in: simulation) }
        self.schedule(in: simulation)
    }

    private func sendRequest(_ spatial: Int, in simulation: Simulation) {
        self.keyFrameRequests[spatial].append(simulation.now)
        self.encoder.requestKeyFrame(spatial, at: simulation.now)
    }

    /// Tells the publisher not to send more (TMMBR or REMB); it knows after the way there.
    func limit(to bitrate: Double, in simulation: Simulation) {
        self.limits.append((simulation.now, bitrate))
        self.limitAt.append((simulation.now + self.configuration.keyFrameDelay, bitrate))
        self.schedule(in: simulation)
    }

    /// Of all layers together, in bits per second.
    package func sendRate(from: Double, to: Double) -> Double {
        let inside = self.sentBytes.filter { Double($0.time) / 1e6 >= from && Double($0.time) / 1e6 < to }
        guard let first = inside.first, let last = inside.last else { return 0 }
        return Double(last.total - first.total) * 8 / (to - from)
    }

    /// Adds the layers that there are now.
    func offer(to request: inout AllocationRequest, at now: Instant) {
        for spatial in self.meters.indices where self.isPresent(spatial, at: now) {
            let height = self.configuration.heights[spatial]
            for temporal in 0..<3 {
                let share: Float = temporal == 2 ? 1 : temporal == 1 ? 0.5 : 0.25
                request.add(
                    LayerOffer(
                        spatial: UInt8(spatial),
                        temporal: UInt8(temporal),
                        bitrate: Bitrate(
                            bitsPerSecond: Int64(self.bitrate(spatial, temporal: temporal, at: now))
                        ),
                        width: height * 16 / 9,
                        height: height,
                        framesPerSecond: Float(self.configuration.framesPerSecond) * share
                    )
                )
            }
        }
    }

    /// A screen may be still for long; its layers go when the track goes.
    private func isPresent(_ spatial: Int, at now: Instant) -> Bool {
        self.configuration.isScreen || self.meters[spatial][2].isPresent(at: now)
    }

    /// Measured, or what the publisher announced.
    func bitrate(_ spatial: Int, temporal: Int, at now: Instant) -> Double {
        if let measured = self.meters[spatial][temporal].bitrate(at: now) { return Double(measured.bitsPerSecond) }
        let lower = self.isScalable ? self.configuration.bitrates[..<spatial].reduce(0, +) : 0
        return (lower + self.configuration.bitrates[spatial]) * (temporal == 2 ? 1 : temporal == 1 ? 0.7 : 0.5)
    }

    func hasSubscriber(_ subscriber: LayeredSubscriber) -> Bool { self.subscribers.contains { $0 === subscriber } }

    package var isScalable: Bool { self.configuration.structure == .scalable }
}
