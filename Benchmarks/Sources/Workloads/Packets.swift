/// Packets as a browser sends them.
enum Packets {
    /// An RTP packet with MID, transport-wide number and send time as extensions 1, 5 and 6.
    ///
    /// - Parameters:
    ///   - descriptor: of dependencies, as extension 8; up to 16 bytes, none = it has none.
    ///   - byteCount: of the whole packet.
    static func rtp(
        payloadType: UInt8,
        ssrc: UInt32,
        mid: UInt8,
        descriptor: [UInt8] = [],
        payload: [UInt8],
        byteCount: Int
    ) -> [UInt8] {
        var extensions: [UInt8] = [0x10, mid, 0x51, 0, 1, 0x62, 1, 2, 3]
        if !descriptor.isEmpty { extensions += [0x80 | UInt8(descriptor.count - 1)] + descriptor }
        while extensions.count % 4 != 0 { extensions.append(0) }
        var packet: [UInt8] = [0x90, payloadType, 0, 0, 0, 0, 0, 0]
        packet += [UInt8(truncatingIfNeeded: ssrc >> 24), UInt8(truncatingIfNeeded: ssrc >> 16)]
        packet += [UInt8(truncatingIfNeeded: ssrc >> 8), UInt8(truncatingIfNeeded: ssrc)]
        packet += [0xBE, 0xDE, 0, UInt8(extensions.count / 4)] + extensions + payload
        return packet + [UInt8](repeating: 0x5A, count: max(0, byteCount - packet.count))
    }

    /// Of a packet without a descriptor.
    static let headerLength = 28
    /// The first packet of a VP8 key frame of 640 x 360 pixels, with a 15-bit picture id and TL0PICIDX.
    static let keyFrame: [UInt8] = [
        0x90, 0xE0, 0x81, 0x23, 5, 0x20, 0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0x68, 0x01,
    ]
    /// Of a frame in between.
    static let deltaFrame: [UInt8] = [0x90, 0xE0, 0x81, 0x24, 5, 0x20, 0x11, 0, 0]

    // No frame starts: what every packet pays, not what a frame's first one does.

    /// The first packet of frame 0x1234, with the structure of one spatial and two temporal layers (L1T2).
    static let structure: [UInt8] = [0x80, 0x12, 0x34, 0x80, 0x01, 0x7A, 0x44, 0x08, 0x13, 0xF8, 0x0B, 0x38]
    /// In the midst of frame 0x1235, of the upper layer, decoded from the one before, which Chromium says in each packet.
    static let descriptor: [UInt8] = [0x01, 0x12, 0x35, 0x12, 0]
    /// Of AV1: one element, which starts a coded video sequence; and one of a frame.
    static let sequenceStart: [UInt8] = [0x18, 0x08]
    static let frame: [UInt8] = [0x10, 0x30]

    static func setSequence(_ sequence: Int, in packet: UnsafeMutableRawBufferPointer) {
        packet[2] = UInt8(truncatingIfNeeded: sequence >> 8)
        packet[3] = UInt8(truncatingIfNeeded: sequence)
    }
}
