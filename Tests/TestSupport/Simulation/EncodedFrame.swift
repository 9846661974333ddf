/// One frame of one layer, as it arrives at the SFU.
package struct EncodedFrame: BitwiseCopyable, Sendable {
    package var track: Int
    package var spatial: Int
    package var temporal: Int
    /// Of the track's pictures; with `spatial` it names the frame.
    package var picture: Int32
    package var isKey: Bool
    /// The picture of the same spatial layer that it is predicted from; -1 = none.
    package var reference: Int32
    /// SVC: it is predicted from the next lower spatial layer of the same picture, too.
    package var needsLower: Bool
    /// On the wire, towards a subscriber.
    package var bytes: Int
}

/// What a publisher sends.
package struct PublishedTrackConfiguration: Sendable {
    package enum Structure: Sendable {
        /// Encodings that know nothing of each other.
        case simulcast
        /// Each spatial layer is predicted from the lower one in every picture (L3T3).
        case scalable
    }

    package var structure = Structure.simulcast
    /// Of each spatial layer by itself, all of its temporal layers, on the wire.
    package var bitrates: [Double] = [150_000, 500_000, 1_500_000]
    package var heights: [Int32] = [180, 360, 720]
    package var framesPerSecond: Int64 = 30
    /// Frames are up to this much larger or smaller.
    package var noise = 0.1
    /// The rate of every second is up to this much larger or smaller.
    package var wobble = 0.0
    package var keyFrameFactor = 5.0
    /// How many spatial layers there are.
    package var layerCount: Schedule<Int>
    /// From a request to the key frame's arrival, less the wait for the next picture.
    package var keyFrameDelay: Microseconds = 60_000
    /// A screen: bursts with rates up to the layers' bitrates in a fifth of the time, else next to nothing.
    package var isScreen = false

    package init(layerCount: Int = 3) { self.layerCount = .constant(layerCount) }
}

/// An encoder: pictures with three temporal layers (0 2 1 2), each spatial layer with a pattern of its own.
struct LayeredEncoder {
    /// Of the bits of four pictures: the base has half, the middle layer a fifth, each of the two others 0.15.
    private static let shares = [0.5, 0.2, 0.15]
    private static let pattern = [0, 2, 1, 2]

    private struct Layer {
        var position = 0
        var lastBase: Int32 = -1
        var lastPicture: Int32 = -1
        var keyFrameAt = Microseconds.max
    }

    let track: Int
    let configuration: PublishedTrackConfiguration
    private var layers: [Layer]
    private var random: SeededRandom
    private var picture: Int32 = 0
    private var wobble = 1.0
    private var wobbleUntil: Microseconds = 0
    private var burstRate = 0.0
    private var burstUntil: Microseconds = 0
    /// Of the top layer: what the publisher was asked not to exceed, in bits per second.
    var limit = Double.infinity

    init(track: Int, configuration: PublishedTrackConfiguration, seed: UInt64) {
        self.track = track
        self.configuration = configuration
        self.random = SeededRandom(seed: seed)
        self.layers = configuration.bitrates.map { _ in Layer() }
    }

    mutating func requestKeyFrame(_ spatial: Int, at now: Microseconds) {
        let due = now + self.configuration.keyFrameDelay
        switch self.configuration.structure {
        case .simulcast: self.layers[spatial].keyFrameAt = min(self.layers[spatial].keyFrameAt, due)
        case .scalable:
            for index in self.layers.indices { self.layers[index].keyFrameAt = min(self.layers[index].keyFrameAt, due) }
        }
    }

    /// The next picture, lowest layer first.
    mutating func encode(at now: Microseconds, into frames: inout [EncodedFrame]) {
        frames.removeAll(keepingCapacity: true)
        self.picture += 1
        self.updateRate(at: now)
        let count = min(self.configuration.layerCount.value(at: now), self.layers.count)
        for spatial in 0..<self.layers.count {
            guard spatial < count else {
                self.layers[spatial] = Layer()
                continue
            }
            frames.append(self.frame(spatial, at: now))
        }
    }

    private mutating func updateRate(at now: Microseconds) {
        if now >= self.wobbleUntil {
            let range = self.configuration.wobble
            self.wobble = 1 + (range > 0 ? Double.random(in: -range...range, using: &self.random) : 0)
            self.wobbleUntil = now + 1_000_000
        }
        guard self.configuration.isScreen, now >= self.burstUntil else { return }
        let wasIdle = self.burstRate == 0
        self.burstRate = wasIdle ? Double.random(in: 0...1, using: &self.random) : 0
        let mean = wasIdle ? 1_000_000.0 : 4_000_000.0
        self.burstUntil = now + Microseconds(mean * self.random.exponential())
    }

    private mutating func frame(_ spatial: Int, at now: Microseconds) -> EncodedFrame {
        var layer = self.layers[spatial]
        let isKey = layer.lastBase < 0 || now >= layer.keyFrameAt
        if isKey {
            layer.position = 0
            layer.keyFrameAt = .max
        }
        let temporal = Self.pattern[layer.position]
        let reference = isKey ? -1 : temporal == 2 ? layer.lastPicture : layer.lastBase
        var bitrate = min(self.configuration.bitrates[spatial] * self.wobble, self.limit)
        if self.configuration.isScreen { bitrate = max(bitrate * self.burstRate, 4_000) }
        var bytes = bitrate / 8 / Double(self.configuration.framesPerSecond) * 4 * Self.shares[temporal]
        let noise = self.configuration.noise
        bytes *= 1 + (noise > 0 ? Double.random(in: -noise...noise, using: &self.random) : 0)
        if isKey {
            let mean = bitrate / 8 / Double(self.configuration.framesPerSecond)
            bytes = max(mean * self.configuration.keyFrameFactor, bytes)
        }
        // Middle and base pictures are referred to; the others are not.
        if temporal < 2 { layer.lastPicture = self.picture }
        if temporal == 0 { layer.lastBase = self.picture }
        layer.position = (layer.position + 1) % Self.pattern.count
        self.layers[spatial] = layer
        return EncodedFrame(
            track: self.track,
            spatial: spatial,
            temporal: temporal,
            picture: self.picture,
            isKey: isKey,
            reference: reference,
            needsLower: self.configuration.structure == .scalable && spatial > 0,
            bytes: max(Int(bytes), 60)
        )
    }
}
