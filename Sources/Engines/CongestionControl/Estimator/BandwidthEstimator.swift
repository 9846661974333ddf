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
    /// How long after the last packet there may still be something to do.
    static let idleAfter = Nanoseconds.seconds(4)

    let configuration: EstimatorConfiguration
    var core: EstimatorCore
    var history: TransportFeedbackHistory
    var throughput = RobustThroughputEstimator()
    var clock = ArrivalClock()
    var reportClock = ReportClock()
    /// Packets before this one took another route.
    var firstSequence: Int64 = 0
    /// What a lost feedback would have told of, in bytes, until the next packet arrives.
    var unreported = 0
    /// Of IP and UDP, in bytes per packet: 28 for IPv4, 48 for IPv6, more with TURN.
    package var overhead = 28
    /// When `advance` has something to do; `distantFuture` while nothing is sent and nothing wanted.
    package internal(set) var nextDeadline = Instant.distantFuture
    package internal(set) var estimate: BandwidthEstimate

    package init(configuration: EstimatorConfiguration, at now: Instant) {
        self.configuration = configuration
        self.core = EstimatorCore(configuration, start: configuration.start, at: now)
        self.history = TransportFeedbackHistory(firstSequence: configuration.firstSequence)
        self.estimate = self.core.snapshot(at: now)
    }

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

    /// A packet without a transport-wide sequence number leaves now.
    package mutating func sentUntracked(byteCount: Int, at now: Instant) {
        let size = byteCount &+ self.overhead
        self.noteSent(byteCount: size, at: now)
        self.history.sendUntracked(byteCount: size)
    }

    private mutating func noteSent(byteCount: Int, at now: Instant) {
        self.core.sent(byteCount: byteCount, at: now)
        if self.nextDeadline == .distantFuture { self.nextDeadline = now + Self.tick }
    }

    /// What the allocator would like to be shown; stays until it says something else.
    package mutating func setGoal(_ goal: ProbeGoal, at now: Instant) {
        self.core.setGoal(goal, at: now)
        if self.nextDeadline == .distantFuture, goal.bitrate > .zero { self.nextDeadline = now + Self.tick }
        self.estimate = self.core.snapshot(at: now)
    }

    /// The packets take another way from now on (ICE restart, another candidate pair): nothing that was learnt holds,
    /// except that what arrived until now is a good first guess if it is not above the start rate.
    package mutating func routeChanged(at now: Instant) {
        self.core.restart(at: now)
        self.throughput.reset()
        self.firstSequence = self.history.next
        self.estimate = self.core.snapshot(at: now)
    }

    /// Everything that happens by itself: silence, timeouts, probes that fall due.
    package mutating func advance(to now: Instant) {
        guard now >= self.nextDeadline else { return }
        self.core.advance(to: now)
        self.estimate = self.core.snapshot(at: now)
        self.nextDeadline = self.core.isIdle(at: now, after: Self.idleAfter) ? .distantFuture : now + Self.tick
    }

    /// The next cluster of packets that the pacer should send; `nil` = none now.
    package mutating func nextProbe(at now: Instant) -> ProbeCluster? { self.core.nextProbe(at: now) }

    package mutating func handleREMB(_ bitrate: Bitrate, at now: Instant) {
        self.core.handleREMB(bitrate, at: now)
        self.estimate = self.core.snapshot(at: now)
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
        self.estimate = self.core.snapshot(at: now)
    }
}
