public import Basics
package import RTP

/// The part of the transport-wide sequence space that the next feedback packet has to describe.
@usableFromInline package struct TransportFeedbackWindow: Equatable, Sendable, BitwiseCopyable {
    /// The first number described, unwrapped. It was not necessarily received.
    @usableFromInline package let firstSequence: Int64
    /// How many numbers there are, the last of them received: 1...`TransportFeedbackRecorder.capacity`.
    @usableFromInline package let count: Int

    @inlinable package init(firstSequence: Int64, count: Int) {
        self.firstSequence = firstSequence
        self.count = count
    }
}

/// Notes when a publisher's packets arrived, so that its bandwidth estimator can be told
/// (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).
///
/// One per publishing session. At `nextDeadline`:
///
///     let count = recorder.collect(at: now, into: &arrivals)                // a scratch span of the worker
///     let taken = builder.append(arrivals.extracting(first: count), to: &writer)
///     recorder.reported(taken, at: now)
///
/// Bounds: 2,048 numbers of memory (2 KiB with the first packet, up to 16 KiB where half a second needs more); a packet
/// older than 500 ms or 2,048 numbers is not noted; a jump of more than 2^14 numbers starts afresh.
@usableFromInline package struct TransportFeedbackRecorder: ~Copyable {
    /// How many numbers one window can span.
    package static let capacity = 2_048
    private static let firstCapacity = 256
    @usableFromInline static let maximumJump: Int64 = 1 << 14
    /// How far back a late packet is still reported; what the sender forgot by then helps nobody.
    @usableFromInline static let lateLimit = Nanoseconds.milliseconds(500)
    @usableFromInline static let notReceived = Int64.min

    /// Arrival in nanoseconds by number; `notReceived` where there is none.
    @usableFromInline var arrivals = FixedStorage<Int64>(repeating: 0, count: 0)
    @usableFromInline var unwrapper = SequenceUnwrapper()
    /// One past the highest number received.
    @usableFromInline var end: Int64 = 0
    /// The lowest number that memory still holds.
    @usableFromInline var begin: Int64 = 0
    /// The first number that no feedback has described yet.
    @usableFromInline var unreported: Int64 = 0
    @usableFromInline var nextFeedback = Instant.distantFuture
    private let interval: Nanoseconds
    package private(set) var resetCount: UInt64 = 0

    /// - Parameter interval: from the first packet that is not reported yet to the feedback about it.
    package init(interval: Nanoseconds = .milliseconds(100)) { self.interval = interval }

    /// When `window(at:)` has something to say; `distantFuture` while nothing new has arrived.
    package var nextDeadline: Instant { self.nextFeedback }

    /// Notes one packet. Duplicates and packets from before the window change nothing.
    @inlinable package mutating func received(_ sequence: SequenceNumber, at arrival: Instant) {
        let unwrapped = self.unwrapper.unwrap(sequence)
        if self.arrivals.count == 0 || unwrapped - self.end > Self.maximumJump
            || self.end - unwrapped > Self.maximumJump
        {
            self.restart(at: sequence)
            return self.note(self.unwrapper.highest ?? 0, at: arrival)
        }
        self.note(unwrapped, at: arrival)
    }

    @inlinable mutating func note(_ sequence: Int64, at arrival: Instant) {
        if sequence >= self.end {
            if sequence - self.begin >= Int64(self.arrivals.count) { self.makeRoom(for: sequence, at: arrival) }
            self.advance(to: sequence)
        } else {
            guard sequence >= self.begin, self.arrivals[self.slot(sequence)] == Self.notReceived else { return }
            if sequence < self.unreported {
                // The number after it says how late it is; one that was reported long ago stays lost.
                let next = self.firstReceived(from: sequence)
                guard arrival.nanoseconds &- next < Self.lateLimit.count else { return }
                self.unreported = sequence
            }
        }
        self.arrivals[self.slot(sequence)] = arrival.nanoseconds
        if self.nextFeedback == .distantFuture { self.schedule(after: arrival) }
    }

    @inlinable func slot(_ sequence: Int64) -> Int {
        Int(truncatingIfNeeded: sequence) & (self.arrivals.count - 1)
    }

    /// Twice the numbers, as long as one that is to be reported or may still come late would be forgotten.
    @usableFromInline mutating func makeRoom(for sequence: Int64, at arrival: Instant) {
        while self.arrivals.count < Self.capacity, sequence - self.begin >= Int64(self.arrivals.count),
            sequence - self.unreported >= Int64(self.arrivals.count)
                || arrival.nanoseconds &- self.firstReceived(from: self.begin) < Self.lateLimit.count
        {
            let count = self.arrivals.count * 2
            var larger = FixedStorage(repeating: Self.notReceived, count: count)
            for number in self.begin..<self.end {
                larger[Int(truncatingIfNeeded: number) & (count - 1)] = self.arrivals[self.slot(number)]
            }
            self.arrivals = consume larger
        }
    }

    /// Opens the window up to and including `sequence`.
    @inlinable mutating func advance(to sequence: Int64) {
        var cleared = max(self.end, sequence - Int64(self.arrivals.count) + 1)
        while cleared <= sequence {
            self.arrivals[self.slot(cleared)] = Self.notReceived
            cleared += 1
        }
        self.end = sequence + 1
        self.begin = max(self.begin, self.end - Int64(self.arrivals.count))
        self.unreported = max(self.unreported, self.begin)
    }

    @usableFromInline func firstReceived(from sequence: Int64) -> Int64 {
        var candidate = sequence
        while candidate < self.end {
            let arrival = self.arrivals[self.slot(candidate)]
            if arrival != Self.notReceived { return arrival }
            candidate += 1
        }
        return Self.notReceived
    }

    @usableFromInline mutating func restart(at sequence: SequenceNumber) {
        if self.arrivals.count == 0 {
            self.arrivals = FixedStorage(repeating: Self.notReceived, count: Self.firstCapacity)
        } else {
            self.arrivals.fill(with: Self.notReceived)
            self.resetCount += 1
        }
        self.unwrapper = SequenceUnwrapper()
        let start = self.unwrapper.unwrap(sequence)
        self.begin = start
        self.end = start
        self.unreported = start
    }

    @usableFromInline mutating func schedule(after arrival: Instant) { self.nextFeedback = arrival + self.interval }

    /// What is to be reported now; `nil` before the deadline or when nothing new has arrived.
    package func window(at now: Instant) -> TransportFeedbackWindow? {
        guard now >= self.nextFeedback, self.unreported < self.end else { return nil }
        return TransportFeedbackWindow(firstSequence: self.unreported, count: Int(self.end - self.unreported))
    }

    /// When a number of the current window arrived; `nil` = it has not.
    @inlinable package func arrival(of sequence: Int64) -> Instant? {
        guard sequence >= self.begin, sequence < self.end else { return nil }
        let arrival = self.arrivals[self.slot(sequence)]
        return arrival == Self.notReceived ? nil : Instant(nanoseconds: arrival)
    }

    /// Writes what is to be reported now, number by number, for `TransportFeedbackBuilder`. Times are microseconds of
    /// `Instant`.
    /// - Returns: how many were written, the first of them is `window(at:)`'s: 0 before the deadline.
    package func collect(at now: Instant, into output: inout MutableSpan<PacketArrival>) -> Int {
        guard let window = self.window(at: now) else { return 0 }
        let count = min(window.count, output.count)
        for index in 0..<count {
            let sequence = window.firstSequence + Int64(index)
            output[index] = PacketArrival(
                SequenceNumber(UInt16(truncatingIfNeeded: sequence)),
                microseconds: self.arrival(of: sequence).map { $0.nanoseconds / 1_000 }
            )
        }
        return count
    }

    /// The first `count` numbers of the window have been described.
    package mutating func reported(_ count: Int, at now: Instant) {
        self.reported(before: self.unreported + Int64(clamping: max(count, 0)), at: now)
    }

    /// Everything before `sequence` has been described. What the packet had no room for stays due at once.
    package mutating func reported(before sequence: Int64, at now: Instant) {
        self.unreported = min(max(self.unreported, sequence), self.end)
        self.nextFeedback = self.unreported < self.end ? now : .distantFuture
    }
}
