import Basics
import RTP
import TestSupport
import Testing

@Suite struct RTPHeaderTemplateTests {
    /// What a leg may have negotiated, and what its packets carry.
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let extensions: [HeaderExtension]
        /// The smallest id; above 14 the header has the two-byte form.
        var firstID: UInt8 = 1
        var mid = "0"
        /// Longer than this, a descriptor is the full writer's.
        var largestDescriptor = 16

        var testDescription: String { self.name }
    }

    static let cases = [
        Case(name: "no extensions", extensions: [], largestDescriptor: 0),
        Case(name: "MID", extensions: [.mid], largestDescriptor: 0),
        Case(name: "audio", extensions: [.mid, .audioLevel]),
        Case(name: "audio, all", extensions: [.mid, .audioLevel, .transportSequenceNumber, .absoluteSendTime]),
        Case(name: "video", extensions: [.mid, .transportSequenceNumber, .absoluteSendTime, .videoOrientation]),
        Case(name: "video with descriptor", extensions: [.mid, .transportSequenceNumber, .dependencyDescriptor]),
        Case(
            name: "all, long MID",
            extensions: HeaderExtension.allCases,
            mid: "abcdefghijklmnop",
            largestDescriptor: 16
        ),
        Case(
            name: "two-byte form",
            extensions: [.mid, .audioLevel, .absoluteSendTime, .videoOrientation, .dependencyDescriptor],
            firstID: 15,
            largestDescriptor: 0
        ),
    ]

    @Test(arguments: cases)
    func `a header from a template is byte for byte the writer's`(_ test: Case) throws {
        let seed: UInt64 = 8_285
        var random = SeededRandom(seed: seed)
        for _ in 0..<300 {
            var ids = Array(test.firstID..<(test.firstID + 8)).shuffled(using: &random)
            var extensions = HeaderExtensionMap()
            for kind in test.extensions { extensions[kind] = ids.removeLast() }
            let isAudio = random.chance(0.5)
            let hasValue = random.chance(0.5)
            let isNumbered = random.chance(0.5)
            let payloadType = UInt8.random(in: 0...127, using: &random)
            let shape = RTPHeaderTemplate.Shape(payloadType: 5, hasValue: hasValue, isNumbered: isNumbered)
            let ssrc = SSRC(.random(in: 0 ... .max, using: &random))
            var template = RTPHeaderTemplate()
            for packet in 0..<4 {
                var header = OutgoingHeader(
                    marker: .random(using: &random),
                    payloadType: payloadType,
                    sequenceNumber: .random(in: 0 ... .max, using: &random),
                    timestamp: .random(in: 0 ... .max, using: &random),
                    ssrc: ssrc,
                    extensions: extensions
                )
                let value = UInt8.random(in: 0...255, using: &random)
                let sendTime = AbsoluteSendTime(rawValue: .random(in: 0 ... .max, using: &random))
                header.mid = ShortText(test.mid)
                header.absoluteSendTime = sendTime
                if isNumbered { header.transportSequenceNumber = 0 }
                if hasValue, isAudio { header.audioLevel = AudioLevel(rawValue: value) }
                if hasValue, !isAudio { header.videoOrientation = value }
                // Its own values do not matter: those of the first packet stay in no other.
                if packet == 0 { template = RTPHeaderTemplate(header, shape: shape) }
                let descriptor = random.chance(0.5) ? random.bytes(.random(in: 1...20, using: &random)) : []
                header.dependencyDescriptor = 0..<descriptor.count
                let expected = RTPHeaderWriterTests.write(header, capacity: 128, source: descriptor)
                let layout = try #require(expected.layout)
                let written = Self.write(header, value: value, descriptor: descriptor, from: template)
                let comment: Comment = "seed \(seed), packet \(packet), descriptor of \(descriptor.count) bytes"
                if !descriptor.isEmpty {
                    #expect(template.hasRoom(descriptorLength: descriptor.count) == (written.layout != nil), comment)
                }
                guard descriptor.isEmpty || extensions[.dependencyDescriptor] != 0 else {
                    #expect(written.layout == nil, comment)
                    continue
                }
                guard descriptor.count <= test.largestDescriptor else {
                    #expect(written.layout == nil, comment)
                    continue
                }
                #expect(written.layout == layout, comment)
                #expect(
                    written.bytes.prefix(layout.headerLength) == expected.bytes.prefix(layout.headerLength),
                    comment
                )
            }
        }
    }

    /// A slot that has been used before.
    private static func write(
        _ header: OutgoingHeader,
        value: UInt8,
        descriptor: [UInt8],
        frameNumber: UInt16? = nil,
        from template: RTPHeaderTemplate,
        capacity: Int = 128
    ) -> (bytes: [UInt8], layout: OutgoingHeader.Layout?) {
        var buffer = [UInt8](repeating: 0xAA, count: capacity)
        let layout = withExact(descriptor) { descriptor -> OutgoingHeader.Layout? in
            var span = buffer.mutableSpan
            var bytes = span.mutableBytes
            let layout = template.write(
                marker: header.marker,
                sequenceNumber: header.sequenceNumber,
                timestamp: header.timestamp,
                sendTime: header.absoluteSendTime ?? AbsoluteSendTime(rawValue: 0),
                value: value,
                into: &bytes
            )
            guard layout != nil, descriptor.byteCount > 0 else { return layout }
            guard let frameNumber else { return template.append(descriptor: descriptor, into: &bytes) }
            return template.append(descriptor: descriptor, frameNumber: frameNumber, into: &bytes)
        }
        return (buffer, layout)
    }

    @Test func `a descriptor is appended with the frame number that it is to have`() {
        var header = OutgoingHeader(marker: false, payloadType: 45, sequenceNumber: 1, timestamp: 2, ssrc: SSRC(3))
        header.extensions[.mid] = 1
        header.extensions[.dependencyDescriptor] = 8
        header.mid = ShortText("0")
        let shape = RTPHeaderTemplate.Shape(payloadType: 45, hasValue: false, isNumbered: false)
        let template = RTPHeaderTemplate(header, shape: shape)
        for count in 1...18 {
            let descriptor = (0..<count).map { UInt8($0 + 1) }
            var expected = descriptor
            if count >= 3 { expected.replaceSubrange(1...2, with: [0x12, 0x34]) }
            let (bytes, layout) = Self.write(
                header,
                value: 0,
                descriptor: descriptor,
                frameNumber: 0x1234,
                from: template
            )
            #expect((layout != nil) == (3...16).contains(count), "\(count) bytes")
            guard let layout else { continue }
            let written = RTPHeaderInfo(bytes.span.bytes, extensions: header.extensions)
            #expect(written?.headerLength == layout.headerLength, "\(count) bytes")
            #expect(Array(bytes[written?.range(of: .dependencyDescriptor) ?? 0..<0]) == expected, "\(count) bytes")
        }
    }

    @Test func `a header that is too long has no template, and a slot must have room`() {
        var header = OutgoingHeader(marker: true, payloadType: 96, sequenceNumber: 1, timestamp: 2, ssrc: SSRC(3))
        let shape = RTPHeaderTemplate.Shape(payloadType: 96, hasValue: false, isNumbered: false)
        #expect(Self.write(header, value: 0, descriptor: [], from: RTPHeaderTemplate()).layout == nil)
        let short = RTPHeaderTemplate(header, shape: shape)
        #expect(Self.write(header, value: 0, descriptor: [], from: short, capacity: 64).layout?.headerLength == 12)
        #expect(Self.write(header, value: 0, descriptor: [], from: short, capacity: 63).layout == nil)
        for (number, kind) in [HeaderExtension.mid, .rid, .repairedRID].enumerated() {
            header.extensions[kind] = UInt8(number + 1)
        }
        header.mid = ShortText("abcdefghijklmnop")
        header.rid = header.mid
        header.repairedRID = header.mid
        let long = RTPHeaderTemplate(header, shape: shape)
        #expect(Self.write(header, value: 0, descriptor: [], from: long).layout == nil)
        #expect(long.shape == shape && RTPHeaderTemplate().shape != shape)
    }
}
