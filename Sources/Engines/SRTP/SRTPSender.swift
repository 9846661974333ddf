/// Protects everything that one peer is sent: RTP of any number of streams, and RTCP.
///
/// The caller owns the sequence numbers: it must never hand in the same SSRC, roll-over counter and sequence number
/// twice with different bytes (RFC 7714 §8.4).
@safe package struct SRTPSender: ~Copyable {
    package let profile: SRTPProfile
    let rtp: SRTPTransform
    private let rtcp: SRTPTransform
    private var rtpBudget: UInt64 = SRTPLimits.rtpPackets
    private var rtcpIndex: UInt32

    package init(_ material: SRTPKeyingMaterial, library: SRTPLibrary = .fastest) throws(SRTPSetupError) {
        func keys(isRTCP: Bool) throws(SRTPSetupError) -> SRTPSessionKeys {
            try SRTPSessionKeys(
                profile: material.profile,
                masterKey: material.localKey,
                masterSalt: material.localSalt,
                isRTCP: isRTCP
            )
        }
        try self.init(rtpKeys: keys(isRTCP: false), rtcpKeys: keys(isRTCP: true), library: library)
    }

    /// From session keys, as published test vectors give them.
    ///
    /// - Parameter rtcpIndex: the index of the first RTCP packet, 31 bits.
    package init(
        rtpKeys: SRTPSessionKeys,
        rtcpKeys: SRTPSessionKeys,
        rtcpIndex: UInt32 = 0,
        library: SRTPLibrary = .fastest
    ) throws(SRTPSetupError) {
        let rtp = try SRTPTransform(keys: rtpKeys, direction: .seal, library: library)
        let rtcp = try SRTPTransform(keys: rtcpKeys, direction: .seal, library: library)
        self.profile = rtpKeys.profile
        self.rtp = rtp
        self.rtcp = rtcp
        self.rtcpIndex = rtcpIndex
    }

    /// Where the cipher keeps the key of RTP, as an address to fetch memory by.
    package mutating func key() -> UnsafeRawPointer? {
        unsafe UnsafeRawPointer(self.rtp.fastKey.pointer ?? self.rtp.cipher.pointer)
    }

    /// Whether the key may protect so many packets more; they are counted.
    mutating func takeBudget(_ count: Int) -> Bool {
        guard self.rtpBudget >= UInt64(count) else { return false }
        self.rtpBudget &-= UInt64(count)
        return true
    }

    /// Protects one RTP packet (RFC 3711 §3.3, RFC 7714 §8). Never allocates.
    ///
    /// - Parameters:
    ///   - header: the fixed header, CSRCs and extensions: 12 bytes or more. The sequence number and the SSRC are read
    ///     from it. May already be at the start of `output`, and is then not copied.
    ///   - payload: may already be at its final place, right behind the header; must not overlap `output` otherwise.
    ///   - rolloverCounter: the upper 32 bits of the 48-bit packet index.
    ///   - output: room for header, payload and `profile.tagLength` bytes.
    /// - Returns: the length of the protected packet, or -1 when `header` or `output` is too short or the key has
    ///   protected its 2^48 packets.
    package mutating func sealRTP(
        header: UnsafeRawBufferPointer,
        payload: UnsafeRawBufferPointer,
        rolloverCounter: UInt32,
        into output: UnsafeMutableRawBufferPointer
    ) -> Int {
        let tagOffset = header.count &+ payload.count
        let total = tagOffset &+ self.profile.tagLength
        guard
            header.count >= 12, output.count >= total, total <= SRTPLimits.packetLength, self.rtpBudget > 0,
            let source = header.baseAddress, let target = output.baseAddress
        else { return -1 }
        self.rtpBudget &-= 1
        if unsafe source != UnsafeRawPointer(target) {
            unsafe target.copyMemory(from: source, byteCount: header.count)
        }
        let sequence = unsafe UInt16(bigEndian: target.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
        let ssrc = unsafe UInt32(bigEndian: target.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        let index = UInt64(rolloverCounter) << 16 | UInt64(sequence)
        let body = unsafe target + header.count
        if self.profile.isAEAD {
            let isSealed = unsafe self.rtp.sealAEAD(
                header: header,
                trailer: nil,
                plain: payload,
                output: body,
                ssrc: ssrc,
                index: index
            )
            return isSealed ? total : -1
        }
        guard
            unsafe self.rtp.applyKeyStream(
                payload.baseAddress,
                to: body,
                count: payload.count,
                ssrc: ssrc,
                index: index
            )
        else { return -1 }
        unsafe self.rtp.writeTag(
            over: UnsafeRawBufferPointer(start: target, count: tagOffset),
            suffix: rolloverCounter,
            to: target + tagOffset
        )
        return total
    }

    /// Protects one compound RTCP packet in place and counts the index up (RFC 3711 §3.4, RFC 7714 §9).
    ///
    /// - Parameters:
    ///   - buffer: the packet, and behind it room for `profile.rtcpOverhead` bytes.
    ///   - length: of the packet: 8 bytes or more.
    /// - Returns: the length of the protected packet, or -1 when `length` or the room is too small or all 2^31 indices
    ///   are used up.
    package mutating func sealRTCP(_ buffer: UnsafeMutableRawBufferPointer, length: Int) -> Int {
        guard
            length >= 8, length <= SRTPLimits.packetLength,
            length &+ self.profile.rtcpOverhead <= buffer.count,
            self.rtcpIndex < SRTPLimits.rtcpPackets,
            let packet = buffer.baseAddress
        else { return -1 }
        let index = self.rtcpIndex
        self.rtcpIndex &+= 1
        let word = index | SRTPLimits.encryptedFlag
        let ssrc = unsafe UInt32(bigEndian: packet.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        let body = unsafe packet + 8
        if self.profile.isAEAD {
            let isSealed = unsafe self.rtcp.sealAEAD(
                header: UnsafeRawBufferPointer(start: packet, count: 8),
                trailer: word,
                plain: UnsafeRawBufferPointer(start: body, count: length - 8),
                output: body,
                ssrc: ssrc,
                index: UInt64(index)
            )
            unsafe packet.storeBytes(
                of: word.bigEndian,
                toByteOffset: length &+ self.profile.tagLength,
                as: UInt32.self
            )
            return isSealed ? length &+ self.profile.rtcpOverhead : -1
        }
        guard
            unsafe self.rtcp.applyKeyStream(body, to: body, count: length - 8, ssrc: ssrc, index: UInt64(index))
        else { return -1 }
        unsafe packet.storeBytes(of: word.bigEndian, toByteOffset: length, as: UInt32.self)
        unsafe self.rtcp.writeTag(
            over: UnsafeRawBufferPointer(start: packet, count: length + 4),
            suffix: nil,
            to: packet + length + 4
        )
        return length &+ self.profile.rtcpOverhead
    }
}

/// How much one master key may protect (RFC 3711 §9.2), and what one packet may be.
enum SRTPLimits {
    static let rtpPackets: UInt64 = 1 << 48
    static let rtcpPackets: UInt32 = 1 << 31
    /// More than a datagram holds; it keeps lengths inside OpenSSL's 32-bit ones.
    static let packetLength = 65_535
    /// The E flag of SRTCP's trailing word.
    static let encryptedFlag: UInt32 = 1 << 31
}
