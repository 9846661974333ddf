package import Basics

/// The last receiver-estimated maximum bitrate (REMB, draft-alvestrand-rmcat-remb-03) of a subscriber that has no
/// transport-wide feedback.
@usableFromInline package struct ReceiverEstimate: Sendable, BitwiseCopyable {
    /// Receivers repeat it about once a second; one that has stopped says nothing about now.
    private static let validity = Nanoseconds.seconds(5)

    private var bitrate = Bitrate.zero
    private var receivedAt: Instant?
    package private(set) var messageCount: UInt64 = 0

    package init() {}

    package mutating func received(_ bitrate: Bitrate, at now: Instant) {
        self.bitrate = bitrate
        self.receivedAt = now
        self.messageCount &+= 1
    }

    /// The estimate; `nil` when there has been none in the last 5 s.
    package func current(at now: Instant) -> Bitrate? {
        guard let receivedAt = self.receivedAt, now - receivedAt <= Self.validity else { return nil }
        return self.bitrate
    }
}
