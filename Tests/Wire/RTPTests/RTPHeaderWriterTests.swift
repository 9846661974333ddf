import Basics
import RTP
import TestSupport
import Testing

@Suite struct RTPHeaderWriterTests {
    /// The header in a buffer of `capacity` bytes.
    static func write(
        _ header: OutgoingHeader,
        capacity: Int,
        source: [UInt8] = []
    ) -> (bytes: [UInt8], layout: OutgoingHeader.Layout?) {
        var buffer = [UInt8](repeating: 0xAA, count: capacity)
        let layout = withExact(source) { source in
            var span = buffer.mutableSpan
            var bytes = span.mutableBytes
            return header.write(into: &bytes, source: source)
        }
        return (buffer, layout)
    }

    @Test func `a header without extensions has twelve bytes`() {
        let header = OutgoingHeader(
            marker: true,
            payloadType: 96,
            sequenceNumber: 0x1234,
            timestamp: 0x0102_0304,
            ssrc: SSRC(0xA1B2_C3D4)
        )
        let (bytes, layout) = Self.write(header, capacity: 12)
        #expect(layout?.headerLength == 12)
        #expect(bytes == hex("80e0 1234 01020304 a1b2c3d4"))
    }

    @Test func `the one-byte form is written as in RFC 8285`() {
        var header = OutgoingHeader(marker: false, payloadType: 111, sequenceNumber: 1, timestamp: 2, ssrc: SSRC(3))
        header.extensions[.mid] = 4
        header.extensions[.transportSequenceNumber] = 2
        header.extensions[.absoluteSendTime] = 14
        header.mid = ShortText("1")
        header.transportSequenceNumber = 0x5566
        header.absoluteSendTime = AbsoluteSendTime(rawValue: 0x010203)
        header.audioLevel = AudioLevel(level: 1, hasVoice: true)  // has no id: left out
        let (bytes, layout) = Self.write(header, capacity: 28)
        #expect(bytes == hex("906f 0001 00000002 00000003 bede0003 40 31 21 5566 e2 010203 000000"))
        #expect(layout?.headerLength == 28)
        #expect(layout?.transportSequenceNumberOffset == 19 && layout?.absoluteSendTimeOffset == 22)
        #expect(Self.write(header, capacity: 27).layout == nil)
        #expect(Self.write(header, capacity: 27).bytes.allSatisfy { $0 == 0xAA })
    }

    @Test func `an id above 14 or a value above 16 bytes makes it the two-byte form`() {
        var header = OutgoingHeader(marker: false, payloadType: 0, sequenceNumber: 0, timestamp: 0, ssrc: SSRC(0))
        header.extensions[.audioLevel] = 15
        header.audioLevel = AudioLevel(rawValue: 0x83)
        #expect(Self.write(header, capacity: 20).bytes.suffix(8) == hex("10000001 0f018300"))

        header.extensions[.audioLevel] = 1
        header.extensions[.dependencyDescriptor] = 2
        header.dependencyDescriptor = 1..<18
        let source = [UInt8](0..<18)
        let (bytes, layout) = Self.write(header, capacity: 40, source: source)
        #expect(layout?.headerLength == 40)
        #expect(bytes.suffix(28) == hex("10000006 010183 0211") + source[1...] + [0, 0])
        #expect(Self.write(header, capacity: 40, source: Array(source.dropLast())).layout == nil)
        header.dependencyDescriptor = 0..<256
        #expect(Self.write(header, capacity: 400, source: [UInt8](repeating: 0, count: 256)).layout == nil)
    }

    @Test func `whatever is written is read back, and every smaller buffer is refused`() throws {
        let seed: UInt64 = 8285
        var random = SeededRandom(seed: seed)
        let texts = ["0", "hi", "abcdefghijklmnop"].compactMap { ShortText($0) }
        for _ in 0..<500 {
            var header = OutgoingHeader(
                marker: .random(using: &random),
                payloadType: .random(in: 0...127, using: &random),
                sequenceNumber: .random(in: 0 ... .max, using: &random),
                timestamp: .random(in: 0 ... .max, using: &random),
                ssrc: SSRC(.random(in: 0 ... .max, using: &random))
            )
            let twoByte = random.chance(0.3)
            var ids = Array(UInt8(1)...(twoByte ? 255 : 14)).shuffled(using: &random)
            for kind in HeaderExtension.allCases where random.chance(0.8) { header.extensions[kind] = ids.removeLast() }
            let source = random.bytes(40)
            if random.chance(0.5) { header.mid = texts.randomElement(using: &random) }
            if random.chance(0.5) { header.rid = texts.randomElement(using: &random) }
            if random.chance(0.5) { header.repairedRID = texts.randomElement(using: &random) }
            if random.chance(0.5) { header.audioLevel = AudioLevel(rawValue: .random(in: 0...255, using: &random)) }
            if random.chance(0.5) { header.transportSequenceNumber = .random(in: 0 ... .max, using: &random) }
            if random.chance(0.5) {
                header.absoluteSendTime = AbsoluteSendTime(rawValue: .random(in: 0 ... .max, using: &random))
            }
            if random.chance(0.5) { header.videoOrientation = .random(in: 0...15, using: &random) }
            if random.chance(0.5) { header.dependencyDescriptor = 3..<Int.random(in: 4...40, using: &random) }

            let (buffer, written) = Self.write(header, capacity: 300, source: source)
            let layout = try #require(written)
            let comment: Comment = "seed \(seed)"
            try withExact(Array(buffer.prefix(layout.headerLength))) { bytes in
                let parsed = RTPHeaderInfo(bytes, extensions: header.extensions)
                let info = try #require(parsed)
                #expect(info.headerLength == layout.headerLength && info.marker == header.marker, comment)
                #expect(info.payloadType == header.payloadType && info.ssrc == header.ssrc, comment)
                #expect(
                    info.sequenceNumber.value == header.sequenceNumber && info.timestamp == header.timestamp,
                    comment
                )
                let ids = header.extensions
                let (mid, rid, repaired) = (info.mid(in: bytes), info.rid(in: bytes), info.repairedRID(in: bytes))
                #expect(mid == (ids[.mid] == 0 ? nil : header.mid), comment)
                #expect(rid == (ids[.rid] == 0 ? nil : header.rid), comment)
                #expect(repaired == (ids[.repairedRID] == 0 ? nil : header.repairedRID), comment)
                let level = info.audioLevel(in: bytes)
                #expect(level == (ids[.audioLevel] == 0 ? nil : header.audioLevel), comment)
                let sequence = info.transportSequenceNumber(in: bytes)
                #expect(
                    sequence?.value == (ids[.transportSequenceNumber] == 0 ? nil : header.transportSequenceNumber),
                    comment
                )
                #expect(
                    info.range(of: .transportSequenceNumber)?.lowerBound ?? 0 == layout.transportSequenceNumberOffset,
                    comment
                )
                let time = info.absoluteSendTime(in: bytes)
                #expect(time == (ids[.absoluteSendTime] == 0 ? nil : header.absoluteSendTime), comment)
                #expect(info.range(of: .absoluteSendTime)?.lowerBound ?? 0 == layout.absoluteSendTimeOffset, comment)
                let orientation = info.videoOrientation(in: bytes)
                #expect(orientation == (ids[.videoOrientation] == 0 ? nil : header.videoOrientation), comment)
                let descriptor = info.range(of: .dependencyDescriptor).map { bytes.array($0) } ?? []
                #expect(
                    descriptor == (ids[.dependencyDescriptor] == 0 ? [] : Array(source[header.dependencyDescriptor])),
                    comment
                )
            }
            for capacity in 0..<layout.headerLength {
                let small = Self.write(header, capacity: capacity, source: source).layout
                #expect(small == nil, comment)
            }
        }
    }
}
