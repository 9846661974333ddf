import Foundation
import TestSupport

/// Datagrams that nobody should believe.
enum Hostility {
    /// ClientHellos of real browsers.
    static let clientHellos: [[UInt8]] = {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Fixtures/dtls")
        let names = [
            "chromium-clienthello-0", "chromium-clienthello-1", "firefox-clienthello-0", "firefox-clienthello-1",
        ]
        return names.compactMap { name in
            (try? Data(contentsOf: folder.appending(path: name + ".bin"))).map { Array($0) }
        }
    }()

    /// A ClientHello that offers TLS_NULL_WITH_NULL_NULL alone, as the hello-race attack of 2023 sent it.
    static let nullCipherHello: [UInt8] = {
        var body: [UInt8] = [0xFE, 0xFD] + [UInt8](repeating: 0x42, count: 32)
        body += [0, 0, 0, 2, 0, 0, 1, 0]
        return handshakeRecord(type: 1, length: body.count, sequence: 0, fragment: body, fragmentOffset: 0)
    }()

    /// A plain-text alert of epoch 0.
    static func alert(level: UInt8, description: UInt8, sequence: UInt8 = 9) -> [UInt8] {
        [21, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, sequence, 0, 2, level, description]
    }

    /// A DTLS record with one fragment of a handshake message (RFC 6347 §4.2.2).
    static func handshakeRecord(
        type: UInt8,
        length: Int,
        sequence: UInt16,
        fragment: [UInt8],
        fragmentOffset: Int,
        recordSequence: UInt32 = 0
    ) -> [UInt8] {
        func three(_ value: Int) -> [UInt8] {
            [
                UInt8(truncatingIfNeeded: value >> 16), UInt8(truncatingIfNeeded: value >> 8),
                UInt8(truncatingIfNeeded: value),
            ]
        }
        let message =
            [type] + three(length) + [UInt8(sequence >> 8), UInt8(sequence & 0xFF)] + three(fragmentOffset)
            + three(fragment.count) + fragment
        let number = three(Int(recordSequence >> 8)) + [UInt8(recordSequence & 0xFF)]
        return [22, 0xFE, 0xFD, 0, 0, 0, 0] + number + [UInt8(message.count >> 8), UInt8(message.count & 0xFF)]
            + message
    }

    /// Real and made-up hellos and garbage, by turns.
    static func handshakes(_ count: Int, using random: inout SeededRandom) -> [[UInt8]] {
        (0..<count).map { index in
            switch index % 4 {
            case 0: self.clientHellos[(index / 4) % self.clientHellos.count]
            case 1: self.nullCipherHello
            case 2: [22, 0xFE, 0xFD] + random.bytes(60)
            default: self.alert(level: 2, description: 40)
            }
        }
    }

    /// One to four changes: bits, bytes, length, a piece cut out or doubled.
    static func mutate(_ datagram: [UInt8], using random: inout SeededRandom) -> [UInt8] {
        var bytes = datagram
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            guard !bytes.isEmpty else { return random.bytes(8) }
            let place = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes[place] = [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &random) ?? 0
            case 2: bytes.removeLast(min(bytes.count, Int.random(in: 1...40, using: &random)))
            case 3: bytes += random.bytes(Int.random(in: 1...40, using: &random))
            case 4: bytes.removeSubrange(place..<min(bytes.count, place + 4))
            default: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + 8)], at: place)
            }
        }
        return bytes
    }
}
