import Basics
import CongestionControl
import Forwarding
import RTP

extension HeadlessPeer {
    func receiveRTP(_ packet: UnsafeRawBufferPointer, arrival: Arrival) {
        let bytes = unsafe RawSpan(_unsafeBytes: packet)
        guard let header = RTPHeaderInfo(bytes, extensions: self.extensions),
            let padding = header.paddingLength(ofPlaintext: bytes)
        else { return }
        if self.tells == .all, let number = header.transportSequenceNumber(in: bytes) {
            self.feedback.received(number, at: arrival.peer)
            self.feedbackBuilder.mediaSSRC = header.ssrc
        }
        let end = packet.count - padding
        guard end >= header.headerLength else { return }
        if let stream = self.streams[header.ssrc] {
            let payload = unsafe UnsafeRawBufferPointer(rebasing: packet[header.headerLength..<end])
            unsafe self.take(
                stream,
                number: header.sequenceNumber,
                timestamp: header.timestamp,
                payload: payload,
                isRecovered: false,
                arrival: arrival
            )
        } else if let media = self.repairs[header.ssrc], let stream = self.streams[media] {
            guard let repair = RTXPayload(bytes, headerLength: header.headerLength, paddingLength: padding) else {
                return
            }
            let range = repair.payloadOffset..<repair.payloadOffset + repair.payloadLength
            unsafe self.take(
                stream,
                number: repair.originalSequenceNumber,
                timestamp: header.timestamp,
                payload: UnsafeRawBufferPointer(rebasing: packet[range]),
                isRecovered: true,
                arrival: arrival
            )
        }
    }

    private func take(
        _ stream: InboundStream,
        number: SequenceNumber,
        timestamp: UInt32,
        payload: UnsafeRawBufferPointer,
        isRecovered: Bool,
        arrival: Arrival
    ) {
        let now = arrival.peer
        let outcome = unsafe stream.receive(
            number: number,
            timestamp: timestamp,
            payload: payload,
            isRecovered: isRecovered,
            at: now
        )
        guard outcome != .useless, unsafe !payload.isEmpty else { return }
        var isKeyFrame = false
        if stream.isVideo, let keyFrame = unsafe VP8Descriptor(RawSpan(_unsafeBytes: payload))?.keyFrame {
            isKeyFrame = true
            stream.noteKeyFrame(width: Int(keyFrame.width), height: Int(keyFrame.height))
        }
        self.noteMedia(at: now, isKeyFrame: isKeyFrame)
        // What was asked for again, or is older than the stream (a cached key frame), was late by design.
        if outcome == .new, let made = unsafe PacketStamp.read(payload), made >= stream.firstArrival ?? .zero {
            self.latency.histogram.record(nanoseconds: (arrival.machine - made).count)
        }
    }

    func receiveRTCP(_ packet: UnsafeRawBufferPointer, at now: Instant, into egress: inout LoopEgress) {
        guard var compound = unsafe RTCPCompoundView(RawSpan(_unsafeBytes: packet)) else { return }
        while let view = compound.next() {
            switch view.kind {
            case .senderReport:
                if let report = view.senderReport { self.streams[report.ssrc]?.noteSenderReport(report, at: now) }
            case .pictureLossIndication:
                self.report.keyFrameRequests += 1
                if let media = view.mediaSSRC { self.video?.requestKeyFrame(of: media) }
            case .fullIntraRequest:
                self.report.keyFrameRequests += 1
                for index in 0..<view.fullIntraRequestCount {
                    if let entry = view.fullIntraRequest(at: index) { self.video?.requestKeyFrame(of: entry.ssrc) }
                }
            case .nack:
                guard let media = view.mediaSSRC else { continue }
                var numbers = InlineArray<64, UInt16>(repeating: 0)
                var count = 0
                view.forEachLostSequenceNumber { number in
                    guard count < 64 else { return }
                    numbers[count] = number.value
                    count += 1
                }
                self.report.retransmissionsAsked += UInt64(count)
                for index in 0..<count { self.resend(numbers[index], of: media, at: now, into: &egress) }
            case .extendedReport:
                guard let echo = view.receiverReferenceEcho, echo.receiver == self.rtcpSSRC else { continue }
                self.report.noteEcho(of: echo.lastReport, delay: echo.delay, ntpNow: egress.clock.ntp(at: now))
            default: break
            }
        }
    }
}
