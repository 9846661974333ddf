import Basics
import SRTP

extension Workload {
    /// SRTP of a video and an audio packet; AES-GCM by each library that this machine has.
    static func encryption() -> [Workload] {
        var profiles: [(SRTPProfile, SRTPLibrary, String)] = [
            (.aeadAes128Gcm, .openSSL, "AES-128-GCM"), (.aes128CmSha1_80, .openSSL, "AES-CM, SHA-1"),
        ]
        if SRTPLibrary.fastest == .multiBuffer {
            profiles.append((.aeadAes128Gcm, .multiBuffer, "AES-128-GCM by ipsec-mb"))
            profiles.append((.aeadAes256Gcm, .multiBuffer, "AES-256-GCM by ipsec-mb"))
        }
        return profiles.flatMap { profile, library, name in
            [1_100, 160].flatMap { byteCount -> [Workload] in
                guard let pair = SRTPPair(profile, library, byteCount: byteCount) else { return [] }
                return [
                    Workload("SRTP seal, \(name), \(byteCount) B") { pair.seal($0) },
                    Workload("SRTP open, \(name), \(byteCount) B") { pair.open($0) },
                ]
            }
        }
    }

    /// Two ends of one association.
    private final class SRTPPair {
        private static let storedCount = 1_024
        private var sender: SRTPSender
        private var receiver: SRTPReceiver
        private let plain: Buffer
        private let output = Buffer(1_536)
        /// Sealed packets, to be opened round after round: each round starts with a stream that has seen nothing.
        private let stored: [Buffer]
        private var sequence = 0

        init?(_ profile: SRTPProfile, _ library: SRTPLibrary, byteCount: Int) {
            let block = Redacted((0..<profile.exporterLength).map { UInt8(truncatingIfNeeded: $0 &* 7) })
            guard let server = SRTPKeyingMaterial(profile: profile, exporterBlock: block, isServer: true),
                let client = SRTPKeyingMaterial(profile: profile, exporterBlock: block, isServer: false)
            else { return nil }
            do {
                self.sender = try SRTPSender(server, library: library)
                self.receiver = try SRTPReceiver(client, library: library)
            } catch { return nil }
            self.plain = Buffer(
                Packets.rtp(payloadType: 96, ssrc: 2_000, mid: 0x31, payload: Packets.deltaFrame, byteCount: byteCount)
            )
            var stored: [Buffer] = []
            for sequence in 0..<Self.storedCount {
                Packets.setSequence(sequence, in: self.plain.bytes)
                let length = Self.seal(&self.sender, self.plain.bytes, self.output.bytes)
                stored.append(Buffer(Array(self.output.bytes[0..<length])))
            }
            self.stored = stored
        }

        private static func seal(
            _ sender: inout SRTPSender,
            _ plain: UnsafeMutableRawBufferPointer,
            _ output: UnsafeMutableRawBufferPointer
        ) -> Int {
            sender.sealRTP(
                header: UnsafeRawBufferPointer(rebasing: plain[0..<Packets.headerLength]),
                payload: UnsafeRawBufferPointer(rebasing: plain[Packets.headerLength...]),
                rolloverCounter: 0,
                into: output
            )
        }

        func seal(_ count: Int) {
            for _ in 0..<count {
                self.sequence &+= 1
                Packets.setSequence(self.sequence, in: self.plain.bytes)
                let length = Self.seal(&self.sender, self.plain.bytes, self.output.bytes)
                guard length > 0 else { fatalError("not sealed") }
                BlackHole.take(length)
            }
        }

        /// Opening spoils a packet, so each is copied first: the copy is part of the figure.
        func open(_ count: Int) {
            var state = SRTPStreamState()
            for index in 0..<count {
                if index % Self.storedCount == 0 { state = SRTPStreamState() }
                let packet = self.stored[index % Self.storedCount].bytes
                self.output.bytes.copyMemory(from: UnsafeRawBufferPointer(packet))
                let length = self.receiver.openRTP(
                    UnsafeMutableRawBufferPointer(rebasing: self.output.bytes[0..<packet.count]),
                    headerLength: Packets.headerLength,
                    stream: &state
                )
                guard length > 0 else { fatalError("not opened: \(length)") }
                BlackHole.take(length)
            }
        }
    }
}
