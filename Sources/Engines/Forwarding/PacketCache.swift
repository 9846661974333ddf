public import Basics
public import CongestionControl

/// A packet that is kept, borrowed from its cache.
@usableFromInline package struct CachedPacket<Facts: BitwiseCopyable>: ~Escapable {
    /// The whole RTP packet as it came from the publisher, decrypted.
    @usableFromInline package let bytes: RawSpan
    /// Of the RTP header with its extensions; 12...`bytes.byteCount`.
    @usableFromInline package let headerLength: Int
    @usableFromInline package let facts: Facts
    @usableFromInline package let storedAt: Instant

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
/// Bounds: the arena's bytes and one entry for each 256 of them. Both begin small with the first packet, and grow up to
/// that while what they overwrite is younger than 0.6 s. The oldest packets are overwritten. A packet is also gone
/// after 0.6 to 1 s, depending on the round trip (`retention`): who asks later has skipped it.
@usableFromInline package struct PacketCache<Facts: BitwiseCopyable>: ~Copyable {
    @usableFromInline struct Entry: BitwiseCopyable {
        @usableFromInline var sequence: Int64
        /// Where it lies, counted in bytes ever written: tells whether it was overwritten.
        @usableFromInline var position: Int64
        @usableFromInline var storedAt: Instant
        /// Where it lies in the arena.
        @usableFromInline var offset: UInt32
        @usableFromInline var length: UInt16
        @usableFromInline var headerLength: UInt16
        @usableFromInline var facts: Facts

        @inlinable init(
            sequence: Int64,
            position: Int64,
            offset: UInt32,
            storedAt: Instant,
            length: UInt16,
            headerLength: UInt16,
            facts: Facts
        ) {
            self.sequence = sequence
            self.position = position
            self.offset = offset
            self.storedAt = storedAt
            self.length = length
            self.headerLength = headerLength
            self.facts = facts
        }
    }

    /// What the arena and the table may grow to.
    @usableFromInline let maximumCapacity: Int
    @usableFromInline let maximumEntryCount: Int
    @usableFromInline var capacity: Int
    /// A power of two.
    @usableFromInline var entryCount: Int
    @usableFromInline var arena = FixedStorage<UInt8>(repeating: 0, count: 0)
    /// Its first element is made with the first packet, because only that brings a value of `Facts`.
    @usableFromInline var entries: FixedStorage<Entry>?
    /// Where in the arena the next packet goes.
    @usableFromInline var head = 0
    /// Bytes ever written, with those skipped at the arena's end.
    @usableFromInline var written: Int64 = 0
    /// When `head` was at the arena's start.
    @usableFromInline var turnBegan = Instant.zero
    @usableFromInline var highest = Int64.min

    /// - Parameter kind: up to 256 KiB for video (0.8 s of 2.5 Mbit/s), 32 KiB for audio (4 s of 64 kbit/s).
    package init(kind: MediaKind) { self.init(capacity: kind == .video ? 256 * 1_024 : 32 * 1_024) }

    /// - Parameter capacity: the largest, in bytes: a power of two, at least 4,096; others are rounded up.
    package init(capacity: Int) {
        var rounded = 4_096
        while rounded < capacity, rounded < 1 << 30 { rounded *= 2 }
        self.maximumCapacity = rounded
        self.maximumEntryCount = max(rounded / 256, 256)
        self.capacity = min(max(4_096, rounded / 16), rounded)
        self.entryCount = 64
    }

    /// The shortest time that a subscriber may need a packet for: what lasts as long need not grow.
    @usableFromInline static var shortestTurn: Nanoseconds { .milliseconds(600) }

    /// How long a packet is worth keeping for a subscriber that is a round trip away: five tries, where receivers that
    /// do not know the round trip ask each 100 ms. With a tenth lost, two tries leave one packet in a thousand missing,
    /// which is a freeze every few seconds (seen in Firefox).
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
        guard length > 0, length <= min(self.maximumCapacity / 4, 65_535), headerLength >= 0, headerLength <= length,
            self.highest == .min || sequence > self.highest - Int64(self.maximumEntryCount),
            self.entry(at: Int(truncatingIfNeeded: sequence) & (self.entryCount - 1))?.sequence != sequence
        else { return false }
        if self.head + length > self.capacity || length > self.capacity / 4 { self.endTurn(length, at: now) }
        while self.mustGrowEntries(for: sequence, at: now) { self.growEntries() }
        let entry = Entry(
            sequence: sequence,
            position: self.written,
            offset: UInt32(truncatingIfNeeded: self.head),
            storedAt: now,
            length: UInt16(truncatingIfNeeded: length),
            headerLength: UInt16(truncatingIfNeeded: headerLength),
            facts: facts
        )
        if self.entries == nil { self.allocate(for: entry) }
        self.arena.copy(bytes, at: self.head)
        self.entries?[Int(truncatingIfNeeded: sequence) & (self.entryCount - 1)] = entry
        self.head += length
        self.written += Int64(length)
        self.highest = max(self.highest, sequence)
        return true
    }

    @usableFromInline mutating func allocate(for first: Entry) {
        var unused = first
        unused.sequence = .min
        self.arena = FixedStorage(repeating: 0, count: self.capacity)
        self.entries = FixedStorage(repeating: unused, count: self.entryCount)
        self.turnBegan = first.storedAt
    }

    // MARK: Growth

    /// There is no room behind `head` for one more packet, or the arena is small for it.
    @usableFromInline mutating func endTurn(_ length: Int, at now: Instant) {
        let isShort = now - self.turnBegan < Self.shortestTurn
        while self.capacity < self.maximumCapacity,
            length > self.capacity / 4 || isShort && self.head + length > self.capacity
        {
            self.growArena()
        }
        guard self.head + length > self.capacity else { return }
        // Packets lie in one piece: skip the rest of the turn.
        self.written += Int64(self.capacity - self.head)
        self.head = 0
        self.turnBegan = now
    }

    /// By an eighth: the oldest bytes come to lie in front and the new room behind the newest, so that positions in
    /// bytes ever written stay what they are.
    private mutating func growArena() {
        let capacity = min((self.capacity + self.capacity / 8 + 4_095) & ~4_095, self.maximumCapacity)
        guard self.entries != nil else {
            self.capacity = capacity
            return
        }
        var larger = FixedStorage<UInt8>(repeating: 0, count: capacity)
        let old = self.capacity - self.head
        larger.copy(self.arena.bytes(self.head..<self.capacity), at: 0)
        larger.copy(self.arena.bytes(0..<self.head), at: old)
        for index in 0..<self.entryCount {
            guard var entry = self.entry(at: index), entry.sequence != .min else { continue }
            if self.written - entry.position > Int64(self.capacity) {
                // What is overwritten must not look as if it were there.
                entry.sequence = .min
            } else {
                let offset = Int(entry.offset)
                entry.offset = UInt32(truncatingIfNeeded: offset < self.head ? offset + old : offset - self.head)
            }
            self.entries?[index] = entry
        }
        self.arena = consume larger
        self.head = self.capacity
        self.capacity = capacity
    }

    /// Whether this number would take the place of another that may still be asked for.
    @inlinable func mustGrowEntries(for sequence: Int64, at now: Instant) -> Bool {
        guard self.entryCount < self.maximumEntryCount,
            let entry = self.entry(at: Int(truncatingIfNeeded: sequence) & (self.entryCount - 1)),
            entry.sequence != .min
        else { return false }
        return entry.sequence > sequence || now - entry.storedAt < Self.shortestTurn
    }

    /// Twice the places, and in them what is kept.
    @usableFromInline mutating func growEntries() {
        guard let first = self.entry(at: 0) else { return }
        var unused = first
        unused.sequence = .min
        let count = self.entryCount * 2
        var larger = FixedStorage<Entry>(repeating: unused, count: count)
        for index in 0..<self.entryCount {
            guard let entry = self.entry(at: index), entry.sequence != .min else { continue }
            larger[Int(truncatingIfNeeded: entry.sequence) & (count - 1)] = entry
        }
        self.entries = consume larger
        self.entryCount = count
    }

    /// Bytes that packets may take now, of those that they may come to take.
    package var window: Int { self.arena.count }

    // MARK: Looking up

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
        let offset = Int(entry.offset)
        return CachedPacket(
            bytes: self.arena.bytes(offset..<(offset + Int(entry.length))),
            headerLength: Int(entry.headerLength),
            facts: entry.facts,
            storedAt: entry.storedAt
        )
    }

    /// The length of a packet that is still there, however old.
    package func byteCount(of sequence: Int64) -> Int? {
        guard let entry = self.entry(at: Int(truncatingIfNeeded: sequence) & (self.entryCount - 1)),
            entry.sequence == sequence, self.written - entry.position <= Int64(self.capacity)
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
