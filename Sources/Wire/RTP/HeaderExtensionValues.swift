public import Basics

/// How loud an audio packet is (RFC 6464 §3).
@usableFromInline package struct AudioLevel: Hashable, Sendable, BitwiseCopyable {
    /// The byte on the wire.
    @usableFromInline package let rawValue: UInt8

    @inlinable package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// - Parameter level: 0...127, in -dBov; larger values become 127.
    @inlinable package init(level: UInt8, hasVoice: Bool) {
        self.rawValue = min(level, 127) | (hasVoice ? 0x80 : 0)
    }

    /// In -dBov: 0 is the loudest, 127 is silence.
    @inlinable package var level: UInt8 { self.rawValue & 0x7F }
    /// The encoder believes that the packet contains speech.
    @inlinable package var hasVoice: Bool { self.rawValue & 0x80 != 0 }
}

/// The time that a packet left its sender: 24 bits, seconds as 6.18 fixed point, so that it wraps every 64 s
/// (abs-send-time).
@usableFromInline package struct AbsoluteSendTime: Hashable, Sendable, BitwiseCopyable {
    /// 0...0xFFFFFF.
    @usableFromInline package let rawValue: UInt32

    @inlinable package init(rawValue: UInt32) { self.rawValue = rawValue & 0xFF_FFFF }

    /// The time modulo 64 s.
    @inlinable package init(_ instant: Instant) {
        let turn: Int64 = 64_000_000_000
        let remainder = instant.nanoseconds % turn
        let nanoseconds = UInt64(bitPattern: remainder < 0 ? remainder &+ turn : remainder)
        // Below 2^36 * 2^18, and the division rounds down, so the result is below 2^24.
        self.rawValue = UInt32(truncatingIfNeeded: (nanoseconds &<< 18) / 1_000_000_000)
    }

    /// Writes 24 bits, also for a pacer that knows the time only when the packet leaves.
    ///
    /// - Parameter offset: at least 3 bytes before the end of `bytes`; otherwise nothing is written.
    @inlinable package func write(into bytes: inout MutableRawSpan, at offset: Int) {
        guard offset >= 0, bytes.byteCount >= 3, offset <= bytes.byteCount &- 3 else { return }
        bytes.store(UInt8(truncatingIfNeeded: self.rawValue >> 16), at: offset)
        bytes.store(UInt16(truncatingIfNeeded: self.rawValue), at: offset &+ 1)
    }

    /// From `other` to `self`, at most 32 s either way.
    @inlinable package func interval(since other: Self) -> Nanoseconds {
        let difference = Int64(Int32(bitPattern: (self.rawValue &- other.rawValue) &<< 8) >> 8)
        return Nanoseconds((difference &* 1_000_000_000) >> 18)
    }
}

extension RTPHeaderInfo {
    // All of these check the place against `bytes`, so that the wrong packet gives a wrong answer and not a trap.

    /// The offset of a value of at least `count` bytes.
    @inlinable func offset(of kind: HeaderExtension, count: Int, in bytes: RawSpan) -> Int? {
        guard let range = self.range(of: kind), range.count >= count, range.upperBound <= bytes.byteCount else {
            return nil
        }
        return range.lowerBound
    }

    @inlinable package func audioLevel(in bytes: RawSpan) -> AudioLevel? {
        guard let offset = self.offset(of: .audioLevel, count: 1, in: bytes) else { return nil }
        return AudioLevel(rawValue: bytes.uint8(at: offset))
    }

    /// The transport-wide sequence number (draft-holmer-rmcat-transport-wide-cc-extensions-01 §2).
    @inlinable package func transportSequenceNumber(in bytes: RawSpan) -> SequenceNumber? {
        guard let offset = self.offset(of: .transportSequenceNumber, count: 2, in: bytes) else { return nil }
        return SequenceNumber(bytes.uint16(at: offset))
    }

    @inlinable package func absoluteSendTime(in bytes: RawSpan) -> AbsoluteSendTime? {
        guard let offset = self.offset(of: .absoluteSendTime, count: 3, in: bytes) else { return nil }
        return AbsoluteSendTime(rawValue: bytes.uint24(at: offset))
    }

    /// The byte `0000CFRR` of 3GPP TS 26.114 §7.4.5: camera, flip, rotation.
    @inlinable package func videoOrientation(in bytes: RawSpan) -> UInt8? {
        guard let offset = self.offset(of: .videoOrientation, count: 1, in: bytes) else { return nil }
        return bytes.uint8(at: offset)
    }

    /// The media section that the packet belongs to (RFC 9143 §15).
    @inlinable package func mid(in bytes: RawSpan) -> ShortText? { self.text(of: .mid, in: bytes) }
    /// The simulcast encoding that the packet belongs to (RFC 8852 §3.1).
    @inlinable package func rid(in bytes: RawSpan) -> ShortText? { self.text(of: .rid, in: bytes) }
    /// The encoding that a retransmission repairs (RFC 8852 §3.2).
    @inlinable package func repairedRID(in bytes: RawSpan) -> ShortText? { self.text(of: .repairedRID, in: bytes) }

    @inlinable func text(of kind: HeaderExtension, in bytes: RawSpan) -> ShortText? {
        guard let range = self.range(of: kind) else { return nil }
        return ShortText(bytes, range: range)
    }
}
