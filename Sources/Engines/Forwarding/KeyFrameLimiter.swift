package import Basics

/// Lets key-frame requests for one source layer through at most every 500 ms, whoever asks: subscribers by PLI or FIR,
/// layer switches, joiners (ATTACKS A-52). One per source layer, in front of everything that can ask.
///
/// The first request passes at once. One that comes too early is not lost: it is sent when the interval is over, unless
/// a key frame has come by then. Where none came, the request or the key frame may have been lost on its way: then the
/// first repetition waits for 250 ms only. An encoder that is merely slow makes no second key frame of it: libwebrtc's
/// takes requests within 300 ms for one.
@usableFromInline package struct KeyFrameLimiter: Sendable, BitwiseCopyable {
    private let interval: Nanoseconds
    private let firstRetry: Nanoseconds
    package private(set) var lastSent: Instant?
    private var isPending = false
    /// What is pending need not be sent before this.
    private var notBefore: Instant?
    /// Requests since the last key frame, 2 = two or more.
    private var unanswered: UInt8 = 0

    /// - Parameter firstRetry: after the first request that no key frame comes after; not longer than `interval`.
    package init(interval: Nanoseconds = .milliseconds(500), firstRetry: Nanoseconds = .milliseconds(250)) {
        self.interval = interval
        self.firstRetry = min(firstRetry, interval)
    }

    /// Somebody needs a key frame.
    /// - Parameter patience: how long the request may wait for others to share the key frame with.
    /// - Returns: whether to send a request to the publisher now.
    package mutating func request(at now: Instant, patience: Nanoseconds = .zero) -> Bool {
        guard patience <= .zero else {
            if !self.isPending { self.notBefore = now + patience }
            self.isPending = true
            return false
        }
        self.notBefore = nil
        if let earliest = self.earliest, now < earliest {
            self.isPending = true
            return false
        }
        self.send(at: now)
        return true
    }

    /// A key frame's first packet has arrived: whoever waits is served by it.
    package mutating func keyFrameArrived() {
        self.isPending = false
        self.notBefore = nil
        self.unanswered = 0
    }

    /// When a request that waits is to be sent; `nil` when none waits.
    package var nextDeadline: Instant? {
        guard self.isPending else { return nil }
        guard let notBefore = self.notBefore else { return self.earliest }
        return max(self.earliest ?? notBefore, notBefore)
    }

    /// Call at `nextDeadline`.
    /// - Returns: whether to send a request to the publisher now.
    package mutating func takePending(at now: Instant) -> Bool {
        guard let deadline = self.nextDeadline, now >= deadline else { return false }
        self.send(at: now)
        return true
    }

    /// When the next request may be sent; `nil` before the first one.
    private var earliest: Instant? {
        self.lastSent.map { $0 + (self.unanswered == 1 ? self.firstRetry : self.interval) }
    }

    private mutating func send(at now: Instant) {
        self.lastSent = now
        self.isPending = false
        self.notBefore = nil
        self.unanswered = min(self.unanswered + 1, 2)
    }
}
