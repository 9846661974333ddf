/// A synchronisation source: who sent it, never where it is in an array (RFC 3550 §3).
@usableFromInline package struct SSRC: Hashable, Sendable, BitwiseCopyable, CustomStringConvertible {
    @usableFromInline package let value: UInt32
    @inlinable package init(_ value: UInt32) { self.value = value }
    @usableFromInline package var description: String { String(self.value) }
}

/// A 16-bit RTP sequence number. It wraps, so it has a distance but no `<`.
@usableFromInline package struct SequenceNumber: Hashable, Sendable, BitwiseCopyable {
    @usableFromInline package let value: UInt16
    @inlinable package init(_ value: UInt16) { self.value = value }

    /// How far `self` is ahead of `other`, in packets; negative when behind. The range is -32768...32767.
    @inlinable package func distance(from other: Self) -> Int { Int(Int16(bitPattern: self.value &- other.value)) }
    @inlinable package func advanced(by count: Int) -> Self { Self(self.value &+ UInt16(truncatingIfNeeded: count)) }
}

/// Unwraps 16-bit sequence numbers into a 64-bit count that never goes back to zero.
@usableFromInline package struct SequenceUnwrapper: Sendable, BitwiseCopyable {
    /// The highest number seen so far; `nil` before the first.
    @usableFromInline package private(set) var highest: Int64?

    package init() {}

    /// The 64-bit number nearest to the highest so far. Starts one turn above zero, so that reordering at the start
    /// never goes negative.
    @usableFromInline package mutating func unwrap(_ sequence: SequenceNumber) -> Int64 {
        let unwrapped = self.peek(sequence)
        if let highest = self.highest { self.highest = max(highest, unwrapped) } else { self.highest = unwrapped }
        return unwrapped
    }

    /// As `unwrap`, without remembering.
    package func peek(_ sequence: SequenceNumber) -> Int64 {
        guard let highest = self.highest else { return Int64(sequence.value) + 65_536 }
        let last = SequenceNumber(UInt16(truncatingIfNeeded: highest))
        return highest + Int64(sequence.distance(from: last))
    }
}

/// A rate in bits per second. The unit is in the type, so it needs no suffix in any name.
@usableFromInline package struct Bitrate: Hashable, Comparable, Sendable, BitwiseCopyable {
    @usableFromInline package var bitsPerSecond: Int64
    @inlinable package init(bitsPerSecond: Int64) { self.bitsPerSecond = bitsPerSecond }
    @inlinable package static func kbps(_ value: Int64) -> Self { Self(bitsPerSecond: value &* 1_000) }
    package static let zero = Bitrate(bitsPerSecond: 0)
    @inlinable package static func < (lhs: Self, rhs: Self) -> Bool { lhs.bitsPerSecond < rhs.bitsPerSecond }
}

/// Audio or video: what an m-line says, and what a counter is labelled with (RFC 8866 §5.14).
@usableFromInline package enum MediaKind: UInt8, Hashable, Sendable, CaseIterable, BitwiseCopyable {
    case audio, video
    package var name: String { self == .audio ? "audio" : "video" }
}

/// One peer connection on the media plane. Unique for the life of the process.
@usableFromInline package struct SessionID: Hashable, Sendable, BitwiseCopyable, CustomStringConvertible {
    @usableFromInline package let value: UInt64
    @inlinable package init(_ value: UInt64) { self.value = value }
    @usableFromInline package var description: String { "s\(self.value)" }
}

/// A room's name, as clients write it: 1 to 128 bytes.
@usableFromInline package struct RoomID: Hashable, Sendable, CustomStringConvertible {
    @usableFromInline package let value: String
    package init(_ value: String) { self.value = value }
    @usableFromInline package var description: String { self.value }
}

/// A participant of one room: made by the server, unique in the process.
@usableFromInline package struct ParticipantID: Hashable, Sendable, CustomStringConvertible {
    @usableFromInline package let value: String
    package init(_ value: String) { self.value = value }
    @usableFromInline package var description: String { self.value }
}

/// A published track: made by the server, unique in the process.
@usableFromInline package struct TrackID: Hashable, Sendable, CustomStringConvertible {
    @usableFromInline package let value: String
    package init(_ value: String) { self.value = value }
    @usableFromInline package var description: String { self.value }
}
