import Basics
import RTP
import TestSupport
import Testing

@Suite struct RTPHeaderInfoTests {
    /// Audio level 1, transport sequence number 2, abs-send-time 3, MID 4, RID 5, orientation 6, descriptor 7.
    static let extensions: HeaderExtensionMap = {
        var map = HeaderExtensionMap()
        map[.audioLevel] = 1
        map[.transportSequenceNumber] = 2
        map[.absoluteSendTime] = 3
        map[.mid] = 4
        map[.rid] = 5
        map[.videoOrientation] = 6
        map[.dependencyDescriptor] = 7
        return map
    }()

    static func packet(_ profile: String, _ block: String, payload: [UInt8] = [0xEE]) -> [UInt8] {
        let words = hex(block)
        return hex("90 6f 0007 00000009 0000000b \(profile)") + [0, UInt8(words.count / 4)] + words + payload
    }

    /// The values found in a block, as text: `kind@offset+length`, the offset within the block.
    static func elements(_ packet: [UInt8]) -> [String]? {
        withExact(packet) { bytes in
            guard let info = RTPHeaderInfo(bytes, extensions: Self.extensions) else { return nil }
            return HeaderExtension.allCases.compactMap { kind in
                info.range(of: kind).map { "\(kind)@\($0.lowerBound - 16)+\($0.count)" }
            }
        }
    }

    @Test(
        "A-55: blocks are walked as RFC 8285 §4 says",
        arguments: [
            // The example of §4.2: L=0, L=1, two bytes of padding, L=3.
            (
                "bede", "10aa 21bb bb00 0033 cccccccc",
                [
                    "audioLevel@1+1", "transportSequenceNumber@3+2", "absoluteSendTime@8+4",
                ]
            ),
            ("bede", "10aa 21bb bb00 0034 cccccccc", ["audioLevel@1+1", "transportSequenceNumber@3+2"]),
            // The example of §4.3: L=0, L=1, one byte of padding, L=4.
            ("1000", "0400 0601 aa00 0304 bbbbbbbb", ["mid@2+0", "absoluteSendTime@8+4", "videoOrientation@4+1"]),
            ("100f", "0101aa00", ["audioLevel@2+1"]),
            // Id 15 ends the one-byte form, whatever its length; in the two-byte form it is an id like others.
            ("bede", "10aa f000 21bbbb00", ["audioLevel@1+1"]),
            ("1000", "0101aa 0f01cc 0101", ["audioLevel@2+1"]),
            // Id 0 with a length is not padding.
            ("bede", "10aa 0100 00 21bbbb", ["audioLevel@1+1"]),
            // Overruns end the walk.
            ("bede", "10aa 22bb", ["audioLevel@1+1"]),
            ("bede", "1000 0040", ["audioLevel@1+1"]),
            ("1000", "0101aa 02", ["audioLevel@2+1"]),
            ("1000", "0101aa 020000 0301", ["transportSequenceNumber@5+0", "audioLevel@2+1"].sorted()),
            ("1000", "0102aaaa 0402bb00", ["audioLevel@2+2", "mid@6+2"].sorted()),
            ("1000", "0102aaaa 0403bbbb", ["audioLevel@2+2"]),
            // The first of two counts, and ids of nobody are passed over.
            ("bede", "10aa 10bb", ["audioLevel@1+1"]),
            ("bede", "90aa 10bb", ["audioLevel@3+1"]),
            ("bede", "", []),
            ("bede", "00000000", []),
            // Another profile is not looked into.
            ("abcd", "10aa0000", []),
            ("1010", "0101aa00", []),
        ] as [(String, String, [String])]
    )
    func walk(profile: String, block: String, expected: [String]) {
        #expect(Self.elements(Self.packet(profile, block))?.sorted() == expected.sorted())
    }

    @Test func `values are read by kind`() throws {
        let block = "10 ff 21 1234 32 abcdef 41 3031 50 68 60 0a 00"
        try withExact(Self.packet("bede", block)) { bytes in
            let parsed = RTPHeaderInfo(bytes, extensions: Self.extensions)
            let info = try #require(parsed)
            #expect(info.payloadType == 111 && !info.marker && info.sequenceNumber == SequenceNumber(7))
            #expect(info.timestamp == 9 && info.ssrc == SSRC(11) && info.headerLength == 32)
            let level = info.audioLevel(in: bytes)
            #expect(level?.level == 127 && level?.hasVoice == true)
            let sequence = info.transportSequenceNumber(in: bytes)
            #expect(sequence == SequenceNumber(0x1234))
            let time = info.absoluteSendTime(in: bytes)
            #expect(time == AbsoluteSendTime(rawValue: 0xAB_CDEF))
            let (mid, rid, repaired) = (info.mid(in: bytes), info.rid(in: bytes), info.repairedRID(in: bytes))
            #expect(mid == ShortText("01") && rid?.string == "h" && repaired == nil)
            let orientation = info.videoOrientation(in: bytes)
            #expect(orientation == 0x0A)
        }
    }

    @Test func `values that are too short, or no tokens, are absent`() throws {
        let block = "0200 0302 aabb 0401 20 05 11 6161616161616161616161616161616161 000000"
        try withExact(Self.packet("1000", block)) { bytes in
            let parsed = RTPHeaderInfo(bytes, extensions: Self.extensions)
            let info = try #require(parsed)
            #expect(info.range(of: .rid)?.count == 17)
            let sequence = info.transportSequenceNumber(in: bytes)
            let time = info.absoluteSendTime(in: bytes)
            let (mid, rid) = (info.mid(in: bytes), info.rid(in: bytes))
            #expect(sequence == nil && time == nil && mid == nil && rid == nil)
        }
    }

    @Test func `asking another, shorter packet gives nothing instead of a trap`() throws {
        let long = Self.packet("bede", "10ff 211234 32abcdef 000000")
        let info = try #require(withExact(long) { RTPHeaderInfo($0, extensions: Self.extensions) })
        for length in 0...long.count {
            withExact(Array(long.prefix(length))) { bytes in
                let (level, time) = (info.audioLevel(in: bytes), info.absoluteSendTime(in: bytes))
                #expect((level != nil) == (length >= 18), "\(length) bytes")
                #expect((time != nil) == (length >= 25), "\(length) bytes")
                _ = info.paddingLength(ofPlaintext: bytes)
            }
        }
    }

    @Test func `padding is checked once the packet is decrypted`() throws {
        let header = hex("a0 00 0000 00000000 00000001")
        let info = try #require(withExact(header) { RTPHeaderInfo($0, extensions: Self.extensions) })
        #expect(info.hasPadding)
        let table: [([UInt8], Int?)] = [([], nil), ([0], nil), ([1], 1), ([2], nil), ([9, 9, 3], 3), ([9, 4], nil)]
        for (payload, expected) in table {
            let padding = withExact(header + payload) { info.paddingLength(ofPlaintext: $0) }
            #expect(padding == expected, "\(payload)")
        }
    }

    @Test func `random and truncated packets agree with the view and never trap`() {
        let seed: UInt64 = 7
        var random = SeededRandom(seed: seed)
        for _ in 0..<4_000 {
            var packet = random.bytes(Int.random(in: 0...60, using: &random))
            if packet.count > 0 { packet[0] = 0x80 | packet[0] & 0x3F }
            if packet.count > 15, random.chance(0.7) {
                packet[0] = 0x90
                packet.replaceSubrange(12..<15, with: random.chance(0.5) ? [0xBE, 0xDE, 0] : [0x10, 0, 0])
                packet[15] &= 0x0F
            }
            withExact(packet) { bytes in
                let info = RTPHeaderInfo(bytes, extensions: Self.extensions)
                let viewLength = RTPPacketView(headerOnly: bytes)?.headerLength
                #expect(info?.headerLength == viewLength, "seed \(seed)")
                guard let info else { return }
                for kind in HeaderExtension.allCases {
                    guard let range = info.range(of: kind) else { continue }
                    #expect(range.lowerBound >= 16 && range.upperBound <= info.headerLength, "seed \(seed)")
                }
                _ = (info.mid(in: bytes), info.audioLevel(in: bytes), info.absoluteSendTime(in: bytes))
            }
        }
    }
}
