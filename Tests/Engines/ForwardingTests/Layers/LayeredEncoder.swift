import Forwarding
import RTP
import TestSupport

/// The kinds of stream that the layer tests are run with.
struct LayeredFormat: Sendable, CustomStringConvertible {
    enum Syntax: Sendable { case vp8, vp9(flexible: Bool), descriptor(PayloadFormat), plain(PayloadFormat) }

    let name: String
    let syntax: Syntax
    let spatialLayers: Int
    let temporalLayers: Int
    /// Upper spatial layers are predicted from lower ones in key pictures only (K-SVC).
    var predictsAcrossLayersAtKeysOnly = false
    /// Streams of the track.
    var encodings = 1
    /// Descriptors depart from their templates, although they need not.
    var usesCustomFields = false

    var description: String { self.name }
    /// Spatial layers or encodings.
    var layerCount: Int { max(self.spatialLayers, self.encodings) }

    static let vp8Simulcast = LayeredFormat(
        name: "VP8, three encodings, L1T3",
        syntax: .vp8,
        spatialLayers: 1,
        temporalLayers: 3,
        encodings: 3
    )
    static let all: [LayeredFormat] = [
        vp8Simulcast,
        LayeredFormat(name: "VP9 L3T3", syntax: .vp9(flexible: false), spatialLayers: 3, temporalLayers: 3),
        LayeredFormat(name: "VP9 L3T3 flexible", syntax: .vp9(flexible: true), spatialLayers: 3, temporalLayers: 3),
        LayeredFormat(
            name: "VP9 L3T3_KEY",
            syntax: .vp9(flexible: false),
            spatialLayers: 3,
            temporalLayers: 3,
            predictsAcrossLayersAtKeysOnly: true
        ),
        LayeredFormat(
            name: "VP9 L3T3_KEY flexible",
            syntax: .vp9(flexible: true),
            spatialLayers: 3,
            temporalLayers: 3,
            predictsAcrossLayersAtKeysOnly: true
        ),
        LayeredFormat(name: "VP9 L2T2", syntax: .vp9(flexible: false), spatialLayers: 2, temporalLayers: 2),
        LayeredFormat(
            name: "VP9, two encodings, L1T3",
            syntax: .vp9(flexible: false),
            spatialLayers: 1,
            temporalLayers: 3,
            encodings: 2
        ),
        LayeredFormat(name: "AV1 L3T3", syntax: .descriptor(.av1), spatialLayers: 3, temporalLayers: 3),
        LayeredFormat(
            name: "AV1 L3T3_KEY",
            syntax: .descriptor(.av1),
            spatialLayers: 3,
            temporalLayers: 3,
            predictsAcrossLayersAtKeysOnly: true
        ),
        LayeredFormat(
            name: "AV1 L2T2, custom fields",
            syntax: .descriptor(.av1),
            spatialLayers: 2,
            temporalLayers: 2,
            usesCustomFields: true
        ),
        LayeredFormat(name: "AV1 L1T3", syntax: .descriptor(.av1), spatialLayers: 1, temporalLayers: 3),
        LayeredFormat(
            name: "AV1, three encodings, L1T3",
            syntax: .descriptor(.av1),
            spatialLayers: 1,
            temporalLayers: 3,
            encodings: 3
        ),
        LayeredFormat(name: "H.264 L1T3", syntax: .descriptor(.h264), spatialLayers: 1, temporalLayers: 3),
        LayeredFormat(
            name: "H.264, two encodings, no descriptor",
            syntax: .plain(.h264),
            spatialLayers: 1,
            temporalLayers: 1,
            encodings: 2
        ),
    ]
}

/// A frame as it was made: what the decoder of the tests knows, and no parser of ours had a hand in.
struct EncodedFrame: Sendable {
    /// Counts all frames of the encoding.
    let index: Int
    let picture: Int
    let spatialID: Int
    let temporalID: Int
    let isKeyPicture: Bool
    /// By `index`.
    let references: [Int]
    let isTopOfPicture: Bool
}

struct EncodedPacket: Sendable {
    let frame: EncodedFrame
    let sequence: Int64
    let timestamp: UInt32
    let marker: Bool
    let isFirst: Bool
    let isLast: Bool
    let payload: [UInt8]
    let descriptor: [UInt8]
}

extension FrameReader {
    /// Reads a packet whose dependency descriptor says all.
    mutating func read(_ packet: EncodedPacket) -> FrameInfo {
        self.read(
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            marker: packet.marker,
            payload: .none,
            isKeyFrameStart: false,
            descriptor: packet.descriptor.span.bytes
        )
    }
}

/// One encoding of a track: makes pictures with the temporal pattern 0 2 1 2 (or 0 1), in packets of the format.
struct LayeredEncoder {
    let format: LayeredFormat
    private let builder: DescriptorBuilder
    private var frameCount = 0
    private var pictureCount = 0
    private var phase = 0
    private var sequence: Int64
    private var pictureID: Int
    private var tl0 = 0
    private var frameNumber: UInt16
    /// By spatial layer, the last frame of each temporal layer.
    private var lastFrames: [[EncodedFrame?]]
    private var numbers: [Int: UInt16] = [:]
    private var chains: [UInt16?]
    private var picturesOfFrames: [Int: Int] = [:]

    init(_ format: LayeredFormat, using random: inout SeededRandom) {
        self.format = format
        self.builder = Self.structure(format, offset: Int.random(in: 0..<64, using: &random))
        self.sequence = Int64.random(in: 65_536..<131_072, using: &random)
        self.pictureID = Int.random(in: 0..<0x8000, using: &random)
        self.tl0 = Int.random(in: 0..<256, using: &random)
        self.frameNumber = UInt16.random(in: 0...0xFFFF, using: &random)
        self.lastFrames = Array(
            repeating: Array(repeating: nil, count: format.temporalLayers),
            count: format.spatialLayers
        )
        self.chains = Array(repeating: nil, count: format.spatialLayers)
    }

    private static func temporalID(phase: Int, layers: Int) -> Int {
        layers == 1 ? 0 : layers == 2 ? phase % 2 : [0, 2, 1, 2][phase % 4]
    }

    /// The packets of the next picture.
    mutating func next(isKey: Bool, timestamp: UInt32, using random: inout SeededRandom) -> [EncodedPacket] {
        if isKey || self.pictureCount == 0 { self.phase = 0 }
        let isKey = isKey || self.pictureCount == 0
        let temporalID = Self.temporalID(phase: self.phase, layers: self.format.temporalLayers)
        if temporalID == 0 { self.tl0 = (self.tl0 + 1) & 0xFF }
        self.pictureID = (self.pictureID + 1) & 0x7FFF
        var packets: [EncodedPacket] = []
        for spatialID in 0..<self.format.spatialLayers {
            let frame = self.frame(spatialID: spatialID, temporalID: temporalID, isKey: isKey)
            packets += self.packets(of: frame, timestamp: timestamp, using: &random)
            if temporalID == 0 {
                for lower in 0..<self.format.temporalLayers { self.lastFrames[spatialID][lower] = frame }
            } else {
                for lower in temporalID..<self.format.temporalLayers { self.lastFrames[spatialID][lower] = frame }
            }
        }
        self.phase += 1
        self.pictureCount += 1
        return packets
    }

    private mutating func frame(spatialID: Int, temporalID: Int, isKey: Bool) -> EncodedFrame {
        var references: [Int] = []
        if !isKey {
            // 0 2 1 2: the base from the base, the first T2 and T1 from the base, the second T2 from T1.
            let from = temporalID == 0 ? 0 : self.phase % 4 == 3 ? 1 : 0
            if let last = self.lastFrames[spatialID][min(from, temporalID)] { references.append(last.index) }
        }
        if spatialID > 0, isKey || !self.format.predictsAcrossLayersAtKeysOnly {
            references.append(self.frameCount - 1)
        }
        defer { self.frameCount += 1 }
        self.picturesOfFrames[self.frameCount] = self.pictureCount
        return EncodedFrame(
            index: self.frameCount,
            picture: self.pictureCount,
            spatialID: spatialID,
            temporalID: temporalID,
            isKeyPicture: isKey,
            references: references,
            isTopOfPicture: spatialID == self.format.spatialLayers - 1
        )
    }

    private mutating func packets(
        of frame: EncodedFrame,
        timestamp: UInt32,
        using random: inout SeededRandom
    ) -> [EncodedPacket] {
        let count = frame.isKeyPicture ? Int.random(in: 2...5, using: &random) : Int.random(in: 1...3, using: &random)
        self.frameNumber &+= 1
        self.numbers[frame.index] = self.frameNumber
        let usesCustomFields = self.format.usesCustomFields && random.chance(0.5)
        let result = (0..<count).map { index -> EncodedPacket in
            self.sequence += 1
            let isFirst = index == 0
            let isLast = index == count - 1
            return EncodedPacket(
                frame: frame,
                sequence: self.sequence,
                timestamp: timestamp,
                marker: isLast && frame.isTopOfPicture,
                isFirst: isFirst,
                isLast: isLast,
                payload: self.payload(of: frame, isFirst: isFirst, isLast: isLast),
                descriptor: self.descriptor(of: frame, isFirst, isLast, usesCustomFields: usesCustomFields)
            )
        }
        for chain in self.chainsThatHave(frame) { self.chains[chain] = self.frameNumber }
        return result
    }

    private func payload(of frame: EncodedFrame, isFirst: Bool, isLast: Bool) -> [UInt8] {
        switch self.format.syntax {
        case .vp8:
            // X, S; I L T; the id, TL0PICIDX; TID and Y; then a byte of the frame header: 0 = key frame.
            let isSync = frame.temporalID > 0 && frame.references.allSatisfy { self.isBase($0) }
            return [
                isFirst ? 0x90 : 0x80, 0xE0, UInt8(0x80 | self.pictureID >> 8), UInt8(self.pictureID & 0xFF),
                UInt8(self.tl0), UInt8(frame.temporalID << 6 | (isSync ? 0x20 : 0)),
                frame.isKeyPicture && isFirst ? 0 : 1, 0xAA,
            ]
        case .vp9(let isFlexible): return self.vp9(frame, isFlexible, isFirst: isFirst, isLast: isLast)
        case .descriptor, .plain:
            // A parameter set, or a slice that is none of a key frame.
            return frame.isKeyPicture && isFirst ? [0x67, 66, 0, 30] : [0x61, 0x88]
        }
    }

    private func isBase(_ index: Int) -> Bool { self.lastFrames[0][0]?.index == index }

    private func vp9(_ frame: EncodedFrame, _ isFlexible: Bool, isFirst: Bool, isLast: Bool) -> [UInt8] {
        let isInterPicture = !frame.isKeyPicture
        let isInterLayer = frame.spatialID > 0 && frame.references.contains(frame.index - 1)
        let isNoReferenceUpwards =
            frame.isTopOfPicture || self.format.predictsAcrossLayersAtKeysOnly && !frame.isKeyPicture
        var first = 0x80 | (isInterPicture ? 0x40 : 0) | 0x20 | (isFlexible ? 0x10 : 0)
        first |= (isFirst ? 0x08 : 0) | (isLast ? 0x04 : 0) | (isNoReferenceUpwards ? 0x01 : 0)
        let hasStructure = frame.isKeyPicture && isFirst && frame.spatialID == 0
        if hasStructure { first |= 0x02 }
        var bytes = [UInt8(first), UInt8(0x80 | self.pictureID >> 8), UInt8(self.pictureID & 0xFF)]
        // All pictures of these patterns are switching points.
        bytes.append(UInt8(frame.temporalID << 5 | 0x10 | frame.spatialID << 1 | (isInterLayer ? 1 : 0)))
        if !isFlexible { bytes.append(UInt8(self.tl0)) }
        if isFlexible, isInterPicture {
            let diffs = frame.references.filter { self.picturesOfFrames[$0] != frame.picture }
                .map { frame.picture - (self.picturesOfFrames[$0] ?? 0) }
            for (index, diff) in diffs.enumerated() {
                bytes.append(UInt8(diff << 1 | (index + 1 < diffs.count ? 1 : 0)))
            }
        }
        if hasStructure { bytes.append(UInt8(self.format.spatialLayers - 1) << 5) }
        return bytes + [0xAA]
    }

    // MARK: - Dependency descriptors

    private func chainsThatHave(_ frame: EncodedFrame) -> [Int] {
        guard frame.temporalID == 0 else { return [] }
        return (0..<self.format.spatialLayers).filter { chain in
            chain == frame.spatialID
                || chain > frame.spatialID && (frame.isKeyPicture || !self.format.predictsAcrossLayersAtKeysOnly)
        }
    }

    /// Two templates for each layer: of key pictures, and of others. References and chains are always custom.
    private static func structure(_ format: LayeredFormat, offset: Int) -> DescriptorBuilder {
        let targetCount = format.spatialLayers * format.temporalLayers
        var templates: [DescriptorBuilder.Template] = []
        for spatialID in 0..<format.spatialLayers {
            for temporalID in 0..<format.temporalLayers {
                for isKey in temporalID == 0 ? [true, false] : [false] {
                    templates.append(
                        .init(
                            spatialID: spatialID,
                            temporalID: temporalID,
                            indications: Self.indications(format, spatialID, temporalID, isKey: isKey),
                            chainDiffs: Array(repeating: 0, count: format.spatialLayers)
                        )
                    )
                }
            }
        }
        return DescriptorBuilder(
            templateIDOffset: offset,
            targetCount: targetCount,
            templates: templates,
            chainCount: format.spatialLayers,
            chainOfTarget: (0..<targetCount).map { $0 / format.temporalLayers }
        )
    }

    private static func indications(_ format: LayeredFormat, _ spatialID: Int, _ temporalID: Int, isKey: Bool) -> [Int]
    {
        (0..<(format.spatialLayers * format.temporalLayers)).map { target in
            let (s, t) = (target / format.temporalLayers, target % format.temporalLayers)
            guard spatialID <= s, temporalID <= t else { return 0 }
            if isKey { return 2 }
            if spatialID < s { return format.predictsAcrossLayersAtKeysOnly ? 0 : 3 }
            if temporalID == 0 { return 2 }
            return temporalID == t ? 1 : 2
        }
    }

    private func descriptor(
        of frame: EncodedFrame,
        _ isFirst: Bool,
        _ isLast: Bool,
        usesCustomFields: Bool
    ) -> [UInt8] {
        guard case .descriptor = self.format.syntax else { return [] }
        let index = self.builder.templates.firstIndex {
            $0.spatialID == frame.spatialID && $0.temporalID == frame.temporalID
        }
        var template = index ?? 0
        if frame.temporalID == 0, !frame.isKeyPicture { template += 1 }
        var extras = DescriptorBuilder.Extras()
        extras.hasStructure = frame.isKeyPicture && frame.spatialID == 0 && isFirst
        if usesCustomFields { extras.indications = self.builder.templates[template].indications }
        extras.frameDiffs = frame.references.map { Int(self.frameNumber &- (self.numbers[$0] ?? 0)) }
        extras.chainDiffs = self.chains.map { last in
            guard let last, !(frame.isKeyPicture && frame.spatialID == 0) else { return 0 }
            return min(Int(self.frameNumber &- last), 255)
        }
        return self.builder.descriptor(
            isFrameStart: isFirst,
            isFrameEnd: isLast,
            template: template,
            frameNumber: self.frameNumber,
            extras: extras
        )
    }
}
