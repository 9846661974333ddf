import Basics
import CongestionControl

/// A video encoder that follows the estimate: one frame at a time, with noise, a key frame first.
package struct EncoderSource: Sendable {
    /// On the wire.
    package var minimum: Int64
    package var maximum: Int64
    package var framesPerSecond: Int64
    /// Frames are up to this much larger or smaller than the rate asks for.
    package var noise: Double
    /// When it sends; before the first step and while `false` it sends nothing.
    package var isActive: Schedule<Bool>

    package init(
        minimum: Int64 = 50_000,
        maximum: Int64 = 20_000_000,
        framesPerSecond: Int64 = 30,
        noise: Double = 0.1,
        isActive: Schedule<Bool> = .constant(true)
    ) {
        self.minimum = minimum
        self.maximum = maximum
        self.framesPerSecond = framesPerSecond
        self.noise = noise
        self.isActive = isActive
    }
}

/// A subscriber whose one publisher follows its estimate: source E.
package final class EncoderFlow: SendingEndpoint {
    private static let keyFrameFactor = 5.0

    private let source: EncoderSource
    private var random: SeededRandom
    private var nextFrame: Microseconds
    private var wasActive = false

    package init(
        control: any SubscriberControl,
        path: SimulatedPath,
        source: EncoderSource,
        startsAt start: Microseconds,
        seed: UInt64
    ) {
        self.source = source
        self.random = SeededRandom(seed: seed)
        self.nextFrame = start + Microseconds.random(in: 0..<33_000, using: &self.random)
        super.init(control: control, path: path)
    }

    package override func start(in simulation: Simulation) { simulation.wake(self, at: self.nextFrame) }

    package override var sourceDeadline: Microseconds { self.nextFrame }

    package override func runSource(in simulation: Simulation) {
        self.nextFrame += 1_000_000 / self.source.framesPerSecond
        let isActive = self.source.isActive.value(at: simulation.now)
        defer { self.wasActive = isActive }
        if isActive != self.wasActive {
            let maximum = Bitrate(bitsPerSecond: isActive ? self.source.maximum : 0)
            self.control.setGoal(ProbeGoal(bitrate: maximum, wanted: maximum), at: simulation.instant)
        }
        guard isActive else { return }
        let target = self.control.estimate.bitrate.bitsPerSecond
        let bitrate = min(max(target, self.source.minimum), self.source.maximum)
        var bytes = Double(bitrate) / 8 / Double(self.source.framesPerSecond)
        bytes *= 1 + Double.random(in: -self.source.noise...self.source.noise, using: &self.random)
        if !self.wasActive { bytes *= Self.keyFrameFactor }
        let packetCount = max(1, (Int(bytes) + SimulatedPacket.maximumBytes - 1) / SimulatedPacket.maximumBytes)
        for _ in 0..<packetCount {
            let packet = SimulatedPacket(.video, to: self.receiver, wireBytes: max(60, Int(bytes) / packetCount))
            self.control.admit(packet, at: simulation.instant)
        }
    }
}
