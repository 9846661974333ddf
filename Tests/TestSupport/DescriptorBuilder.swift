/// A dependency structure as a test makes it up, and the descriptors that follow it (AV1 RTP 1.0 appendix A): the other
/// side of the parser, written from the specification's syntax alone.
package struct DescriptorBuilder: Sendable {
    package struct Template: Sendable, Equatable {
        package var spatialID: Int
        package var temporalID: Int
        /// Per decode target: 0 not present, 1 discardable, 2 switch, 3 required.
        package var indications: [Int]
        package var frameDiffs: [Int]
        package var chainDiffs: [Int]

        package init(
            spatialID: Int,
            temporalID: Int,
            indications: [Int],
            frameDiffs: [Int] = [],
            chainDiffs: [Int] = []
        ) {
            self.spatialID = spatialID
            self.temporalID = temporalID
            self.indications = indications
            self.frameDiffs = frameDiffs
            self.chainDiffs = chainDiffs
        }
    }

    /// What one packet's descriptor departs from its template in.
    package struct Extras: Sendable {
        package var hasStructure = false
        package var activeTargets: UInt32?
        package var indications: [Int]?
        package var frameDiffs: [Int]?
        package var chainDiffs: [Int]?

        package init() {}
        package var isEmpty: Bool {
            !self.hasStructure && self.activeTargets == nil && self.indications == nil && self.frameDiffs == nil
                && self.chainDiffs == nil
        }
    }

    package var templateIDOffset: Int
    package var targetCount: Int
    /// In the order that `next_layer_idc` can express: by spatial id, then temporal id.
    package var templates: [Template]
    /// By decode target; empty = no chains.
    package var chainOfTarget: [Int]
    package var chainCount: Int
    /// Width and height by spatial id; empty = not told.
    package var sizes: [(Int, Int)]

    package init(
        templateIDOffset: Int = 0,
        targetCount: Int,
        templates: [Template],
        chainCount: Int = 0,
        chainOfTarget: [Int] = [],
        sizes: [(Int, Int)] = []
    ) {
        self.templateIDOffset = templateIDOffset
        self.targetCount = targetCount
        self.templates = templates
        self.chainCount = chainCount
        self.chainOfTarget = chainOfTarget
        self.sizes = sizes
    }

    /// The descriptor of one packet.
    package func descriptor(
        isFrameStart: Bool,
        isFrameEnd: Bool,
        template: Int,
        frameNumber: UInt16,
        extras: Extras = Extras()
    ) -> [UInt8] {
        var bits = Bits()
        bits.write(isFrameStart ? 1 : 0, 1)
        bits.write(isFrameEnd ? 1 : 0, 1)
        bits.write((self.templateIDOffset + template) & 63, 6)
        bits.write(Int(frameNumber), 16)
        guard !extras.isEmpty else { return bits.bytes }
        bits.write(extras.hasStructure ? 1 : 0, 1)
        bits.write(extras.activeTargets != nil ? 1 : 0, 1)
        bits.write(extras.indications != nil ? 1 : 0, 1)
        bits.write(extras.frameDiffs != nil ? 1 : 0, 1)
        bits.write(extras.chainDiffs != nil ? 1 : 0, 1)
        if extras.hasStructure { self.writeStructure(&bits) }
        if let mask = extras.activeTargets { bits.write(Int(mask), self.targetCount) }
        for indication in extras.indications ?? [] { bits.write(indication, 2) }
        if let frameDiffs = extras.frameDiffs {
            for difference in frameDiffs {
                let size = difference <= 16 ? 1 : difference <= 256 ? 2 : 3
                bits.write(size, 2)
                bits.write(difference - 1, size * 4)
            }
            bits.write(0, 2)
        }
        for difference in extras.chainDiffs ?? [] { bits.write(difference, 8) }
        return bits.bytes
    }

    private func writeStructure(_ bits: inout Bits) {
        bits.write(self.templateIDOffset, 6)
        bits.write(self.targetCount - 1, 5)
        for (index, template) in self.templates.enumerated() {
            guard index + 1 < self.templates.count else {
                bits.write(3, 2)
                break
            }
            let next = self.templates[index + 1]
            if next.spatialID == template.spatialID + 1 {
                bits.write(2, 2)
            } else {
                bits.write(next.temporalID - template.temporalID, 2)
            }
        }
        for template in self.templates { for indication in template.indications { bits.write(indication, 2) } }
        for template in self.templates {
            for difference in template.frameDiffs {
                bits.write(1, 1)
                bits.write(difference - 1, 4)
            }
            bits.write(0, 1)
        }
        bits.writeNonSymmetric(self.chainCount, below: self.targetCount + 1)
        if self.chainCount > 0 {
            for chain in self.chainOfTarget { bits.writeNonSymmetric(chain, below: self.chainCount + 1) }
            for template in self.templates { for difference in template.chainDiffs { bits.write(difference, 4) } }
        }
        bits.write(self.sizes.isEmpty ? 0 : 1, 1)
        for (width, height) in self.sizes {
            bits.write(width - 1, 16)
            bits.write(height - 1, 16)
        }
    }

    private struct Bits {
        var bytes: [UInt8] = []
        private var count = 0

        mutating func write(_ value: Int, _ width: Int) {
            for bit in (0..<width).reversed() {
                if self.count.isMultiple(of: 8) { self.bytes.append(0) }
                if value >> bit & 1 == 1 { self.bytes[self.count / 8] |= 0x80 >> UInt8(self.count % 8) }
                self.count += 1
            }
        }

        /// `ns(n)`.
        mutating func writeNonSymmetric(_ value: Int, below count: Int) {
            var width = 0
            while count >> width != 0 { width += 1 }
            let short = 1 << width - count
            if value < short {
                self.write(value, width - 1)
            } else {
                self.write(value + short, width)
            }
        }
    }
}
