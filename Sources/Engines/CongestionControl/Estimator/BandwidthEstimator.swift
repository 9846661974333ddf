public import Basics
import RTP

/// What one subscriber's path can carry: GCC as libwebrtc ships it, with eight rules of our own on top
/// (`EstimatorRules`), for feedback per packet (draft-holmer-rmcat-transport-wide-cc-extensions-01, or RFC 8888 with marks),
/// REMB (draft-alvestrand-rmcat-remb-03) or reception reports (RFC 3550 §6.4.1), whichever the receiver sends.
///
/// Every packet is told to `sent`, every answer to one of the `handle` functions; `estimate` is what comes of it. It
/// wants `advance` at `nextDeadline`, and asks for probes by `nextProbe`, which is to be called until it returns `nil`
/// after each of these.
///
/// All rates include IP and UDP headers. Memory: about 5 KiB, and up to 108 KiB more of packets that feedback may still
/// tell of, made as they are needed. Nothing is allocated once the rings have reached their sizes.
@usableFromInline package struct BandwidthEstimator: ~Copyable, Sendable {
    static let tick = Nanoseconds.milliseconds(25)
    /// While all that is wanted is sent and nothing speaks of congestion: feedback brings the news, if any, by itself.
    static let steadyTick = Nanoseconds.milliseconds(100)
    /// Steady deadlines are multiples of it, so that estimators that share a thread wake it together.
    package static let timerStep = Nanoseconds.milliseconds(5)
    /// How long after the last packet there may still be something to do.
    static let idleAfter = Nanoseconds.seconds(4)

    // What every packet that leaves touches comes first: with many subscribers it is not in the cache.
    /// Of IP and UDP, in bytes per packet: 28 for IPv4, 48 for IPv6, more with TURN.
    @usableFromInline package var overhead = 28
    /// When `advance` has something to do; `distantFuture` while nothing is sent and nothing wanted.
    package internal(set) var nextDeadline = Instant.distantFuture
    @usableFromInline var history: TransportFeedbackHistory
    var core: EstimatorCore
    let configuration: EstimatorConfiguration
    var throughput = RobustThroughputEstimator()
    var clock = ArrivalClock()
    var reportClock = ReportClock()
    /// Packets before this one took another route.
    var firstSequence: Int64 = 0
    /// What a lost feedback would have told of, in bytes, until the next packet arrives.
    var unreported = 0
    package internal(set) var estimate: BandwidthEstimate

    package init(configuration: EstimatorConfiguration, at now: Instant) {
        self.configuration = configuration
        self.core = EstimatorCore(configuration, start: configuration.start, at: now)
        self.history = TransportFeedbackHistory(firstSequence: configuration.firstSequence)
        self.estimate = self.core.snapshot(at: now)
    }

    mutating func refreshEstimate(at now: Instant) { self.estimate = self.core.snapshot(at: now) }

    /// A packet leaves now.
    /// - Parameters:
    ///   - byteCount: the UDP payload.
    ///   - probe: the cluster that the pacer sends it for; 0 = none.
    /// - Returns: the transport-wide sequence number that it has to carry.
    @usableFromInline package mutating func sent(byteCount: Int, probe: UInt16, isPadding: Bool, at now: Instant)
        -> SequenceNumber
    {
        let size = byteCount &+ self.overhead
        self.noteSent(byteCount: size, at: now)
        return self.history.send(byteCount: size, probe: probe, isPadding: isPadding, at: now)
    }

    /// The pacer gave a cluster up (`Pacer.takeAbortedProbe`).
    package mutating func probeAborted(_ cluster: UInt16, at now: Instant) {
        self.core.prober.abandoned(cluster, at: now)
    }

    /// Where the next packet is noted, as an address to fetch memory by; `nil` before the first.
    package mutating func nextEntry() -> UnsafeRawPointer? { unsafe self.history.nextEntry() }

    /// A packet without a transport-wide sequence number leaves now.
    package mutating func sentUntracked(byteCount: Int, at now: Instant) {
        let size = byteCount &+ self.overhead
        self.noteSent(byteCount: size, at: now)
        self.history.sendUntracked(byteCount: size)
    }

    mutating func noteSent(byteCount: Int, at now: Instant) {
        self.core.sent(byteCount: byteCount, at: now)
        if self.nextDeadline == .distantFuture { self.nextDeadline = self.nextTick(after: now) }
    }

    /// What the allocator would like to be shown; stays until it says something else.
    package mutating func setGoal(_ goal: ProbeGoal, at now: Instant) {
        self.core.setGoal(goal, at: now)
        if goal.bitrate > .zero { self.hasten(at: now) }
        self.refreshEstimate(at: now)
    }

    /// Whether any video is sent: its receiver is expected to tell of it (`FeedbackAbsence`).
    package mutating func videoIs(sent isSent: Bool) { self.core.absence.videoIs(sent: isSent) }

    /// The packets take another way from now on (ICE restart, another candidate pair): nothing that was learnt holds,
    /// except that what arrived until now is a good first guess if it is not above the start rate.
    package mutating func routeChanged(at now: Instant) {
        self.core.restart(at: now)
        self.throughput.reset()
        self.firstSequence = self.history.next
        self.refreshEstimate(at: now)
    }

    /// Feedback may have come, and was not read: that none is handed in says nothing of the path.
    package mutating func feedbackLeftUnread(at now: Instant) {
        self.core.silence.beginAnew(at: now)
        self.core.backoff.beginAnew(at: now)
        self.core.absence.restart()
    }

    /// Everything that happens by itself: silence, timeouts, probes that fall due.
    package mutating func advance(to now: Instant) {
        guard now >= self.nextDeadline else { return }
        self.core.advance(to: now)
        self.refreshEstimate(at: now)
        self.nextDeadline =
            self.core.isIdle(at: now, after: Self.idleAfter) ? .distantFuture : self.nextTick(after: now)
    }

    @inline(__always) private func nextTick(after now: Instant) -> Instant {
        let next = now + Self.tick
        guard self.core.isSteady else { return next }
        let silence = self.core.silence.deadline(roundTripTime: self.core.roundTripTime ?? .milliseconds(200))
        let steady = min(now + Self.steadyTick, max(silence, next))
        // Rounded down: whoever is late is not late every time.
        return Instant(nanoseconds: steady.nanoseconds / Self.timerStep.count * Self.timerStep.count)
    }

    /// Something is wanted, or is the matter, that was not at the last tick.
    mutating func hasten(at now: Instant) {
        guard self.nextDeadline > now + Self.tick, !self.core.isSteady else { return }
        self.nextDeadline = self.nextTick(after: now)
    }

    /// The next cluster of packets that the pacer should send; `nil` = none now.
    package mutating func nextProbe(at now: Instant) -> ProbeCluster? { self.core.nextProbe(at: now) }

    package mutating func handleREMB(_ bitrate: Bitrate, at now: Instant) {
        self.core.handleREMB(bitrate, at: now)
        self.refreshEstimate(at: now)
    }

    /// A report block about what we send.
    /// - Parameters:
    ///   - fractionLost: 0...1; anything else is ignored.
    ///   - packetCount: how many packets it is about.
    ///   - roundTripTime: from its LSR and DLSR.
    package mutating func handleReceiverReport(
        fractionLost: Double,
        packetCount: Int,
        roundTripTime: Nanoseconds?,
        at now: Instant
    ) {
        self.core.handleReceiverReport(
            fractionLost: fractionLost,
            packetCount: packetCount,
            roundTripTime: roundTripTime,
            at: now
        )
        self.refreshEstimate(at: now)
    }
}
