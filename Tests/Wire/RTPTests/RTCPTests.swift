import Basics
import RTP
import TestSupport
import Testing

/// What `write` puts into a buffer of `capacity` bytes.
func rtcp(capacity: Int = 1_500, _ write: (inout RTCPWriter) -> Void) -> [UInt8] {
    var buffer = [UInt8](repeating: 0xAA, count: capacity)
    var count = 0
    do {
        var span = buffer.mutableSpan
        var writer = RTCPWriter(span.mutableBytes)
        write(&writer)
        count = writer.count
    }
    return Array(buffer.prefix(count))
}

/// The kinds in a compound; `nil` = refused.
func kinds(_ bytes: [UInt8]) -> [RTCPPacketKind]? {
    withExact(bytes) { bytes in
        var kinds: [RTCPPacketKind] = []
        return forEachRTCPPacket(in: bytes) { kinds.append($0.kind) } ? kinds : nil
    }
}

@Suite struct RTCPCompoundTests {
    @Test(
        arguments: [
            ("80c90001 00000001", [.receiverReport]),
            ("80c90001 00000001 81cb0001 00000001", [.receiverReport, .goodbye]),
            // Reduced size (RFC 5506).
            ("81ce0002 00000001 00000002", [.pictureLossIndication]),
            ("80cb0000", [.goodbye]),
            // APP, an unknown format of feedback and application feedback that is no REMB.
            ("80cc0002 00000001 41424344", [.other]),
            ("80cf0001 00000001", [.extendedReport]), ("80cf0000", [.malformed]),
            ("87cd0002 00000001 00000002", [.other]),
            ("8fce0003 00000001 00000000 41424344", [.other]),
            ("8bcd0002 00000001 00000002", [.congestionControlFeedback]),
            // Too short for what the type or the count says.
            ("8bcd0001 00000001", [.malformed]),
            ("80c80001 00000001", [.malformed]),
            ("81c90001 00000001", [.malformed]),
            ("81ca0000", [.malformed]),
            ("82cb0001 00000001", [.malformed]),
            ("81cd0002 00000001 00000002", [.malformed]),
            ("84ce0002 00000001 00000002", [.malformed]),
            ("8fce0004 00000001 00000000 52454d42 02000000", [.malformed]),
            ("8fcd0003 00000001 00000002 00000000", [.malformed]),
            // Padding: in words, and as libwebrtc does it, by less than a word and not only at the end.
            ("a0c90002 00000001 00000004", [.receiverReport]),
            ("a1cb0002 00000001 00000003 80c90001 00000001", [.goodbye, .receiverReport]),
            // The padding eats the report's own SSRC.
            ("a0c90001 00000004", [.malformed]),
            ("a0c90001 00000005", nil),
            ("a0c90001 00000000", nil),
            ("a0c90000", nil),
            // Version, length, rest.
            ("40c90001 00000001", nil),
            ("80c90001 00000001 00c90001 00000001", nil),
            ("80c90002 00000001", nil),
            ("80c90001 00000001 80", nil),
            ("80c90001 00000001 80cbffff", nil),
            ("80c900", nil),
            ("", nil),
        ] as [(String, [RTCPPacketKind]?)]
    )
    func `a compound is taken apart or refused as a whole`(bytes: String, expected: [RTCPPacketKind]?) {
        #expect(kinds(hex(bytes)) == expected)
    }

    @Test func `a storm of BYEs is walked once`() {
        let storm = [[UInt8]](repeating: hex("80cb0000"), count: 16_000).flatMap { $0 }
        #expect(kinds(storm)?.count == 16_000)
    }

    @Test func `asking a packet for what it is not gives nothing`() {
        withExact(hex("80cc0002 00000001 41424344")) { bytes in
            let wasWalked = forEachRTCPPacket(in: bytes) { packet in
                let report = packet.senderReport
                let (block, goodbye) = (packet.reportBlock(at: 0), packet.goodbyeSSRC(at: 0))
                let (request, bitrate) = (packet.fullIntraRequest(at: 0), packet.maximumBitrate)
                let (sender, media, source) = (packet.senderSSRC, packet.mediaSSRC, packet.maximumBitrateSSRC(at: 0))
                #expect(report == nil && block == nil && goodbye == nil && request == nil && bitrate == nil)
                #expect(sender == nil && media == nil && source == nil)
                let hasFeedback = packet.transportFeedback != nil
                let hasItems = packet.forEachSDESItem { _ in }
                #expect(!hasFeedback && !hasItems)
                packet.forEachLostSequenceNumber { _ in Issue.record("no NACK") }
            }
            #expect(wasWalked)
        }
    }

    @Test func `random, mutated and truncated compounds never trap`() {
        let seed: UInt64 = 51
        var random = SeededRandom(seed: seed)
        let whole = RTCPWriterTests.everything()
        var accepted = 0
        for round in 0..<6_000 {
            var bytes = whole
            switch round % 3 {
            case 0:
                // A header that adds up, with a type that is looked into.
                bytes = random.bytes(4 * Int.random(in: 1...20, using: &random))
                bytes[0] = 0x80 | bytes[0] & 0x1F
                bytes[1] = UInt8.random(in: 200...207, using: &random)
                bytes[2] = 0
                bytes[3] = UInt8(bytes.count / 4 - 1)
            case 1:
                for _ in 0..<3 { bytes[Int.random(in: 0..<bytes.count, using: &random)] = random.bytes(1)[0] }
            default: bytes = Array(bytes.prefix(Int.random(in: 0..<bytes.count, using: &random)))
            }
            withExact(bytes) { bytes in if readEverything(bytes) { accepted += 1 } }
        }
        #expect(accepted > 1_000, "seed \(seed)")
    }
}

/// Calls every accessor of every packet.
func readEverything(_ bytes: RawSpan) -> Bool {
    forEachRTCPPacket(in: bytes) { packet in
        _ = (packet.senderSSRC, packet.mediaSSRC, packet.senderReport, packet.maximumBitrate)
        for index in -1...packet.reportBlockCount { _ = packet.reportBlock(at: index) }
        for index in -1...packet.goodbyeCount { _ = packet.goodbyeSSRC(at: index) }
        for index in -1...packet.fullIntraRequestCount { _ = packet.fullIntraRequest(at: index) }
        for index in -1...packet.maximumBitrateSSRCCount { _ = packet.maximumBitrateSSRC(at: index) }
        var items: [SDESItem] = []
        packet.forEachSDESItem { items.append($0) }
        for item in items { _ = (packet.shortText(of: item), packet.string(of: item)) }
        packet.forEachLostSequenceNumber { _ in }
        if let feedback = packet.transportFeedback {
            var statusCount = 0
            feedback.forEachStatus {
                switch $0 {
                case .received: statusCount += 1
                case .lost(_, let count): statusCount += count
                }
            }
            if statusCount != feedback.statusCount { Issue.record("\(statusCount) statuses") }
        }
    }
}

@Suite struct SourceDescriptionTests {
    static func items(_ text: String) -> (items: [String], isWhole: Bool) {
        var items: [String] = []
        var isWhole = false
        _ = withExact(hex(text)) { bytes in
            forEachRTCPPacket(in: bytes) { packet in
                var found: [SDESItem] = []
                isWhole = packet.forEachSDESItem { found.append($0) }
                items = found.map { "\($0.ssrc) \($0.kind) \(packet.string(of: $0))" }
            }
        }
        return (items, isWhole)
    }

    @Test func `chunks are aligned to words and end with a zero byte`() {
        // Two sources: "ab", whose end takes a whole word; "abc", MID "0" and a NAME that is skipped.
        let (items, isWhole) = Self.items("82ca0007 00000001 01026162 00000000 00000002 0103616263 0f0130 02017a 00")
        #expect(items == ["1 cname ab", "2 cname abc", "2 mid 0"] && isWhole)
    }

    @Test(arguments: [
        // An item beyond the packet, a chunk without an end, a second chunk that is not there.
        "81ca0002 00000001 01056162", "81ca0002 00000001 01026162", "82ca0004 00000001 01026162 00000000 00000002",
        "81ca0002 00000001 000000ff 81ca0002 00000001 0101610f",
    ])
    func `an overrun ends the walk`(text: String) {
        #expect(!Self.items(text).isWhole)
    }

    @Test func `31 chunks of 255 bytes are walked (A-51)`() {
        var bytes = hex("9fca0000")
        for _ in 0..<31 {
            bytes += [0, 0, 0, 1, 1, 255] + [UInt8](repeating: 0x61, count: 255) + [0, 0, 0]
        }
        bytes[2] = UInt8((bytes.count / 4 - 1) >> 8)
        bytes[3] = UInt8((bytes.count / 4 - 1) & 255)
        let text = bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        let (items, isWhole) = Self.items(text)
        #expect(items.count == 31 && isWhole)
    }
}

@Suite struct FeedbackTests {
    @Test func `the bits of a NACK are the packets after the first (RFC 4585 §6.2.1)`() {
        var lost: [UInt16] = []
        _ = withExact(hex("81cd0004 00000001 00000002 fff0 8001 0005 0000")) { bytes in
            forEachRTCPPacket(in: bytes) { $0.forEachLostSequenceNumber { lost.append($0.value) } }
        }
        #expect(lost == [0xFFF0, 0xFFF1, 0x0000, 0x0005])
    }

    @Test(
        arguments: [
            (0x000000, 0), (0x000001, 1), (0x03FFFF, 0x3FFFF), (0x0BFFFF, 0x3FFFF << 2), (0xB80001, 1 << 46),
            (0xFFFFFF, .max), (0xFC0000, 0), (0xB7FFFF, 0x3FFFF << 45), (0xB40001, 1 << 45), (0xBBFFFF, .max),
        ] as [(UInt32, Int64)]
    )
    func `REMB is mantissa and exponent, and saturates`(field: UInt32, expected: Int64) {
        var bytes = hex("8fce0005 00000001 00000000 52454d42 01000000 00000007")
        bytes[17] = UInt8(field >> 16)
        bytes[18] = UInt8(field >> 8 & 255)
        bytes[19] = UInt8(field & 255)
        var bitrate: Bitrate?
        var ssrcs: [SSRC?] = []
        _ = withExact(bytes) { bytes in
            forEachRTCPPacket(in: bytes) {
                bitrate = $0.maximumBitrate
                ssrcs = [$0.maximumBitrateSSRC(at: 0), $0.maximumBitrateSSRC(at: 1)]
            }
        }
        let shifted = field >> 18 == 46 && field & 0x3FFFF == 0x3FFFF
        #expect(bitrate?.bitsPerSecond == (shifted ? .max : expected))
        #expect(ssrcs == [SSRC(7), nil])
    }
}
