import Basics
import COpus

/// One second of real Opus, encoded once and sent over and over by every talker: a tone that swells and fades.
final class OpusLoop: Sendable {
    static let packetDuration = Nanoseconds.milliseconds(20)
    static let samplesPerPacket = 960

    /// 50 packets, each with room for a `PacketStamp` in its padding (RFC 6716 §3.2.5), which decoders skip.
    let packets: [[UInt8]]
    /// -dBov of each packet (RFC 6464).
    let levels: [UInt8]

    /// - Returns: `nil` when libopus has no memory.
    init?(bitrate: Bitrate) {
        var status: CInt = 0
        guard let encoder = unsafe opus_encoder_create(48_000, 1, OPUS_APPLICATION_VOIP, &status), status == OPUS_OK
        else { return nil }
        defer { unsafe opus_encoder_destroy(encoder) }
        _ = unsafe shim_opus_set_bitrate(encoder, opus_int32(clamping: bitrate.bitsPerSecond))
        var packets: [[UInt8]] = []
        var levels: [UInt8] = []
        var phase = 0
        for index in 0..<50 {
            // A triangle wave of 375 Hz: no sine is needed to make sound.
            let amplitude = 2_000 + 14_000 * (index < 25 ? index : 50 - index) / 25
            let samples = (0..<Self.samplesPerPacket).map { _ -> Int16 in
                phase = (phase + 1) % 128
                let height = phase < 64 ? phase - 32 : 96 - phase
                return Int16(clamping: height * amplitude / 32)
            }
            var bytes = [UInt8](repeating: 0, count: 1_276)
            let length = unsafe opus_encode(
                encoder,
                samples,
                CInt(Self.samplesPerPacket),
                &bytes,
                opus_int32(bytes.count)
            )
            guard length > 0 else { return nil }
            // Padding is counted in its own length bytes, so one more than the stamp is asked for.
            let padded = Int(length) + PacketStamp.byteCount + 2
            guard unsafe opus_packet_pad(&bytes, length, opus_int32(padded)) == OPUS_OK else { return nil }
            packets.append(Array(bytes[0..<padded]))
            levels.append(UInt8(20 + (16_000 - amplitude) / 1_000))
        }
        self.packets = packets
        self.levels = levels
    }
}
