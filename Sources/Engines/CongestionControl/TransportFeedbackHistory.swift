public import Basics

/// One packet that a subscriber's feedback has told about, for an estimator.
@usableFromInline package struct TransportFeedbackSample: Equatable, Sendable, BitwiseCopyable {
    package let sequence: Int64
    /// On our clock.
    package let sendMicroseconds: Int64
    /// In microseconds of the receiver's clock; `nil` = reported as not received.
    package let arrivalMicroseconds: Int64?
    /// As given to `send`.
    @usableFromInline package let byteCount: Int
    /// What left without a transport-wide number between the packet before and this one: 0...65,535 bytes.
    package let untrackedByteCount: Int
    /// The cluster that it was sent for; 0 = none.
    package let probe: UInt16
    package let isPadding: Bool
    /// Reported as lost before.
    package let wasLost: Bool
}

/// What was sent to a subscriber, by transport-wide sequence number, until its feedback tells of it.
///
/// It hands out the numbers itself, so the ring has no holes and twelve bytes a packet are enough. It is made with the
/// first packet, for 512 of them, and doubles up to 8,192 (96 KiB) when a packet that feedback may still tell of would
/// have to go. Feedback about anything older, or about what was never sent, is ignored.
@usableFromInline package struct TransportFeedbackHistory: ~Copyable, Sendable {
    @usableFromInline package static let capacity = 8_192
    private static let initialCapacity = 512
    /// How long feedback about a packet is waited for before its slot is taken: the longest feedback interval (250 ms)
    /// and a bad round trip (4 s).
    @usableFromInline static let worthKeeping: Int64 = 5_000_000

    @usableFromInline struct Entry: BitwiseCopyable, Sendable {
        /// The send time, modulo 2^40 microseconds (12 days).
        @usableFromInline var sendMicroseconds: UInt32
        @usableFromInline var sendUpperByte: UInt8
        @usableFromInline var flags: UInt8
        @usableFromInline var byteCount: UInt16
        @usableFromInline var untrackedByteCount: UInt16
        @usableFromInline var probe: UInt16

        /// The state, in the lower two bits.
        @usableFromInline static let absent: UInt8 = 0
        @usableFromInline static let waiting: UInt8 = 1
        @usableFromInline static let lost: UInt8 = 2
        @usableFromInline static let received: UInt8 = 3
        @usableFromInline static let padding: UInt8 = 4

        @inlinable static var empty: Self {
            Self(microseconds: 0, flags: Self.absent, byteCount: 0, untrackedByteCount: 0, probe: 0)
        }

        @inlinable
        init(microseconds: Int64, flags: UInt8, byteCount: UInt16, untrackedByteCount: UInt16, probe: UInt16) {
            self.sendMicroseconds = UInt32(truncatingIfNeeded: microseconds)
            self.sendUpperByte = UInt8(truncatingIfNeeded: microseconds >> 32)
            self.flags = flags
            self.byteCount = byteCount
            self.untrackedByteCount = untrackedByteCount
            self.probe = probe
        }

        @inlinable var state: UInt8 {
            get { self.flags & 3 }
            set { self.flags = self.flags & ~3 | newValue }
        }

        /// The send time, given any time after it.
        @inlinable func sent(before now: Int64) -> Int64 {
            let stored = Int64(self.sendUpperByte) << 32 | Int64(self.sendMicroseconds)
            return now &- ((now &- stored) & 0xFF_FFFF_FFFF)
        }
    }

    @usableFromInline var entries = FixedStorage<Entry>(repeating: .empty, count: 0)
    /// The number of the next packet, unwrapped.
    @usableFromInline var next: Int64
    @usableFromInline let first: Int64
    /// When the newest packet was sent; every send time in the ring is before it.
    @usableFromInline var latest: Int64 = 0
    /// Sent without a number since the last packet with one.
    @usableFromInline var untrackedByteCount = 0

    /// The send time of the newest packet named by the feedback that is being read.
    private var newestSend: Int64?
    private var newestSequence: Int64 = 0
    /// One past the newest number that any feedback has told of.
    private var reportedEnd: Int64?
    @usableFromInline package private(set) var acknowledgedCount: UInt64 = 0
    /// Reported as not received, less those that a later feedback did report.
    package private(set) var lostCount: UInt64 = 0
    /// From send to the arrival of the feedback, the receiver's wait of up to 100 ms included; `nil` before the first.
    package private(set) var roundTripTime: Nanoseconds?

    /// - Parameter firstSequence: of the first packet.
    package init(firstSequence: UInt16 = 1) {
        self.next = Int64(firstSequence) + 65_536
        self.first = self.next
    }

    /// Takes the next transport-wide sequence number for a packet that is being sent now.
    /// - Parameters:
    ///   - byteCount: 0...65,535; more counts as that.
    ///   - probe: the cluster that it belongs to; 0 = none.
    @inlinable package mutating func send(
        byteCount: Int,
        probe: UInt16 = 0,
        isPadding: Bool = false,
        at now: Instant
    ) -> SequenceNumber {
        let microseconds = max(now.nanoseconds / 1_000, self.latest)
        self.latest = microseconds
        let sequence = self.next
        if self.entries.count == 0 || self.mustGrow(for: sequence) { self.grow() }
        self.next += 1
        self.entries[self.slot(sequence)] = Entry(
            microseconds: microseconds,
            flags: Entry.waiting | (isPadding ? Entry.padding : 0),
            byteCount: UInt16(clamping: byteCount),
            untrackedByteCount: UInt16(clamping: self.untrackedByteCount),
            probe: probe
        )
        self.untrackedByteCount = 0
        return SequenceNumber(UInt16(truncatingIfNeeded: sequence))
    }

    /// A packet left that has no transport-wide number.
    @inlinable package mutating func sendUntracked(byteCount: Int) {
        self.untrackedByteCount = min(self.untrackedByteCount &+ max(byteCount, 0), 65_535)
    }

    /// Where the next packet is noted, as an address to fetch memory by; `nil` before the first.
    mutating func nextEntry() -> UnsafeRawPointer? {
        guard self.entries.count > 0 else { return nil }
        return unsafe self.entries.address(of: self.slot(self.next))
    }

    @inlinable func slot(_ sequence: Int64) -> Int {
        Int(truncatingIfNeeded: sequence) & (self.entries.count - 1)
    }

    /// Before the first feedback it is not known that there will ever be any: the ring stays small.
    @inlinable func mustGrow(for sequence: Int64) -> Bool {
        let entry = self.entries[self.slot(sequence)]
        return entry.state == Entry.waiting && self.entries.count < Self.capacity && self.acknowledgedCount > 0
            && self.latest - entry.sent(before: self.latest) < Self.worthKeeping
    }

    @usableFromInline mutating func grow() {
        let count = self.entries.count == 0 ? Self.initialCapacity : self.entries.count * 2
        var larger = FixedStorage<Entry>(repeating: .empty, count: count)
        for sequence in max(self.first, self.next - Int64(self.entries.count))..<self.next {
            larger[Int(truncatingIfNeeded: sequence) & (count - 1)] = self.entries[self.slot(sequence)]
        }
        self.entries = larger
    }

    /// How many packets the ring remembers now: 0, or a power of two in 512...8,192.
    package var window: Int { self.entries.count }

    /// What the feedback says of one number.
    /// - Parameter arrivalMicroseconds: on the receiver's clock; `nil` = not received.
    /// - Returns: the packet, once for each change of its state; `nil` for a repetition, or a number not in the window.
    @inline(__always) package mutating func acknowledge(
        _ sequence: SequenceNumber,
        arrivalMicroseconds: Int64?
    ) -> TransportFeedbackSample? {
        let last = self.next - 1
        let behind = Int64(UInt16(truncatingIfNeeded: last) &- sequence.value)
        guard self.next > self.first, behind < Int64(self.entries.count), last - behind >= self.first else {
            return nil
        }
        let unwrapped = last - behind
        let slot = self.slot(unwrapped)
        var entry = self.entries[slot]
        let before = entry.state
        let sent = entry.sent(before: self.latest)
        switch (before, arrivalMicroseconds) {
        case (Entry.received, _), (Entry.absent, _), (Entry.lost, nil):
            return nil
        case (_, nil):
            entry.state = Entry.lost
            self.lostCount += 1
        case (_, _):
            if before == Entry.lost { self.lostCount -= 1 }
            entry.state = Entry.received
            self.acknowledgedCount += 1
            if self.newestSend == nil || unwrapped > self.newestSequence {
                self.newestSend = sent
                self.newestSequence = unwrapped
            }
        }
        self.entries[slot] = entry
        return TransportFeedbackSample(
            sequence: unwrapped,
            sendMicroseconds: sent,
            arrivalMicroseconds: arrivalMicroseconds,
            byteCount: Int(entry.byteCount),
            untrackedByteCount: Int(entry.untrackedByteCount),
            probe: entry.probe,
            isPadding: entry.flags & Entry.padding != 0,
            wasLost: before == Entry.lost
        )
    }

    /// A feedback begins with `sequence`: what was sent before it and after the end of the last one, in bytes.
    ///
    /// Nobody will tell of those packets, because a feedback packet was lost. They had most likely arrived, and a rate
    /// without them would be too low. At most 512 packets are looked at.
    package mutating func beginFeedback(_ sequence: SequenceNumber, count: Int) -> Int {
        let last = self.next - 1
        let begin = last - Int64(UInt16(truncatingIfNeeded: last) &- sequence.value)
        guard self.entries.count > 0, begin > last - Int64(self.entries.count), begin >= self.first else { return 0 }
        let reported = self.reportedEnd ?? begin
        self.reportedEnd = max(reported, min(begin + Int64(max(count, 0)), self.next))
        var bytes = 0
        for sequence in max(reported, begin - 512, last - Int64(self.entries.count) + 1)..<max(begin, reported) {
            guard sequence < begin else { break }
            let entry = self.entries[self.slot(sequence)]
            if entry.state == Entry.waiting { bytes += Int(entry.byteCount) }
        }
        return bytes
    }

    /// The offsets of a run of numbers that the ring may know: one feedback packet can declare 65,535 lost packets in two
    /// bytes, and not each of them is worth a look.
    package func inWindow(first: SequenceNumber, count: Int) -> Range<Int> {
        // How far the first is behind the packet that comes next; 65,536 for that packet itself.
        let behind = Int(UInt16(truncatingIfNeeded: self.next) &- first.value &- 1) + 1
        let skipped = max(behind - self.entries.count, 0)
        let end = min(max(count, 0), behind)
        return min(skipped, end)..<end
    }

    /// A run of numbers was reported as not received.
    package mutating func lost(first: SequenceNumber, count: Int) {
        for offset in self.inWindow(first: first, count: count) {
            _ = self.acknowledge(first.advanced(by: offset), arrivalMicroseconds: nil)
        }
    }

    /// All numbers of one feedback packet were acknowledged; takes the round-trip time from the newest.
    package mutating func feedbackEnded(at now: Instant) {
        guard let sent = self.newestSend else { return }
        self.newestSend = nil
        let sample = Nanoseconds.microseconds(max(now.nanoseconds / 1_000 - sent, 0))
        guard let smoothed = self.roundTripTime else { return self.roundTripTime = sample }
        self.roundTripTime = smoothed + (sample - smoothed) / 8
    }
}
