package import Basics

/// Lets key-frame requests for one source layer through at most every 500 ms, whoever asks: subscribers by PLI or FIR,
/// layer switches, joiners (ATTACKS A-52). One per source layer, in front of everything that can ask.
///
/// The first request passes at once. One that comes too early is not lost: it is sent when the interval is over, unless
/// a key frame has come by then.
@usableFromInline package struct KeyFrameLimiter: Sendable, BitwiseCopyable {
    private let interval: Nanoseconds
    private var lastSent: Instant?
    private var isPending = false

    package init(interval: Nanoseconds = .milliseconds(500)) { self.interval = interval }

    /// Somebody needs a key frame.
    /// - Returns: whether to send a request to the publisher now.
    package mutating func request(at now: Instant) -> Bool {
        if let lastSent = self.lastSent, now < lastSent + self.interval {
            self.isPending = true
            return false
        }
        self.send(at: now)
        return true
    }

    /// A key frame's first packet has arrived: whoever waits is served by it.
    package mutating func keyFrameArrived() { self.isPending = false }

    /// When a request that waits is to be sent; `nil` when none waits.
    package var nextDeadline: Instant? {
        guard self.isPending, let lastSent = self.lastSent else { return nil }
        return lastSent + self.interval
    }

    /// Call at `nextDeadline`.
    /// - Returns: whether to send a request to the publisher now.
    package mutating func takePending(at now: Instant) -> Bool {
        guard let deadline = self.nextDeadline, now >= deadline else { return false }
        self.send(at: now)
        return true
    }

    private mutating func send(at now: Instant) {
        self.lastSent = now
        self.isPending = false
    }
}
