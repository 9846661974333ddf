import Basics
import RTP
import TestSupport
import Testing

/// Congestion control feedback, flattened.
private struct Reports: Equatable {
    var timestamp: UInt32
    var packets: [PacketReport] = []

    init?(_ bytes: [UInt8]) {
        var result: (UInt32, [PacketReport])?
        _ = withExact(bytes) { bytes in
            forEachRTCPPacket(in: bytes) { packet in
                guard let feedback = packet.congestionControlFeedback else { return }
                var packets: [PacketReport] = []
                feedback.forEachPacket { packets.append($0) }
                result = (feedback.timestamp, packets)
            }
        }
        guard let result else { return nil }
        (self.timestamp, self.packets) = result
    }
}

@Suite struct CongestionControlFeedbackTests {
    static func packet(_ rest: String) -> [UInt8] {
        var bytes = hex("8bcd0000 00000001" + rest)
        bytes[2] = UInt8((bytes.count / 4 - 1) >> 8)
        bytes[3] = UInt8((bytes.count / 4 - 1) & 255)
        return bytes
    }

    static func report(_ number: UInt16, _ arrival: ReportedArrival, _ mark: ECNMark = .notCapable) -> PacketReport {
        PacketReport(SSRC(7), SequenceNumber(number), arrival: arrival, mark: mark)
    }

    @Test(
        "the fields of RFC 8888 §3.1 are read",
        arguments: [
            ("00010203", []),
            ("00000007 ffff0000 00010203", []),
            ("00000007 00050001 82000000 00010203", [report(5, .before(512))]),
            (
                "00000007 ffff0003 a0019ffd e0020000 00010203",
                [
                    report(65_535, .before(1), .capable1), report(0, .before(0x1FFD)),
                    report(1, .before(2), .congestionExperienced),
                ]
            ),
            ("00000007 00050002 00009fff 00010203", [report(5, .none), report(6, .unknown)]),
            ("00000007 00050002 7fffdffe 00010203", [report(5, .none), report(6, .unknown, .capable0)]),
        ] as [(String, [PacketReport])]
    )
    func fields(rest: String, expected: [PacketReport]) {
        let result = Reports(Self.packet(rest))
        #expect(result?.timestamp == 0x0001_0203)
        #expect(result?.packets == expected)
    }

    @Test(
        "blocks that do not fit the packet are refused",
        arguments: [
            "", "00000007 00010203", "00000007 00050001 00010203", "00000007 00050003 80008000 00010203",
            "00000007 00050000 80008000 00010203", "00000007 0005ffff 80008000 00010203",
        ]
    )
    func refused(rest: String) {
        #expect(Reports(Self.packet(rest)) == nil)
    }

    @Test("a block of more than a quarter of the numbers is refused, and one of a quarter is read")
    func longestBlock() {
        for (count, isRead) in [(16_384, true), (16_385, false), (16_386, false)] {
            var bytes = Self.packet("00000007 00000000")
            bytes[14] = UInt8(count >> 8)
            bytes[15] = UInt8(count & 255)
            bytes += [UInt8](repeating: 0x80, count: (count * 2 + 3) & ~3) + hex("00010203")
            bytes[2] = UInt8((bytes.count / 4 - 1) >> 8)
            bytes[3] = UInt8((bytes.count / 4 - 1) & 255)
            #expect(Reports(bytes)?.packets.count == (isRead ? count : nil))
        }
    }

    @Test("what is written is read back; a gap or another stream begins a block")
    func roundTrip() {
        let reports = [
            Self.report(65_535, .before(3), .congestionExperienced), Self.report(0, .none),
            Self.report(1, .before(0), .capable1), Self.report(9, .unknown),
            PacketReport(SSRC(8), SequenceNumber(10), arrival: .before(8_189), mark: .capable0),
        ]
        var memory = [UInt8](repeating: 0, count: 100)
        var length = 0
        do {
            var span = memory.mutableSpan
            var writer = RTCPWriter(span.mutableBytes)
            let isWritten = writer.appendCongestionControlFeedback(from: SSRC(1), about: reports.span, timestamp: 99)
            #expect(isWritten)
            length = writer.count
        }
        #expect(length == 12 + 16 + 12 + 12)
        #expect(Reports(Array(memory[..<length])) == Reports(timestamp: 99, packets: reports))
    }

    @Test("without room for all of it nothing is written")
    func noRoom() {
        let reports = [Self.report(1, .none), Self.report(2, .none)]
        for room in 0..<24 {
            var memory = [UInt8](repeating: 0, count: room)
            var span = memory.mutableSpan
            var writer = RTCPWriter(span.mutableBytes)
            let isWritten = writer.appendCongestionControlFeedback(from: SSRC(1), about: reports.span, timestamp: 1)
            let length = writer.count
            #expect(!isWritten, "room \(room)")
            #expect(length == 0, "room \(room)")
        }
    }

    @Test("no bytes make the reader fail")
    func fuzz() {
        var random = SeededRandom(seed: 8_888)
        for _ in 0..<20_000 {
            var bytes = (0..<(4 * Int.random(in: 2...20, using: &random))).map { _ in
                random.chance(0.5) ? 0 : UInt8.random(in: 0...255, using: &random)
            }
            (bytes[0], bytes[1], bytes[2], bytes[3]) = (0x8B, 205, 0, UInt8(bytes.count / 4 - 1))
            if let result = Reports(bytes) { #expect(result.packets.count <= bytes.count / 2) }
        }
    }
}

extension Reports {
    fileprivate init(timestamp: UInt32, packets: [PacketReport]) {
        self.timestamp = timestamp
        self.packets = packets
    }
}
