import Basics
import Forwarding
import RTP
import TestSupport

/// A publisher, a lossy way to the server, and one subscriber whose target changes at random.
struct LayerScenario {
    struct Options {
        var packets = 100_000
        var loss = 0.02
        /// Of what was lost.
        var recovered = 0.7
        var reordered = 0.02
        /// Chance per picture that the allocator changes its mind.
        var retargeting = 0.03
    }

    private struct Arrival {
        let time: Int64
        let order: Int
        let encoding: Int
        let packet: EncodedPacket
    }

    let format: LayeredFormat
    let options: Options
    private var random: SeededRandom
    private var encoders: [LayeredEncoder]
    private var readers: [FrameReader]
    private var selector = LayerSelector()
    private var rewriter: RTPRewriter
    private var vp8 = VP8Rewriter()
    private var vp9 = VP9Rewriter()
    private var descriptors = DescriptorRewriter()
    private(set) var model: DecoderModel
    private var waiting: [Arrival] = []
    private var keyRequests: [Int?]
    private let timestampOffsets: [UInt32]
    private(set) var stalls = 0
    private(set) var packetCount = 0
    /// Pictures that went by with the target unchanged for two seconds, and those that had it.
    private(set) var settledPictures = 0
    private(set) var onTargetPictures = 0

    init(_ format: LayeredFormat, _ options: Options, seed: UInt64) {
        self.format = format
        self.options = options
        var random = SeededRandom(seed: seed)
        self.encoders = (0..<format.encodings).map { _ in LayeredEncoder(format, using: &random) }
        self.readers = Array(repeating: FrameReader(), count: format.encodings)
        self.rewriter = RTPRewriter(kind: .video, clockRate: 90_000, using: &random)
        self.model = DecoderModel(encodings: format.encodings)
        self.keyRequests = Array(repeating: nil, count: format.encodings)
        self.timestampOffsets = (0..<format.encodings).map { _ in UInt32.random(in: .min ... .max, using: &random) }
        self.selector.isSimulcast = format.encodings > 1
        self.random = random
    }

    mutating func run() {
        var target = SelectedLayers(spatial: 3, temporal: 3)
        var unchanged = 0
        var picture = 0
        self.selector.setTarget(spatial: 3, temporal: 3, at: .zero)
        while self.packetCount < self.options.packets {
            let time = Int64(picture) * 33_333_333
            let now = Instant(nanoseconds: time)
            if self.random.chance(self.options.retargeting) {
                target = self.newTarget()
                unchanged = 0
                let handover = [LayerHandover.whole, .baseOnly, .nothing].randomElement(using: &self.random) ?? .whole
                self.selector.setTarget(
                    spatial: Int(target.spatial),
                    temporal: Int(target.temporal),
                    handover: handover,
                    at: now
                )
            }
            for encoding in 0..<self.format.encodings { self.encode(encoding, picture: picture, at: time) }
            self.deliver(until: time + 33_333_333)
            if picture.isMultiple(of: 3), let layer = self.selector.tick(at: now) {
                if layer < self.format.encodings, self.keyRequests[layer] == nil {
                    self.keyRequests[layer] = picture + Int.random(in: 1...6, using: &self.random)
                }
            }
            unchanged += 1
            if unchanged > 60 {
                self.settledPictures += 1
                if self.selector.layers == self.reachable(target) { self.onTargetPictures += 1 }
            }
            picture += 1
        }
        self.stalls = Int(self.selector.stallCount)
        self.model.finish()
    }

    private mutating func newTarget() -> SelectedLayers {
        if self.random.chance(0.05) { return .nothing }
        let layers = self.format.layerCount
        return SelectedLayers(
            spatial: Int8.random(in: 0..<Int8(layers), using: &self.random),
            temporal: Int8.random(in: 0..<Int8(self.format.temporalLayers), using: &self.random)
        )
    }

    private func reachable(_ target: SelectedLayers) -> SelectedLayers {
        guard target.spatial >= 0 else { return .nothing }
        let layers = self.format.layerCount
        return SelectedLayers(spatial: min(target.spatial, Int8(layers - 1)), temporal: target.temporal)
    }

    private mutating func encode(_ encoding: Int, picture: Int, at time: Int64) {
        var isKey = false
        if let due = self.keyRequests[encoding], picture >= due {
            isKey = true
            self.keyRequests[encoding] = nil
        }
        let timestamp = UInt32(truncatingIfNeeded: picture * 3_000) &+ self.timestampOffsets[encoding]
        var departure = time
        let packets = self.encoders[encoding].next(isKey: isKey, timestamp: timestamp, using: &self.random)
        self.model.encode(packets, encoding: encoding)
        for packet in packets {
            departure += 200_000
            var arrival = departure
            if self.random.chance(self.options.loss) {
                guard self.random.chance(self.options.recovered) else { continue }
                arrival += Int64.random(in: 20...180, using: &self.random) * 1_000_000
            } else if self.random.chance(self.options.reordered) {
                arrival += Int64.random(in: 1...40, using: &self.random) * 300_000
            }
            self.packetCount += 1
            self.waiting.append(Arrival(time: arrival, order: self.packetCount, encoding: encoding, packet: packet))
        }
    }

    private mutating func deliver(until end: Int64) {
        self.waiting.sort { ($0.time, $0.order) < ($1.time, $1.order) }
        let due = self.waiting.prefix { $0.time < end }
        self.waiting.removeFirst(due.count)
        for arrival in due {
            self.receive(arrival.packet, encoding: arrival.encoding, at: Instant(nanoseconds: arrival.time))
        }
    }

    private mutating func receive(_ packet: EncodedPacket, encoding: Int, at now: Instant) {
        self.model.arrive(packet, encoding: encoding)
        let format = self.payloadFormat
        let payload = PayloadDescriptor(packet.payload.span.bytes, format: format)
        let info = self.readers[encoding].read(
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            marker: packet.marker,
            payload: payload,
            isKeyFrameStart: payload.keyFrame(in: packet.payload.span.bytes, format: format) != nil,
            descriptor: packet.descriptor.span.bytes
        )
        let decision = self.selector.decide(layer: encoding, info, at: now)
        switch decision.action {
        case .drop:
            self.leaveOut(packet, payload, encoding: encoding)
            return
        case .switchAndForward:
            let reference = self.rewriter.referenceSource.map {
                packet.timestamp &- self.timestampOffsets[encoding] &+ self.timestampOffsets[$0]
            }
            let result = self.rewriter.switchSource(
                to: encoding,
                sequence: packet.sequence,
                timestamp: packet.timestamp,
                referenceTimestamp: reference,
                at: now
            )
            guard result == .switched else { return }
            self.selector.takeSwitch(to: encoding, info, at: now)
        case .forward: break
        }
        let rewritten = self.rewriter.rewrite(
            source: encoding,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            marker: packet.marker || decision.setsMarker,
            at: now
        )
        guard let rewritten else { return }
        self.model.receive(
            DecoderModel.Sent(
                encoding: encoding,
                packet: packet,
                outgoing: rewritten.sequence,
                timestamp: rewritten.timestamp,
                marker: packet.marker || decision.setsMarker,
                generation: rewritten.generation,
                number: self.number(payload, info, encoding: encoding, rewritten.generation, at: now)
            )
        )
    }

    private var payloadFormat: PayloadFormat {
        switch self.format.syntax {
        case .vp8: .vp8
        case .vp9: .vp9
        case .descriptor(let format), .plain(let format): format
        }
    }

    private mutating func leaveOut(_ packet: EncodedPacket, _ payload: PayloadDescriptor, encoding: Int) {
        let isClosedUp = self.rewriter.leaveOut(source: encoding, sequence: packet.sequence)
        if case .vp8(let vp8) = payload, encoding == self.rewriter.source {
            self.vp8.leaveOut(pictureID: vp8.pictureID, isLong: true, generation: self.rewriter.generation)
        }
        guard !isClosedUp else { return }
        let place = self.rewriter.fillPlace(
            source: encoding,
            sequence: packet.sequence,
            timestamp: packet.timestamp
        )
        if let place { self.model.fill(place.sequence) }
    }

    private mutating func number(
        _ payload: PayloadDescriptor,
        _ info: FrameInfo,
        encoding: Int,
        _ generation: UInt32,
        at now: Instant
    ) -> UInt16? {
        switch payload {
        case .vp8(let vp8):
            return self.vp8.rewrite(
                pictureID: vp8.pictureID,
                isLong: true,
                tl0PictureIndex: vp8.tl0PicIdx,
                keyIndex: nil,
                generation: generation
            ).pictureID
        case .vp9(let vp9):
            return self.vp9.rewrite(
                pictureID: vp9.pictureID,
                isLong: true,
                tl0PictureIndex: vp9.tl0PicIdx,
                generation: generation
            ).pictureID
        case .none:
            return self.descriptors.patch(
                for: info,
                targets: self.readers[encoding].targets(for: self.selector.layersInStream),
                generation: generation,
                at: now
            )?.frameNumber
        }
    }
}
