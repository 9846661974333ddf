/// What a receiver remembers of one SSRC: the highest packet index, and which of the last 1,024 were seen.
///
/// It changes only for packets that were authenticated, so nobody without the key can move it (RFC 3711 §3.3.2).
package struct SRTPStreamState: BitwiseCopyable, Sendable {
    package static let windowSize = 1_024

    /// Bit `index % 1024` says that `index` was seen, for the indices from `highest - 1023` to `highest`.
    private var seen: InlineArray<16, UInt64> = .init(repeating: 0)
    private var initialRolloverCounter: UInt32
    private var highest: UInt64 = 0
    /// False before the first packet.
    package private(set) var isStarted = false
    /// The 48-bit index of the packet that was opened last: roll-over counter and sequence number.
    package private(set) var lastIndex: UInt64 = 0

    /// - Parameter rolloverCounter: the counter of the first packet; 0 unless it was signalled.
    package init(rolloverCounter: UInt32 = 0) { self.initialRolloverCounter = rolloverCounter }

    /// For a stream whose window was given up: all that is not above `highestIndex` counts as seen.
    package init(resumingAfter highestIndex: UInt64) {
        self.initialRolloverCounter = 0
        self.isStarted = true
        self.highest = highestIndex
        self.lastIndex = highestIndex
        self.seen = .init(repeating: .max)
    }

    /// The highest 48-bit index opened so far.
    package var highestIndex: UInt64 { self.highest }

    /// The index that a packet with `sequence` most likely has (RFC 3711 §3.3.1 and appendix A).
    ///
    /// - Returns: `nil` below index 0 and above the last index, 2^48 - 1.
    func estimateIndex(_ sequence: UInt16) -> UInt64? {
        guard self.isStarted else { return UInt64(self.initialRolloverCounter) << 16 | UInt64(sequence) }
        let rollover = self.highest >> 16
        let last = Int(self.highest & 0xffff)
        var estimate = Int64(rollover)
        if last < 32_768 {
            if Int(sequence) - last > 32_768 { estimate -= 1 }
        } else if last - 32_768 > Int(sequence) {
            estimate += 1
        }
        guard estimate >= 0, estimate <= Int64(UInt32.max) else { return nil }
        return UInt64(estimate) << 16 | UInt64(sequence)
    }

    func wasSeen(_ index: UInt64) -> Bool {
        guard self.isStarted, index <= self.highest else { return false }
        if self.highest - index >= UInt64(Self.windowSize) { return true }
        return self.seen[Int(index >> 6 & 15)] & (1 << (index & 63)) != 0
    }

    /// Call only for an index that was authenticated and is not `wasSeen`.
    mutating func accept(_ index: UInt64) {
        if !self.isStarted {
            self.isStarted = true
            self.highest = index
        } else if index > self.highest {
            if index - self.highest >= UInt64(Self.windowSize) {
                self.seen = .init(repeating: 0)
            } else {
                var skipped = self.highest &+ 1
                while skipped < index {
                    self.seen[Int(skipped >> 6 & 15)] &= ~(1 << (skipped & 63))
                    skipped &+= 1
                }
            }
            self.highest = index
        }
        self.seen[Int(index >> 6 & 15)] |= 1 << (index & 63)
        self.lastIndex = index
    }
}

extension SRTPStreamState: Equatable {
    package static func == (lhs: Self, rhs: Self) -> Bool {
        lhs.isStarted == rhs.isStarted && lhs.highest == rhs.highest && lhs.lastIndex == rhs.lastIndex
            && lhs.initialRolloverCounter == rhs.initialRolloverCounter
            && lhs.seen.indices.allSatisfy { lhs.seen[$0] == rhs.seen[$0] }
    }
}
