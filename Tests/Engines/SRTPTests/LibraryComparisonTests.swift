import Basics
import SRTP
import TestSupport
import Testing

extension SRTPLibrary {
    /// Those that this machine has.
    static var usable: [SRTPLibrary] { Self.allCases.filter { $0 == .openSSL || Self.multiBufferObstacle == nil } }
}

private let aeadProfiles = [SRTPProfile.aeadAes128Gcm, .aeadAes256Gcm]

/// Where a packet lies within the pages that it may touch.
private enum Place: CaseIterable {
    case front, back

    func bytes(_ pages: GuardedPages, _ count: Int) -> UnsafeMutableRawBufferPointer {
        self == .front ? pages.front(count) : pages.back(count)
    }
}

@Suite("SRTP's libraries against each other")
struct LibraryComparisonTests {
    @Test("give the same bytes for payloads of 0 to 1,500 bytes, and touch no byte outside", arguments: aeadProfiles)
    func everySize(profile: SRTPProfile) throws {
        let seed: UInt64 = 0x5eed_0101 &+ UInt64(profile.rawValue)
        var random = SeededRandom(seed: seed)
        let pool = random.bytes(16_384)
        let keys = try KeyPair(profile, seed: seed)
        for library in SRTPLibrary.usable {
            var reference = try SRTPSender(keys.ours, library: .openSSL)
            var sender = try SRTPSender(keys.ours, library: library)
            var receiver = try SRTPReceiver(keys.theirs, library: library)
            let source = try GuardedPages()
            let target = try GuardedPages()
            var failures: [String] = []
            for size in 0...1_500 where failures.count < 5 {
                let start = Int.random(in: 0..<pool.count - size, using: &random)
                let packet = PlainPacket(
                    ssrc: UInt32.random(in: 0 ... .max, using: &random),
                    sequence: UInt16.random(in: 0 ... .max, using: &random),
                    csrcs: Int.random(in: 0...15, using: &random),
                    extensionWords: Bool.random(using: &random) ? Int.random(in: 0...60, using: &random) : nil,
                    payload: pool[start..<start + size]
                )
                let counter = UInt32.random(in: 0 ... .max, using: &random)
                let expected = try reference.seal(packet, rolloverCounter: counter)
                for place in Place.allCases {
                    let plain = place.bytes(source, packet.bytes.count)
                    plain.copyBytes(from: packet.bytes)
                    let sealed = place.bytes(target, expected.count)
                    let length = sender.sealRTP(
                        header: UnsafeRawBufferPointer(rebasing: plain[0..<packet.headerLength]),
                        payload: UnsafeRawBufferPointer(rebasing: plain[packet.headerLength...]),
                        rolloverCounter: counter,
                        into: sealed
                    )
                    if length != expected.count || !sealed.elementsEqual(expected) {
                        failures.append("\(library) seals \(size) bytes otherwise")
                    }
                    var stream = SRTPStreamState(rolloverCounter: counter)
                    let opened = receiver.openRTP(sealed, headerLength: packet.headerLength, stream: &stream)
                    if opened != packet.bytes.count || !sealed.prefix(opened).elementsEqual(packet.bytes) {
                        failures.append("\(library) does not open \(size) bytes")
                    }
                }
                // In place, as retransmissions and probes are sealed.
                let inPlace = target.back(expected.count)
                inPlace.copyBytes(from: packet.bytes)
                let length = sender.sealRTP(
                    header: UnsafeRawBufferPointer(rebasing: inPlace[0..<packet.headerLength]),
                    payload: UnsafeRawBufferPointer(rebasing: inPlace[packet.headerLength..<packet.bytes.count]),
                    rolloverCounter: counter,
                    into: inPlace
                )
                if length != expected.count || !inPlace.elementsEqual(expected) {
                    failures.append("\(library) seals \(size) bytes in place otherwise")
                }
            }
            #expect(failures.isEmpty, "seed \(seed)")
        }
    }

    @Test("give the same bytes for RTCP of 8 to 1,500 bytes", arguments: aeadProfiles)
    func rtcp(profile: SRTPProfile) throws {
        let seed: UInt64 = 0x5eed_0102
        var random = SeededRandom(seed: seed)
        let keys = try KeyPair(profile, seed: seed)
        for library in SRTPLibrary.usable {
            var reference = try SRTPSender(keys.ours, library: .openSSL)
            var sender = try SRTPSender(keys.ours, library: library)
            var receiver = try SRTPReceiver(keys.theirs, library: library)
            let pages = try GuardedPages()
            var failures: [String] = []
            for size in 8...1_500 where failures.count < 5 {
                let packet = random.bytes(size)
                let expected = try reference.sealRTCP(packet)
                let buffer = pages.back(expected.count)
                buffer.copyBytes(from: packet)
                let length = sender.sealRTCP(buffer, length: size)
                if length != expected.count || !buffer.elementsEqual(expected) {
                    failures.append("\(library) seals \(size) bytes otherwise")
                }
                let opened = receiver.openRTCP(buffer)
                if opened != size || !buffer.prefix(size).elementsEqual(packet) {
                    failures.append("\(library) does not open \(size) bytes")
                }
            }
            #expect(failures.isEmpty, "seed \(seed)")
        }
    }

    @Test("what one sealed and a bit was changed of, the other refuses", arguments: aeadProfiles)
    func forgeries(profile: SRTPProfile) throws {
        let keys = try KeyPair(profile, seed: 7)
        let packet = PlainPacket(ssrc: 1, sequence: 1, extensionWords: 1, payload: ArraySlice(0..<70))
        for sealing in SRTPLibrary.usable {
            for opening in SRTPLibrary.usable {
                var sender = try SRTPSender(keys.ours, library: sealing)
                var receiver = try SRTPReceiver(keys.theirs, library: opening)
                let sealed = try sender.seal(packet)
                var accepted = 0
                // The first two bytes are header as well, but not in the way of the SSRC and the sequence number.
                for bit in 0..<sealed.count * 8 where !(16..<32).contains(bit) && !(64..<96).contains(bit) {
                    var stream = SRTPStreamState()
                    var forged = sealed
                    forged[bit / 8] ^= 1 << (bit % 8)
                    let result = receiver.open(forged, headerLength: packet.headerLength, stream: &stream)
                    if result != .refused(.authentication) { accepted += 1 }
                }
                var stream = SRTPStreamState()
                let genuine = receiver.open(sealed, headerLength: packet.headerLength, stream: &stream)
                #expect(accepted == 0, "\(sealing), \(opening)")
                #expect(genuine == .plain(packet.bytes))
            }
        }
    }

    @Test("the multi-buffer library is asked for only where it can be used")
    func choice() throws {
        let isUsable = SRTPLibrary.multiBufferObstacle == nil
        #expect(SRTPLibrary.fastest == (isUsable ? .multiBuffer : .openSSL))
        #expect(SRTPLibrary.multiBufferVersion.isEmpty != isUsable)
        let keys = try KeyPair(.aeadAes128Gcm, seed: 8)
        // Whoever asks for it without a look gets an error and no crash.
        var wasMade = true
        do { _ = try SRTPSender(keys.ours, library: .multiBuffer) } catch { wasMade = false }
        #expect(wasMade == isUsable)
    }

    @Test("packets that are sealed together are those that are sealed one by one", arguments: SRTPProfile.allCases)
    func together(profile: SRTPProfile) throws {
        let seed: UInt64 = 0x5eed_0177 &+ UInt64(profile.rawValue)
        var random = SeededRandom(seed: seed)
        let keys = try KeyPair(profile, seed: seed)
        for library in SRTPLibrary.usable {
            var reference = try SRTPSender(keys.ours, library: .openSSL)
            var sender = try SRTPSender(keys.ours, library: library)
            let target = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * 2_048, alignment: 1)
            defer { target.deallocate() }
            let payloads = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * 2_048, alignment: 1)
            defer { payloads.deallocate() }
            for _ in 0..<50 {
                var unsealed: [UnsealedPacket] = []
                var expected: [UInt8] = []
                for place in 0..<Int.random(in: 1...64, using: &random) {
                    let packet = PlainPacket(
                        ssrc: UInt32.random(in: 0 ... .max, using: &random),
                        sequence: UInt16.random(in: 0 ... .max, using: &random),
                        csrcs: 0,
                        extensionWords: Int.random(in: 0...8, using: &random),
                        payload: random.bytes(Int.random(in: 0...1_300, using: &random))[...]
                    )
                    let counter = UInt32.random(in: 0 ... .max, using: &random)
                    let start = try #require(target.baseAddress) + expected.count
                    let payload = try #require(payloads.baseAddress) + place * 2_048
                    start.copyMemory(from: packet.bytes, byteCount: packet.headerLength)
                    let payloadLength = packet.bytes.count - packet.headerLength
                    for offset in 0..<payloadLength {
                        payload.storeBytes(
                            of: packet.bytes[packet.headerLength + offset],
                            toByteOffset: offset,
                            as: UInt8.self
                        )
                    }
                    unsealed.append(
                        UnsealedPacket(
                            at: start,
                            headerLength: packet.headerLength,
                            payload: payload,
                            payloadLength: payloadLength,
                            rolloverCounter: counter
                        )
                    )
                    expected += try reference.seal(packet, rolloverCounter: counter)
                }
                let isSealed = unsealed.withUnsafeBufferPointer { sender.sealRTP($0) }
                #expect(isSealed)
                #expect(target.prefix(expected.count).elementsEqual(expected), "\(library), seed \(seed)")
            }
        }
    }
}
