import Basics
import RTP
import TestSupport
import Testing

/// Writes bits, for headers that are made of them.
struct BitWriter {
    private(set) var bytes: [UInt8] = []
    private var count = 0

    mutating func bits(_ value: UInt64, _ width: Int) {
        for bit in (0..<width).reversed() {
            if self.count.isMultiple(of: 8) { self.bytes.append(0) }
            if value >> UInt64(bit) & 1 == 1 { self.bytes[self.count / 8] |= 0x80 >> UInt8(self.count % 8) }
            self.count += 1
        }
    }

    /// `ue(v)`.
    mutating func golomb(_ value: UInt64) {
        let width = 64 - (value + 1).leadingZeroBitCount
        self.bits(0, width - 1)
        self.bits(value + 1, width)
    }
}

func keyFrame(_ bytes: [UInt8], _ format: PayloadFormat) -> KeyFrameInfo? {
    withExact(bytes) { keyFrameStart(in: $0, format: format) }
}

@Suite struct VP8DescriptorTests {
    @Test(
        "the optional fields follow RFC 7741 figure 2",
        arguments: [
            // [length, picture id at, picture id, TL0PICIDX at, TL0PICIDX, TID, Y, KEYIDX at, KEYIDX]
            ("10", [1, 0, 0, 0, 0, 0, 0, 0, 0]),
            ("9000", [2, 0, 0, 0, 0, 0, 0, 0, 0]),
            ("908011", [3, 2, 0x11, 0, 0, 0, 0, 0, 0]),
            ("9080 9234", [4, 2, 0x1234, 0, 0, 0, 0, 0, 0]),
            ("90e0 ffff 2a a0", [6, 2, 0x7FFF, 4, 0x2A, 2, 1, 0, 0]),
            ("90f0 01 2a 7f", [5, 2, 1, 3, 0x2A, 1, 1, 4, 0x1F]),
            ("9020 c5", [3, 0, 0, 0, 0, 3, 0, 0, 0]),
            ("9010 ff", [3, 0, 0, 0, 0, 0, 0, 2, 0x1F]),
            ("9040 07", [3, 0, 0, 2, 7, 0, 0, 0, 0]),
        ] as [(String, [Int])]
    )
    func fields(bytes: String, expected: [Int]) {
        let read = withExact(hex(bytes)) { payload -> [Int]? in
            guard let vp8 = VP8Descriptor(payload) else { return nil }
            return [
                vp8.byteCount, vp8.pictureIDOffset, Int(vp8.pictureID), vp8.tl0PicIdxOffset, Int(vp8.tl0PicIdx),
                Int(vp8.temporalID), vp8.isLayerSync ? 1 : 0, vp8.keyIndexOffset, Int(vp8.keyIndex),
            ]
        }
        #expect(read == expected)
        for length in 0..<hex(bytes).count {
            let cut = withExact(Array(hex(bytes).prefix(length))) { VP8Descriptor($0) != nil }
            #expect(!cut, "\(length) bytes")
        }
    }

    @Test(
        arguments: [
            // Key frame of 640x480 with scale bits, behind each length of descriptor.
            ("10 500001 9d012a 8042 e041", KeyFrameInfo(width: 640, height: 480)),
            ("90e0 8001 02 20 500001 9d012a 8002 e001", KeyFrameInfo(width: 640, height: 480)),
            // The header is cut short, or has no start code: still a key frame.
            ("10 50", KeyFrameInfo()),
            ("10 500001 9d012b 8002 e001", KeyFrameInfo()),
            // An interframe, a later partition, a packet that goes on, an empty packet.
            ("10 510001 9d012a 8002 e001", nil),
            ("11 500001 9d012a 8002 e001", nil),
            ("00 500001 9d012a 8002 e001", nil),
            ("10", nil),
        ] as [(String, KeyFrameInfo?)]
    )
    func `a key frame starts in the first packet of partition 0`(bytes: String, expected: KeyFrameInfo?) {
        #expect(keyFrame(hex(bytes), .vp8) == expected)
    }

    @Test(arguments: [
        ("90f0 01 2a 7f 55", "90f0 34 56 67 55"), ("90f0 8001 2a 7f 55", "90f0 9234 56 67 55"),
        ("9020 c5 55", "9020 c5 55"), ("9010 05 55", "9010 07 55"), ("10 55", "10 55"),
    ])
    func `a rewrite keeps sizes, TID and Y`(before: String, after: String) throws {
        let descriptor = try #require(withExact(hex(before)) { VP8Descriptor($0) })
        var packet = hex("ffff" + before)
        do {
            var span = packet.mutableSpan
            var bytes = span.mutableBytes
            let written = descriptor.rewrite(
                &bytes,
                payloadOffset: 2,
                pictureID: 0x1234,
                tl0PicIdx: 0x56,
                keyIndex: 0x27
            )
            #expect(written)
            for offset in [-1, 3 + hex(before).count, .max] {
                let refused = descriptor.rewrite(&bytes, payloadOffset: offset, pictureID: 0, tl0PicIdx: 0, keyIndex: 0)
                #expect(!refused)
            }
        }
        #expect(packet == hex("ffff" + after))
    }
}

@Suite struct VP9DescriptorTests {
    @Test(
        "the fields follow RFC 9628 §4.2",
        arguments: [
            // [length, picture id at, picture id, TID, U, SID, D, TL0PICIDX at, TL0PICIDX, layers]
            ("08", [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            ("88 11", [2, 1, 0x11, 0, 0, 0, 0, 0, 0, 0]),
            ("a8 9234 55 07", [5, 1, 0x1234, 2, 1, 2, 1, 4, 7, 0]),
            // Flexible: no TL0PICIDX, references while N is set.
            ("f8 8001 20 03 05 02", [7, 1, 1, 1, 0, 0, 0, 0, 0, 0]),
            ("d0 01 02", [3, 1, 1, 0, 0, 0, 0, 0, 0, 0]),
            // Structure: two sizes, and a group of two pictures with one and two references.
            ("8a 01 38 0140 00b4 0280 0168 02 04 01 08 0102", [17, 1, 1, 0, 0, 0, 0, 0, 0, 2]),
            ("0a e0", [2, 0, 0, 0, 0, 0, 0, 0, 0, 8]),
        ] as [(String, [Int])]
    )
    func fields(bytes: String, expected: [Int]) {
        let read = withExact(hex(bytes)) { payload -> [Int]? in
            guard let vp9 = VP9Descriptor(payload) else { return nil }
            return [
                vp9.byteCount, vp9.pictureIDOffset, Int(vp9.pictureID), Int(vp9.temporalID),
                vp9.isSwitchingUpPoint ? 1 : 0,
                Int(vp9.spatialID), vp9.isInterLayerPredicted ? 1 : 0, vp9.tl0PicIdxOffset, Int(vp9.tl0PicIdx),
                vp9.declaredLayerCount,
            ]
        }
        #expect(read == expected)
        for length in 0..<hex(bytes).count {
            let cut = withExact(Array(hex(bytes).prefix(length))) { VP9Descriptor($0) != nil }
            #expect(!cut, "\(length) bytes")
        }
    }

    @Test(arguments: ["d0 01 03 03 03 00", "0a 08", "0a f0 0140", "0a 08 ff 0c"])
    func `too many references and structures that overrun are refused (A-50)`(bytes: String) {
        let isRefused = withExact(hex(bytes)) { VP9Descriptor($0) == nil }
        #expect(isRefused)
    }

    @Test(
        arguments: [
            ("8a 01 30 0140 00b4 0280 0168 ff", KeyFrameInfo(width: 640, height: 360)),
            ("88 01 ff", KeyFrameInfo()),
            ("a8 01 00 05 ff", KeyFrameInfo()),
            // Predicted, not the first packet, an upper layer.
            ("c8 01 ff", nil),
            ("80 01 ff", nil),
            ("a8 01 03 05 ff", nil),
        ] as [(String, KeyFrameInfo?)]
    )
    func `a key picture starts in its lowest layer`(bytes: String, expected: KeyFrameInfo?) {
        #expect(keyFrame(hex(bytes), .vp9) == expected)
    }

    @Test func `sizes are told by layer, and ids are rewritten in place`() throws {
        let payload = hex("aa 9234 00 07 30 0140 00b4 0280 0168 ff")
        let descriptor = try #require(withExact(payload) { VP9Descriptor($0) })
        let sizes = withExact(payload) { payload in (-1...2).map { descriptor.size(ofLayer: $0, in: payload) } }
        #expect(sizes == [nil, KeyFrameInfo(width: 320, height: 180), KeyFrameInfo(width: 640, height: 360), nil])
        let cut = withExact(Array(payload.prefix(9))) { descriptor.size(ofLayer: 1, in: $0) }
        #expect(cut == nil)
        var packet = payload
        do {
            var span = packet.mutableSpan
            var bytes = span.mutableBytes
            let written = descriptor.rewrite(&bytes, payloadOffset: 0, pictureID: 5, tl0PicIdx: 6)
            let refused = descriptor.rewrite(&bytes, payloadOffset: 2, pictureID: 5, tl0PicIdx: 6)
            #expect(written && !refused)
        }
        #expect(packet == hex("aa 8005 00 06") + payload[5...])
    }
}

@Suite struct H264KeyFrameTests {
    /// A parameter set; `high` adds the fields of the high profiles with a scaling matrix.
    static func parameterSet(
        width: UInt64,
        height: UInt64,
        high: Bool = false,
        interlaced: Bool = false,
        cropBottom: UInt64 = 0,
        pictureOrder: UInt64 = 0
    ) -> [UInt8] {
        var bits = BitWriter()
        bits.bits(high ? 100 : 66, 8)
        bits.bits(0xC01F, 16)
        bits.golomb(0)
        if high {
            bits.golomb(1)
            bits.golomb(0)
            bits.golomb(0)
            bits.bits(0b01, 2)
            // One list that ends at once (delta -8), seven that are absent.
            bits.bits(1, 1)
            bits.golomb(16)
            bits.bits(0, 7)
        }
        bits.golomb(4)
        bits.golomb(pictureOrder)
        if pictureOrder == 0 { bits.golomb(2) }
        if pictureOrder == 1 {
            bits.bits(0, 1)
            bits.golomb(3)
            bits.golomb(4)
            bits.golomb(2)
            bits.golomb(5)
            bits.golomb(6)
        }
        bits.golomb(1)
        bits.bits(0, 1)
        bits.golomb(width / 16 - 1)
        bits.golomb((height + 15) / (interlaced ? 32 : 16) - 1)
        bits.bits(interlaced ? 0b00 : 1, interlaced ? 2 : 1)
        bits.bits(1, 1)
        bits.bits(cropBottom > 0 ? 1 : 0, 1)
        if cropBottom > 0 { for value in [0, 0, 0, cropBottom] { bits.golomb(value) } }
        bits.bits(0b01, 2)
        return bits.bytes
    }

    @Test func `the size is read out of the parameter set`() {
        let table: [([UInt8], KeyFrameInfo)] = [
            (Self.parameterSet(width: 640, height: 480), KeyFrameInfo(width: 640, height: 480)),
            (Self.parameterSet(width: 1_280, height: 720, high: true), KeyFrameInfo(width: 1_280, height: 720)),
            (Self.parameterSet(width: 1_920, height: 1_088, cropBottom: 4), KeyFrameInfo(width: 1_920, height: 1_080)),
            (Self.parameterSet(width: 720, height: 576, interlaced: true), KeyFrameInfo(width: 720, height: 576)),
            (Self.parameterSet(width: 320, height: 240, pictureOrder: 1), KeyFrameInfo(width: 320, height: 240)),
            (Self.parameterSet(width: 320, height: 240, pictureOrder: 2), KeyFrameInfo(width: 320, height: 240)),
            // More cropped than there is, and larger than 65,535: a key frame of unknown size.
            (Self.parameterSet(width: 320, height: 240, cropBottom: 200), KeyFrameInfo()),
            (Self.parameterSet(width: 1 << 20, height: 240), KeyFrameInfo()),
        ]
        for (set, expected) in table {
            #expect(keyFrame([0x67] + set, .h264) == expected)
            let aggregate = [0x78, 0, UInt8(set.count + 1), 0x67] + set + [0, 2, 0x68, 0xCE, 0, 2, 0x65, 0x88]
            #expect(keyFrame(aggregate, .h264) == expected)
            for length in 1...set.count { #expect(keyFrame([0x67] + set.prefix(length), .h264) != nil) }
        }
    }

    @Test func `bytes against start code emulation are left out`() {
        // 24 zero bits of constraints and level cannot be in a set without the 3 in between.
        var set = Self.parameterSet(width: 640, height: 480)
        set.replaceSubrange(1..<3, with: [0, 0, 3])
        #expect(keyFrame([0x67] + set, .h264) == KeyFrameInfo(width: 640, height: 480))
    }

    @Test(arguments: [
        ("65 88", true), ("61 88", false), ("67", true), ("68 ce", false), ("06 05", false),
        // FU-A: the start of an IDR slice, its middle, and the start of another slice.
        ("7c 85 88", true), ("7c 05 88", false), ("7c 81 88", false), ("7c 87 42", true), ("7c", false),
        // STAP-A: with and without IDR, and with lengths that overrun.
        ("78 0002 65 88", true), ("78 0002 41 88 0002 65 88", true), ("78 0002 41 88", false), ("78 0005 65 88", false),
        ("78 0000 65", false), ("78", false), ("", false),
    ])
    func `a key frame is an IDR slice or a parameter set`(bytes: String, expected: Bool) {
        #expect((keyFrame(hex(bytes), .h264) != nil) == expected)
    }
}

@Suite struct AV1KeyFrameTests {
    static func sequenceHeader(width: UInt64, height: UInt64, timing: Bool = false) -> [UInt8] {
        var bits = BitWriter()
        bits.bits(0, 5)
        bits.bits(timing ? 1 : 0, 1)
        if timing {
            bits.bits(1_000, 32)
            bits.bits(30_000, 32)
            bits.bits(1, 1)
            bits.golomb(2)
            bits.bits(1, 1)
            bits.bits(9, 5)
            bits.bits(1_000, 32)
            bits.bits(0, 10)
        }
        bits.bits(1, 1)
        bits.bits(1, 5)
        for level in [8, 5] as [UInt64] {
            bits.bits(0x102, 12)
            bits.bits(level, 5)
            if level > 7 { bits.bits(0, 1) }
            if timing {
                bits.bits(1, 1)
                bits.bits(0, 21)
            }
            bits.bits(0b1_0011, 5)
        }
        bits.bits(10, 4)
        bits.bits(9, 4)
        bits.bits(width - 1, 11)
        bits.bits(height - 1, 10)
        bits.bits(0, 5)
        return bits.bytes
    }

    @Test(arguments: [false, true]) func `N with a sequence header starts a key frame`(timing: Bool) {
        let header = Self.sequenceHeader(width: 1_280, height: 720, timing: timing)
        let obu = [0x08] + header
        let size = KeyFrameInfo(width: 1_280, height: 720)
        // W = 1: no length. W = 0 and W = 2: lengths, here behind a temporal delimiter.
        #expect(keyFrame([0x18] + obu, .av1) == size)
        #expect(keyFrame([0x08, 1, 0x10, UInt8(obu.count)] + obu, .av1) == size)
        #expect(keyFrame([0x28, 1, 0x10] + obu, .av1) == size)
        // With its own size field and an extension byte.
        #expect(keyFrame([0x18, 0x0E, 0x00, UInt8(header.count)] + header, .av1) == size)
        for length in 2...obu.count { #expect(keyFrame([0x18] + obu.prefix(length), .av1) != nil) }
        // Without N, or going on with an element, or with another unit.
        #expect(keyFrame([0x10] + obu, .av1) == nil)
        #expect(keyFrame([0x98] + obu, .av1) == nil)
        #expect(keyFrame([0x18, 0x30, 0x00], .av1) == nil)
    }

    @Test(arguments: ["", "08", "08 ff", "08 05 08", "08 ffffffffffffffff7f 08", "08 8080808010 08", "28 09 10"])
    func `lengths that overrun are no key frame`(bytes: String) {
        #expect(keyFrame(hex(bytes), .av1) == nil)
    }
}

@Suite struct PayloadFormatTests {
    @Test func `audio and unknown formats have no key frames`() {
        for format in [PayloadFormat.opus, .red, .other] { #expect(keyFrame(hex("10 50"), format) == nil) }
    }

    @Test func `random payloads, and payloads of ones, never trap`() {
        let seed: UInt64 = 6184
        var random = SeededRandom(seed: seed)
        var found = 0
        let starts: [[UInt8]] = [
            [0x10], [0x90, 0xF0], [0x0A], [0xFA], [0x67, 100], [0x67, 66], [0x78, 0], [0x18, 0x08], [0x08],
        ]
        for round in 0..<20_000 {
            let start = starts[round % starts.count]
            let count = Int.random(in: 0...50, using: &random)
            let tail =
                switch round % 4 {
                case 0: [UInt8](repeating: 0xFF, count: count)
                case 1: [UInt8](repeating: 0, count: count)
                default: random.bytes(count)
                }
            for format in PayloadFormat.allCases where keyFrame(start + tail, format) != nil { found += 1 }
        }
        #expect(found > 1_000, "seed \(seed)")
    }
}
