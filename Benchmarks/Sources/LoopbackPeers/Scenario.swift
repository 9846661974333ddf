package import Basics

/// What is published to whom.
package struct Scenario {
    package var name: String { "\(self.kind), \(self.publishers) to \(self.subscribers), \(self.byteCount) B" }
    package let kind: MediaKind
    package let publishers: Int
    package let subscribers: Int
    /// Of a packet before it is sealed.
    package let byteCount: Int
    /// Packets of one publisher that leave together: a frame of video.
    package let burst: Int
    /// Packets that may be on their way at a time: the forwarder always finds some.
    package var window: Int
    /// Packets to measure in one round, of all publishers.
    package let packets: Int

    package static let video = Scenario(
        kind: .video,
        publishers: 1,
        subscribers: 200,
        byteCount: 1_100,
        burst: 8,
        window: 32,
        packets: 1_600
    )
    package static let audio = Scenario(
        kind: .audio,
        publishers: 10,
        subscribers: 300,
        byteCount: 160,
        burst: 1,
        window: 40,
        packets: 1_600
    )

    /// A publisher's packet: of video, frames of `burst` packets.
    package func packet(publisher: Int, ssrc: UInt32, index: Int) -> [UInt8] {
        let frame = index / self.burst
        let place = index % self.burst
        let isVideo = self.kind == .video
        let marker: UInt8 = isVideo && place == self.burst - 1 ? 0x80 : 0
        let timestamp = UInt32(truncatingIfNeeded: isVideo ? frame * 3_000 : index * 960)
        var packet: [UInt8] = [
            0x90, (isVideo ? 96 : 111) | marker, UInt8(truncatingIfNeeded: index >> 8),
            UInt8(truncatingIfNeeded: index),
        ]
        for word in [timestamp, ssrc] { for shift in [24, 16, 8, 0] { packet.append(UInt8(word >> shift & 0xFF)) } }
        let mid = UInt8(ascii: "0") + (isVideo ? 1 : 0)
        packet += [
            0xBE, 0xDE, 0, 3, 0x10, mid, 0x51, UInt8(frame >> 8 & 0xFF), UInt8(frame & 0xFF), 0x62, 1, 2, 3, 0, 0, 0,
        ]
        if isVideo { packet += Self.vp8(frame: frame, isFirst: place == 0) }
        return packet + [UInt8](repeating: 0x5A, count: max(0, self.byteCount - packet.count))
    }

    package static let headerLength = 28
    /// Nobody answers requests for key frames here, so they come by themselves.
    private static let keyFrameInterval = 32

    /// A payload descriptor with a 15-bit picture id, TL0PICIDX and a temporal layer (RFC 7741 §4.2), and the start of
    /// a frame.
    private static func vp8(frame: Int, isFirst: Bool) -> [UInt8] {
        let descriptor: [UInt8] = [
            isFirst ? 0x90 : 0x80, 0xE0, 0x80 | UInt8(frame >> 8 & 0x7F), UInt8(frame & 0xFF), UInt8(frame & 0xFF),
            0x20,
        ]
        guard isFirst else { return descriptor + [0x11, 0, 0] }
        return descriptor
            + (frame % Self.keyFrameInterval == 0
                ? [0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0x68, 0x01] : [0x11, 0, 0])
    }
}
