/// An RTP packet that is to be sealed with others of its session: its header stands where the whole packet is to be.
@safe @usableFromInline package struct UnsealedPacket: BitwiseCopyable {
    /// Begins with the header, and has room for the payload and `SRTPProfile.tagLength` bytes.
    @usableFromInline let start: UnsafeMutableRawPointer
    @usableFromInline let payload: UnsafeRawPointer
    @usableFromInline let headerLength: Int32
    @usableFromInline let payloadLength: Int32
    @usableFromInline let rolloverCounter: UInt32

    /// - Parameters:
    ///   - headerLength: 12 or more.
    ///   - payload: not in what begins at `start`.
    ///   - payloadLength: 0 or more.
    ///   - rolloverCounter: the upper 32 bits of the 48-bit packet index.
    @inlinable package init(
        at start: UnsafeMutableRawPointer,
        headerLength: Int,
        payload: UnsafeRawPointer,
        payloadLength: Int,
        rolloverCounter: UInt32
    ) {
        unsafe self.start = unsafe start
        unsafe self.payload = unsafe payload
        self.headerLength = Int32(truncatingIfNeeded: headerLength)
        self.payloadLength = Int32(truncatingIfNeeded: payloadLength)
        self.rolloverCounter = rolloverCounter
    }
}

extension SRTPSender {
    /// Protects several RTP packets, each as `sealRTP(header:payload:rolloverCounter:into:)` would. Never allocates.
    ///
    /// - Returns: whether all are sealed. If not, none of them may be sent.
    package mutating func sealRTP(_ packets: UnsafeBufferPointer<UnsealedPacket>) -> Bool {
        guard self.profile.isAEAD, self.takeBudget(packets.count) else { return unsafe self.sealEach(packets) }
        for index in packets.indices {
            let packet = unsafe packets[index]
            let start = unsafe packet.start
            let headerLength = Int(packet.headerLength)
            let isSealed = unsafe self.rtp.sealAEAD(
                header: UnsafeRawBufferPointer(start: start, count: headerLength),
                trailer: nil,
                plain: UnsafeRawBufferPointer(start: packet.payload, count: Int(packet.payloadLength)),
                output: start + headerLength,
                ssrc: UInt32(bigEndian: start.loadUnaligned(fromByteOffset: 8, as: UInt32.self)),
                index: UInt64(packet.rolloverCounter) << 16
                    | UInt64(UInt16(bigEndian: start.loadUnaligned(fromByteOffset: 2, as: UInt16.self)))
            )
            guard isSealed else { return false }
        }
        return true
    }

    @inline(never)
    private mutating func sealEach(_ packets: UnsafeBufferPointer<UnsealedPacket>) -> Bool {
        for index in packets.indices {
            let packet = unsafe packets[index]
            let headerLength = Int(packet.headerLength)
            let payloadLength = Int(packet.payloadLength)
            let length = unsafe self.sealRTP(
                header: UnsafeRawBufferPointer(start: packet.start, count: headerLength),
                payload: UnsafeRawBufferPointer(start: packet.payload, count: payloadLength),
                rolloverCounter: packet.rolloverCounter,
                into: UnsafeMutableRawBufferPointer(
                    start: packet.start,
                    count: headerLength + payloadLength + self.profile.tagLength
                )
            )
            guard length > 0 else { return false }
        }
        return true
    }
}
