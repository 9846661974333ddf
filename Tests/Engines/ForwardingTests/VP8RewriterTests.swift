import Forwarding
import TestSupport
import Testing

extension VP8Rewriter {
    fileprivate mutating func send(
        _ pictureID: UInt16,
        tl0: UInt8 = 0,
        key: UInt8 = 0,
        generation: UInt32 = 1,
        isLong: Bool = true
    ) -> VP8Patch {
        self.rewrite(
            pictureID: pictureID,
            isLong: isLong,
            tl0PictureIndex: tl0,
            keyIndex: key,
            generation: generation
        )
    }
}

@Suite("Rewritten VP8 descriptors")
struct VP8RewriterTests {
    @Test("the first source passes as it is, over the wrap of 15 bits")
    func firstSource() {
        var rewriter = VP8Rewriter()
        for (pictureID, tl0, key) in [(0x7FFE, 255, 31), (0x7FFF, 0, 31), (0, 0, 0), (1, 1, 1)]
            as [(UInt16, UInt8, UInt8)]
        {
            #expect(
                rewriter.send(pictureID, tl0: tl0, key: key)
                    == VP8Patch(pictureID: pictureID, tl0PictureIndex: tl0, keyIndex: key)
            )
        }
    }

    @Test("a switch goes on by one in all three fields; late and repeated packets keep theirs")
    func sourceSwitch() {
        var rewriter = VP8Rewriter()
        _ = rewriter.send(0x7FFE, tl0: 254, key: 30)
        _ = rewriter.send(0x7FFF, tl0: 255, key: 31)
        #expect(
            rewriter.send(500, tl0: 7, key: 3, generation: 2)
                == VP8Patch(pictureID: 0, tl0PictureIndex: 0, keyIndex: 0)
        )
        #expect(
            rewriter.send(502, tl0: 8, key: 4, generation: 2)
                == VP8Patch(pictureID: 2, tl0PictureIndex: 1, keyIndex: 1)
        )
        #expect(
            rewriter.send(501, tl0: 7, key: 3, generation: 2)
                == VP8Patch(pictureID: 1, tl0PictureIndex: 0, keyIndex: 0)
        )
        #expect(
            rewriter.send(0x7FFE, tl0: 254, key: 30, generation: 1)
                == VP8Patch(pictureID: 0x7FFE, tl0PictureIndex: 254, keyIndex: 30)
        )
        #expect(rewriter.send(9, tl0: 8, generation: 3).pictureID == 3)
    }

    @Test("7-bit picture ids unwrap and go out in 15 bits")
    func shortIDs() {
        var rewriter = VP8Rewriter()
        var expected: UInt16 = 100
        for index in 100..<1_000 as Range<UInt16> {
            #expect(rewriter.send(index & 0x7F, isLong: false).pictureID == expected)
            expected += 1
        }
    }

    @Test("a frame that is left out closes up, once for all its packets")
    func leftOut() {
        var rewriter = VP8Rewriter()
        #expect(rewriter.send(10).pictureID == 10)
        for _ in 0..<3 { rewriter.leaveOut(pictureID: 11, isLong: true, generation: 1) }
        #expect(rewriter.send(12).pictureID == 11)
        rewriter.leaveOut(pictureID: 13, isLong: true, generation: 1)
        rewriter.leaveOut(pictureID: 14, isLong: true, generation: 1)
        #expect(rewriter.send(15).pictureID == 12)
        #expect(rewriter.send(12).pictureID == 11)
        #expect(rewriter.send(10).pictureID == 10)
        rewriter.leaveOut(pictureID: 12, isLong: true, generation: 1)
        #expect(rewriter.send(16).pictureID == 13)
    }

    @Test("fields that a source lacks are carried over it")
    func missingFields() {
        var rewriter = VP8Rewriter()
        _ = rewriter.send(40, tl0: 9, key: 5)
        _ = rewriter.rewrite(pictureID: nil, isLong: false, tl0PictureIndex: nil, keyIndex: nil, generation: 2)
        #expect(
            rewriter.send(3, tl0: 200, key: 1, generation: 3)
                == VP8Patch(pictureID: 41, tl0PictureIndex: 10, keyIndex: 6)
        )
    }

    @Test("over many switches and left-out frames: each sent picture has the next id")
    func property() {
        var random = SeededRandom(seed: 8)
        var rewriter = VP8Rewriter()
        var generation: UInt32 = 1
        var source = UInt16(5)
        var last: UInt16?
        var wrong = 0
        for _ in 0..<200_000 {
            if random.chance(0.01) {
                generation += 1
                source = UInt16.random(in: 0...0x7FFF, using: &random)
            } else if random.chance(0.3) {
                rewriter.leaveOut(pictureID: source, isLong: true, generation: generation)
                source = (source + 1) & 0x7FFF
                continue
            }
            let sent = rewriter.send(source, generation: generation).pictureID
            if let last, sent != (last + 1) & 0x7FFF { wrong += 1 }
            if rewriter.send(source, generation: generation).pictureID != sent { wrong += 1 }
            last = sent
            source = (source + 1) & 0x7FFF
        }
        #expect(wrong == 0)
    }
}
