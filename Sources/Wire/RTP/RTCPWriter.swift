package import Basics

/// Writes a compound RTCP packet into the caller's memory (RFC 3550 §6.1). Allocates nothing.
///
/// Every `append` writes a whole packet or, when it does not fit, nothing and returns `false`.
@usableFromInline package struct RTCPWriter: ~Copyable, ~Escapable {
    private var bytes: MutableRawSpan
    /// Bytes written so far.
    package private(set) var count = 0

    /// - Parameter bytes: the room that there is. SRTCP needs its own behind it.
    @_lifetime(copy bytes)
    package init(_ bytes: consuming MutableRawSpan) { self.bytes = bytes }

    package var isEmpty: Bool { self.count == 0 }
    package var remaining: Int { self.bytes.byteCount - self.count }

    // MARK: Reports

    /// - Parameter blocks: up to 31.
    @_lifetime(self: copy self)
    package mutating func append(_ report: SenderReport, blocks: Span<ReportBlock>) -> Bool {
        guard blocks.count <= 31, self.begin(200, count: blocks.count, length: 28 + blocks.count * 24) else {
            return false
        }
        self.put(report.ssrc.value)
        self.bytes.store(report.ntpTime.rawValue, at: self.count)
        self.count += 8
        self.put(report.rtpTimestamp)
        self.put(report.packetCount)
        self.put(report.octetCount)
        for index in blocks.indices { self.put(blocks[index]) }
        return true
    }

    /// - Parameters:
    ///   - sender: our own SSRC.
    ///   - blocks: up to 31; an empty report is what starts a compound of a receiver without news.
    @_lifetime(self: copy self)
    package mutating func appendReceiverReport(from sender: SSRC, blocks: Span<ReportBlock>) -> Bool {
        guard blocks.count <= 31, self.begin(201, count: blocks.count, length: 8 + blocks.count * 24) else {
            return false
        }
        self.put(sender.value)
        for index in blocks.indices { self.put(blocks[index]) }
        return true
    }

    // MARK: Sources

    /// A source description of one source (RFC 3550 §6.5, RFC 9143 §15).
    ///
    /// - Parameter cname: up to 255 bytes of UTF-8.
    @_lifetime(self: copy self)
    package mutating func appendSourceDescription(of ssrc: SSRC, cname: String, mid: ShortText? = nil) -> Bool {
        let cnameLength = cname.utf8.count
        guard cnameLength <= 255 else { return false }
        let itemLength = 2 + cnameLength + (mid.map { 2 + $0.count } ?? 0)
        // The list ends with at least one zero byte and is padded to a word.
        let length = 8 + (itemLength + 4) & ~3
        guard self.begin(202, count: 1, length: length) else { return false }
        let end = self.count - 4 + length
        self.put(ssrc.value)
        self.put(SDESItemKind.cname.rawValue)
        self.put(UInt8(truncatingIfNeeded: cnameLength))
        for byte in cname.utf8 { self.put(byte) }
        if let mid {
            self.put(SDESItemKind.mid.rawValue)
            self.put(UInt8(truncatingIfNeeded: mid.count))
            for index in 0..<mid.count { self.put(mid.byte(at: index)) }
        }
        while self.count < end { self.put(0 as UInt8) }
        return true
    }

    /// - Parameter ssrcs: up to 31.
    @_lifetime(self: copy self)
    package mutating func appendGoodbye(_ ssrcs: Span<SSRC>) -> Bool {
        guard ssrcs.count <= 31, self.begin(203, count: ssrcs.count, length: 4 + ssrcs.count * 4) else { return false }
        for index in ssrcs.indices { self.put(ssrcs[index].value) }
        return true
    }

    // MARK: Feedback

    /// A generic NACK (RFC 4585 §6.2.1).
    ///
    /// - Parameter lost: in order, oldest first, as numbers wrap; each once. Not empty.
    @_lifetime(self: copy self)
    package mutating func appendNACK(from sender: SSRC, about media: SSRC, lost: Span<SequenceNumber>) -> Bool {
        guard !lost.isEmpty else { return false }
        let start = self.count
        guard self.begin(205, count: 1, length: 12) else { return false }
        self.put(sender.value)
        self.put(media.value)
        var index = 0
        while index < lost.count {
            let first = lost[index]
            index += 1
            var following: UInt16 = 0
            while index < lost.count {
                let distance = lost[index].distance(from: first)
                guard (1...16).contains(distance) else { break }
                following |= 1 << UInt16(distance - 1)
                index += 1
            }
            guard self.remaining >= 4 else {
                self.rewind(to: start)
                return false
            }
            self.put(first.value)
            self.put(following)
        }
        return self.end(start)
    }

    /// RFC 4585 §6.3.1.
    @_lifetime(self: copy self)
    package mutating func appendPictureLossIndication(from sender: SSRC, about media: SSRC) -> Bool {
        guard self.begin(206, count: 1, length: 12) else { return false }
        self.put(sender.value)
        self.put(media.value)
        return true
    }

    /// RFC 5104 §4.3.1.
    @_lifetime(self: copy self)
    package mutating func appendFullIntraRequest(from sender: SSRC, _ entry: FIREntry) -> Bool {
        guard self.begin(206, count: 4, length: 20) else { return false }
        self.put(sender.value)
        self.put(0 as UInt32)
        self.put(entry.ssrc.value)
        self.put(UInt32(entry.sequenceNumber) << 24)
        return true
    }

    /// REMB (draft-alvestrand-rmcat-remb-03 §2.2). The value is rounded down to 18 significant bits; below zero is 0.
    ///
    /// - Parameter ssrcs: the streams that it is about, up to 255.
    @_lifetime(self: copy self)
    package mutating func appendMaximumBitrate(_ bitrate: Bitrate, from sender: SSRC, ssrcs: Span<SSRC>) -> Bool {
        guard ssrcs.count <= 255, self.begin(206, count: 15, length: 20 + ssrcs.count * 4) else { return false }
        let value = UInt64(max(0, bitrate.bitsPerSecond))
        let exponent = max(0, 46 - value.leadingZeroBitCount)
        self.put(sender.value)
        self.put(0 as UInt32)
        self.put(0x5245_4D42 as UInt32)
        self.put(
            UInt32(truncatingIfNeeded: ssrcs.count) << 24 | UInt32(truncatingIfNeeded: exponent) << 18
                | UInt32(truncatingIfNeeded: value >> UInt64(exponent))
        )
        for index in ssrcs.indices { self.put(ssrcs[index].value) }
        return true
    }

    // MARK: Fields

    /// Writes a header when the whole packet fits.
    @_lifetime(self: copy self)
    mutating func begin(_ packetType: UInt8, count: Int, length: Int) -> Bool {
        guard self.remaining >= length else { return false }
        self.put(0x80 | UInt8(truncatingIfNeeded: count))
        self.put(packetType)
        self.put(UInt16(truncatingIfNeeded: length / 4 - 1))
        return true
    }

    /// Fills the packet that began at `start` up to a word with zeros and sets its length; takes it back when that
    /// does not fit.
    @_lifetime(self: copy self)
    mutating func end(_ start: Int) -> Bool {
        let padding = (start - self.count) & 3
        let words = (self.count - start + padding) / 4
        guard self.remaining >= padding, words <= 0x1_0000 else {
            self.rewind(to: start)
            return false
        }
        for _ in 0..<padding { self.put(0 as UInt8) }
        self.patch(UInt16(truncatingIfNeeded: words - 1), at: start + 2)
        return true
    }

    @_lifetime(self: copy self)
    mutating func rewind(to start: Int) { self.count = start }

    @_lifetime(self: copy self)
    mutating func patch(_ value: UInt16, at offset: Int) { self.bytes.store(value, at: offset) }

    // The caller has checked that there is room.

    @_lifetime(self: copy self)
    mutating func put(_ value: UInt8) {
        self.bytes.store(value, at: self.count)
        self.count += 1
    }
    @_lifetime(self: copy self)
    mutating func put(_ value: UInt16) {
        self.bytes.store(value, at: self.count)
        self.count += 2
    }
    @_lifetime(self: copy self)
    mutating func put(_ value: UInt32) {
        self.bytes.store(value, at: self.count)
        self.count += 4
    }

    @_lifetime(self: copy self)
    private mutating func put(_ block: ReportBlock) {
        let lost = min(max(block.cumulativeLost, -0x80_0000), 0x7F_FFFF)
        self.put(block.ssrc.value)
        self.put(UInt32(block.fractionLost) << 24 | UInt32(bitPattern: lost) & 0xFF_FFFF)
        self.put(block.extendedHighestSequenceNumber)
        self.put(block.jitter)
        self.put(block.lastSenderReport)
        self.put(block.delaySinceLastSenderReport)
    }
}
