import Basics
import CongestionControl
import Forwarding
import PeerSession
import RTP

/// What a receiver owes the server: transport-wide feedback, receiver reports, NACK, PLI.
extension HeadlessPeer {
    private static let largestCompound = 1_160
    private static let reportInterval = Nanoseconds.seconds(1)

    func sendFeedback(at now: Instant, into egress: inout LoopEgress) {
        if now >= self.feedback.nextDeadline { self.sendTransportFeedback(at: now, into: &egress) }
        for stream in self.streams.values where self.tells != .none {
            if stream.nacks.nextDeadline <= now { self.sendNACK(stream, at: now, into: &egress) }
            if stream.needsKeyFrame, now >= stream.nextKeyFrameRequest {
                self.requestKeyFrame(stream, at: now, into: &egress)
            }
        }
        if now >= self.nextReport {
            self.nextReport = now + Self.reportInterval
            self.sendReports(at: now, into: &egress)
        }
    }

    var nextFeedbackDeadline: Instant {
        var next = min(self.nextReport, self.feedback.nextDeadline)
        for stream in self.streams.values where self.tells != .none {
            next = min(next, stream.nacks.nextDeadline)
            if stream.needsKeyFrame { next = min(next, stream.nextKeyFrameRequest) }
        }
        return next
    }

    /// Makes a compound packet in a slot, and seals it there.
    private func sendRTCP(at now: Instant, into egress: inout LoopEgress, _ build: (inout RTCPWriter) -> Bool) {
        guard let destination = self.destination else { return }
        let slot = unsafe egress.nextSlot()
        let room = unsafe UnsafeMutableRawBufferPointer(rebasing: slot[0..<Self.largestCompound])
        var writer = unsafe RTCPWriter(MutableRawSpan(_unsafeBytes: room))
        guard build(&writer) else { return }
        let count = writer.count
        guard let length = unsafe self.session?.sealRTCP(length: count, in: slot), length > 0 else { return }
        unsafe self.transmit(length, in: slot, to: destination, at: now, into: &egress)
    }

    private func sendTransportFeedback(at now: Instant, into egress: inout LoopEgress) {
        for _ in 0..<8 {
            var arrivals = InlineArray<256, PacketArrival>(
                repeating: PacketArrival(SequenceNumber(0), microseconds: nil)
            )
            var room = arrivals.mutableSpan
            let count = self.feedback.collect(at: now, into: &room)
            guard count > 0 else { return }
            var taken = 0
            self.sendRTCP(at: now, into: &egress) { writer in
                taken = self.feedbackBuilder.append(arrivals.span.extracting(first: count), to: &writer)
                return taken > 0
            }
            guard taken > 0 else { return }
            self.feedback.reported(taken, at: now)
        }
    }

    private func sendNACK(_ stream: InboundStream, at now: Instant, into egress: inout LoopEgress) {
        var missing = InlineArray<128, SequenceNumber>(repeating: SequenceNumber(0))
        var span = missing.mutableSpan
        let count = stream.collectMissing(at: now, into: &span)
        guard count > 0 else { return }
        self.sendRTCP(at: now, into: &egress) { writer in
            writer.appendNACK(from: self.rtcpSSRC, about: stream.ssrc, lost: missing.span.extracting(first: count))
        }
    }

    private func requestKeyFrame(_ stream: InboundStream, at now: Instant, into egress: inout LoopEgress) {
        // The server asks the publisher by itself at first: a client asks when nothing came of that.
        let isFirst = stream.nextKeyFrameRequest == .zero
        stream.nextKeyFrameRequest = now + .seconds(1)
        if isFirst { return }
        self.sendRTCP(at: now, into: &egress) {
            $0.appendPictureLossIndication(from: self.rtcpSSRC, about: stream.ssrc)
        }
    }

    private func sendReports(at now: Instant, into egress: inout LoopEgress) {
        if !self.streams.isEmpty, self.tells != .none {
            var blocks = InlineArray<31, ReportBlock>(repeating: .empty)
            var count = 0
            let clock = egress.clock
            for stream in self.streams.values where stream.report.packetsReceived > 0 && count < 31 {
                blocks[count] = stream.makeReportBlock(at: now)
                count += 1
            }
            self.sendRTCP(at: now, into: &egress) { writer in
                guard writer.appendReceiverReport(from: self.rtcpSSRC, blocks: blocks.span.extracting(first: count)),
                    writer.appendSourceDescription(of: self.rtcpSSRC, cname: "sluice-load")
                else { return false }
                return writer.appendReceiverReferenceTime(clock.ntp(at: now), from: self.rtcpSSRC)
            }
        }
        self.sendSenderReports(at: now, into: &egress)
    }

    private func sendSenderReports(at now: Instant, into egress: inout LoopEgress) {
        var reports: [SenderReport] = []
        if let video = self.video { reports += video.senderReports(at: now, clock: egress.clock) }
        if let audio = self.audio { reports += audio.senderReports(at: now, clock: egress.clock) }
        for report in reports {
            self.sendRTCP(at: now, into: &egress) { writer in
                guard writer.append(report, blocks: Span()) else { return false }
                return writer.appendSourceDescription(of: report.ssrc, cname: "sluice-load")
            }
        }
    }
}
