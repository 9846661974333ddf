package import Basics

/// What a sender says of its stream (RFC 3550 §6.4.1).
@usableFromInline package struct SenderReport: Hashable, Sendable, BitwiseCopyable {
    package var ssrc: SSRC
    package var ntpTime: NTPTime
    /// The same moment in the units of the stream's own clock.
    package var rtpTimestamp: UInt32
    /// Both counts wrap.
    package var packetCount: UInt32
    package var octetCount: UInt32

    package init(ssrc: SSRC, ntpTime: NTPTime, rtpTimestamp: UInt32, packetCount: UInt32, octetCount: UInt32) {
        self.ssrc = ssrc
        self.ntpTime = ntpTime
        self.rtpTimestamp = rtpTimestamp
        self.packetCount = packetCount
        self.octetCount = octetCount
    }
}

/// What a receiver says of one source (RFC 3550 §6.4.1).
@usableFromInline package struct ReportBlock: Hashable, Sendable, BitwiseCopyable {
    package static let byteCount = 24

    package var ssrc: SSRC
    /// Of the packets since the last report, in 1/256.
    package var fractionLost: UInt8
    /// -0x800000...0x7FFFFF: negative with duplicates. Values outside are clamped when written.
    package var cumulativeLost: Int32
    package var extendedHighestSequenceNumber: UInt32
    /// In the units of the stream's own clock.
    package var jitter: UInt32
    /// The middle 32 bits of the NTP time of the last sender report; 0 before the first.
    package var lastSenderReport: UInt32
    /// From that report's arrival to this one, in 1/65536 s.
    package var delaySinceLastSenderReport: UInt32

    package init(
        ssrc: SSRC,
        fractionLost: UInt8,
        cumulativeLost: Int32,
        extendedHighestSequenceNumber: UInt32,
        jitter: UInt32,
        lastSenderReport: UInt32,
        delaySinceLastSenderReport: UInt32
    ) {
        self.ssrc = ssrc
        self.fractionLost = fractionLost
        self.cumulativeLost = cumulativeLost
        self.extendedHighestSequenceNumber = extendedHighestSequenceNumber
        self.jitter = jitter
        self.lastSenderReport = lastSenderReport
        self.delaySinceLastSenderReport = delaySinceLastSenderReport
    }

    /// About nothing: what fills an array before its blocks are made.
    package static var empty: Self {
        Self(
            ssrc: SSRC(0),
            fractionLost: 0,
            cumulativeLost: 0,
            extendedHighestSequenceNumber: 0,
            jitter: 0,
            lastSenderReport: 0,
            delaySinceLastSenderReport: 0
        )
    }
}

extension RTCPPacketView {
    /// The sender's part of a sender report.
    package var senderReport: SenderReport? {
        guard self.kind == .senderReport else { return nil }
        return SenderReport(
            ssrc: SSRC(self.bytes.uint32(at: 4)),
            ntpTime: NTPTime(rawValue: self.bytes.uint64(at: 8)),
            rtpTimestamp: self.bytes.uint32(at: 16),
            packetCount: self.bytes.uint32(at: 20),
            octetCount: self.bytes.uint32(at: 24)
        )
    }

    /// 0...31, of a sender or receiver report.
    package var reportBlockCount: Int {
        self.kind == .senderReport || self.kind == .receiverReport ? self.count : 0
    }

    /// - Returns: `nil` from `reportBlockCount` on.
    package func reportBlock(at index: Int) -> ReportBlock? {
        guard index >= 0, index < self.reportBlockCount else { return nil }
        let offset = (self.kind == .senderReport ? 28 : 8) + index * ReportBlock.byteCount
        return ReportBlock(
            ssrc: SSRC(self.bytes.uint32(at: offset)),
            fractionLost: self.bytes.uint8(at: offset + 4),
            // Shifting up and down again extends the sign of the 24 bits.
            cumulativeLost: Int32(bitPattern: self.bytes.uint24(at: offset + 5) << 8) >> 8,
            extendedHighestSequenceNumber: self.bytes.uint32(at: offset + 8),
            jitter: self.bytes.uint32(at: offset + 12),
            lastSenderReport: self.bytes.uint32(at: offset + 16),
            delaySinceLastSenderReport: self.bytes.uint32(at: offset + 20)
        )
    }
}
