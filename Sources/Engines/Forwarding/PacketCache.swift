package import Basics
package import CongestionControl

/// A packet that is kept, borrowed from its cache.
package struct CachedPacket<Facts: BitwiseCopyable>: ~Escapable {
    /// The whole RTP packet as it came from the publisher, decrypted.
    package let bytes: RawSpan
    /// Of the RTP header with its extensions; 12...`bytes.byteCount`.
    package let headerLength: Int
    package let facts: Facts
    package let storedAt: Instant

    @_lifetime(copy bytes)
    @inlinable init(bytes: RawSpan, headerLength: Int, facts: Facts, storedAt: Instant) {
        self.bytes = bytes
        self.headerLength = headerLength
        self.facts = facts
        self.storedAt = storedAt
    }
}

/// The last packets of one published SSRC, kept once for all subscribers, to answer their NACKs.
///
/// A packet is kept in plain text as it came; every subscriber's RTX is made from it anew (`RTPRewriter.source(of:)`
/// tells which one, and with which offsets). `Facts` is what the worker found in the payload on arrival, such as the
/// parsed VP8 descriptor, so that nothing is parsed twice.
///
/// Bounds: the arena's bytes and one entry for each 256 of them, both made with the first packet. The oldest packets are
/// overwritten. A packet is also gone after 0.6 to 1 s, depending on the round trip (`retention`): who asks later has
/// skipped it.
package struct PacketCache<Facts: BitwiseCopyable>: ~Copyable {
    @usableFromInline struct Entry: BitwiseCopyable {
        @usableFromInline var sequence: Int64
        /// Where it lies, counted in bytes ever written: tells whether it was overwritten.
        @usableFromInline var position: Int64
        @usableFromInline var storedAt: Instant
        @usableFromInline var length: UInt32
        @usableFromInline var headerLength: UInt32
        @usableFromInline var facts: Facts

        @inlinable init(
            sequence: Int64,
            position: Int64,
            storedAt: Instant,
            length: UInt32,
            headerLength: UInt32,
            facts: Facts
        ) {
            self.sequence = sequence
            self.position = position
            self.storedAt = storedAt
            self.length = length
            self.headerLength = headerLength
            self.facts = facts
        }
    }

    @usableFromInline let capacity: Int
    @usableFromInline let entryCount: Int
    @usableFromInline var arena = FixedStorage<UInt8>(repeating: 0, count: 0)
    /// Its first element is made with the first packet, because only that brings a value of `Facts`.
    @usableFromInline var entries: FixedStorage<Entry>?
    /// Bytes ever written, with those skipped at the arena's end.
    @usableFromInline var written: Int64 = 0
    @usableFromInline var highest = Int64.min

    /// - Parameter kind: 256 KiB for video (0.8 s of 2.5 Mbit/s), 32 KiB for audio (4 s of 64 kbit/s).
    package init(kind: MediaKind) { self.init(capacity: kind == .video ? 256 * 1_024 : 32 * 1_024) }

    /// - Parameter capacity: in bytes: a power of two, at least 4,096; others are rounded up.
    package init(capacity: Int) {
        var rounded = 4_096
        while rounded < capacity, rounded < 1 << 30 { rounded *= 2 }
        self.capacity = rounded
        self.entryCount = max(rounded / 256, 256)
    }

    /// How long a packet is worth keeping for a subscriber that is a round trip away: five tries, where receivers that do not
    /// know the round trip ask each 100 ms. With a tenth lost, two tries leave one packet in a thousand missing, which is a
    /// freeze every few seconds (seen in Firefox).
    @inlinable package static func retention(roundTripTime: Nanoseconds) -> Nanoseconds {
        min(max(roundTripTime * 4 + .milliseconds(300), .milliseconds(600)), .seconds(1))
    }

    /// Keeps a copy of a packet, in whatever order it comes.
    /// - Parameters:
    ///   - sequence: unwrapped, as the publisher numbered it.
    ///   - bytes: the RTP packet, decrypted, without the authentication tag.
    ///   - headerLength: of the header with CSRCs and extensions.
    /// - Returns: whether it was kept; not when it is larger than a quarter of the arena or far behind the newest, and not
    ///   under a number that a packet is kept under: a repetition must be of what was sent first.
    @inlinable @discardableResult
    package mutating func store(
        _ sequence: Int64,
        bytes: RawSpan,
        headerLength: Int,
        facts: Facts,
        at now: Instant
    ) -> Bool {
        let length = bytes.byteCount
        guard length > 0, length <= self.capacity / 4, headerLength >= 0, headerLength <= length,
            self.highest == .min || sequence > self.highest - Int64(self.entryCount),
            self.entry(at: Int(truncatingIfNeeded: sequence) & (self.entryCount - 1))?.sequence != sequence
        else { return false }
        var offset = Int(self.written) & (self.capacity - 1)
        if offset + length > self.capacity {
            // Packets lie in one piece: skip the rest of the turn.
            self.written += Int64(self.capacity - offset)
            offset = 0
        }
        let entry = Entry(
            sequence: sequence,
            position: self.written,
            storedAt: now,
            length: UInt32(truncatingIfNeeded: length),
            headerLength: UInt32(truncatingIfNeeded: headerLength),
            facts: facts
        )
        if self.entries == nil { self.allocate(for: entry) }
        self.arena.copy(bytes, at: offset)
        self.entries?[Int(truncatingIfNeeded: sequence) & (self.entryCount - 1)] = entry
        self.written += Int64(length)
        self.highest = max(self.highest, sequence)
        return true
    }

    @usableFromInline mutating func allocate(for first: Entry) {
        var unused = first
        unused.sequence = .min
        self.arena = FixedStorage(repeating: 0, count: self.capacity)
        self.entries = FixedStorage(repeating: unused, count: self.entryCount)
    }

    /// The packet with this number, unless it is overwritten or too old for a subscriber `roundTripTime` away.
    @_lifetime(borrow self)
    @inlinable package func lookup(
        _ sequence: Int64,
        roundTripTime: Nanoseconds,
        at now: Instant
    ) -> CachedPacket<Facts>? {
        self.lookup(sequence, within: Self.retention(roundTripTime: roundTripTime), at: now)
    }

    /// The packet with this number, unless it is overwritten or older than `maximumAge`.
    @_lifetime(borrow self)
    @inlinable package func lookup(
        _ sequence: Int64,
        within maximumAge: Nanoseconds,
        at now: Instant
    ) -> CachedPacket<Facts>? {
        guard sequence != .min, let entry = self.entry(at: Int(truncatingIfNeeded: sequence) & (self.entryCount - 1)),
            entry.sequence == sequence,
            self.written - entry.position <= Int64(self.capacity),
            now - entry.storedAt <= maximumAge
        else { return nil }
        let offset = Int(entry.position) & (self.capacity - 1)
        return CachedPacket(
            bytes: self.arena.bytes(offset..<(offset + Int(entry.length))),
            headerLength: Int(entry.headerLength),
            facts: entry.facts,
            storedAt: entry.storedAt
        )
    }

    /// The length of a packet that may still be there, without looking at it.
    package func byteCount(of sequence: Int64) -> Int? {
        guard let entry = self.entry(at: Int(truncatingIfNeeded: sequence) & (self.entryCount - 1)),
            entry.sequence == sequence
        else { return nil }
        return Int(entry.length)
    }

    @inlinable func entry(at index: Int) -> Entry? {
        switch self.entries {
        case .none: nil
        case .some(let entries): entries[index]
        }
    }
}
