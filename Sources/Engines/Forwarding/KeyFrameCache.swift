package import Basics

/// What a joiner may be started from.
@usableFromInline package enum KeyFrameReplay: Equatable, Sendable {
    /// These packets, by the publisher's number, in this order; those that the `PacketCache` does not have were padding,
    /// or are still on their way.
    case packets(ClosedRange<Int64>, byteCount: Int)
    case unusable(KeyFrameReplayObstacle)
}

@usableFromInline package enum KeyFrameReplayObstacle: Equatable, Sendable {
    /// No key frame has come yet.
    case noKeyFrame
    /// The last one is more than a second old.
    case tooOld
    /// It and what follows it are more than 1 MiB, or more than the `PacketCache` keeps.
    case tooLarge
    /// Packets were lost.
    case incomplete
}

/// Which packets of one published stream are its last key frame and what follows it, so that a subscriber who joins may
/// start from them instead of costing everyone a key frame (forwarding.md).
///
/// The packets themselves are those of the stream's `PacketCache`. Bounds: a second, 1 MiB, 2,048 packets.
@usableFromInline package struct KeyFrameCache: Sendable, BitwiseCopyable {
    private static let maximumAge = Nanoseconds.seconds(1)
    private static let maximumByteCount = 1 << 20
    private static let maximumPacketCount: Int64 = 2_048
    /// Packets missing among the newest may be out of order, or asked for already.
    private static let onTheirWay: Int64 = 16

    /// The key frame's first packet; `.min` = none.
    private var first = Int64.min
    private var highest = Int64.min
    private var startedAt = Instant.zero
    private var byteCount = 0
    /// Bit *i*: packet `first + i` has come.
    private var received = InlineArray<32, UInt64>(repeating: 0)

    package init() {}

    /// Notes a packet of the stream, also one that was recovered, and padding.
    /// - Parameters:
    ///   - sequence: the publisher's, unwrapped.
    ///   - isKeyFrameStart: `FrameInfo.canStart`.
    ///   - byteCount: of the whole packet; 0 for padding.
    package mutating func note(_ sequence: Int64, isKeyFrameStart: Bool, byteCount: Int, at now: Instant) {
        if isKeyFrameStart, sequence > self.highest {
            self.first = sequence
            self.startedAt = now
            self.byteCount = 0
            self.received = InlineArray(repeating: 0)
        }
        self.highest = max(self.highest, sequence)
        guard self.first != .min else { return }
        let index = sequence &- self.first
        guard index >= 0, index < Self.maximumPacketCount else { return }
        self.received[Int(index >> 6)] |= 1 << UInt64(index & 63)
        self.byteCount += min(max(byteCount, 0), 0xFFFF)
    }

    /// The packets to go through again for a new subscriber, each as if it came now: read by `FrameReader.replaying`,
    /// decided by the selector, rewritten and sent.
    package func replay<Facts>(from cache: borrowing PacketCache<Facts>, at now: Instant) -> KeyFrameReplay {
        guard self.first != .min else { return .unusable(.noKeyFrame) }
        guard now - self.startedAt <= Self.maximumAge else { return .unusable(.tooOld) }
        let count = self.highest - self.first + 1
        guard count <= Self.maximumPacketCount, self.byteCount <= Self.maximumByteCount else {
            return .unusable(.tooLarge)
        }
        // The oldest goes first.
        guard cache.lookup(self.first, roundTripTime: .seconds(1), at: now) != nil else { return .unusable(.tooLarge) }
        for index in 0..<max(count - Self.onTheirWay, 1) where !self.hasReceived(index) {
            return .unusable(.incomplete)
        }
        return .packets(self.first...self.highest, byteCount: self.byteCount)
    }

    private func hasReceived(_ index: Int64) -> Bool {
        self.received[Int(index >> 6)] & (1 << UInt64(index & 63)) != 0
    }
}
