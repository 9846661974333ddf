import Basics
import SRTP
import TestSupport
import Testing

@Suite("SRTP against libsrtp2")
struct LibSRTPDifferentialTests {
    private static let packetCount = 34_000

    @Test(
        "gives the same bytes for 34,000 random packets over three turns of the sequence number, with loss",
        arguments: SRTPProfile.allCases,
        SRTPLibrary.usable
    )
    func sameBytes(profile: SRTPProfile, library: SRTPLibrary) throws {
        let seed: UInt64 = 0x5eed_0001 &+ UInt64(profile.rawValue)
        var random = SeededRandom(seed: seed)
        let keys = try KeyPair(profile, seed: seed)
        var sender = try SRTPSender(keys.ours, library: library)
        var receiver = try SRTPReceiver(keys.theirs, library: library)
        var stream = SRTPStreamState()
        let theirSender = try LibSRTP(
            profile,
            key: keys.ours.localKey.value,
            salt: keys.ours.localSalt.value,
            direction: .outbound
        )
        let theirReceiver = try LibSRTP(
            profile,
            key: keys.ours.localKey.value,
            salt: keys.ours.localSalt.value,
            direction: .inbound
        )
        let pool = random.bytes(16_384)
        let ssrc = UInt32.random(in: 0...UInt32.max, using: &random)

        var sequence: UInt64 = 60_000
        var failures: [String] = []
        for round in 0..<Self.packetCount where failures.count < 5 {
            sequence += UInt64.random(in: 1...12, using: &random)
            let start = Int.random(in: 0..<pool.count - 1_300, using: &random)
            let size = Int.random(in: 0...1_288, using: &random)
            let packet = PlainPacket(
                ssrc: ssrc,
                sequence: UInt16(truncatingIfNeeded: sequence),
                csrcs: round % 7 == 0 ? Int.random(in: 0...15, using: &random) : 0,
                extensionWords: round % 2 == 0 ? Int.random(in: 0...9, using: &random) : nil,
                payload: pool[start..<start + size]
            )
            let sealed = try sender.seal(packet, rolloverCounter: UInt32(sequence >> 16))
            if sealed != theirSender.protect(packet.bytes) { failures.append("sealed differs at \(round)") }
            if theirReceiver.unprotect(sealed) != packet.bytes { failures.append("libsrtp refused \(round)") }
            if receiver.open(sealed, headerLength: packet.headerLength, stream: &stream) != .plain(packet.bytes) {
                failures.append("we refused \(round)")
            }
            if stream.lastIndex != sequence { failures.append("index at \(round)") }
        }
        #expect(failures.isEmpty, "seed \(seed)")
        #expect(sequence >> 16 >= 3)
    }

    @Test(
        "opens and seals RTCP as libsrtp2 does, from several senders",
        arguments: SRTPProfile.allCases,
        SRTPLibrary.usable
    )
    func rtcp(profile: SRTPProfile, library: SRTPLibrary) throws {
        let seed: UInt64 = 0x5eed_0002
        var random = SeededRandom(seed: seed)
        let keys = try KeyPair(profile, seed: seed)
        var sender = try SRTPSender(keys.ours, library: library)
        var receiver = try SRTPReceiver(keys.ours, library: library)
        let theirReceiver = try LibSRTP(
            profile,
            key: keys.ours.localKey.value,
            salt: keys.ours.localSalt.value,
            direction: .inbound
        )
        let theirSender = try LibSRTP(
            profile,
            key: keys.ours.remoteKey.value,
            salt: keys.ours.remoteSalt.value,
            direction: .outbound
        )
        for round in 0..<1_000 {
            let words = Int.random(in: 0...200, using: &random)
            let ssrc: [UInt8] = [0, 0, 0, UInt8(round % 5)]
            let packet =
                [0x81, 201, UInt8((words + 1) >> 8), UInt8((words + 1) & 255)] + ssrc + random.bytes(words * 4)
            let sealed = try sender.sealRTCP(packet)
            try #require(theirReceiver.unprotectRTCP(sealed) == packet)
            let theirs = try #require(theirSender.protectRTCP(packet))
            try #require(receiver.openRTCP(theirs) == .plain(packet))
            try #require(receiver.openRTCP(theirs) == .refused(.replayed))
        }
    }

    @Test("a late joiner's first packet may have roll-over counter 5", arguments: SRTPProfile.allCases)
    func lateJoiner(profile: SRTPProfile) throws {
        let keys = try KeyPair(profile, seed: 5)
        var sender = try SRTPSender(keys.ours)
        var receiver = try SRTPReceiver(keys.theirs)
        var stream = SRTPStreamState(rolloverCounter: 5)
        let theirReceiver = try LibSRTP(
            profile,
            key: keys.ours.localKey.value,
            salt: keys.ours.localSalt.value,
            direction: .inbound
        )
        let payload: ArraySlice<UInt8> = [1, 2, 3]
        // libsrtp makes a stream with its first packet; only then can its counter be set.
        let first = PlainPacket(ssrc: 9, sequence: 40_000, payload: payload)
        let opening = try sender.seal(first, rolloverCounter: 0)
        #expect(theirReceiver.unprotect(opening) == first.bytes)
        theirReceiver.setRolloverCounter(5, ssrc: 9)
        let turn: UInt64 = 6 << 16
        for sequence in [turn - 2, turn - 1, turn, turn + 1] {
            let packet = PlainPacket(ssrc: 9, sequence: UInt16(truncatingIfNeeded: sequence), payload: payload)
            let sealed = try sender.seal(packet, rolloverCounter: UInt32(sequence >> 16))
            #expect(theirReceiver.unprotect(sealed) == packet.bytes)
            #expect(receiver.open(sealed, stream: &stream) == .plain(packet.bytes))
            #expect(stream.lastIndex == sequence)
        }
    }
}
