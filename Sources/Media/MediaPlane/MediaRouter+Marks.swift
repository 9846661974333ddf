import Basics
import CongestionControl
import Negotiation
import RTP

/// Feedback that names packets by SSRC and RTP sequence number (RFC 8888), and the ECN marks that it tells of.
extension MediaRouter {
    // MARK: Negotiation

    /// Feedback is about a peer's one transport: all of its sections say the same.
    mutating func applyFeedback(of sections: [NegotiatedSection], to session: SessionPointer, at now: Instant) {
        let isByNumber = sections.contains { $0.usesCongestionControlFeedback }
        if isByNumber, self.configuration.usesMarks, sections.contains(where: { $0.direction == .receive }) {
            self.wantsMarks = true
        }
        guard unsafe session.pointee.usesCongestionControlFeedback != isByNumber else { return }
        unsafe session.pointee.usesCongestionControlFeedback = isByNumber
        unsafe session.pointee.chain = EgressQueue.Chain()
        guard let bandwidth = unsafe session.pointee.bandwidth else { return }
        unsafe bandwidth.pointee.path = self.markedPath(of: session)
        // The times of the two kinds of feedback have nothing in common.
        unsafe bandwidth.pointee.estimator.routeChanged(at: now)
    }

    func markedPath(of session: SessionPointer) -> MarkedPath {
        MarkedPath(isWanted: unsafe session.pointee.usesCongestionControlFeedback && self.configuration.usesMarks)
    }

    // MARK: To subscribers

    /// A packet leaves whose receiver will tell of it by its own number; it may leave marked.
    ///
    /// - Parameter slot: begins with the packet's header.
    mutating func noteSent(
        _ slot: UnsafeMutableRawBufferPointer,
        byteCount: Int,
        leg: LegPointer,
        _ bandwidth: BandwidthPointer,
        probe: UInt16,
        isPadding: Bool,
        at now: Instant
    ) {
        let transport = unsafe bandwidth.pointee.estimator.sent(
            byteCount: byteCount,
            probe: probe,
            isPadding: isPadding,
            at: now
        )
        // Unwrapped: the lower half is the number.
        let order = unsafe bandwidth.pointee.sentOrder
        unsafe bandwidth.pointee.sentOrder = order &+ UInt32(transport.value &- UInt16(truncatingIfNeeded: order))
        let isMarked = unsafe bandwidth.pointee.path.takeNext(at: now)
        let header = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(slot))
        unsafe leg.pointee.noteSent(
            SequenceNumber(header.uint16(at: 2)),
            of: SSRC(header.uint32(at: 8)),
            order: bandwidth.pointee.sentOrder,
            isMarked: isMarked
        )
        if isMarked { self.counters.markedPacketsOut &+= 1 }
        let session = unsafe leg.pointee.session
        // What is marked leaves in messages of its own, behind what came before it.
        guard unsafe session.pointee.chain.isMarked != isMarked else { return }
        unsafe session.pointee.chain = EgressQueue.Chain(isMarked: isMarked)
    }

    /// What a subscriber tells of the packets that it was sent. Each is looked up twice: for its marks, and for the
    /// estimator.
    mutating func receiveCongestionControlFeedback(
        _ view: borrowing RTCPPacketView,
        session: SessionPointer,
        at now: Instant
    ) {
        guard unsafe session.pointee.usesCongestionControlFeedback, let bandwidth = unsafe session.pointee.bandwidth
        else { return }
        guard let feedback = view.congestionControlFeedback else {
            self.counters.droppedInMalformed &+= 1
            return
        }
        var legs = unsafe ReportedLegs(session: session, latest: bandwidth.pointee.sentOrder)
        var path = unsafe bandwidth.pointee.path
        let before = path.state
        var congestionMarks: UInt64 = 0
        feedback.forEachPacket { report in
            guard let packet = legs.packet(report), packet.isNews else { return }
            guard report.arrival != .none else {
                if packet.isMarked, !packet.wasLost { path.lost() }
                return legs.noteReport(report)
            }
            legs.noteReport(report)
            if report.mark == .congestionExperienced { congestionMarks &+= 1 }
            if packet.isMarked { path.received(report.mark, at: now) }
        }
        self.counters.congestionMarksOut &+= congestionMarks
        unsafe bandwidth.pointee.path = path
        if path.state != before { self.count(path.state) }
        unsafe bandwidth.pointee.estimator.handle(feedback, at: now) { ssrc, number in
            legs.packet(of: ssrc, number)?.transportSequence
        }
        unsafe self.estimateChanged(session, bandwidth, at: now)
    }

    private mutating func count(_ state: MarkedPath.State) {
        switch state {
        case .off, .trying: break
        case .capable: self.counters.markedPathsCapable &+= 1
        case .bleached: self.counters.markedPathsBleached &+= 1
        case .dropped: self.counters.markedPathsDropped &+= 1
        }
    }

    // MARK: From publishers

    /// A publisher's packet came, for the feedback that tells it so.
    mutating func noteArrival(
        of header: RTPHeaderInfo,
        stream: Int,
        mark: ECNMark,
        session: SessionPointer,
        at arrival: Instant
    ) {
        switch mark {
        case .capable1: self.counters.markedPacketsIn &+= 1
        case .congestionExperienced: self.counters.congestionMarksIn &+= 1
        case .notCapable, .capable0: break
        }
        unsafe session.pointee.congestionFeedback.received(
            header.sequenceNumber,
            of: header.ssrc,
            stream: stream,
            mark: mark,
            at: arrival
        )
        unsafe self.wake(session, by: session.pointee.congestionFeedback.nextDeadline)
    }
}

/// The legs of a session by SSRC, of media and of retransmissions; a report names one after the other.
@safe
private struct ReportedLegs {
    private let session: SessionPointer
    private let latest: UInt32
    private var ssrc: SSRC?
    private var leg: LegPointer?

    init(session: SessionPointer, latest: UInt32) {
        unsafe self.session = unsafe session
        self.latest = latest
        unsafe self.leg = nil
    }

    private mutating func leg(_ ssrc: SSRC) -> LegPointer? {
        if self.ssrc != ssrc {
            self.ssrc = ssrc
            unsafe self.leg = unsafe self.session.pointee.leg(ofAny: ssrc)
        }
        return unsafe self.leg
    }

    mutating func packet(of ssrc: SSRC, _ number: SequenceNumber) -> SentPacketRing.Packet? {
        unsafe self.leg(ssrc)?.pointee.sentPacket(number, of: ssrc, latest: self.latest)
    }

    mutating func packet(_ report: PacketReport) -> SentPacketRing.Packet? {
        self.packet(of: report.ssrc, report.sequenceNumber)
    }

    mutating func noteReport(_ report: PacketReport) {
        unsafe self.leg(report.ssrc)?.pointee.noteReport(
            report.sequenceNumber,
            of: report.ssrc,
            isReceived: report.arrival != .none
        )
    }
}
