package import Basics
package import RTP

extension BandwidthEstimator {
    /// Congestion control feedback (RFC 8888): what transport-wide feedback tells, and marks. Costs what its packets cost.
    ///
    /// Packets that came at a time the receiver does not know are neither lost nor received, but their marks count. A lost
    /// report is not made up for: the next one does not say what it had told.
    ///
    /// - Parameter transportSequence: the number that `sent` has given to the packet with this SSRC and RTP sequence
    ///   number; `nil` = not one of ours, or too long ago.
    package mutating func handle(
        _ feedback: borrowing CongestionControlFeedbackView,
        at now: Instant,
        transportSequence: (SSRC, SequenceNumber) -> SequenceNumber?
    ) {
        self.reportClock.unwrap(feedback.timestamp)
        var batch = ArrivalBatch()
        self.unreported = 0
        self.core.beginFeedback(at: now)
        feedback.forEachPacket { report in
            guard let sequence = transportSequence(report.ssrc, report.sequenceNumber) else { return }
            switch report.arrival {
            case .none: self.lost(sequence)
            case .unknown: self.note(report.mark)
            case .before(let offset):
                let arrival = self.reportClock.microseconds(before: offset)
                guard let packet = self.received(sequence, arrival: arrival) else { return }
                self.note(report.mark)
                batch.insert(packet)
                if batch.count == ArrivalBatch.capacity { self.take(&batch, at: now) }
            }
        }
        self.take(&batch, at: now)
        self.history.feedbackEnded(at: now)
        self.core.endFeedback(acknowledged: self.throughput.bitrate, at: now)
        self.refreshEstimate(at: now)
        if self.nextDeadline < .distantFuture { self.hasten(at: now) }
    }

    private mutating func note(_ mark: ECNMark) {
        switch mark {
        case .capable1: self.core.received(isMarked: false)
        case .congestionExperienced: self.core.received(isMarked: true)
        case .notCapable, .capable0: return
        }
    }
}
