import Basics
import CongestionControl
import MediaControl
import Negotiation
import RTP

/// What subscribers tell of their path, and what becomes of it.
extension MediaRouter {
    /// Decisions about layers are made no more often, but for the worst.
    private static let allocationInterval = Nanoseconds.milliseconds(100)

    /// - Parameter section: of the session's first video leg.
    mutating func makeBandwidth(of session: SessionPointer, for section: NegotiatedSection, at now: Instant) {
        guard unsafe session.pointee.bandwidth == nil else { return }
        var configuration = self.configuration.estimator
        let hasFeedback =
            section.extensions[.transportSequenceNumber] != 0
            || section.usesCongestionControlFeedback
            || section.codecs.contains { $0.feedback.contains(.receiverEstimate) }
        if !hasFeedback {
            let start = max(configuration.start, configuration.startWithoutFeedback)
            configuration.start = min(start, configuration.maximum)
        }
        let bandwidth = BandwidthPointer.allocate(capacity: 1)
        unsafe bandwidth.initialize(to: SubscriberBandwidth(configuration: configuration, at: now))
        unsafe bandwidth.pointee.path = self.markedPath(of: session)
        unsafe session.pointee.bandwidth = unsafe bandwidth
        unsafe bandwidth.pointee.setFamily(isIPv4: session.pointee.destination.isIPv4)
        let estimate = unsafe bandwidth.pointee.estimator.estimate
        unsafe bandwidth.pointee.pacer.setRates(
            pacing: estimate.pacingRate,
            padding: .zero,
            spacing: estimate.spacing,
            at: now
        )
        unsafe self.wakeBandwidth(session, by: now)
    }

    // MARK: What comes back

    /// That one datagram may bring: each is a turn of the estimator, and clients send one at a time.
    static let mostFeedback = 16

    mutating func receiveTransportFeedback(
        _ view: borrowing RTCPPacketView,
        session: SessionPointer,
        at now: Instant
    ) {
        guard let feedback = view.transportFeedback else {
            self.counters.droppedInMalformed &+= 1
            return
        }
        guard let bandwidth = unsafe session.pointee.bandwidth else { return }
        unsafe bandwidth.pointee.estimator.handle(feedback, at: now)
        unsafe self.estimateChanged(session, bandwidth, at: now)
    }

    /// REMB: whatever SSRCs it names, it is about the path.
    mutating func receiveEstimate(_ view: borrowing RTCPPacketView, session: SessionPointer, at now: Instant) {
        guard let bitrate = view.maximumBitrate, let bandwidth = unsafe session.pointee.bandwidth else { return }
        unsafe bandwidth.pointee.estimator.handleREMB(bitrate, at: now)
        unsafe self.estimateChanged(session, bandwidth, at: now)
    }

    /// A report about one of the legs.
    mutating func receiveLoss(
        _ fractionLost: Double,
        packetCount: Int,
        session: SessionPointer,
        at now: Instant
    ) {
        guard let bandwidth = unsafe session.pointee.bandwidth else { return }
        unsafe bandwidth.pointee.estimator.handleReceiverReport(
            fractionLost: fractionLost,
            packetCount: packetCount,
            roundTripTime: session.pointee.roundTripTime,
            at: now
        )
        unsafe self.estimateChanged(session, bandwidth, at: now)
    }

    /// The path is another: what was known of the old one says nothing about it.
    mutating func routeChanged(_ session: SessionPointer, at now: Instant) {
        guard let bandwidth = unsafe session.pointee.bandwidth else { return }
        unsafe bandwidth.pointee.setFamily(isIPv4: session.pointee.destination.isIPv4)
        unsafe bandwidth.pointee.estimator.routeChanged(at: now)
        unsafe bandwidth.pointee.path.routeChanged()
        unsafe self.estimateChanged(session, bandwidth, at: now)
    }

    mutating func estimateChanged(_ session: SessionPointer, _ bandwidth: BandwidthPointer, at now: Instant) {
        unsafe self.takeEstimate(session, bandwidth, at: now)
        unsafe self.wakeBandwidth(session, by: bandwidth.pointee.nextDeadline)
    }

    /// Hands the rates and the probes to the pacer; decides about layers at once where they do not fit any more.
    private mutating func takeEstimate(_ session: SessionPointer, _ bandwidth: BandwidthPointer, at now: Instant) {
        let estimate = unsafe bandwidth.pointee.estimator.estimate
        unsafe bandwidth.pointee.pacer.setRates(
            pacing: self.pacingRate(estimate, bandwidth, at: now),
            padding: estimate.paddingRate,
            spacing: estimate.spacing,
            at: now
        )
        if unsafe bandwidth.pointee.pacer.queuedCount > 0 || estimate.paddingRate > .zero {
            unsafe bandwidth.pointee.pacerDeadline = min(bandwidth.pointee.pacerDeadline, now)
        }
        while let probe = unsafe bandwidth.pointee.estimator.nextProbe(at: now) {
            unsafe bandwidth.pointee.pacer.start(probe, at: now)
            unsafe bandwidth.pointee.pacerDeadline = now
        }
        if let roundTrip = estimate.roundTripTime { unsafe session.pointee.noteRoundTrip(roundTrip) }
        let allocatedFor = unsafe bandwidth.pointee.allocatedFor
        let isTooMuch = unsafe self.bounded(estimate, for: session).bitrate < allocatedFor && estimate.isCongested
        if isTooMuch { unsafe bandwidth.pointee.nextAllocation = now }
    }

    /// With the cap that the operator or the token gave the subscriber.
    func bounded(_ estimate: BandwidthEstimate, for session: SessionPointer) -> BandwidthEstimate {
        guard let cap = unsafe session.pointee.configuration.maxBitrate, cap < estimate.bitrate else { return estimate }
        var bounded = estimate
        bounded.bitrate = cap
        return bounded
    }

    /// How long the base layer of something new is sent without proof that the path carries it.
    private static let graceTime = Nanoseconds.milliseconds(1_500)

    /// Something new is to be seen: a track was bound, or has begun.
    mutating func giveGrace(_ session: SessionPointer, at now: Instant) {
        guard let bandwidth = unsafe session.pointee.bandwidth else { return }
        unsafe bandwidth.pointee.graceUntil = now + Self.graceTime
    }

    // MARK: Timers

    /// Makes sure that a session's bandwidth is looked at by `deadline`: cheap enough for the packet path.
    @inline(__always)
    mutating func wakeBandwidth(_ session: SessionPointer, by deadline: Instant) {
        guard unsafe deadline < session.pointee.bandwidthDeadline else { return }
        unsafe session.pointee.bandwidthDeadline = deadline
        unsafe self.reschedule(session)
    }

    /// Something that decisions about layers rest on has changed.
    mutating func needsAllocation(_ session: SessionPointer, because reason: LayerSwitchReason, at now: Instant) {
        guard let bandwidth = unsafe session.pointee.bandwidth else { return }
        unsafe bandwidth.pointee.needsAllocation = true
        unsafe bandwidth.pointee.allocationReason = reason
        unsafe self.wakeBandwidth(session, by: now)
    }

    mutating func needsAllocation(of track: TrackPointer, because reason: LayerSwitchReason, at now: Instant) {
        for leg in unsafe Each(track.pointee.legs) {
            unsafe self.needsAllocation(leg.pointee.session, because: reason, at: now)
        }
    }

    /// Does what is due for one connected session, and finds its next deadline.
    mutating func runBandwidth(_ session: SessionPointer, at now: Instant) {
        guard unsafe now >= session.pointee.bandwidthDeadline, let bandwidth = unsafe session.pointee.bandwidth else {
            return
        }
        if unsafe now >= bandwidth.pointee.estimator.nextDeadline {
            // By the worker, or by the kernel before it.
            if self.overload.isOn(at: now) { unsafe bandwidth.pointee.estimator.feedbackLeftUnread(at: now) }
            unsafe bandwidth.pointee.estimator.advance(to: now)
            unsafe self.takeEstimate(session, bandwidth, at: now)
        }
        if unsafe now >= bandwidth.pointee.allocationDeadline {
            if unsafe self.isAllocationDue(session, bandwidth, at: now) {
                unsafe bandwidth.pointee.needsAllocation = false
                unsafe self.allocate(session, bandwidth, at: now)
                // The goal may have called for a probe.
                unsafe self.takeEstimate(session, bandwidth, at: now)
            }
            unsafe bandwidth.pointee.nextAllocation = unsafe min(
                TimerGrid.last(before: now + Self.allocationInterval),
                max(bandwidth.pointee.allocator.nextDeadline, now + .milliseconds(10))
            )
        }
        if unsafe now >= bandwidth.pointee.pacerDeadline { unsafe self.runPacer(of: session, bandwidth, at: now) }
        if unsafe now >= bandwidth.pointee.nextSample { unsafe self.sample(session, bandwidth, at: now) }
        unsafe session.pointee.bandwidthDeadline = unsafe bandwidth.pointee.nextDeadline
    }

    private mutating func sample(_ session: SessionPointer, _ bandwidth: BandwidthPointer, at now: Instant) {
        unsafe bandwidth.pointee.nextSample = TimerGrid.last(before: now + .seconds(1))
        for leg in unsafe Each(session.pointee.legs) { unsafe leg.pointee.sampleRepairs() }
        let sent = unsafe session.pointee.bytesSent &- bandwidth.pointee.sampledBytes
        unsafe bandwidth.pointee.sampledBytes = session.pointee.bytesSent
        unsafe bandwidth.pointee.used = Bitrate(bitsPerSecond: Int64(clamping: sent) * 8)
        guard unsafe session.pointee.isConnected,
            unsafe session.pointee.legs.contains(where: { unsafe $0.pointee.track != nil })
        else { return }
        self.counters.bitrateEstimate.record(unsafe bandwidth.pointee.estimator.estimate.bitrate)
        self.counters.bitrateUsed.record(unsafe bandwidth.pointee.used)
    }
}
