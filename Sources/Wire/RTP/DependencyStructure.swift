import Basics

/// What a frame means to each of up to 32 decode targets: two bits per target (AV1 RTP 1.0 appendix A.4.2, table A.2).
@usableFromInline package struct DecodeTargetIndications: Hashable, Sendable, BitwiseCopyable {
    /// Bit *i* is the lower bit of target *i*'s indication.
    @usableFromInline package var low: UInt32
    @usableFromInline package var high: UInt32

    @inlinable package init(low: UInt32 = 0, high: UInt32 = 0) {
        self.low = low
        self.high = high
    }

    /// The targets that the frame belongs to.
    @inlinable package var present: UInt32 { self.low | self.high }
    /// Those of which nothing later depends on the frame.
    @inlinable package var discardable: UInt32 { self.low & ~self.high }
    /// Those that may begin with the frame, when it can be decoded.
    @inlinable package var switchable: UInt32 { self.high & ~self.low }
    @inlinable package var required: UInt32 { self.low & self.high }
}

/// One line of a dependency structure: what frames of its kind are and depend on.
@usableFromInline package struct DependencyTemplate: Sendable, BitwiseCopyable {
    /// 0...7.
    package var spatialID: UInt8 = 0
    /// 0...7.
    package var temporalID: UInt8 = 0
    package var indications = DecodeTargetIndications()
    /// Frame number minus that of each referred frame: 1...16, the first `frameDiffCount`.
    package var frameDiffs = InlineArray<10, UInt8>(repeating: 0)
    package var frameDiffCount: UInt8 = 0
    /// By chain: frame number minus that of the chain's frame before, 0...15; 0 = the chain starts here.
    package var chainDiffs = InlineArray<32, UInt8>(repeating: 0)

    init() {}
}

/// How the frames of one coded video sequence depend on each other: sent with its key frame, and needed to read the
/// descriptors of all its packets (AV1 RTP 1.0 appendix A.4).
///
/// A value of fixed size, about 4 KiB: at most 64 templates of 32 decode targets, 32 chains and 10 references (ATTACKS
/// One per published stream.
@usableFromInline package struct DependencyStructure: Sendable, BitwiseCopyable {
    package static let maximumTemplateCount = 64
    package static let maximumReferenceCount = 10

    /// The id of template 0: 0...63.
    package private(set) var templateIDOffset: UInt8 = 0
    /// 1...64.
    package private(set) var templateCount = 0
    /// 1...32.
    package private(set) var targetCount = 0
    /// 0...32.
    package private(set) var chainCount = 0
    package private(set) var templates = InlineArray<64, DependencyTemplate>(repeating: DependencyTemplate())
    /// By decode target: the chain that protects it; `chainCount` = none does.
    package private(set) var chainOfTarget = InlineArray<32, UInt8>(repeating: 0)
    /// By decode target: the highest layers that belong to it.
    package private(set) var spatialIDOfTarget = InlineArray<32, UInt8>(repeating: 0)
    package private(set) var temporalIDOfTarget = InlineArray<32, UInt8>(repeating: 0)
    /// 0...7.
    package private(set) var maximumSpatialID: UInt8 = 0
    /// By spatial id, width above height, in pixels; 0 = not told.
    private var sizes = InlineArray<8, UInt32>(repeating: 0)
    /// Where the structure ends in the descriptor that it was read from.
    private(set) var endPosition = DependencyDescriptor.structurePosition

    /// None yet: every descriptor is of another structure.
    package init() {}

    /// Reads the structure out of a packet's descriptor.
    ///
    /// - Returns: `nil` when the descriptor has none, or one that is cut short or has more than 8 spatial or temporal
    ///   layers, 64 templates or 10 references to a frame.
    package init?(descriptor bytes: RawSpan) {
        guard DependencyDescriptor.hasStructure(bytes) else { return nil }
        var reader = DescriptorBitReader(bytes, position: DependencyDescriptor.structurePosition)
        let offset = UInt8(truncatingIfNeeded: reader.readBits(6))
        let targetCount = Int(reader.readBits(5)) + 1
        var templates = InlineArray<64, DependencyTemplate>(repeating: DependencyTemplate())
        guard let layers = Self.readLayers(&reader, &templates) else { return nil }
        for index in 0..<layers.count {
            templates[index].indications = DependencyDescriptor.readIndications(&reader, targetCount: targetCount)
        }
        guard Self.readReferences(&reader, &templates, count: layers.count) else { return nil }
        let chainCount = reader.readNonSymmetric(below: targetCount + 1)
        guard !reader.isExhausted, chainCount <= 32 else { return nil }
        if chainCount > 0 {
            for target in 0..<targetCount {
                let chain = reader.readNonSymmetric(below: chainCount + 1)
                self.chainOfTarget[target] = UInt8(truncatingIfNeeded: chain)
            }
            for index in 0..<layers.count {
                for chain in 0..<chainCount {
                    templates[index].chainDiffs[chain] = UInt8(truncatingIfNeeded: reader.readBits(4))
                }
            }
        }
        if reader.readFlag() {
            for spatialID in 0...Int(layers.maximumSpatialID) {
                let width = min(reader.readBits(16) + 1, 0xFFFF)
                self.sizes[spatialID] = width << 16 | min(reader.readBits(16) + 1, 0xFFFF)
            }
        }
        guard !reader.isExhausted else { return nil }
        self.templateIDOffset = offset
        self.templateCount = layers.count
        self.targetCount = targetCount
        self.chainCount = chainCount
        self.templates = templates
        self.maximumSpatialID = layers.maximumSpatialID
        self.endPosition = reader.position
        self.findLayersOfTargets()
    }

    private static func readLayers(
        _ reader: inout DescriptorBitReader,
        _ templates: inout InlineArray<64, DependencyTemplate>
    ) -> (count: Int, maximumSpatialID: UInt8)? {
        var spatialID: UInt8 = 0
        var temporalID: UInt8 = 0
        var count = 0
        while true {
            guard count < Self.maximumTemplateCount, spatialID < 8, temporalID < 8 else { return nil }
            templates[count].spatialID = spatialID
            templates[count].temporalID = temporalID
            count += 1
            switch reader.readBits(2) {
            case 0: break
            case 1: temporalID += 1
            case 2:
                spatialID += 1
                temporalID = 0
            default: return reader.isExhausted ? nil : (count, spatialID)
            }
            // Past the end it reads zeros: templates without end.
            guard !reader.isExhausted else { return nil }
        }
    }

    private static func readReferences(
        _ reader: inout DescriptorBitReader,
        _ templates: inout InlineArray<64, DependencyTemplate>,
        count: Int
    ) -> Bool {
        for index in 0..<count {
            var found = 0
            while reader.readFlag() {
                guard found < Self.maximumReferenceCount else { return false }
                templates[index].frameDiffs[found] = UInt8(truncatingIfNeeded: reader.readBits(4)) + 1
                found += 1
            }
            templates[index].frameDiffCount = UInt8(found)
        }
        return !reader.isExhausted
    }

    private mutating func findLayersOfTargets() {
        for index in 0..<self.templateCount {
            let template = self.templates[index]
            for target in 0..<self.targetCount where template.indications.present & (1 << UInt32(target)) != 0 {
                self.spatialIDOfTarget[target] = max(self.spatialIDOfTarget[target], template.spatialID)
                self.temporalIDOfTarget[target] = max(self.temporalIDOfTarget[target], template.temporalID)
            }
        }
    }

    /// The place of a template in `templates`; `nil` for an id of another structure.
    package func templateIndex(ofID id: UInt8) -> Int? {
        let index = (Int(id) &- Int(self.templateIDOffset)) & 63
        return index < self.templateCount ? index : nil
    }

    /// A bit for each decode target.
    package var allTargets: UInt32 { self.targetCount == 32 ? .max : 1 << UInt32(self.targetCount) - 1 }

    /// - Returns: the size of a spatial layer's pictures; `nil` when it is not told.
    package func size(ofSpatialID id: Int) -> KeyFrameInfo? {
        guard id >= 0, id <= Int(self.maximumSpatialID), self.sizes[id] != 0 else { return nil }
        let size = self.sizes[id]
        return KeyFrameInfo(
            width: UInt16(truncatingIfNeeded: size >> 16),
            height: UInt16(truncatingIfNeeded: size)
        )
    }
}
