import Basics
import RTP
import TestSupport
import Testing

/// What a test looks at in a descriptor.
private struct Read: Equatable {
    var isFirst: Bool
    var isLast: Bool
    var number: UInt16
    var spatialID: Int
    var temporalID: Int
    var indications: [Int]
    var frameDiffs: [Int]
    var chainDiffs: [Int]
    var activeTargets: UInt32?
}

private func read(_ bytes: [UInt8], _ structure: DependencyStructure) -> Read? {
    withExact(bytes) { span -> Read? in
        var structure = structure
        guard let descriptor = DependencyDescriptor(span, structure: &structure) else { return nil }
        return Read(
            isFirst: descriptor.isFrameStart,
            isLast: descriptor.isFrameEnd,
            number: descriptor.frameNumber,
            spatialID: Int(descriptor.spatialID),
            temporalID: Int(descriptor.temporalID),
            indications: (0..<structure.targetCount).map {
                Int(descriptor.indications.low >> UInt32($0) & 1 | (descriptor.indications.high >> UInt32($0) & 1) << 1)
            },
            frameDiffs: (0..<descriptor.frameDiffCount).map { Int(descriptor.frameDiffs[$0]) },
            chainDiffs: (0..<structure.chainCount).map { Int(descriptor.chainDiffs[$0]) },
            activeTargets: descriptor.activeTargets
        )
    }
}

private func structure(_ bytes: [UInt8]) -> DependencyStructure? {
    withExact(bytes) { DependencyStructure(descriptor: $0) }
}

@Suite struct DependencyDescriptorTests {
    /// The tables of AV1 RTP 1.0 appendix A.6.1 and A.6.2, with their letters: - D S R.
    private static func template(_ s: Int, _ t: Int, _ diffs: [Int], _ chains: [Int], _ letters: String)
        -> DescriptorBuilder.Template
    {
        let values: [Character: Int] = ["-": 0, "D": 1, "S": 2, "R": 3]
        return .init(
            spatialID: s,
            temporalID: t,
            indications: letters.map { values[$0] ?? 0 },
            frameDiffs: diffs,
            chainDiffs: chains
        )
    }

    @Test(
        arguments: [
            ([], false), ([0x80, 0, 1], false), ([0x80, 0, 1, 0x12, 0x00], false), ([0x80, 0, 1, 0x38, 0], false),
            ([0x80, 0, 1, 0x80], true), ([0x80, 0, 1, 0x40], true), ([0, 0, 1, 0xC0, 0], true),
        ] as [([UInt8], Bool)]
    )
    func `a structure or a mask says something of what comes behind`(bytes: [UInt8], changes: Bool) {
        #expect(withExact(bytes) { DependencyDescriptor.changesTargets($0) } == changes)
    }

    private static let oneLayer = DescriptorBuilder(
        templateIDOffset: 60,
        targetCount: 3,
        templates: [
            template(0, 0, [], [0], "SSS"), template(0, 0, [4], [4], "SSS"), template(0, 1, [2], [2], "SD-"),
            template(0, 2, [1], [1], "D--"), template(0, 2, [1], [3], "D--"),
        ],
        chainCount: 1,
        chainOfTarget: [0, 0, 0],
        sizes: [(1_280, 720)]
    )
    private static let twoLayers = DescriptorBuilder(
        targetCount: 2,
        templates: [
            template(0, 0, [], [0, 0], "SS"), template(0, 0, [2], [2, 1], "RS"), template(0, 0, [2], [2, 1], "SS"),
            template(1, 0, [1], [1, 1], "S-"), template(1, 0, [2, 1], [1, 1], "R-"),
        ],
        chainCount: 2,
        chainOfTarget: [1, 0]
    )

    @Test func `a structure written bit by bit from the specification is read`() {
        // L1T2 without chains: start and end, template 0, frame 0x1234; flag 10000; offset 0, two targets;
        // layers 01 (next temporal) 11 (end); indications 10 10, 01 00; differences 0, 1 0000 0; chains 0; sizes 1.
        let text =
            "11 000000 0001001000110100 10000 000000 00001 01 11 1010 0100 0 1 0000 0 0 1 0000001001111111 0000000101100111"
        var bits: [UInt8] = []
        for (index, bit) in text.filter({ $0 != " " }).enumerated() {
            if index % 8 == 0 { bits.append(0) }
            if bit == "1" { bits[index / 8] |= 0x80 >> UInt8(index % 8) }
        }
        guard let found = structure(bits) else {
            Issue.record("not read")
            return
        }
        #expect(found.templateCount == 2)
        #expect(found.targetCount == 2)
        #expect(found.chainCount == 0)
        #expect(found.size(ofSpatialID: 0) == KeyFrameInfo(width: 640, height: 360))
        #expect(found.size(ofSpatialID: 1) == nil)
        #expect(found.temporalIDOfTarget[0] == 1)
        #expect(found.temporalIDOfTarget[1] == 0)
        let expected = Read(
            isFirst: true,
            isLast: true,
            number: 0x1234,
            spatialID: 0,
            temporalID: 0,
            indications: [2, 2],
            frameDiffs: [],
            chainDiffs: [],
            activeTargets: 0b11
        )
        #expect(read(bits, found) == expected)
        // The next frame: three bytes, template 1.
        let next = Read(
            isFirst: true,
            isLast: false,
            number: 0x1235,
            spatialID: 0,
            temporalID: 1,
            indications: [1, 0],
            frameDiffs: [1],
            chainDiffs: [],
            activeTargets: nil
        )
        #expect(read(hex("81 1235"), found) == next)
        #expect(read(hex("82 1235"), found) == nil)
        #expect(read(hex("81 12"), found) == nil)
        for count in 0..<bits.count {
            let cut = Array(bits.prefix(count))
            #expect(structure(cut) == nil)
            if count > 3 { #expect(read(cut, found) == nil) }
        }
    }

    @Test func `the examples of the specification are read as they are printed`() {
        for builder in [Self.oneLayer, Self.twoLayers] {
            var extras = DescriptorBuilder.Extras()
            extras.hasStructure = true
            let key = builder.descriptor(
                isFrameStart: true,
                isFrameEnd: false,
                template: 0,
                frameNumber: 0xFFFF,
                extras: extras
            )
            guard let found = structure(key) else {
                Issue.record("not read")
                return
            }
            #expect(found.chainCount == builder.chainCount)
            for target in 0..<builder.targetCount {
                #expect(Int(found.chainOfTarget[target]) == builder.chainOfTarget[target])
            }
            for (index, template) in builder.templates.enumerated() {
                let bytes = builder.descriptor(isFrameStart: false, isFrameEnd: true, template: index, frameNumber: 7)
                let expected = Read(
                    isFirst: false,
                    isLast: true,
                    number: 7,
                    spatialID: template.spatialID,
                    temporalID: template.temporalID,
                    indications: template.indications,
                    frameDiffs: template.frameDiffs,
                    chainDiffs: template.chainDiffs,
                    activeTargets: nil
                )
                #expect(read(bytes, found) == expected)
            }
        }
    }

    // MARK: - Random ones

    private static func randomBuilder(using random: inout SeededRandom) -> DescriptorBuilder {
        let targetCount = Int.random(in: 1...32, using: &random)
        let chainCount = Int.random(in: 0...targetCount, using: &random)
        var templates: [DescriptorBuilder.Template] = []
        var (spatialID, temporalID) = (0, 0)
        for _ in 0..<Int.random(in: 1...64, using: &random) {
            templates.append(
                .init(
                    spatialID: spatialID,
                    temporalID: temporalID,
                    indications: (0..<targetCount).map { _ in Int.random(in: 0...3, using: &random) },
                    frameDiffs: (0..<Int.random(in: 0...10, using: &random)).map { _ in
                        Int.random(in: 1...16, using: &random)
                    },
                    chainDiffs: (0..<chainCount).map { _ in Int.random(in: 0...15, using: &random) }
                )
            )
            switch Int.random(in: 0...3, using: &random) {
            case 1 where temporalID < 7: temporalID += 1
            case 2 where spatialID < 7: (spatialID, temporalID) = (spatialID + 1, 0)
            default: break
            }
        }
        return DescriptorBuilder(
            templateIDOffset: Int.random(in: 0..<64, using: &random),
            targetCount: targetCount,
            templates: templates,
            chainCount: chainCount,
            chainOfTarget: (0..<targetCount).map { _ in Int.random(in: 0...chainCount, using: &random) },
            sizes: random.chance(0.5) ? (0...(templates.last?.spatialID ?? 0)).map { ($0 + 1, 65_535) } : []
        )
    }

    private static func randomExtras(_ builder: DescriptorBuilder, using random: inout SeededRandom)
        -> DescriptorBuilder.Extras
    {
        var extras = DescriptorBuilder.Extras()
        let all: UInt32 = builder.targetCount == 32 ? .max : 1 << UInt32(builder.targetCount) - 1
        if random.chance(0.4) { extras.activeTargets = UInt32.random(in: 0...all, using: &random) }
        if random.chance(0.4) {
            extras.indications = (0..<builder.targetCount).map { _ in Int.random(in: 0...3, using: &random) }
        }
        if random.chance(0.4) {
            extras.frameDiffs = (0..<Int.random(in: 0...10, using: &random)).map { _ in
                Int.random(in: 1...4_096, using: &random)
            }
        }
        if random.chance(0.4) {
            extras.chainDiffs = (0..<builder.chainCount).map { _ in Int.random(in: 0...255, using: &random) }
        }
        return extras
    }

    @Test func `random structures and descriptors are read as they were written, and patched without other changes`() {
        let seed: UInt64 = 29
        var random = SeededRandom(seed: seed)
        for round in 0..<300 {
            let builder = Self.randomBuilder(using: &random)
            var structureExtras = Self.randomExtras(builder, using: &random)
            structureExtras.hasStructure = true
            let key = builder.descriptor(
                isFrameStart: true,
                isFrameEnd: false,
                template: 0,
                frameNumber: 1,
                extras: structureExtras
            )
            guard let found = structure(key) else {
                Issue.record("seed \(seed), round \(round): not read")
                return
            }
            for index in 0..<20 {
                let template = Int.random(in: 0..<builder.templates.count, using: &random)
                var extras = index == 0 ? structureExtras : Self.randomExtras(builder, using: &random)
                let isFirst = index == 0 || random.chance(0.5)
                let number = UInt16.random(in: 0...0xFFFF, using: &random)
                let bytes = builder.descriptor(
                    isFrameStart: isFirst,
                    isFrameEnd: random.chance(0.5),
                    template: template,
                    frameNumber: number,
                    extras: extras
                )
                let line = builder.templates[template]
                let isLast = bytes[0] & 0x40 != 0
                var expected = Read(
                    isFirst: isFirst,
                    isLast: isLast,
                    number: number,
                    spatialID: line.spatialID,
                    temporalID: line.temporalID,
                    indications: extras.indications ?? line.indications,
                    frameDiffs: extras.frameDiffs ?? line.frameDiffs,
                    chainDiffs: extras.chainDiffs ?? line.chainDiffs,
                    activeTargets: extras.activeTargets ?? (extras.hasStructure ? found.allTargets : nil)
                )
                #expect(read(bytes, found) == expected, "seed \(seed), round \(round)")
                guard bytes.count <= 250 else { continue }
                // As a subscriber gets it.
                let mask = found.allTargets & UInt32.random(in: .min ... .max, using: &random)
                let patch = DependencyDescriptorPatch(
                    frameNumber: number &+ 5,
                    activeTargets: random.chance(0.7) ? mask : nil,
                    targetCount: UInt8(builder.targetCount)
                )
                var output = [UInt8](repeating: 0xEE, count: 255)
                let count = withExact(bytes) { span -> Int? in
                    var target = output.mutableSpan
                    var raw = target.mutableBytes
                    return patch.write(span, into: &raw)
                }
                expected.number = number &+ 5
                if patch.activeTargets != nil { expected.activeTargets = mask }
                guard let count else {
                    Issue.record("seed \(seed), round \(round): not written")
                    continue
                }
                #expect(count <= bytes.count + DependencyDescriptorPatch.maximumGrowth)
                #expect(read(Array(output.prefix(count)), found) == expected, "seed \(seed), round \(round), patched")
                extras.hasStructure = false
            }
        }
    }

    @Test func `A-56: broken, mutated and boundless descriptors never trap`() {
        let seed: UInt64 = 56
        var random = SeededRandom(seed: seed)
        var found = 0
        for _ in 0..<3_000 {
            let builder = Self.randomBuilder(using: &random)
            var extras = Self.randomExtras(builder, using: &random)
            extras.hasStructure = true
            var bytes = builder.descriptor(
                isFrameStart: true,
                isFrameEnd: true,
                template: 0,
                frameNumber: 1,
                extras: extras
            )
            let whole = structure(bytes)
            for _ in 0..<Int.random(in: 0...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            }
            if random.chance(0.3) { bytes.removeLast(Int.random(in: 0...bytes.count, using: &random)) }
            if random.chance(0.1) { bytes = random.bytes(Int.random(in: 0...60, using: &random)) }
            for candidate in [structure(bytes), whole] {
                guard let candidate else { continue }
                found += 1
                #expect(candidate.templateCount <= 64 && candidate.targetCount <= 32 && candidate.chainCount <= 32)
                if let read = read(bytes, candidate) { #expect(read.frameDiffs.count <= 10) }
            }
            var output = [UInt8](repeating: 0, count: Int.random(in: 0...80, using: &random))
            let patch = DependencyDescriptorPatch(
                frameNumber: 1,
                activeTargets: 3,
                targetCount: UInt8.random(in: 0...255, using: &random)
            )
            withExact(bytes) { span in
                var target = output.mutableSpan
                var raw = target.mutableBytes
                if let count = patch.write(span, into: &raw) { #expect(count <= raw.byteCount) }
            }
        }
        // Templates without end, and more than ten references.
        #expect(structure(hex("80 0000 80 08") + [UInt8](repeating: 0, count: 200)) == nil)
        for count in [10, 11] {
            let template = DescriptorBuilder.Template(
                spatialID: 0,
                temporalID: 0,
                indications: [2],
                frameDiffs: Array(repeating: 1, count: count)
            )
            var extras = DescriptorBuilder.Extras()
            extras.hasStructure = true
            let bytes = DescriptorBuilder(targetCount: 1, templates: [template]).descriptor(
                isFrameStart: true,
                isFrameEnd: true,
                template: 0,
                frameNumber: 1,
                extras: extras
            )
            #expect((structure(bytes) != nil) == (count == 10))
        }
        #expect(found > 1_000, "seed \(seed)")
    }

    @Test(arguments: [
        "3fff3f34 0701003f 40fb ff0d 2f", "ffffffff 02ff 1601 b0cb b1b1 6f", "ffffffde 0a82 0e01 ff11 0a",
        "ffffffff 02ff 0e00", "7fff2c36 0b00 0001 ff5c 0000", "d3bf24d3 03ff 0838 24bf 0000",
        "ffff3157 0f000400 00ff007f 00ffff47 47040f3f ffff6c0f 04",
    ]) func `inputs that a fuzzer found for another parser`(bytes: String) {
        let value = hex(bytes)
        for start in 0..<value.count {
            let part = Array(value[start...])
            _ = structure(part)
            #expect(read(part, DependencyStructure()) == nil)
        }
    }
}
