package import Basics

/// One packet that a subscriber's feedback has told about, for an estimator.
package struct TransportFeedbackSample: Equatable, Sendable, BitwiseCopyable {
    package let sequence: Int64
    /// In microseconds of our clock, modulo 2^32: only differences mean anything.
    package let sendMicroseconds: UInt32
    /// In microseconds of the receiver's clock; `nil` = reported as not received.
    package let arrivalMicroseconds: Int64?
    package let byteCount: Int

    @inlinable package init(sequence: Int64, sendMicroseconds: UInt32, arrivalMicroseconds: Int64?, byteCount: Int) {
        self.sequence = sequence
        self.sendMicroseconds = sendMicroseconds
        self.arrivalMicroseconds = arrivalMicroseconds
        self.byteCount = byteCount
    }
}

/// What was sent to a subscriber, by transport-wide sequence number, until its feedback tells of it.
///
/// It hands out the numbers itself, so the ring has no holes and eight bytes a packet are enough. Bound: the last 8,192
/// packets, 64 KiB, made with the first. Feedback about anything older, or about what was never sent, is ignored.
package struct TransportFeedbackHistory: ~Copyable {
    package static let capacity = 8_192

    @usableFromInline struct Entry: BitwiseCopyable {
        @usableFromInline var sendMicroseconds: UInt32
        @usableFromInline var byteCount: UInt16
        @usableFromInline var state: UInt16

        @usableFromInline static let unknown: UInt16 = 0
        @usableFromInline static let lost: UInt16 = 1
        @usableFromInline static let received: UInt16 = 2

        @inlinable init(sendMicroseconds: UInt32, byteCount: UInt16, state: UInt16) {
            self.sendMicroseconds = sendMicroseconds
            self.byteCount = byteCount
            self.state = state
        }
    }

    @usableFromInline var entries = FixedStorage<Entry>(
        repeating: Entry(sendMicroseconds: 0, byteCount: 0, state: 0),
        count: 0
    )
    /// The number of the next packet, unwrapped.
    @usableFromInline var next: Int64
    @usableFromInline let first: Int64
    /// The send time of the newest packet named by the feedback that is being read.
    private var newestSend: UInt32?
    private var newestSequence: Int64 = 0

    package private(set) var acknowledgedCount: UInt64 = 0
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
    /// - Parameter byteCount: on the wire, without IP and UDP headers.
    @inlinable package mutating func send(byteCount: Int, at now: Instant) -> SequenceNumber {
        if self.entries.count == 0 { self.allocate() }
        let sequence = self.next
        self.next += 1
        self.entries[Self.slot(sequence)] = Entry(
            sendMicroseconds: UInt32(truncatingIfNeeded: now.nanoseconds / 1_000),
            byteCount: UInt16(clamping: byteCount),
            state: Entry.unknown
        )
        return SequenceNumber(UInt16(truncatingIfNeeded: sequence))
    }

    @usableFromInline mutating func allocate() {
        self.entries = FixedStorage(
            repeating: Entry(sendMicroseconds: 0, byteCount: 0, state: Entry.unknown),
            count: Self.capacity
        )
    }

    @inlinable static func slot(_ sequence: Int64) -> Int { Int(truncatingIfNeeded: sequence) & (Self.capacity - 1) }

    /// What the feedback says of one number.
    /// - Parameter arrivalMicroseconds: on the receiver's clock; `nil` = not received.
    /// - Returns: the packet, once for each change of its state; `nil` for a repetition, or a number not in the window.
    package mutating func acknowledge(
        _ sequence: SequenceNumber,
        arrivalMicroseconds: Int64?
    ) -> TransportFeedbackSample? {
        let last = self.next - 1
        let behind = Int64(UInt16(truncatingIfNeeded: last) &- sequence.value)
        guard self.next > self.first, behind < Int64(Self.capacity), last - behind >= self.first else { return nil }
        let unwrapped = last - behind
        var entry = self.entries[Self.slot(unwrapped)]
        switch (entry.state, arrivalMicroseconds) {
        case (Entry.received, _), (Entry.lost, nil):
            return nil
        case (_, nil):
            entry.state = Entry.lost
            self.lostCount += 1
        case (let before, _):
            if before == Entry.lost { self.lostCount -= 1 }
            entry.state = Entry.received
            self.acknowledgedCount += 1
            if self.newestSend == nil || unwrapped > self.newestSequence {
                self.newestSend = entry.sendMicroseconds
                self.newestSequence = unwrapped
            }
        }
        self.entries[Self.slot(unwrapped)] = entry
        return TransportFeedbackSample(
            sequence: unwrapped,
            sendMicroseconds: entry.sendMicroseconds,
            arrivalMicroseconds: arrivalMicroseconds,
            byteCount: Int(entry.byteCount)
        )
    }

    /// A run of numbers was reported as not received. At most the window is looked at, whatever `count` says.
    package mutating func lost(first: SequenceNumber, count: Int) {
        for offset in 0..<min(max(count, 0), Self.capacity) {
            _ = self.acknowledge(first.advanced(by: offset), arrivalMicroseconds: nil)
        }
    }

    /// All numbers of one feedback packet were acknowledged; takes the round-trip time from the newest.
    package mutating func feedbackEnded(at now: Instant) {
        guard let sent = self.newestSend else { return }
        self.newestSend = nil
        let microseconds = UInt32(truncatingIfNeeded: now.nanoseconds / 1_000) &- sent
        let sample = Nanoseconds.microseconds(Int64(microseconds))
        guard let smoothed = self.roundTripTime else { return self.roundTripTime = sample }
        self.roundTripTime = smoothed + (sample - smoothed) / 8
    }
}
