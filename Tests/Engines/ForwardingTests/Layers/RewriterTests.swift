import Basics
import Forwarding
import RTP
import TestSupport
import Testing

@Suite("Numbers inside the payload and the descriptor, over changes of source")
struct ContinuousNumberTests {
    @Test("VP9 ids pass as they are at first, keep their gaps, and go on by one with the next source")
    func vp9() {
        var rewriter = VP9Rewriter()
        func rewrite(_ id: UInt16, _ tl0: UInt8, _ generation: UInt32) -> VP9Patch {
            rewriter.rewrite(pictureID: id, isLong: true, tl0PictureIndex: tl0, generation: generation)
        }
        #expect(rewrite(0x7FFE, 254, 1) == VP9Patch(pictureID: 0x7FFE, tl0PictureIndex: 254))
        #expect(rewrite(0x7FFF, 255, 1) == VP9Patch(pictureID: 0x7FFF, tl0PictureIndex: 255))
        #expect(rewrite(2, 0, 1) == VP9Patch(pictureID: 2, tl0PictureIndex: 0))
        #expect(rewrite(500, 77, 2) == VP9Patch(pictureID: 3, tl0PictureIndex: 1))
        #expect(rewrite(501, 77, 2) == VP9Patch(pictureID: 4, tl0PictureIndex: 1))
        #expect(rewrite(505, 78, 2) == VP9Patch(pictureID: 8, tl0PictureIndex: 2))
        // Late, of either stay, and sent again.
        #expect(rewrite(503, 77, 2) == VP9Patch(pictureID: 6, tl0PictureIndex: 1))
        #expect(rewrite(1, 0, 1) == VP9Patch(pictureID: 1, tl0PictureIndex: 0))
        #expect(rewrite(3, 9, 3) == VP9Patch(pictureID: 9, tl0PictureIndex: 3))
    }

    @Test("VP9 ids of seven bits go on in seven bits")
    func vp9Short() {
        var rewriter = VP9Rewriter()
        _ = rewriter.rewrite(pictureID: 126, isLong: false, tl0PictureIndex: nil, generation: 1)
        let wrapped = rewriter.rewrite(pictureID: 0, isLong: false, tl0PictureIndex: nil, generation: 1)
        #expect(wrapped.pictureID == 0)
        let next = rewriter.rewrite(pictureID: 90, isLong: false, tl0PictureIndex: nil, generation: 2)
        #expect(next.pictureID & 0x7F == 1)
        let after = rewriter.rewrite(pictureID: 91, isLong: false, tl0PictureIndex: nil, generation: 2)
        #expect(after.pictureID & 0x7F == 2)
    }

    @Test("stays that are forgotten pass as they are, and never trap")
    func manySources() {
        var rewriter = VP9Rewriter()
        for generation in 1...1_000 as ClosedRange<UInt32> {
            for id in 0..<3 as Range<UInt16> {
                let patch = rewriter.rewrite(
                    pictureID: 40 + id,
                    isLong: true,
                    tl0PictureIndex: nil,
                    generation: generation
                )
                #expect(patch.pictureID == (40 + UInt16(generation - 1) * 3 + id) & 0x7FFF)
            }
        }
        let old = rewriter.rewrite(pictureID: 41, isLong: true, tl0PictureIndex: nil, generation: 3)
        #expect(old.pictureID == 41)
    }
}

@Suite("Dependency descriptors for a subscriber")
struct DescriptorRewriterTests {
    private static func packets(_ format: LayeredFormat, keyAt: Int) -> [EncodedPacket] {
        var random = SeededRandom(seed: 5)
        var encoder = LayeredEncoder(format, using: &random)
        return (0..<40).flatMap { picture in
            encoder.next(isKey: picture == keyAt, timestamp: UInt32(picture * 3_000), using: &random)
        }
    }

    private static let format = LayeredFormat(
        name: "AV1 L3T3",
        syntax: .descriptor(.av1),
        spatialLayers: 3,
        temporalLayers: 3
    )

    @Test("the mask says what can be decoded: with every structure, and for a second after a change")
    func mask() {
        var reader = FrameReader()
        var rewriter = DescriptorRewriter()
        var masks: [UInt32?] = []
        var structures: [UInt32?] = []
        for (index, packet) in Self.packets(Self.format, keyAt: 30).enumerated() {
            let info = reader.read(packet)
            #expect(info.flags.contains(.descriptor), "packet \(index)")
            let layers = SelectedLayers(spatial: packet.frame.picture < 10 ? 2 : 1, temporal: 2)
            let patch = rewriter.patch(
                for: info,
                targets: reader.targets(for: layers),
                generation: 1,
                at: Instant(nanoseconds: Int64(packet.frame.picture) * 100_000_000)
            )
            if info.flags.contains(.structure) {
                structures.append(patch?.activeTargets)
            } else if packet.isFirst, packet.frame.spatialID == 0 {
                masks.append(patch?.activeTargets)
            }
        }
        // Targets in the order S0T0, S0T1, ... S2T2.
        #expect(structures == [nil, 0b000_111_111])
        #expect(masks[0..<9].allSatisfy { $0 == nil })
        #expect(masks[9..<19].allSatisfy { $0 == 0b000_111_111 })
        #expect(masks[19...].allSatisfy { $0 == nil })
    }

    @Test("when nothing is to be announced, a descriptor without mask and structure changes by its frame number only")
    func number() {
        var reader = FrameReader()
        var rewriter = DescriptorRewriter()
        var counts = (alike: 0, announced: 0)
        for (index, packet) in Self.packets(Self.format, keyAt: 30).enumerated() {
            let info = reader.read(packet)
            let targets = reader.targets(for: SelectedLayers(spatial: packet.frame.picture < 10 ? 2 : 1, temporal: 2))
            let now = Instant(nanoseconds: Int64(packet.frame.picture) * 100_000_000)
            let isAnnounced = rewriter.announces(targets, at: now)
            var other = rewriter
            let number = other.rewrite(info.frameNumber, generation: 1)
            let patch = rewriter.patch(for: info, targets: targets, generation: 1, at: now)
            #expect(patch?.frameNumber == number, "packet \(index)")
            guard info.flags.isDisjoint(with: [.structure, .targetMask]) else { continue }
            if isAnnounced { counts.announced += 1 } else { counts.alike += 1 }
            if !isAnnounced { #expect(patch == DependencyDescriptorPatch(frameNumber: number), "packet \(index)") }
        }
        #expect(counts.alike > 50)
        #expect(counts.announced > 10)
    }

    @Test("in K-SVC lower layers cannot be decoded from what is sent of a higher one")
    func keySVC() {
        var format = Self.format
        format.predictsAcrossLayersAtKeysOnly = true
        var reader = FrameReader()
        for packet in Self.packets(format, keyAt: 0).prefix(1) {
            _ = reader.read(packet)
        }
        #expect(reader.targets(for: SelectedLayers(spatial: 2, temporal: 2)).reachable == 0b111_000_000)
        #expect(reader.targets(for: SelectedLayers(spatial: 1, temporal: 0)).reachable == 0b000_001_000)
    }

    @Test("a repeated packet has the frame number that it was sent with")
    func again() {
        var reader = FrameReader()
        var rewriter = DescriptorRewriter()
        let packets = Self.packets(Self.format, keyAt: 20)
        var sent: [(EncodedPacket, UInt32, UInt16)] = []
        for packet in packets {
            let info = reader.read(packet)
            let generation: UInt32 = packet.frame.picture < 20 ? 1 : 2
            let patch = rewriter.patch(
                for: info,
                targets: reader.targets(for: SelectedLayers(spatial: 2, temporal: 2)),
                generation: generation,
                at: .zero
            )
            if let patch { sent.append((packet, generation, patch.frameNumber)) }
        }
        #expect(sent.count == packets.count)
        for (packet, generation, number) in sent {
            let again = rewriter.patchAgain(packet.descriptor.span.bytes, generation: generation)
            #expect(again?.frameNumber == number)
        }
        let numbers = sent.map(\.2)
        for (before, after) in zip(numbers, numbers.dropFirst()) { #expect(after &- before <= 1) }
    }
}

@Suite("The last key frame, for joiners")
struct KeyFrameCacheTests {
    private static func milliseconds(_ count: Int64) -> Instant { Instant(nanoseconds: count * 1_000_000) }

    private struct Stream: ~Copyable {
        var cache = PacketCache<UInt8>(kind: .video)
        var keyFrames = KeyFrameCache()

        mutating func receive(_ sequence: Int64, isKey: Bool = false, size: Int = 500, at time: Int64) {
            let bytes = [UInt8](repeating: 1, count: size)
            let now = KeyFrameCacheTests.milliseconds(time)
            self.cache.store(sequence, bytes: bytes.span.bytes, headerLength: 12, facts: 0, at: now)
            self.keyFrames.note(sequence, isKeyFrameStart: isKey, byteCount: size, at: now)
        }

        func replay(at time: Int64) -> KeyFrameReplay {
            self.keyFrames.replay(from: self.cache, at: KeyFrameCacheTests.milliseconds(time))
        }
    }

    @Test("is there from the key frame's first packet, for a second, and anew with the next")
    func life() {
        var stream = Stream()
        for sequence in 90..<100 as Range<Int64> { stream.receive(sequence, at: 0) }
        var replay = stream.replay(at: 0)
        #expect(replay == .unusable(.noKeyFrame))
        for sequence in 100..<140 as Range<Int64> { stream.receive(sequence, isKey: sequence == 100, at: sequence) }
        replay = stream.replay(at: 140)
        #expect(replay == .packets(100...139, byteCount: 20_000))
        replay = stream.replay(at: 1_100)
        #expect(replay == .packets(100...139, byteCount: 20_000))
        replay = stream.replay(at: 1_101)
        #expect(replay == .unusable(.tooOld))
        stream.receive(140, isKey: true, at: 1_200)
        replay = stream.replay(at: 1_200)
        #expect(replay == .packets(140...140, byteCount: 500))
    }

    @Test("with packets lost inside it is not usable until they come; the newest may be on their way")
    func loss() {
        var stream = Stream()
        for sequence in 100..<140 as Range<Int64> where sequence != 110 {
            stream.receive(sequence, isKey: sequence == 100, at: 0)
        }
        var replay = stream.replay(at: 10)
        #expect(replay == .unusable(.incomplete))
        stream.receive(110, at: 20)
        replay = stream.replay(at: 20)
        #expect(replay == .packets(100...139, byteCount: 20_000))
        stream.receive(142, at: 30)
        replay = stream.replay(at: 30)
        #expect(replay == .packets(100...142, byteCount: 20_500))
        // Padding fills its place.
        stream.keyFrames.note(140, isKeyFrameStart: false, byteCount: 0, at: Self.milliseconds(40))
        stream.keyFrames.note(141, isKeyFrameStart: false, byteCount: 0, at: Self.milliseconds(40))
        for sequence in 143..<180 as Range<Int64> { stream.receive(sequence, at: 50) }
        replay = stream.replay(at: 50)
        #expect(replay == .packets(100...179, byteCount: 39_000))
    }

    @Test("what the packet cache has overwritten, and what is more than a mebibyte, is too large")
    func size() {
        var stream = Stream()
        for sequence in 100..<500 as Range<Int64> {
            stream.receive(sequence, isKey: sequence == 100, size: 1_000, at: 0)
        }
        var replay = stream.replay(at: 0)
        #expect(replay == .unusable(.tooLarge))
        for sequence in 500..<2_000 as Range<Int64> {
            stream.keyFrames.note(sequence, isKeyFrameStart: sequence == 500, byteCount: 1_200, at: .zero)
        }
        replay = stream.replay(at: 0)
        #expect(replay == .unusable(.tooLarge))
    }
}
