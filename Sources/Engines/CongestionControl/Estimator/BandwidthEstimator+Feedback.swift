package import Basics
package import RTP

/// The packets of a feedback that have arrived, in batches by the order of their arrival: the delay detector compares
/// neighbours.
struct ArrivalBatch {
    static let capacity = 64
    var samples = InlineArray<64, ReceivedPacket>(repeating: ReceivedPacket())
    private(set) var count = 0

    @inline(__always) mutating func insert(_ packet: ReceivedPacket) {
        var index = self.count
        while index > 0, self.samples[index - 1].arrival > packet.arrival {
            self.samples[index] = self.samples[index - 1]
            index -= 1
        }
        self.samples[index] = packet
        self.count += 1
    }

    mutating func removeAll() { self.count = 0 }
}

extension BandwidthEstimator {
    /// Transport-wide feedback. Costs what its packets cost; says nothing new about packets that it has told of before,
    /// that were never sent, or that were sent too long ago.
    package mutating func handle(_ feedback: borrowing TransportFeedbackView, at now: Instant) {
        var arrival = self.clock.unwrap(feedback.referenceTime)
        var batch = ArrivalBatch()
        self.unreported = self.history.beginFeedback(feedback.baseSequenceNumber, count: feedback.statusCount)
        self.core.beginFeedback(at: now)
        feedback.forEachStatus { status in
            switch status {
            case .lost(let first, let count):
                let run = self.history.inWindow(first: first, count: count)
                for offset in run { self.lost(first.advanced(by: offset)) }
            case .received(let sequence, let delta):
                arrival &+= delta.count / 1_000
                guard let packet = self.received(sequence, arrival: arrival) else { return }
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

    mutating func lost(_ sequence: SequenceNumber) {
        guard let sample = self.history.acknowledge(sequence, arrivalMicroseconds: nil),
            sample.sequence >= self.firstSequence
        else { return }
        self.core.lost(byteCount: sample.byteCount, send: sample.sendMicroseconds)
    }

    @inline(__always) mutating func received(_ sequence: SequenceNumber, arrival: Int64) -> ReceivedPacket? {
        guard let sample = self.history.acknowledge(sequence, arrivalMicroseconds: arrival),
            sample.sequence >= self.firstSequence
        else { return nil }
        return ReceivedPacket(
            send: sample.sendMicroseconds,
            arrival: arrival,
            byteCount: Int32(sample.byteCount),
            untrackedByteCount: Int32(sample.untrackedByteCount),
            probe: sample.probe,
            wasLost: sample.wasLost
        )
    }

    mutating func take(_ batch: inout ArrivalBatch, at now: Instant) {
        guard batch.count > 0 else { return }
        batch.samples[0].untrackedByteCount &+= Int32(clamping: self.unreported)
        self.unreported = 0
        self.throughput.add(batch.samples.span.extracting(first: batch.count))
        self.core.received(batch.samples.span.extracting(first: batch.count), at: now)
        batch.removeAll()
    }
}
