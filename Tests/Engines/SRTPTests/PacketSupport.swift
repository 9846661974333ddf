import Basics
import SRTP
import TestSupport

/// Bytes written as hexadecimal digits, spaces ignored.
func hex(_ text: String) -> [UInt8] {
    let digits = text.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

/// Keys of both sides for tests: `ours` protects what `theirs` opens, and the other way round.
struct KeyPair {
    let ours: SRTPKeyingMaterial
    let theirs: SRTPKeyingMaterial

    init(_ profile: SRTPProfile, seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let block = Redacted(random.bytes(profile.exporterLength))
        guard
            let ours = SRTPKeyingMaterial(profile: profile, exporterBlock: block, isServer: true),
            let theirs = SRTPKeyingMaterial(profile: profile, exporterBlock: block, isServer: false)
        else { throw SRTPSetupError.keyLength }
        self.ours = ours
        self.theirs = theirs
    }
}

/// A plain RTP packet and where its payload starts.
struct PlainPacket {
    var bytes: [UInt8]
    var headerLength: Int

    init(ssrc: UInt32, sequence: UInt16, csrcs: Int = 0, extensionWords: Int? = nil, payload: ArraySlice<UInt8>) {
        var writer = ByteWriter(reserving: 1_400)
        writer.write(UInt8(0x80 | (extensionWords == nil ? 0 : 0x10) | csrcs))
        writer.write(UInt8(96))
        writer.write(sequence)
        writer.write(UInt32(sequence) &* 3_000)
        writer.write(ssrc)
        for csrc in 0..<csrcs { writer.write(UInt32(0xC5C0_0000) | UInt32(csrc)) }
        if let extensionWords {
            writer.write(UInt16(0xBEDE))
            writer.write(UInt16(extensionWords))
            for word in 0..<extensionWords { writer.write(UInt32(0x1011_1200) | UInt32(word)) }
        }
        self.headerLength = writer.count
        writer.write(bytes: payload)
        self.bytes = writer.bytes
    }
}

/// A call to seal returned -1.
struct Refused: Error {}

extension SRTPSender {
    /// Seals into a fresh array.
    mutating func seal(_ packet: PlainPacket, rolloverCounter: UInt32 = 0) throws(Refused) -> [UInt8] {
        var output = [UInt8](repeating: 0, count: packet.bytes.count + self.profile.tagLength)
        var length = -1
        packet.bytes.withUnsafeBytes { source in
            output.withUnsafeMutableBytes { target in
                length = self.sealRTP(
                    header: UnsafeRawBufferPointer(rebasing: source[0..<packet.headerLength]),
                    payload: UnsafeRawBufferPointer(rebasing: source[packet.headerLength...]),
                    rolloverCounter: rolloverCounter,
                    into: target
                )
            }
        }
        guard length >= 0 else { throw Refused() }
        return Array(output[0..<length])
    }

    mutating func sealRTCP(_ packet: [UInt8]) throws(Refused) -> [UInt8] {
        var buffer = packet + [UInt8](repeating: 0, count: self.profile.rtcpOverhead)
        let length = buffer.withUnsafeMutableBytes { self.sealRTCP($0, length: packet.count) }
        guard length >= 0 else { throw Refused() }
        return Array(buffer[0..<length])
    }
}

enum Opened: Equatable {
    case plain([UInt8])
    case refused(SRTPOpenError)

    init(_ code: Int, _ buffer: [UInt8]) {
        self = SRTPOpenError(rawValue: code).map { .refused($0) } ?? .plain(Array(buffer[0..<max(code, 0)]))
    }
}

extension SRTPReceiver {
    mutating func open(_ packet: [UInt8], headerLength: Int = 12, stream: inout SRTPStreamState) -> Opened {
        var buffer = packet
        let code = buffer.withUnsafeMutableBytes {
            self.openRTP($0, headerLength: headerLength, stream: &stream)
        }
        return Opened(code, buffer)
    }

    mutating func openRTCP(_ packet: [UInt8]) -> Opened {
        var buffer = packet
        let code = buffer.withUnsafeMutableBytes { self.openRTCP($0) }
        return Opened(code, buffer)
    }
}
