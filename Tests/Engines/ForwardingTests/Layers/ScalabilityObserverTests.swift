import Forwarding
import RTP
import TestSupport
import Testing

@Suite("The scalability mode of a stream")
struct ScalabilityObserverTests {
    @Test(arguments: LayeredFormat.all) func `is found by half a second of its pictures`(format: LayeredFormat) {
        var stream = Stream(format)
        for _ in 0..<15 { stream.next() }
        #expect(stream.observer.mode == nil)
        for _ in 0..<8 { stream.next() }
        #expect(stream.observer.mode?.name == Self.expected(format))
        // Key pictures in between change nothing.
        for index in 0..<64 {
            stream.next(isKey: index % 24 == 5)
            #expect(stream.observer.mode?.name == Self.expected(format))
        }
    }

    @Test func `follows an encoder that leaves out its upper temporal layers`() {
        var stream = Stream(LayeredFormat.vp8Simulcast)
        for _ in 0..<16 { stream.next() }
        #expect(stream.observer.mode?.name == "L1T3")
        for _ in 0..<64 { stream.next(upTo: 1) }
        #expect(stream.observer.mode?.name == "L1T2")
        for _ in 0..<64 { stream.next(upTo: 0) }
        #expect(stream.observer.mode?.spatialLayers == 1)
        #expect(stream.observer.mode?.name == nil)
    }

    @Test(
        arguments: [
            (1, 1, .always, nil), (1, 2, .never, "L1T2"), (3, 3, .always, "L3T3"), (2, 1, .atKeyPictures, "L2T1_KEY"),
            (3, 3, .atKeyPictures, "L3T3_KEY"), (2, 3, .never, "S2T3"),
        ] as [(UInt8, UInt8, ScalabilityMode.Prediction, String?)]
    )
    func `has the name of WebRTC-SVC`(
        spatial: UInt8,
        temporal: UInt8,
        prediction: ScalabilityMode.Prediction,
        name: String?
    ) {
        let mode = ScalabilityMode(spatialLayers: spatial, temporalLayers: temporal, prediction: prediction)
        #expect(mode.name == name)
    }

    private static func expected(_ format: LayeredFormat) -> String? {
        guard format.spatialLayers > 1 || format.temporalLayers > 1 else { return nil }
        let suffix = format.predictsAcrossLayersAtKeysOnly ? "_KEY" : ""
        return "L\(format.spatialLayers)T\(format.temporalLayers)\(suffix)"
    }

    private struct Stream {
        var random = SeededRandom(seed: 5)
        var encoder: LayeredEncoder
        var reader = FrameReader()
        var observer = ScalabilityObserver()
        var picture: UInt32 = 0

        init(_ format: LayeredFormat) { self.encoder = LayeredEncoder(format, using: &self.random) }

        /// - Parameter highest: the highest temporal layer that is not left out.
        mutating func next(isKey: Bool = false, upTo highest: Int = 3) {
            let packets = self.encoder.next(isKey: isKey, timestamp: self.picture &* 3_000, using: &self.random)
            self.picture += 1
            let format: PayloadFormat =
                switch self.encoder.format.syntax {
                case .vp8: .vp8
                case .vp9: .vp9
                case .descriptor(let format), .plain(let format): format
                }
            for packet in packets where packet.frame.temporalID <= highest {
                let payload = PayloadDescriptor(packet.payload.span.bytes, format: format)
                self.observer.received(
                    self.reader.read(
                        sequence: packet.sequence,
                        timestamp: packet.timestamp,
                        marker: packet.marker,
                        payload: payload,
                        isKeyFrameStart: payload.keyFrame(in: packet.payload.span.bytes, format: format) != nil,
                        descriptor: packet.descriptor.span.bytes
                    )
                )
            }
        }
    }
}
