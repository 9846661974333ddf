import Basics
import Negotiation
import PeerSession
import RTP

extension HeadlessPeer {
    var nextMediaDeadline: Instant {
        guard self.isConnected else { return .distantFuture }
        var next = self.nextFeedbackDeadline
        if let video, video.section != nil { next = min(next, video.nextFrame) }
        if let audio, audio.section != nil { next = min(next, audio.nextPacket) }
        return next
    }

    /// Sends what is due. It leaves at once, so that the times in the packets are those of their sending: other peers'
    /// feedback goes before them, and what the loop does next comes after.
    func publish(at now: Instant, into egress: inout LoopEgress) {
        var earliest: Instant?
        func begin(_ due: Instant, _ egress: inout LoopEgress) {
            if earliest == nil { egress.flush() }
            earliest = min(earliest ?? due, due)
        }
        // At most a few at a time: a process that was held up goes on, and does not catch up.
        for _ in 0..<3 {
            guard let frame = self.video?.takeDueFrame(at: now) else { break }
            begin(frame.due, &egress)
            self.sendFrame(timestamp: frame.timestamp, at: now, into: &egress)
        }
        for _ in 0..<5 {
            guard let audio = self.audio, let section = audio.section, let packet = audio.takeDuePacket(at: now) else {
                break
            }
            begin(packet.due, &egress)
            var header = OutgoingHeader(
                marker: packet.isFirst,
                payloadType: audio.payloadType,
                sequenceNumber: UInt16(truncatingIfNeeded: packet.sequence),
                timestamp: packet.timestamp,
                ssrc: section.localSSRC,
                extensions: section.extensions
            )
            header.mid = ShortText(section.mid)
            header.audioLevel = AudioLevel(level: packet.level, hasVoice: packet.level < 60)
            self.send(
                header,
                payload: packet.payload,
                rolloverCounter: UInt32(packet.sequence >> 16),
                at: now,
                into: &egress
            )
        }
        guard let earliest else { return }
        self.latency.lateness.record(nanoseconds: (egress.now - earliest).count)
        egress.flush()
    }

    private func sendFrame(timestamp: UInt32, at now: Instant, into egress: inout LoopEgress) {
        guard let video = self.video, let section = video.section else { return }
        let hasTemporalLayers = video.profile.temporalLayers > 1
        for index in video.layers.indices where video.layers[index].isWanted {
            let frame = video.layers[index].nextFrame(video.profile)
            let count = (frame.byteCount + video.profile.largestPayload - 1) / video.profile.largestPayload
            // As libwebrtc splits: pieces of a frame differ by a byte at most.
            for part in 0..<count {
                let size = frame.byteCount / count + (part >= count - frame.byteCount % count ? 1 : 0)
                var payload = [UInt8](repeating: UInt8(truncatingIfNeeded: part), count: max(size, 48))
                let layer = video.layers[index]
                unsafe payload.withUnsafeMutableBytes { bytes in
                    unsafe layer.write(frame, isFirst: part == 0, hasTemporalLayers: hasTemporalLayers, to: bytes)
                }
                var header = OutgoingHeader(
                    marker: part == count - 1,
                    payloadType: video.payloadType,
                    sequenceNumber: UInt16(truncatingIfNeeded: layer.sequence),
                    timestamp: timestamp,
                    ssrc: layer.ssrc,
                    extensions: section.extensions
                )
                header.mid = ShortText(section.mid)
                header.rid = layer.profile.rid.flatMap { ShortText($0) }
                let descriptor =
                    layer.describer?.descriptor(of: frame, isFirst: part == 0, isLast: header.marker) ?? []
                video.remember(
                    VideoPublisher.Sent(
                        sequence: layer.sequence,
                        timestamp: timestamp,
                        marker: header.marker,
                        descriptor: descriptor,
                        payload: payload
                    ),
                    layer: index
                )
                self.send(
                    header,
                    descriptor: descriptor,
                    payload: payload,
                    rolloverCounter: UInt32(layer.sequence >> 16),
                    at: now,
                    into: &egress
                )
                video.layers[index].sequence += 1
                video.layers[index].packetCount += 1
                video.layers[index].byteCount += UInt64(payload.count)
            }
        }
    }

    /// Answers a NACK through RTX (RFC 4588 §4).
    func resend(_ number: UInt16, of media: SSRC, at now: Instant, into egress: inout LoopEgress) {
        guard let video = self.video, let section = video.section, let type = video.retransmissionType,
            let found = video.find(number, of: media)
        else { return }
        let layer = video.layers[found.layer]
        video.layers[found.layer].retransmissionSequence += 1
        var header = OutgoingHeader(
            marker: found.packet.marker,
            payloadType: type,
            sequenceNumber: UInt16(truncatingIfNeeded: layer.retransmissionSequence),
            timestamp: found.packet.timestamp,
            ssrc: layer.retransmissionSSRC,
            extensions: section.extensions
        )
        header.mid = ShortText(section.mid)
        header.repairedRID = layer.profile.rid.flatMap { ShortText($0) }
        self.send(
            header,
            descriptor: found.packet.descriptor,
            payload: [UInt8(number >> 8), UInt8(truncatingIfNeeded: number)] + found.packet.payload,
            rolloverCounter: UInt32(layer.retransmissionSequence >> 16),
            at: now,
            into: &egress
        )
    }

    private func send(
        _ header: OutgoingHeader,
        descriptor: [UInt8] = [],
        payload: [UInt8],
        rolloverCounter: UInt32,
        at now: Instant,
        into egress: inout LoopEgress
    ) {
        guard let destination = self.destination else { return }
        // Behind a link it leaves when the link says; else as soon as it is sealed.
        var departure = self.link == nil ? egress.now : now
        var header = header
        header.transportSequenceNumber = self.transportSequence
        header.absoluteSendTime = AbsoluteSendTime(departure)
        header.dependencyDescriptor = descriptor.indices
        self.transportSequence &+= 1
        let slot = unsafe egress.nextSlot()
        var span = unsafe MutableRawSpan(_unsafeBytes: slot)
        guard let layout = unsafe header.write(into: &span, source: descriptor.span.bytes) else { return }
        if let link = self.link {
            let byteCount = layout.headerLength + payload.count + Self.sealByteCount
            guard let time = link.admitToServer(byteCount: byteCount, at: now) else {
                // Sent, and lost: its numbers are used up.
                self.report.packetsSent += 1
                return
            }
            departure = time
        }
        var payload = payload
        let length = unsafe payload.withUnsafeMutableBytes { payload in
            unsafe PacketStamp.write(departure, to: payload)
            return unsafe self.session?.sealRTP(
                headerLength: layout.headerLength,
                payload: UnsafeRawBufferPointer(payload),
                rolloverCounter: rolloverCounter,
                into: slot
            ) ?? -1
        }
        guard length > 0, length <= slot.count else { return }
        if let link = self.link {
            let datagram = unsafe UnsafeRawBufferPointer(rebasing: slot[0..<length])
            unsafe link.holdToServer(datagram, to: destination, until: departure, at: now)
        } else {
            egress.commit(length, from: self.descriptor, to: destination)
        }
        self.report.packetsSent += 1
        self.report.bytesSent += UInt64(length)
    }

    /// What AES-GCM adds to a packet (RFC 7714 §14.2).
    private static let sealByteCount = 16
}
