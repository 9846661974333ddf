/// Packets as a browser sends them.
enum Packets {
    /// An RTP packet with MID, transport-wide number and send time as extensions 1, 5 and 6.
    ///
    /// - Parameter byteCount: of the whole packet.
    static func rtp(payloadType: UInt8, ssrc: UInt32, mid: UInt8, payload: [UInt8], byteCount: Int) -> [UInt8] {
        var packet: [UInt8] = [0x90, payloadType, 0, 0, 0, 0, 0, 0]
        packet += [UInt8(truncatingIfNeeded: ssrc >> 24), UInt8(truncatingIfNeeded: ssrc >> 16)]
        packet += [UInt8(truncatingIfNeeded: ssrc >> 8), UInt8(truncatingIfNeeded: ssrc)]
        packet += [0xBE, 0xDE, 0, 3, 0x10, mid, 0x51, 0, 1, 0x62, 1, 2, 3, 0, 0, 0]
        packet += payload
        return packet + [UInt8](repeating: 0x5A, count: max(0, byteCount - packet.count))
    }

    static let headerLength = 28
    /// The first packet of a VP8 key frame of 640 x 360 pixels, with a 15-bit picture id and TL0PICIDX.
    static let keyFrame: [UInt8] = [
        0x90, 0xE0, 0x81, 0x23, 5, 0x20, 0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0x68, 0x01,
    ]
    /// Of a frame in between.
    static let deltaFrame: [UInt8] = [0x90, 0xE0, 0x81, 0x24, 5, 0x20, 0x11, 0, 0]

    static func setSequence(_ sequence: Int, in packet: UnsafeMutableRawBufferPointer) {
        packet[2] = UInt8(truncatingIfNeeded: sequence >> 8)
        packet[3] = UInt8(truncatingIfNeeded: sequence)
    }
}
