package import Basics

/// How long the packets of a layer's frames take to come, from the first to the last.
///
/// Encoders send a frame at once, or paced over some of the time until the next. A frame that is known to come at once is
/// worth waiting for: nobody can show it before its last packet, and what leaves together costs one message for each
/// subscriber.
package struct FrameSpread: BitwiseCopyable, Sendable {
    /// A frame that has taken as long is not waited for, nor measured further.
    package static let longest = Nanoseconds.milliseconds(20)
    /// What the loop takes to read what the kernel has.
    private static let slack = Nanoseconds.microseconds(20)

    private var timestamp: UInt32 = 0
    private var began = Instant.zero
    private var hasBegun = false
    /// Its last packet is still to come.
    private var isOpen = false
    /// In nanoseconds; begins where nothing is waited for.
    private var mean = Double(Self.longest.count)
    private var deviation = 0.0

    package init() {}

    /// Notes a packet that came by itself: not one that was sent again.
    ///
    /// - Parameters:
    ///   - isLast: it has the marker bit (RFC 7741 §4.1, RFC 6184 §5.1).
    ///   - arrival: when the kernel took it in.
    @inline(__always)
    package mutating func received(timestamp: UInt32, isLast: Bool, arrival: Instant) {
        if timestamp != self.timestamp || !self.hasBegun {
            // The last packet of the frame before was lost or late: as if it took long.
            if self.isOpen { self.learn(Self.longest) }
            self.timestamp = timestamp
            self.began = arrival
            self.hasBegun = true
            self.isOpen = true
        }
        // One that comes behind the last of its frame was overtaken on its way.
        guard self.isOpen, isLast else { return }
        self.isOpen = false
        self.learn(min(max(.zero, arrival - self.began), Self.longest))
    }

    /// When the frame in hand should be whole; `nil` when it is, or none is in hand.
    package var expectedEnd: Instant? {
        guard self.isOpen else { return nil }
        return self.began + Nanoseconds(Int64(self.mean + 2 * self.deviation)) + Self.slack
    }

    private mutating func learn(_ spread: Nanoseconds) {
        let error = Double(spread.count) - self.mean
        self.mean += error / 8
        self.deviation += (abs(error) - self.deviation) / 8
    }
}
