package import Basics
import CongestionControl

/// Whether more is asked of a worker than its core can do: what comes lies in its sockets' buffers for long.
///
/// Feedback is most of what comes, and the first thing to leave: it tells of late feedback then rather than of paths, and
/// what is asked for in it is asked for again. Video does not wait in pacers either, which costs four times what packets
/// cost that leave together; a worker that has fallen behind would never catch up. That is for where media waits too: whoever
/// floods a worker with RTCP is not to change what others are sent.
struct Overload: Sendable, BitwiseCopyable {
    /// What the oldest datagram of a read may have lain there.
    static let longestWait = Nanoseconds.milliseconds(50)
    /// They have to lie longer for so long, again and again, which a few pauses of the thread are not.
    static let leastDuration = Nanoseconds.milliseconds(200)
    static let longestGap = Nanoseconds.milliseconds(150)
    /// From the last of them on.
    static let memory = Nanoseconds.milliseconds(500)
    /// Of each session, one datagram of feedback in so long is read.
    static let interval = Nanoseconds.milliseconds(100)
    /// What pacers let pass.
    static let pacingRate = Bitrate(bitsPerSecond: 200_000_000)

    private var begin = Instant.zero
    private var last: Instant?
    private var end = Instant.zero

    mutating func note(wait: Nanoseconds, at now: Instant) {
        guard wait > Self.longestWait else { return }
        if self.last.map({ now - $0 > Self.longestGap }) ?? true { self.begin = now }
        self.last = now
        if now - self.begin >= Self.leastDuration { self.end = now + Self.memory }
    }

    @inline(__always) func isOn(at now: Instant) -> Bool { now < self.end }
}

extension MediaRouter {
    /// - Parameters:
    ///   - wait: how long the oldest datagram of a read had lain in the socket's buffer.
    ///   - socket: which one.
    ///   - isRTCP: there was nothing else in it.
    package mutating func noteSocketWait(_ wait: Nanoseconds, socket: Int = 0, isRTCP: Bool, at now: Instant) {
        self.overload.note(wait: wait, at: now)
        guard !isRTCP else { return }
        self.mediaOverload.note(wait: wait, at: now)
        self.loadShedding.note(wait: wait, queue: socket)
    }

    /// Whether RTCP of a session is left unread. It is not authenticated yet, and changes nothing but the session's turn.
    mutating func shedsFeedback(of session: SessionPointer, at now: Instant) -> Bool {
        guard self.overload.isOn(at: now) else { return false }
        guard unsafe now < session.pointee.nextFeedback else {
            unsafe session.pointee.nextFeedback = now + Overload.interval
            return false
        }
        self.counters.feedbackShed &+= 1
        return true
    }

    /// The pacer's rate for an estimate.
    func pacingRate(_ estimate: BandwidthEstimate, _ bandwidth: BandwidthPointer, at now: Instant) -> Bitrate {
        let own = unsafe max(estimate.pacingRate, bandwidth.pointee.pacingFloor)
        return self.mediaOverload.isOn(at: now) ? max(own, Overload.pacingRate) : own
    }
}
