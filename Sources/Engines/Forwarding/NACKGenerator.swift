public import Basics
public import CongestionControl

/// What one packet did to the list of missing ones.
@usableFromInline package enum NACKReception: Equatable, Sendable {
    /// The next one, or the first.
    case inOrder
    /// This many are missing before it, and are now waited for.
    case gap(Int)
    /// It was missing, and has come.
    case filled
    /// Not waited for: a duplicate, or given up.
    case ignored
    /// Too many were missing to ask for: the list was emptied. A video stream needs a key frame.
    case reset
}

/// Which of a publisher's packets to ask for again (RFC 4585 §6.2.1), and when.
///
/// A packet is asked for when it has been missing for as long as packets on this path have lately come out of order (at
/// least 10 ms: asking at once costs a retransmission for every reordered packet), again after one round trip, and given
/// up after ten tries. Bound: the 512 numbers below the highest, 12 KiB, made at the first gap; a larger gap empties it.
@usableFromInline package struct NACKGenerator: ~Copyable {
    package static let windowSize = 512
    private static let triesPerPacket: UInt8 = 10
    private static let minimumReorderTime = Nanoseconds.milliseconds(10)
    private static let maximumReorderTime = Nanoseconds.milliseconds(100)
    private static let shortestRetry = Nanoseconds.milliseconds(20)
    private static let longestRetry = Nanoseconds.milliseconds(400)

    // Visible to the optimizer although private: the compiler (6.3.1) fails to link the layout of a private element.
    @usableFromInline struct Entry: BitwiseCopyable, Sendable {
        /// `Int64.min` = nothing is missing in this place.
        var sequence: Int64
        var due: Int64
        /// When the gap was seen, in milliseconds modulo 2^32.
        var noticed: UInt32
        /// When it was last asked for, in milliseconds since `noticed`.
        var asked: UInt16
        var tries: UInt8
    }
    private static let empty = Entry(sequence: .min, due: 0, noticed: 0, asked: 0, tries: 0)

    @usableFromInline var entries = FixedStorage<Entry>(repeating: Self.empty, count: 0)
    @usableFromInline var highest: Int64?
    @usableFromInline var missing = 0
    /// No missing packet is older.
    private var lowest: Int64 = 0
    private var roundTripTime = Nanoseconds.milliseconds(100)
    private var measured: Nanoseconds?
    /// Packets in a row that came after they had been asked for more than once.
    private var repeatedRequests: UInt8 = 0

    /// How long a packet is waited for before it is asked for: 10 to 100 ms.
    package private(set) var reorderTime = Self.minimumReorderTime
    /// When `collect` has something to say, or earlier; `distantFuture` when nothing is missing.
    package private(set) var nextDeadline = Instant.distantFuture
    /// Numbers that were given up: too old, ten tries, or a reset.
    package private(set) var abandonedCount: UInt64 = 0

    package init() {}

    /// Notes one packet.
    /// - Parameters:
    ///   - sequence: unwrapped, by `SequenceUnwrapper`.
    ///   - isRecovered: it came through RTX or FEC, so its delay says nothing about reordering.
    @inlinable @discardableResult
    package mutating func received(_ sequence: Int64, isRecovered: Bool, at now: Instant) -> NACKReception {
        // The ordinary packet costs two comparisons.
        if let highest = self.highest, sequence == highest + 1, self.missing == 0 {
            self.highest = sequence
            return .inOrder
        }
        return self.receivedOutOfLine(sequence, isRecovered: isRecovered, at: now)
    }

    @usableFromInline mutating func receivedOutOfLine(
        _ sequence: Int64,
        isRecovered: Bool,
        at now: Instant
    ) -> NACKReception {
        guard let highest = self.highest else {
            self.highest = sequence
            return .inOrder
        }
        guard sequence > highest else { return self.receivedLate(sequence, isRecovered: isRecovered, at: now) }
        let gap = sequence - highest - 1
        guard gap <= Int64(Self.windowSize) else {
            self.abandonedCount &+= UInt64(clamping: self.missing)
            self.abandonAll()
            self.highest = sequence
            return .reset
        }
        self.highest = sequence
        if self.missing > 0 { self.abandon(before: sequence - Int64(Self.windowSize)) }
        guard gap > 0 else { return .inOrder }
        if self.entries.count == 0 { self.entries = FixedStorage(repeating: Self.empty, count: Self.windowSize) }
        let due = now + self.reorderTime
        if self.missing == 0 { self.lowest = highest + 1 }
        for number in (highest + 1)..<sequence {
            self.entries[Self.slot(number)] = Entry(
                sequence: number,
                due: due.nanoseconds,
                noticed: Self.milliseconds(now),
                asked: 0,
                tries: 0
            )
        }
        self.missing += Int(gap)
        self.nextDeadline = min(self.nextDeadline, due)
        return .gap(Int(gap))
    }

    private mutating func receivedLate(_ sequence: Int64, isRecovered: Bool, at now: Instant) -> NACKReception {
        guard self.missing > 0, sequence >= self.lowest else { return .ignored }
        let entry = self.entries[Self.slot(sequence)]
        guard entry.sequence == sequence else { return .ignored }
        self.remove(sequence)
        let delay = Nanoseconds.milliseconds(Int64(Self.milliseconds(now) &- entry.noticed))
        guard !isRecovered else {
            self.measure(entry, delay: delay)
            return .filled
        }
        // Without RTX an answer to our request looks like the packet itself. It takes a round trip from the request.
        if entry.tries == 0 || delay < self.reorderTime + self.roundTripTime * 3 / 4 {
            self.reorderTime = max(self.reorderTime, min(delay + .milliseconds(1), Self.maximumReorderTime))
        }
        return .filled
    }

    /// How long a retransmission took to come since the last call, from request to arrival; `nil` when none came, or none
    /// that tells: the answer to one of several requests may be to any of them.
    package mutating func takeRoundTripTime() -> Nanoseconds? {
        defer { self.measured = nil }
        return self.measured
    }

    private mutating func measure(_ entry: Entry, delay: Nanoseconds) {
        let sinceRequest = delay - .milliseconds(Int64(entry.asked))
        guard entry.tries > 1 else {
            if entry.tries == 1 { self.measured = sinceRequest }
            self.repeatedRequests = 0
            return
        }
        self.repeatedRequests = min(self.repeatedRequests + 1, 3)
        // Too soon to answer the last request; or it is the rule that two are needed, which loss does not make it. So
        // they were asked again before their time.
        if sinceRequest < self.roundTripTime / 2 || self.repeatedRequests == 3 {
            self.measured = max(delay - self.reorderTime, self.roundTripTime)
        }
    }

    /// Writes the numbers to ask for now, lowest first, into `output`. Call at `nextDeadline`.
    /// - Parameter roundTripTime: to the publisher; clamped to 20...400 ms.
    /// - Returns: how many were written. Those there was no room for stay due.
    package mutating func collect(
        at now: Instant,
        roundTripTime: Nanoseconds,
        into output: inout MutableSpan<SequenceNumber>
    ) -> Int {
        self.roundTripTime = min(max(roundTripTime, Self.shortestRetry), Self.longestRetry)
        guard now >= self.nextDeadline, self.missing > 0, let highest = self.highest else { return 0 }
        var written = 0
        var next = Int64.max
        var lowestLeft = highest
        for sequence in self.lowest..<highest {
            var entry = self.entries[Self.slot(sequence)]
            guard entry.sequence == sequence else { continue }
            if entry.due <= now.nanoseconds, written < output.count {
                guard entry.tries < Self.triesPerPacket else {
                    self.remove(sequence)
                    self.abandonedCount &+= 1
                    continue
                }
                // A request that time did not answer hints at loss, not reordering: trust old reordering less.
                if entry.tries == 0 {
                    self.reorderTime = max(Self.minimumReorderTime, self.reorderTime - self.reorderTime / 32)
                }
                output[written] = SequenceNumber(UInt16(truncatingIfNeeded: sequence))
                written += 1
                entry.tries += 1
                entry.asked = UInt16(truncatingIfNeeded: Self.milliseconds(now) &- entry.noticed)
                entry.due = (now + self.roundTripTime).nanoseconds
                self.entries[Self.slot(sequence)] = entry
            }
            lowestLeft = min(lowestLeft, sequence)
            next = min(next, entry.due)
        }
        self.lowest = lowestLeft
        self.nextDeadline = Instant(nanoseconds: next)
        return written
    }

    /// Stops waiting for everything before `sequence`: a key frame that starts there makes the rest useless.
    package mutating func abandon(before sequence: Int64) {
        guard self.missing > 0, self.lowest < sequence else { return }
        let end = min(sequence, self.lowest + Int64(Self.windowSize) * 2)
        for number in self.lowest..<end where self.entries[Self.slot(number)].sequence == number {
            self.remove(number)
            self.abandonedCount &+= 1
            if self.missing == 0 { break }
        }
        self.lowest = sequence
    }

    private mutating func remove(_ sequence: Int64) {
        self.entries[Self.slot(sequence)] = Self.empty
        self.missing -= 1
        if self.missing == 0 { self.nextDeadline = .distantFuture }
    }

    private mutating func abandonAll() {
        if self.missing > 0 { self.entries.fill(with: Self.empty) }
        self.missing = 0
        self.nextDeadline = .distantFuture
    }

    private static func slot(_ sequence: Int64) -> Int { Int(truncatingIfNeeded: sequence) & (Self.windowSize - 1) }
    private static func milliseconds(_ instant: Instant) -> UInt32 {
        UInt32(truncatingIfNeeded: instant.nanoseconds / 1_000_000)
    }
}
