package import Basics

/// Which transport-wide number the packets of one outgoing SSRC were given, by RTP sequence number: congestion control
/// feedback names packets by the latter (RFC 8888 §3.1), `BandwidthEstimator` by the former.
///
/// Bounds: as many packets as it was made for, 8 bytes each; a lookup is one load. A packet is forgotten when a later one
/// of the SSRC takes its place, or when so many of the session were sent since that the estimator has forgotten it.
@usableFromInline package struct SentPacketRing: ~Copyable, Sendable {
    // Not private: whoever owns a ring frees its memory.
    @usableFromInline struct Entry: BitwiseCopyable, Sendable {
        static let isSent: UInt8 = 1
        static let isMarked: UInt8 = 2
        static let isReportedReceived: UInt8 = 4
        static let isReportedLost: UInt8 = 8

        /// Counts the packets of the session; the lower half is the transport-wide number.
        var order: UInt32 = 0
        var number: UInt16 = 0
        var flags: UInt8 = 0
    }

    /// What is known of a packet that feedback names.
    package struct Packet: Equatable, Sendable, BitwiseCopyable {
        package let transportSequence: SequenceNumber
        /// It left with ECT(1).
        package let isMarked: Bool
        /// No feedback has told of its arrival before.
        package let isNews: Bool
        /// Feedback has told that it had not come.
        package let wasLost: Bool
    }

    @usableFromInline var entries: FixedStorage<Entry>

    /// - Parameter capacity: 0, or a power of two; at most 65,536.
    package init(capacity: Int) { self.entries = FixedStorage(repeating: Entry(), count: capacity) }

    package var capacity: Int { self.entries.count }

    /// A packet leaves. - Parameter order: its place among the packets of the session, modulo 2^32.
    package mutating func note(_ number: SequenceNumber, order: UInt32, isMarked: Bool) {
        guard self.entries.count > 0 else { return }
        self.entries[self.slot(number)] = Entry(
            order: order,
            number: number.value,
            flags: Entry.isSent | (isMarked ? Entry.isMarked : 0)
        )
    }

    /// - Parameter latest: the order of the last packet of the session.
    /// - Returns: `nil` for what was never sent, or too long ago.
    package func packet(_ number: SequenceNumber, latest: UInt32) -> Packet? {
        guard self.entries.count > 0 else { return nil }
        let entry = self.entries[self.slot(number)]
        guard entry.flags & Entry.isSent != 0, entry.number == number.value,
            latest &- entry.order < UInt32(TransportFeedbackHistory.capacity)
        else { return nil }
        return Packet(
            transportSequence: SequenceNumber(UInt16(truncatingIfNeeded: entry.order)),
            isMarked: entry.flags & Entry.isMarked != 0,
            isNews: entry.flags & Entry.isReportedReceived == 0,
            wasLost: entry.flags & Entry.isReportedLost != 0
        )
    }

    /// Feedback has told of a packet that `packet(_:latest:)` knows.
    package mutating func noteReport(_ number: SequenceNumber, isReceived: Bool) {
        guard self.entries.count > 0 else { return }
        self.entries[self.slot(number)].flags |= isReceived ? Entry.isReportedReceived : Entry.isReportedLost
    }

    private func slot(_ number: SequenceNumber) -> Int { Int(number.value) & (self.entries.count - 1) }
}
