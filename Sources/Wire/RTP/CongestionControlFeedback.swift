package import Basics

/// The two ECN bits of a packet's IP header, as it arrived (RFC 3168 §5).
@usableFromInline package enum ECNMark: UInt8, Hashable, Sendable, BitwiseCopyable {
    case notCapable = 0, capable1 = 1, capable0 = 2
    /// A queue on the way asks for less.
    case congestionExperienced = 3
}

/// When a packet came, as congestion control feedback tells it.
@usableFromInline package enum ReportedArrival: Hashable, Sendable, BitwiseCopyable {
    /// It has not come, or not yet.
    case none
    /// In units of 1/1024 s before the report's timestamp: 0...8,189.
    case before(UInt16)
    /// It has come, more than 8 s ago or at a time that the receiver does not know.
    case unknown
}

/// What congestion control feedback says of one RTP packet.
@usableFromInline package struct PacketReport: Hashable, Sendable, BitwiseCopyable {
    package let ssrc: SSRC
    package let sequenceNumber: SequenceNumber
    package let arrival: ReportedArrival
    /// `notCapable` when it has not come.
    package let mark: ECNMark

    package init(_ ssrc: SSRC, _ sequenceNumber: SequenceNumber, arrival: ReportedArrival, mark: ECNMark) {
        self.ssrc = ssrc
        self.sequenceNumber = sequenceNumber
        self.arrival = arrival
        self.mark = mark
    }
}

/// Congestion control feedback (RFC 8888 §3.1): packets by SSRC and RTP sequence number, with arrival times and marks.
///
/// Bounds: two bytes per reported packet, so 65,535 words hold fewer than 131,072 of them and a datagram of 1,500 bytes
/// fewer than 750; a block with more than 16,384 is refused.
@usableFromInline package struct CongestionControlFeedbackView: ~Escapable {
    package static let longestBlock = 16_384
    fileprivate static let headerLength = 8
    private static let timestampLength = 4

    private let bytes: RawSpan

    /// The middle 32 bits of the receiver's NTP time: units of 1/65,536 s, wraps every 18 hours.
    package var timestamp: UInt32 { self.bytes.uint32(at: self.bytes.byteCount - Self.timestampLength) }

    /// - Parameter bytes: a packet of type 205 and format 11, without padding.
    /// - Returns: `nil` when its blocks do not fill it exactly, or one is too long.
    @_lifetime(copy bytes)
    fileprivate init?(_ bytes: RawSpan) {
        let end = bytes.byteCount - Self.timestampLength
        guard end >= Self.headerLength else { return nil }
        var offset = Self.headerLength
        while offset < end {
            guard end - offset >= 8 else { return nil }
            let count = Int(bytes.uint16(at: offset + 6))
            guard count <= Self.longestBlock else { return nil }
            offset += 8 + Self.paddedLength(count)
        }
        guard offset == end else { return nil }
        self.bytes = bytes
    }

    /// Calls `body` for every packet, block by block, in the order of sequence numbers.
    package func forEachPacket(_ body: (PacketReport) -> Void) {
        let end = self.bytes.byteCount - Self.timestampLength
        var offset = Self.headerLength
        while offset < end {
            let ssrc = SSRC(self.bytes.uint32(at: offset))
            let first = SequenceNumber(self.bytes.uint16(at: offset + 4))
            let count = Int(self.bytes.uint16(at: offset + 6))
            offset += 8
            for index in 0..<count {
                let field = self.bytes.uint16(at: offset + 2 * index)
                body(Self.report(field, of: ssrc, first.advanced(by: index)))
            }
            offset += Self.paddedLength(count)
        }
    }

    private static func report(_ field: UInt16, of ssrc: SSRC, _ number: SequenceNumber) -> PacketReport {
        guard field & 0x8000 != 0 else { return PacketReport(ssrc, number, arrival: .none, mark: .notCapable) }
        let offset = field & 0x1FFF
        let mark = ECNMark(rawValue: UInt8(truncatingIfNeeded: field >> 13 & 3)) ?? .notCapable
        return PacketReport(ssrc, number, arrival: offset < 0x1FFE ? .before(offset) : .unknown, mark: mark)
    }

    /// Of `count` packets' fields, up to a word.
    fileprivate static func paddedLength(_ count: Int) -> Int { (count * 2 + 3) & ~3 }
}

extension RTCPPacketView {
    /// - Returns: `nil` for other packets, and for feedback whose blocks do not fit it.
    package var congestionControlFeedback: CongestionControlFeedbackView? {
        @_lifetime(copy self) get {
            self.kind == .congestionControlFeedback ? CongestionControlFeedbackView(self.bytes) : nil
        }
    }
}

extension RTCPWriter {
    /// RFC 8888 §3.1. A block for each run of reports with one SSRC and consecutive numbers; who wants numbers that are
    /// missing to count as lost has to name them.
    ///
    /// - Parameter timestamp: the middle 32 bits of the NTP time that the arrivals refer to.
    @_lifetime(self: copy self)
    package mutating func appendCongestionControlFeedback(
        from sender: SSRC,
        about reports: Span<PacketReport>,
        timestamp: UInt32
    ) -> Bool {
        let start = self.count
        guard self.begin(205, count: 11, length: 12) else { return false }
        self.put(sender.value)
        var index = 0
        while index < reports.count {
            let end = Self.endOfBlock(reports, from: index)
            let length = CongestionControlFeedbackView.paddedLength(end - index)
            // The timestamp still has to fit.
            guard self.remaining >= 8 + length + 4 else {
                self.rewind(to: start)
                return false
            }
            self.put(reports[index].ssrc.value)
            self.put(reports[index].sequenceNumber.value)
            self.put(UInt16(truncatingIfNeeded: end - index))
            for position in index..<end { self.put(Self.field(of: reports[position])) }
            if (end - index) & 1 != 0 { self.put(0 as UInt16) }
            index = end
        }
        self.put(timestamp)
        return self.end(start)
    }

    private static func endOfBlock(_ reports: Span<PacketReport>, from start: Int) -> Int {
        var end = start + 1
        while end < reports.count, end - start < CongestionControlFeedbackView.longestBlock,
            reports[end].ssrc == reports[start].ssrc,
            reports[end].sequenceNumber.distance(from: reports[end - 1].sequenceNumber) == 1
        {
            end += 1
        }
        return end
    }

    private static func field(of report: PacketReport) -> UInt16 {
        let offset: UInt16
        switch report.arrival {
        case .none: return 0
        case .before(let units): offset = min(units, 0x1FFE)
        case .unknown: offset = 0x1FFF
        }
        return 0x8000 | UInt16(report.mark.rawValue) << 13 | offset
    }
}
