import RTP
import TestSupport
import Testing

@Suite struct H265KeyFrameTests {
    /// Sequence parameter sets as x265 3.5 writes them, with the bytes against start code emulation.
    static let parameterSets: [(bytes: String, size: KeyFrameInfo)] = [
        (
            "42010101600000030090000003000003005aa0050201e165959a4932bffc00040005a830303020000003002000000303c1",
            KeyFrameInfo(width: 640, height: 480)
        ),
        (
            "42010101600000030090000003000003005da00280802d165959a4932bffc00040005a808080820000030002000003003c10",
            KeyFrameInfo(width: 1_280, height: 720)
        ),
        // Coded in units of 8: these two are cropped.
        (
            "420101016000000300900000030000030078a003c08010e596566924cafff000100016a020202080000003008000000f04",
            KeyFrameInfo(width: 1_920, height: 1_080)
        ),
        (
            "42010101600000030090000003000003003fa00a480f9c9265959a4932bffc00040005a830303020000003002000000303c1",
            KeyFrameInfo(width: 322, height: 242)
        ),
    ]

    @Test(arguments: parameterSets)
    func `the size is read out of the parameter set`(set: (bytes: String, size: KeyFrameInfo)) {
        let bytes = hex(set.bytes)
        #expect(keyFrame(bytes, .h265) == set.size)
        // An aggregate as GStreamer and Chromium make it: VPS, SPS, PPS, slice.
        let aggregate = hex("6001 0003 40010c") + [0, UInt8(bytes.count)] + bytes + hex("0003 4401c1 0003 2801af")
        #expect(keyFrame(aggregate, .h265) == set.size)
        // A key frame still where the set is cut short, then of unknown size.
        for length in 2..<bytes.count { #expect(keyFrame(Array(bytes.prefix(length)), .h265) != nil) }
        #expect(keyFrame(Array(bytes.prefix(20)), .h265) == KeyFrameInfo())
    }

    @Test func `a set with temporal sub-layers has their profiles between`() {
        // Two sub-layers beside the highest: the first with profile and level, the second with its level only.
        var bits: [UInt8] = hex("4201") + [0b0000_010_1] + Array(repeating: 0xA5, count: 12)
        bits += [0b1101_0000, 0b0000_0000] + Array(repeating: 0xA5, count: 11 + 1 + 1)
        // Set 0, chroma 1, 8 x 8 pixels, no window: 1, 010, 0001001, 0001001, 0.
        bits += [0b1010_0001, 0b0010_0010, 0b0100_0000]
        #expect(keyFrame(bits, .h265) == KeyFrameInfo(width: 8, height: 8))
    }

    @Test(arguments: [
        // Single units: IDR, BLA and CRA slices, VPS, PPS; a trailing slice, SEI, access unit delimiter.
        ("2801af", true), ("2601af", true), ("2001af", true), ("2a01af", true), ("40010c", true), ("4401c1", true),
        ("0201d0", false), ("4e0105", false), ("460110", false),
        // Fragments: the start of an IDR slice, its middle, its end, the start of a trailing slice.
        ("620194", true), ("620114", false), ("620154", false), ("620181", false), ("6201", false),
        // Aggregates: with and without a key picture, and with lengths that overrun or are too short for a header.
        ("6001 0003 2801af", true), ("6001 0003 0201d0 0003 2801af", true), ("6001 0003 0201d0", false),
        ("6001 0009 2801af", false), ("6001 0001 28 01af", false), ("6001 0000 2801", false), ("6001", false),
        ("28", false), ("", false),
    ])
    func `a key frame is an IRAP slice or a parameter set`(bytes: String, expected: Bool) {
        #expect((keyFrame(hex(bytes), .h265) != nil) == expected)
    }

    @Test func `no bytes trap`() {
        var random = SeededRandom(seed: 265)
        for _ in 0..<20_000 {
            var bytes = hex(Self.parameterSets[Int.random(in: 0..<4, using: &random)].bytes)
            for _ in 0..<Int.random(in: 1...8, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if let size = keyFrame(bytes, .h265), size.hasSize { #expect(size.width > 0 && size.height > 0) }
        }
    }
}
