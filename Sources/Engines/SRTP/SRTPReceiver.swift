/// Why a packet was refused. Count it and drop the packet: none of these ends a session (CONFORMANCE D-08).
package enum SRTPOpenError: Int, Error, CaseIterable {
    /// Too short for its header and tag, or unencrypted RTCP.
    case malformed = -1
    /// Seen before, or too old to tell.
    case replayed = -2
    /// The tag is wrong: corrupted, forged, or the wrong key.
    case authentication = -3
    /// The key has protected all it may (RFC 3711 §9.2).
    case keyExhausted = -4
}

/// Opens everything that one peer sends: RTP of any number of streams, and RTCP.
@safe package struct SRTPReceiver: ~Copyable {
    package let profile: SRTPProfile
    private let rtp: SRTPTransform
    private let rtcp: SRTPTransform
    private var rtpBudget: UInt64 = SRTPLimits.rtpPackets
    private var rtcpReplay = SRTCPReplayTable()

    package init(_ material: SRTPKeyingMaterial, library: SRTPLibrary = .fastest) throws(SRTPSetupError) {
        func keys(isRTCP: Bool) throws(SRTPSetupError) -> SRTPSessionKeys {
            try SRTPSessionKeys(
                profile: material.profile,
                masterKey: material.remoteKey,
                masterSalt: material.remoteSalt,
                isRTCP: isRTCP
            )
        }
        try self.init(rtpKeys: keys(isRTCP: false), rtcpKeys: keys(isRTCP: true), library: library)
    }

    /// From session keys, as published test vectors give them.
    package init(rtpKeys: SRTPSessionKeys, rtcpKeys: SRTPSessionKeys, library: SRTPLibrary = .fastest)
        throws(SRTPSetupError)
    {
        let rtp = try SRTPTransform(keys: rtpKeys, direction: .open, library: library)
        let rtcp = try SRTPTransform(keys: rtcpKeys, direction: .open, library: library)
        self.profile = rtpKeys.profile
        self.rtp = rtp
        self.rtcp = rtcp
    }

    /// Authenticates and deciphers one RTP packet in place (RFC 3711 §3.3, RFC 7714 §8). Never allocates.
    ///
    /// - Parameters:
    ///   - packet: the datagram. When it is refused, its payload may be spoilt.
    ///   - headerLength: of the fixed header, CSRCs and extensions: 12 bytes or more.
    ///   - stream: the state of the packet's SSRC; it changes only when the packet is authentic and new, and its
    ///     `lastIndex` is then the packet's.
    /// - Returns: the length of header and payload, or the raw value of an `SRTPOpenError`.
    package mutating func openRTP(
        _ packet: UnsafeMutableRawBufferPointer,
        headerLength: Int,
        stream: inout SRTPStreamState
    ) -> Int {
        let plainLength = packet.count &- self.profile.tagLength
        guard
            headerLength >= 12, plainLength >= headerLength, packet.count <= SRTPLimits.packetLength,
            let bytes = packet.baseAddress
        else { return SRTPOpenError.malformed.rawValue }
        let sequence = unsafe UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
        let ssrc = unsafe UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        guard let index = stream.estimateIndex(sequence) else {
            // Below the first index it is older than anything; above the last one the key is spent.
            let isOld = stream.highestIndex < 1 << 47
            return (isOld ? SRTPOpenError.replayed : .keyExhausted).rawValue
        }
        guard !stream.wasSeen(index) else { return SRTPOpenError.replayed.rawValue }
        guard self.rtpBudget > 0 else { return SRTPOpenError.keyExhausted.rawValue }

        let body = unsafe bytes + headerLength
        let count = plainLength &- headerLength
        if self.profile.isAEAD {
            guard
                unsafe self.rtp.openAEAD(
                    header: UnsafeRawBufferPointer(start: bytes, count: headerLength),
                    trailer: nil,
                    payload: UnsafeMutableRawBufferPointer(start: body, count: count),
                    tag: bytes + plainLength,
                    ssrc: ssrc,
                    index: index
                )
            else { return SRTPOpenError.authentication.rawValue }
        } else {
            guard
                unsafe self.rtp.hasTag(
                    bytes + plainLength,
                    over: UnsafeRawBufferPointer(start: bytes, count: plainLength),
                    suffix: UInt32(truncatingIfNeeded: index >> 16)
                ),
                unsafe self.rtp.applyKeyStream(body, to: body, count: count, ssrc: ssrc, index: index)
            else { return SRTPOpenError.authentication.rawValue }
        }
        self.rtpBudget &-= 1
        stream.accept(index)
        return plainLength
    }

    /// Authenticates and deciphers one compound RTCP packet in place (RFC 3711 §3.4, RFC 7714 §9).
    ///
    /// - Returns: the length of the plain packet, or the raw value of an `SRTPOpenError`.
    package mutating func openRTCP(_ packet: UnsafeMutableRawBufferPointer) -> Int {
        let plainLength = packet.count &- self.profile.rtcpOverhead
        guard
            plainLength >= 8, packet.count <= SRTPLimits.packetLength, let bytes = packet.baseAddress
        else { return SRTPOpenError.malformed.rawValue }
        // The word with the index comes last with AEAD, and before the tag otherwise.
        let isAEAD = self.profile.isAEAD
        let wordOffset = isAEAD ? packet.count &- 4 : plainLength
        let tagOffset = isAEAD ? plainLength : plainLength &+ 4
        let word = unsafe UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: wordOffset, as: UInt32.self))
        let ssrc = unsafe UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        // Every profile we negotiate enciphers RTCP, so a clear E flag is not the peer's (RFC 5764 §4.1.2).
        guard word & SRTPLimits.encryptedFlag != 0 else { return SRTPOpenError.malformed.rawValue }
        let index = word & ~SRTPLimits.encryptedFlag
        guard !self.rtcpReplay.wasSeen(index, ssrc: ssrc) else { return SRTPOpenError.replayed.rawValue }

        let body = unsafe bytes + 8
        let count = plainLength &- 8
        if isAEAD {
            guard
                unsafe self.rtcp.openAEAD(
                    header: UnsafeRawBufferPointer(start: bytes, count: 8),
                    trailer: word,
                    payload: UnsafeMutableRawBufferPointer(start: body, count: count),
                    tag: bytes + tagOffset,
                    ssrc: ssrc,
                    index: UInt64(index)
                )
            else { return SRTPOpenError.authentication.rawValue }
        } else {
            guard
                unsafe self.rtcp.hasTag(
                    bytes + tagOffset,
                    over: UnsafeRawBufferPointer(start: bytes, count: tagOffset),
                    suffix: nil
                ),
                unsafe self.rtcp.applyKeyStream(body, to: body, count: count, ssrc: ssrc, index: UInt64(index))
            else { return SRTPOpenError.authentication.rawValue }
        }
        self.rtcpReplay.accept(index, ssrc: ssrc)
        return plainLength
    }
}
