import Basics
import RTP
import Testing

@Suite struct RTPPacketViewTests {
    static let plain = hex("80 e0 1234 01020304 a1b2c3d4") + [1, 2, 3]

    @Test func `the fixed header is read as RFC 3550 draws it`() throws {
        try withExact(Self.plain) { bytes in
            let view = RTPPacketView(bytes)
            let isThere = view != nil
            try #require(isThere)
            guard let view else { return }
            let (marker, type, sequence) = (view.marker, view.payloadType, view.sequenceNumber)
            #expect(marker && type == 96 && sequence == SequenceNumber(0x1234))
            let (timestamp, ssrc) = (view.timestamp, view.ssrc)
            #expect(timestamp == 0x0102_0304 && ssrc == SSRC(0xA1B2_C3D4))
            let (headerLength, payloadLength, padding) = (view.headerLength, view.payloadLength, view.paddingLength)
            #expect(headerLength == 12 && payloadLength == 3 && padding == 0)
            let (csrcCount, profile, payload) = (view.csrcCount, view.extensionProfile, view.payload.array())
            #expect(csrcCount == 0 && profile == 0 && payload == [1, 2, 3])
        }
    }

    @Test func `CSRCs, extension block and padding are taken off the payload`() throws {
        let packet = hex("b2 00 0000 00000000 00000001 0000000a 0000000b bede 0001 10ff 0000 aabb 0003 03")
        let facts = withExact(packet) { bytes -> [Int]? in
            guard let view = RTPPacketView(bytes) else { return nil }
            return [
                view.csrcCount, view.headerLength, view.payloadLength, view.paddingLength, Int(view.extensionProfile),
                Int(view.csrc(at: 1)?.value ?? 0), view.csrc(at: 2) == nil ? 1 : 0, view.csrc(at: -1) == nil ? 1 : 0,
            ]
        }
        #expect(facts == [2, 28, 2, 3, 0xBEDE, 0x0B, 1, 1])
    }

    /// Header form, bytes behind the fixed header, and the payload and padding lengths; `nil` = refused.
    @Test(
        "R-15: a packet whose parts overrun is refused",
        arguments: [
            (0x80, "", [0, 0]),
            (0x40, "", nil),
            (0xC0, "", nil),
            (0x81, "000000", nil),
            (0x81, "00000001", [0, 0]),
            (0x8F, "00000001", nil),
            (0x90, "", nil),
            (0x90, "bede00", nil),
            (0x90, "bede0000", [0, 0]),
            (0x90, "bede0001", nil),
            (0x90, "bedeffff 00000000", nil),
            (0xA0, "", nil),
            (0xA0, "00", nil),
            (0xA0, "01", [0, 1]),
            (0xA0, "02", nil),
            (0xA0, "0002", [0, 2]),
            (0xA0, "ff02", [0, 2]),
            (0xA0, "ff0003", [0, 3]),
            (0xA0, "ff0004", nil),
            (0xA0, "ffff", nil),
            (0xB0, "bede0000", nil),
            (0xB0, "bede0000 01", [0, 1]),
            (0xB0, "bede0000 02", nil),
        ] as [(UInt8, String, [Int]?)]
    )
    func overruns(first: UInt8, rest: String, expected: [Int]?) {
        let lengths = withExact([first] + [UInt8](repeating: 0, count: 11) + hex(rest)) { bytes -> [Int]? in
            guard let view = RTPPacketView(bytes) else { return nil }
            return [view.payloadLength, view.paddingLength]
        }
        #expect(lengths == expected)
    }

    @Test func `the padding of an encrypted packet is not looked at`() {
        let packet = hex("a0 00 0000 00000000 00000001 99 99")
        let whole = withExact(packet) { RTPPacketView($0) != nil }
        let headerOnly = withExact(packet) { RTPPacketView(headerOnly: $0)?.payloadLength }
        #expect(!whole && headerOnly == 2)
    }

    @Test func `a packet cut short of its header is refused, never read past its end`() {
        for length in 0..<12 {
            let accepted = withExact(Array(Self.plain.prefix(length))) { RTPPacketView($0) != nil }
            #expect(!accepted, "\(length) bytes")
        }
    }
}
