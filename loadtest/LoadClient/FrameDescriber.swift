/// Makes the dependency descriptors of one encoding's packets (AV1 RTP 1.0 appendix A.8), as Chromium puts them on VP8 too
/// where a connection publishes simulcast: what a frame is decoded from stands in each of its packets.
struct FrameDescriber {
    private struct Template {
        let temporalID: Int
        /// By decode target: 0 not present, 1 discardable, 2 switch (A.8.3).
        let indications: [Int]
        /// Frame number minus that of the frame that it is decoded from; `nil` = a key frame.
        let reference: Int?
    }

    private let templates: [Template]
    /// Behind the mandatory fields: that there is a structure, and the structure.
    private let structure: [UInt8]
    private var frameNumber: UInt16

    /// - Parameter temporalLayers: 1, or 3 in the pattern 0 2 1 2.
    init(temporalLayers: Int, firstFrameNumber: UInt16) {
        self.templates =
            temporalLayers == 1
            ? [
                Template(temporalID: 0, indications: [2], reference: nil),
                Template(temporalID: 0, indications: [2], reference: 1),
            ]
            : [
                Template(temporalID: 0, indications: [2, 2, 2], reference: nil),
                Template(temporalID: 0, indications: [2, 2, 2], reference: 4),
                Template(temporalID: 1, indications: [0, 1, 2], reference: 2),
                Template(temporalID: 2, indications: [0, 0, 1], reference: 1),
            ]
        self.structure = Self.structure(self.templates)
        self.frameNumber = firstFrameNumber
    }

    /// To be called for each frame, before its first packet.
    mutating func beginFrame() { self.frameNumber &+= 1 }

    /// The descriptor of a packet of the frame that was begun last.
    func descriptor(of frame: VideoSourceLayer.Frame, isFirst: Bool, isLast: Bool) -> [UInt8] {
        let index = frame.isKeyFrame ? 0 : 1 + Int(frame.temporal)
        let mandatory = [
            (isFirst ? 0x80 : 0) | (isLast ? 0x40 : 0) | UInt8(index), UInt8(self.frameNumber >> 8),
            UInt8(truncatingIfNeeded: self.frameNumber),
        ]
        if isFirst, frame.isKeyFrame { return mandatory + self.structure }
        guard let reference = self.templates[index].reference else { return mandatory }
        var bits = BitWriter()
        // References of its own, and nothing else; one of four bits, and no more.
        bits.write(0b00010, 5)
        bits.write(0b01, 2)
        bits.write(reference - 1, 4)
        bits.write(0, 2)
        return mandatory + bits.bytes
    }

    private static func structure(_ templates: [Template]) -> [UInt8] {
        var bits = BitWriter()
        // A structure, and nothing else that departs from the template.
        bits.write(0b10000, 5)
        // The id of the first template.
        bits.write(0, 6)
        let targetCount = templates[0].indications.count
        bits.write(targetCount - 1, 5)
        for (template, next) in zip(templates, templates.dropFirst()) {
            bits.write(next.temporalID - template.temporalID, 2)
        }
        bits.write(3, 2)
        for template in templates { for indication in template.indications { bits.write(indication, 2) } }
        for template in templates {
            if let reference = template.reference { bits.write(0b10000 | reference - 1, 5) }
            bits.write(0, 1)
        }
        // No chains: a number below the count of targets and one, `ns(n)`; and no sizes.
        bits.write(0, targetCount == 1 ? 1 : 2)
        bits.write(0, 1)
        return bits.bytes
    }
}

/// Fields one behind the other, the most significant bit first.
private struct BitWriter {
    private(set) var bytes: [UInt8] = []
    private var count = 0

    mutating func write(_ value: Int, _ width: Int) {
        for bit in (0..<width).reversed() {
            if self.count.isMultiple(of: 8) { self.bytes.append(0) }
            if value >> bit & 1 == 1 { self.bytes[self.bytes.count - 1] |= 0x80 >> UInt8(self.count % 8) }
            self.count += 1
        }
    }
}
