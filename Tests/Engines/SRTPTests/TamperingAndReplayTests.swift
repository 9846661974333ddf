import Basics
import SRTP
import TestSupport
import Testing

@Suite("SRTP under attack")
struct TamperingAndReplayTests {
    private static let payload = ArraySlice((0..<200).map { UInt8($0) })

    @Test("refuses a packet with any one bit of its tag flipped (A-06)", arguments: SRTPProfile.allCases)
    func tagBits(profile: SRTPProfile) throws {
        let keys = try KeyPair(profile, seed: 1)
        var sender = try SRTPSender(keys.ours)
        var receiver = try SRTPReceiver(keys.theirs)
        var stream = SRTPStreamState()
        let packet = PlainPacket(ssrc: 1, sequence: 1, extensionWords: 2, payload: Self.payload)
        let sealed = try sender.seal(packet)
        let sealedRTCP = try sender.sealRTCP(hex("80c90001 00000001 01020304"))
        for bit in 0..<profile.tagLength * 8 {
            var forged = sealed
            forged[packet.bytes.count + bit / 8] ^= 1 << (bit % 8)
            #expect(
                receiver.open(forged, headerLength: packet.headerLength, stream: &stream) == .refused(.authentication)
            )
            var forgedRTCP = sealedRTCP
            let tagEnd = profile == .aes128CmSha1_80 ? sealedRTCP.count : sealedRTCP.count - 4
            forgedRTCP[tagEnd - 1 - bit / 8] ^= 1 << (bit % 8)
            #expect(receiver.openRTCP(forgedRTCP) == .refused(.authentication))
        }
        #expect(
            receiver.open(sealed, headerLength: packet.headerLength, stream: &stream) == .plain(packet.bytes)
        )
        #expect(receiver.openRTCP(sealedRTCP) == .plain(hex("80c90001 00000001 01020304")))
    }

    @Test("100,000 tampered packets leave the stream as it was (A-03)")
    func tampering() throws {
        let seed: UInt64 = 0x5eed_0003
        var random = SeededRandom(seed: seed)
        for profile in [SRTPProfile.aeadAes128Gcm, .aes128CmSha1_80] {
            let keys = try KeyPair(profile, seed: seed)
            var sender = try SRTPSender(keys.ours)
            var receiver = try SRTPReceiver(keys.theirs)
            var stream = SRTPStreamState()
            let genuine = try (UInt16(60_000)...60_010).map { sequence in
                try sender.seal(PlainPacket(ssrc: 7, sequence: sequence, payload: Self.payload))
            }
            for packet in genuine.dropLast() { _ = receiver.open(packet, stream: &stream) }
            let before = stream
            var accepted = 0
            for _ in 0..<50_000 {
                var forged = genuine[10]
                let position = Int.random(in: 2..<forged.count, using: &random)
                // The stream is chosen by the SSRC, so a changed one is another stream's matter.
                if (8..<12).contains(position) { continue }
                forged[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                if case .plain = receiver.open(forged, stream: &stream) { accepted += 1 }
            }
            #expect(accepted == 0, "seed \(seed)")
            #expect(stream == before)
            let next = receiver.open(genuine[10], stream: &stream)
            #expect(next == .plain(PlainPacket(ssrc: 7, sequence: 60_010, payload: Self.payload).bytes))
        }
    }

    @Test(
        "accepts nothing of a replayed recording, across a turn of the sequence number",
        arguments: SRTPProfile.allCases
    )
    func replay(profile: SRTPProfile) throws {
        let keys = try KeyPair(profile, seed: 3)
        var sender = try SRTPSender(keys.ours)
        var receiver = try SRTPReceiver(keys.theirs)
        var stream = SRTPStreamState()
        let recording = try (UInt64(64_000)..<67_000).map { sequence in
            let packet = PlainPacket(
                ssrc: 3,
                sequence: UInt16(truncatingIfNeeded: sequence),
                payload: Self.payload.prefix(20)
            )
            return try sender.seal(packet, rolloverCounter: UInt32(sequence >> 16))
        }
        for (turn, expected) in [recording.count, 0, 0].enumerated() {
            var accepted = 0
            for packet in recording {
                if case .plain = receiver.open(packet, stream: &stream) { accepted += 1 }
            }
            #expect(accepted == expected, "turn \(turn)")
        }
    }

    @Test("accepts a late packet once while it is among the last 1,024, and never when it is older")
    func lateness() throws {
        let keys = try KeyPair(.aeadAes128Gcm, seed: 4)
        var sender = try SRTPSender(keys.ours)
        var receiver = try SRTPReceiver(keys.theirs)
        var stream = SRTPStreamState()
        func packet(_ sequence: UInt64) -> PlainPacket {
            PlainPacket(ssrc: 3, sequence: UInt16(truncatingIfNeeded: sequence), payload: Self.payload)
        }
        func open(_ sequence: UInt64, _ receiver: inout SRTPReceiver) throws -> Opened {
            let sealed = try sender.seal(packet(sequence), rolloverCounter: UInt32(sequence >> 16))
            return receiver.open(sealed, stream: &stream)
        }
        let newest: UInt64 = 65_536 + 100
        #expect(try open(64_000, &receiver) == .plain(packet(64_000).bytes))
        #expect(try open(newest, &receiver) == .plain(packet(newest).bytes))
        #expect(stream.lastIndex == newest)
        #expect(try open(newest - 1_023, &receiver) == .plain(packet(newest - 1_023).bytes))
        #expect(stream.lastIndex == newest - 1_023)
        #expect(stream.highestIndex == newest)
        #expect(try open(newest - 1_023, &receiver) == .refused(.replayed))
        #expect(try open(newest - 1_024, &receiver) == .refused(.replayed))
        #expect(try open(newest, &receiver) == .refused(.replayed))
        #expect(try open(newest + 1, &receiver) == .plain(packet(newest + 1).bytes))
    }

    @Test("the window agrees with a plain set of seen indices over random arrivals")
    func windowModel() throws {
        var random = SeededRandom(seed: 0x5eed_0006)
        let keys = try KeyPair(.aeadAes128Gcm, seed: 6)
        var sender = try SRTPSender(keys.ours)
        var receiver = try SRTPReceiver(keys.theirs)
        var stream = SRTPStreamState()
        var seen: Set<Int64> = []
        var highest: Int64 = 70_000
        for _ in 0..<20_000 {
            let reach: ClosedRange<Int64> = random.chance(0.01) ? 1...3_000 : -1_200...3
            let index = max(70_000, highest + Int64.random(in: reach, using: &random))
            let isNew = !seen.contains(index) && (seen.isEmpty || index > highest - 1_024)
            let packet = PlainPacket(ssrc: 1, sequence: UInt16(truncatingIfNeeded: index), payload: [1])
            let sealed = try sender.seal(packet, rolloverCounter: UInt32(index >> 16))
            if seen.isEmpty { stream = SRTPStreamState(rolloverCounter: UInt32(index >> 16)) }
            let opened = receiver.open(sealed, stream: &stream)
            try #require(opened == (isNew ? .plain(packet.bytes) : .refused(.replayed)))
            if isNew { seen.insert(index); highest = max(highest, index) }
        }
    }

    @Test("refuses what is too short, and never reads past it", arguments: SRTPProfile.allCases)
    func truncation(profile: SRTPProfile) throws {
        let keys = try KeyPair(profile, seed: 7)
        var receiver = try SRTPReceiver(keys.theirs)
        var stream = SRTPStreamState()
        for count in 0..<12 + profile.tagLength {
            let packet = [UInt8](repeating: 0x80, count: count)
            #expect(receiver.open(packet, stream: &stream) == .refused(.malformed))
        }
        let long = [UInt8](repeating: 0x80, count: 100)
        for headerLength in [-1, 0, 11, 100 - profile.tagLength + 1, 100, 1_000, Int.max] {
            #expect(receiver.open(long, headerLength: headerLength, stream: &stream) == .refused(.malformed))
        }
        for count in 0..<8 + profile.rtcpOverhead {
            #expect(receiver.openRTCP([UInt8](repeating: 0x80, count: count)) == .refused(.malformed))
        }
    }

    @Test("seals in place when header and payload already are where they belong", arguments: SRTPProfile.allCases)
    func inPlace(profile: SRTPProfile) throws {
        let keys = try KeyPair(profile, seed: 8)
        var sender = try SRTPSender(keys.ours)
        let packet = PlainPacket(ssrc: 1, sequence: 77, extensionWords: 1, payload: Self.payload)
        let expected = try sender.seal(packet, rolloverCounter: 3)
        var buffer = packet.bytes + [UInt8](repeating: 0, count: profile.tagLength)
        let length = buffer.withUnsafeMutableBytes { bytes in
            let whole = UnsafeRawBufferPointer(bytes)
            return sender.sealRTP(
                header: UnsafeRawBufferPointer(rebasing: whole[0..<packet.headerLength]),
                payload: UnsafeRawBufferPointer(rebasing: whole[packet.headerLength..<packet.bytes.count]),
                rolloverCounter: 3,
                into: bytes
            )
        }
        #expect(length == expected.count)
        #expect(buffer == expected)
    }

    @Test("refuses to seal without room, and RTCP past its last index", arguments: SRTPProfile.allCases)
    func limits(profile: SRTPProfile) throws {
        let keys = try KeyPair(profile, seed: 9)
        var sender = try SRTPSender(keys.ours)
        var buffer = [UInt8](repeating: 0x80, count: 64)
        let length = buffer.withUnsafeMutableBytes { bytes in
            sender.sealRTP(
                header: UnsafeRawBufferPointer(rebasing: bytes[0..<12]),
                payload: UnsafeRawBufferPointer(rebasing: bytes[12..<60]),
                rolloverCounter: 0,
                into: bytes
            )
        }
        #expect(length == -1)
        func sessionKeys(_ isRTCP: Bool) throws -> SRTPSessionKeys {
            try SRTPSessionKeys(
                profile: profile,
                masterKey: keys.ours.localKey,
                masterSalt: keys.ours.localSalt,
                isRTCP: isRTCP
            )
        }
        var last = try SRTPSender(
            rtpKeys: sessionKeys(false),
            rtcpKeys: sessionKeys(true),
            rtcpIndex: 0x7fff_ffff
        )
        let report = hex("80c90001 00000001")
        let sealed = try last.sealRTCP(report)
        let refused = try? last.sealRTCP(report)
        #expect(sealed.count == report.count + profile.rtcpOverhead)
        #expect(refused == nil)
    }

    @Test("the last packet of a key is accepted, and none after it")
    func lastIndex() throws {
        let keys = try KeyPair(.aeadAes128Gcm, seed: 10)
        var sender = try SRTPSender(keys.ours)
        var receiver = try SRTPReceiver(keys.theirs)
        var stream = SRTPStreamState(rolloverCounter: .max)
        let last = PlainPacket(ssrc: 1, sequence: .max, payload: [1])
        let sealed = try sender.seal(last, rolloverCounter: .max)
        #expect(receiver.open(sealed, stream: &stream) == .plain(last.bytes))
        let wrapped = try sender.seal(PlainPacket(ssrc: 1, sequence: 0, payload: [1]))
        #expect(receiver.open(wrapped, stream: &stream) == .refused(.keyExhausted))
    }
}
