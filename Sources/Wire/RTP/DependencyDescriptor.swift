public import Basics

/// What the dependency descriptor of one packet says of the packet's frame (AV1 RTP 1.0 appendix A).
@usableFromInline package struct DependencyDescriptor: Sendable, BitwiseCopyable {
    /// Where a structure, or else the bit mask of active targets, begins: behind 24 mandatory bits and 5 flags.
    static let structurePosition = 29

    /// The packet is the first of its frame.
    package let isFrameStart: Bool
    package let isFrameEnd: Bool
    /// 0...63.
    package let templateID: UInt8
    /// Increases by one with every frame in decoding order, modulo 2^16.
    package let frameNumber: UInt16
    package let hasStructure: Bool
    package let spatialID: UInt8
    package let temporalID: UInt8
    package let indications: DecodeTargetIndications
    /// Frame number minus that of each referred frame: 1...4,096, the first `frameDiffCount`.
    package let frameDiffs: InlineArray<10, UInt16>
    package let frameDiffCount: Int
    /// By chain: frame number minus that of the chain's frame before; 0 = the chain starts here.
    package let chainDiffs: InlineArray<32, UInt8>
    /// Which decode targets the sender still makes, from this packet on; `nil` = as before.
    package let activeTargets: UInt32?
    /// The line of the structure that the frame follows, when nothing in the descriptor departs from it.
    package let plainTemplate: Int?

    /// - Parameters:
    ///   - bytes: the value of the header extension.
    ///   - structure: the one in the descriptor itself where it has one, else that of the last key frame. `inout`, though
    ///     nothing changes it: of a value that is lent, Swift 6.3 copies all 4 KiB to look up one template.
    /// - Returns: `nil` when it is cut short, refers to more than 10 frames, or follows a template that `structure` does
    ///   not have: it is broken, or belongs to a sequence whose structure has not arrived yet or is gone.
    package init?(_ bytes: RawSpan, structure: inout DependencyStructure) {
        guard bytes.byteCount >= 3 else { return nil }
        let first = bytes.uint8(at: 0)
        let templateID = first & 0x3F
        guard let index = structure.templateIndex(ofID: templateID) else { return nil }
        let template = structure.templates[index]
        var indications = template.indications
        var frameDiffs = InlineArray<10, UInt16>(repeating: 0)
        var frameDiffCount = Int(template.frameDiffCount)
        for reference in 0..<frameDiffCount { frameDiffs[reference] = UInt16(template.frameDiffs[reference]) }
        var chainDiffs = template.chainDiffs
        var activeTargets: UInt32?
        var hasStructure = false
        var isPlain = true
        if bytes.byteCount > 3 {
            let flags = bytes.uint8(at: 3)
            hasStructure = flags & 0x80 != 0
            guard !hasStructure || first & 0x80 != 0 else { return nil }
            var reader = DescriptorBitReader(
                bytes,
                position: hasStructure ? structure.endPosition : Self.structurePosition
            )
            if hasStructure { activeTargets = structure.allTargets }
            if flags & 0x40 != 0 { activeTargets = reader.readBits(structure.targetCount) }
            if flags & 0x20 != 0 {
                indications = Self.readIndications(&reader, targetCount: structure.targetCount)
            }
            if flags & 0x10 != 0 {
                guard let count = Self.readFrameDiffs(&reader, &frameDiffs) else { return nil }
                frameDiffCount = count
            }
            if flags & 0x08 != 0 {
                for chain in 0..<structure.chainCount {
                    chainDiffs[chain] = UInt8(truncatingIfNeeded: reader.readBits(8))
                }
            }
            guard !reader.isExhausted else { return nil }
            isPlain = flags & 0x38 == 0
        }
        self.isFrameStart = first & 0x80 != 0
        self.isFrameEnd = first & 0x40 != 0
        self.templateID = templateID
        self.frameNumber = bytes.uint16(at: 1)
        self.hasStructure = hasStructure
        self.spatialID = template.spatialID
        self.temporalID = template.temporalID
        self.indications = indications
        self.frameDiffs = frameDiffs
        self.frameDiffCount = frameDiffCount
        self.chainDiffs = chainDiffs
        self.activeTargets = activeTargets
        self.plainTemplate = isPlain ? index : nil
    }

    /// Whether a descriptor brings a structure, which it may only do in the first packet of a frame.
    @inlinable package static func hasStructure(_ bytes: RawSpan) -> Bool {
        bytes.byteCount > 3 && bytes.uint8(at: 3) & 0x80 != 0 && bytes.uint8(at: 0) & 0x80 != 0
    }

    /// Whether a descriptor says something of what comes behind it, and not only of its own frame: a structure, or which
    /// decode targets are still made.
    @inlinable package static func changesTargets(_ bytes: RawSpan) -> Bool {
        bytes.byteCount > 3 && bytes.uint8(at: 3) & 0xC0 != 0
    }

    /// - Returns: `nil` when it is cut short.
    @inlinable package static func frameNumber(in bytes: RawSpan) -> UInt16? {
        bytes.byteCount >= 3 ? bytes.uint16(at: 1) : nil
    }

    static func readIndications(_ reader: inout DescriptorBitReader, targetCount: Int) -> DecodeTargetIndications {
        var indications = DecodeTargetIndications()
        for target in 0..<UInt32(targetCount) {
            let value = reader.readBits(2)
            indications.low |= (value & 1) << target
            indications.high |= (value >> 1) << target
        }
        return indications
    }

    private static func readFrameDiffs(
        _ reader: inout DescriptorBitReader,
        _ frameDiffs: inout InlineArray<10, UInt16>
    ) -> Int? {
        var count = 0
        while true {
            let size = Int(reader.readBits(2))
            guard size != 0 else { return reader.isExhausted ? nil : count }
            guard count < DependencyStructure.maximumReferenceCount else { return nil }
            frameDiffs[count] = UInt16(truncatingIfNeeded: reader.readBits(size * 4) + 1)
            count += 1
        }
    }
}
