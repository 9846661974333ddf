import Basics
import CongestionControl
import Forwarding
import RTP

/// One stream that a peer receives: what is counted, and what is asked for again.
final class InboundStream {
    let ssrc: SSRC
    let isVideo: Bool
    let asksAgain: Bool
    var report: StreamReport
    private var unwrapper = SequenceUnwrapper()
    private var highest: Int64 = .min
    private(set) var reception: ReceptionStatistics
    private(set) var nacks = NACKGenerator()
    private var asked = AskedNumbers()
    /// Packets that came again as they were, without RTX, because they were asked for.
    private var repeatedCount: Int64 = 0
    private var lastArrival: Instant?
    /// When the first packet came, since it flows. Older ones come out of the server's key-frame cache.
    private(set) var firstArrival: Instant?
    /// When its state was last set.
    private var stateSince: Instant?
    private var abandonedBefore: UInt64 = 0
    /// Nothing can be decoded before a key frame comes.
    private(set) var needsKeyFrame: Bool
    var nextKeyFrameRequest = Instant.zero

    init(ssrc: SSRC, report: StreamReport, clockRate: UInt32, asksAgain: Bool) {
        self.ssrc = ssrc
        self.report = report
        self.isVideo = report.kind == .video
        self.asksAgain = asksAgain
        self.needsKeyFrame = report.kind == .video
        self.reception = ReceptionStatistics(clockRate: clockRate)
    }

    /// What became of a packet.
    enum Outcome {
        /// It came by itself.
        case new
        /// It was lost, and was sent again.
        case repaired
        /// It was there already, or nobody waits for it any more.
        case useless
    }

    /// Takes a packet, or one that a retransmission brought.
    func receive(
        number: SequenceNumber,
        timestamp: UInt32,
        payload: UnsafeRawBufferPointer,
        isRecovered: Bool,
        at now: Instant
    ) -> Outcome {
        let sequence = isRecovered ? self.unwrapper.peek(number) : self.unwrapper.unwrap(number)
        if isRecovered {
            guard self.asksAgain, self.nacks.received(sequence, isRecovered: true, at: now) == .filled else {
                return .useless
            }
            self.reception.recovered(byteCount: payload.count)
            self.report.packetsRecovered += 1
            if unsafe payload.isEmpty { self.report.packetsPadding += 1 }
            return .repaired
        }
        self.reception.received(sequence: sequence, timestamp: timestamp, arrival: now, byteCount: payload.count)
        if self.asksAgain { _ = self.nacks.received(sequence, isRecovered: false, at: now) }
        let isRepeated = sequence < self.highest && self.asked.contains(sequence)
        if isRepeated {
            self.repeatedCount += 1
            self.report.packetsRecovered += 1
        } else {
            if sequence < self.highest { self.report.packetsOutOfOrder += 1 }
            self.report.packetsReceived += 1
            self.report.bytesReceived += UInt64(payload.count)
        }
        self.highest = max(self.highest, sequence)
        if let lastArrival { self.report.longestGap = max(self.report.longestGap, now - lastArrival) }
        self.lastArrival = now
        if self.firstArrival == nil { self.firstArrival = now }
        if unsafe payload.isEmpty { self.report.packetsPadding += 1 }
        return isRepeated ? .repaired : .new
    }

    func setState(_ state: StreamReport.State, at now: Instant) {
        guard state != self.report.state else { return }
        // What stops and starts again has no gap.
        self.lastArrival = nil
        self.firstArrival = nil
        self.stateSince = now
        self.report.state = state
    }

    func noteKeyFrame(width: Int, height: Int) {
        self.needsKeyFrame = false
        self.report.keyFrames += 1
        guard width > 0, width != self.report.width || height != self.report.height else { return }
        if self.report.width > 0 { self.report.sizeChanges += 1 }
        self.report.width = width
        self.report.height = height
    }

    func noteSenderReport(_ report: SenderReport, at now: Instant) {
        self.reception.senderReport(ntp: report.ntpTime, rtp: report.rtpTimestamp, at: now)
    }

    func makeReportBlock(at now: Instant) -> ReportBlock { self.reception.makeReportBlock(of: self.ssrc, at: now) }

    /// Numbers to ask for now.
    func collectMissing(at now: Instant, into output: inout MutableSpan<SequenceNumber>) -> Int {
        let count = self.nacks.collect(at: now, roundTripTime: .milliseconds(50), into: &output)
        for index in 0..<count { self.asked.note(self.unwrapper.peek(output[index])) }
        // A frame with a hole that nobody fills: the decoder waits for a key frame.
        if self.isVideo, self.nacks.abandonedCount > self.abandonedBefore { self.needsKeyFrame = true }
        self.abandonedBefore = self.nacks.abandonedCount
        return count
    }

    /// - Parameter connected: when the peer was.
    func currentReport(at now: Instant, connected: Instant?) -> StreamReport {
        var report = self.report
        report.packetsLost = self.lostCount
        report.packetsAbandoned = self.abandonedCount
        report.isAlive = self.isAlive(at: now)
        if let connected, report.state == .flowing {
            report.silence = now - max(connected, self.lastArrival ?? .zero, self.stateSince ?? .zero)
        }
        return report
    }

    func add(to totals: inout LoadTotals, at now: Instant) {
        totals.packetsReceived += self.report.packetsReceived
        totals.bytesReceived += self.report.bytesReceived
        totals.packetsRecovered += self.report.packetsRecovered
        totals.packetsOutOfOrder += self.report.packetsOutOfOrder
        totals.packetsLost += self.lostCount
        totals.packetsAbandoned += self.abandonedCount
        totals.sizeChanges += self.report.sizeChanges
        guard self.isVideo, self.report.state != .unbound else { return }
        totals.pictures[self.isAlive(at: now) ? self.report.height : 0, default: 0] += 1
    }

    /// That did not come by themselves: RTCP counts one that was sent again as it was as received.
    var lostCount: Int64 { self.reception.lostCount + self.repeatedCount }
    /// Who asks for nothing gets nothing again: all that was lost is.
    var abandonedCount: UInt64 {
        self.asksAgain ? self.nacks.abandonedCount : UInt64(max(0, self.lostCount))
    }
    func isAlive(at now: Instant) -> Bool { self.lastArrival.map { now - $0 < .seconds(1) } ?? false }
}
