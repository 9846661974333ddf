package import Basics

/// Whether a packet that a subscriber asks for may be sent again.
@usableFromInline package enum RetransmissionDecision: Equatable, Sendable {
    case send
    /// It was sent again less than a round trip ago; that copy may still be on its way.
    case tooSoon
    /// Retransmissions have used up their share of the leg's bitrate.
    case overBudget
}

/// Bounds what one subscriber's NACKs can cost (ATTACKS A-51): no packet twice within a round trip, and never more than
/// 15 % of what the leg was sent by itself plus a burst of 24 KiB.
///
/// The budget is earned by sending: each media byte earns 0.15 byte, up to the burst. Over any time the leg then repeats
/// at most `burst + 15 %`, with no estimate of its bitrate.
@usableFromInline package struct RetransmissionGate: Sendable, BitwiseCopyable {
    private static let slotCount = 256

    /// In hundredths of a byte.
    @usableFromInline var credit: Int64
    @usableFromInline let burst: Int64
    package private(set) var sentCount: UInt64 = 0
    package private(set) var sentByteCount: UInt64 = 0
    /// Sequence number in the upper half, time in milliseconds in the lower, both modulo 2^32.
    private var recent: InlineArray<256, UInt64>

    /// - Parameter burst: in bytes: what may be repeated before anything was earned, 0 or more.
    package init(burst: Int = 24 * 1_024) {
        self.recent = InlineArray(repeating: 0)
        self.burst = Int64(clamping: burst) * 100
        self.credit = self.burst
    }

    /// Media packets, so many bytes in all, were sent for the first time.
    @inlinable package mutating func mediaSent(byteCount: Int) {
        self.credit = min(self.credit &+ Int64(clamping: byteCount) &* 15, self.burst)
    }

    /// Asks to send one packet again, and takes its bytes from the budget if it may.
    /// - Parameters:
    ///   - sequence: the outgoing one, unwrapped.
    ///   - roundTripTime: to this subscriber, or a guess of it.
    package mutating func request(
        _ sequence: Int64,
        byteCount: Int,
        roundTripTime: Nanoseconds,
        at now: Instant
    ) -> RetransmissionDecision {
        let slot = Int(truncatingIfNeeded: sequence) & (Self.slotCount - 1)
        let nowMilliseconds = UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000)
        let number = UInt32(truncatingIfNeeded: sequence)
        let entry = self.recent[slot]
        if entry != 0, UInt32(truncatingIfNeeded: entry >> 32) == number {
            let elapsed = nowMilliseconds &- UInt32(truncatingIfNeeded: entry)
            if Int64(elapsed) < roundTripTime.count / 1_000_000 { return .tooSoon }
        }
        let cost = Int64(clamping: byteCount) &* 100
        guard self.credit >= cost else { return .overBudget }
        self.credit -= cost
        self.recent[slot] = UInt64(number) << 32 | UInt64(nowMilliseconds)
        self.sentCount &+= 1
        self.sentByteCount &+= UInt64(clamping: byteCount)
        return .send
    }
}
