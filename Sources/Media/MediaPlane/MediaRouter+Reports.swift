import Basics
import CongestionControl
import Forwarding
import Negotiation
import PeerSession
import RTP

/// RTCP that we send. Each kind is made straight in an egress slot and sealed there.
extension MediaRouter {
    /// Below the smallest MTU that WebRTC assumes, with room for SRTCP's index and tag.
    private static let largestCompound = 1_160

    /// The writer's part of a slot.
    private static func room(_ slot: UnsafeMutableRawBufferPointer) -> UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(rebasing: slot[0..<self.largestCompound])
    }

    private mutating func seal(_ count: Int, in slot: UnsafeMutableRawBufferPointer, to session: SessionPointer) {
        guard count > 0 else { return }
        let length = unsafe session.pointee.peer.sealRTCP(length: count, in: slot)
        guard length > 0 else { return }
        // Only media is marked (RFC 6679 §7.3.4).
        if unsafe session.pointee.chain.isMarked { unsafe session.pointee.chain = EgressQueue.Chain() }
        unsafe self.commit(length, to: session)
    }

    /// What a compound must start with where reduced size was not negotiated (RFC 3550 §6.1, RFC 5506 §3.4.1).
    @_lifetime(writer: copy writer)
    private static func begin(_ writer: inout RTCPWriter, session: SessionPointer, isReduced: Bool) {
        guard !isReduced else { return }
        _ = unsafe writer.appendReceiverReport(from: session.pointee.rtcpSSRC, blocks: Span())
        _ = unsafe writer.appendSourceDescription(of: session.pointee.rtcpSSRC, cname: "sluice")
    }

    // MARK: To publishers

    /// A receiver report about everything that a session publishes (RFC 3550 §6.4.2), and the echo of the reference time
    /// that it sent, if it did (RFC 3611 §4.5).
    mutating func sendReceiverReport(to session: SessionPointer, at now: Instant) {
        var blocks = InlineArray<31, ReportBlock>(repeating: .empty)
        var count = 0
        for track in unsafe Each(session.pointee.tracks) {
            for layer in unsafe 0..<track.pointee.layerCount where count < 31 {
                let source = unsafe track.pointee.layers + layer
                guard let ssrc = unsafe source.pointee.ssrc, unsafe source.pointee.isActive else { continue }
                blocks[count] = unsafe source.pointee.reception.makeReportBlock(of: ssrc, at: now)
                count += 1
                let lost = unsafe source.pointee.reception.lostCount
                if unsafe lost > source.pointee.countedLost {
                    self.counters.packetsLostIn &+= UInt64(unsafe lost - source.pointee.countedLost)
                    unsafe source.pointee.countedLost = lost
                }
            }
        }
        let echo = unsafe session.pointee.referenceTime?.echo(at: now)
        guard count > 0 || echo != nil else { return }
        // One echo for each reference time: an old one says nothing new.
        unsafe session.pointee.referenceTime = nil
        let slot = unsafe self.egress.nextSlot()
        var writer = unsafe RTCPWriter(MutableRawSpan(_unsafeBytes: Self.room(slot)))
        _ = unsafe writer.appendReceiverReport(
            from: session.pointee.rtcpSSRC,
            blocks: blocks.span.extracting(first: count)
        )
        _ = unsafe writer.appendSourceDescription(of: session.pointee.rtcpSSRC, cname: "sluice")
        if let echo { _ = unsafe writer.append(echo, from: session.pointee.rtcpSSRC) }
        let length = writer.count
        unsafe self.seal(length, in: slot, to: session)
    }

    /// Transport-wide feedback, as many packets as it takes.
    mutating func sendTransportFeedback(to session: SessionPointer, at now: Instant) {
        for _ in 0..<8 {
            var arrivals = InlineArray<256, PacketArrival>(
                repeating: PacketArrival(SequenceNumber(0), microseconds: nil)
            )
            var room = arrivals.mutableSpan
            let count = unsafe session.pointee.feedback.collect(at: now, into: &room)
            guard count > 0 else { return }
            let slot = unsafe self.egress.nextSlot()
            var writer = unsafe RTCPWriter(MutableRawSpan(_unsafeBytes: Self.room(slot)))
            unsafe Self.begin(&writer, session: session, isReduced: session.pointee.isReducedSize)
            unsafe session.pointee.feedbackBuilder.mediaSSRC = unsafe session.pointee.feedbackSSRC
            let taken = unsafe session.pointee.feedbackBuilder.append(
                arrivals.span.extracting(first: count),
                to: &writer
            )
            guard taken > 0 else { return }
            let length = writer.count
            unsafe self.seal(length, in: slot, to: session)
            unsafe session.pointee.feedback.reported(taken, at: now)
        }
    }

    /// Congestion control feedback (RFC 8888 §3.1), as many packets as it takes.
    mutating func sendCongestionControlFeedback(to session: SessionPointer, at now: Instant) {
        var reports = InlineArray<256, PacketReport>(
            repeating: PacketReport(SSRC(0), SequenceNumber(0), arrival: .none, mark: .notCapable)
        )
        while true {
            var room = reports.mutableSpan
            let count = unsafe session.pointee.congestionFeedback.collect(at: now, into: &room)
            guard count > 0 else { return }
            let slot = unsafe self.egress.nextSlot()
            var writer = unsafe RTCPWriter(MutableRawSpan(_unsafeBytes: Self.room(slot)))
            unsafe Self.begin(&writer, session: session, isReduced: session.pointee.isReducedSize)
            let isWritten = unsafe writer.appendCongestionControlFeedback(
                from: session.pointee.rtcpSSRC,
                about: reports.span.extracting(first: count),
                timestamp: UInt32(truncatingIfNeeded: self.wallClock.ntp(at: now).rawValue >> 16)
            )
            guard isWritten else { continue }
            let length = writer.count
            unsafe self.seal(length, in: slot, to: session)
        }
    }

    /// Asks for what is missing of one layer.
    mutating func sendNACK(for track: TrackPointer, layer: Int, at now: Instant) {
        let source = unsafe track.pointee.layers + layer
        guard unsafe track.pointee.usesNACK, unsafe now >= source.pointee.nacks.nextDeadline,
            let media = unsafe source.pointee.ssrc, let session = unsafe track.pointee.owner
        else { return }
        var lost = InlineArray<128, SequenceNumber>(repeating: SequenceNumber(0))
        var span = lost.mutableSpan
        let count = unsafe source.pointee.nacks.collect(
            at: now,
            roundTripTime: session.pointee.roundTripTime ?? .milliseconds(100),
            into: &span
        )
        guard count > 0 else { return }
        let slot = unsafe self.egress.nextSlot()
        var writer = unsafe RTCPWriter(MutableRawSpan(_unsafeBytes: Self.room(slot)))
        unsafe Self.begin(&writer, session: session, isReduced: track.pointee.section.reducedSizeRTCP)
        _ = unsafe writer.appendNACK(
            from: session.pointee.rtcpSSRC,
            about: media,
            lost: lost.span.extracting(first: count)
        )
        let length = writer.count
        unsafe self.seal(length, in: slot, to: session)
        unsafe source.pointee.requestedPackets &+= 1
        self.counters.nacksOut &+= UInt64(count)
    }

    /// PLI where it was negotiated, else FIR; of a mirror, the worker that has the track is asked.
    mutating func sendKeyFrameRequest(to track: TrackPointer, layer: Int) {
        let source = unsafe track.pointee.layers + layer
        guard let session = unsafe track.pointee.owner else {
            if let home = unsafe track.pointee.mirror?.home {
                self.tell(home, .keyFrameWanted(unsafe track.pointee.source, layer: layer))
            }
            return
        }
        guard let media = unsafe source.pointee.ssrc, unsafe session.pointee.isConnected else { return }
        let feedback = unsafe track.pointee.section.codecs.first?.feedback ?? []
        let slot = unsafe self.egress.nextSlot()
        var writer = unsafe RTCPWriter(MutableRawSpan(_unsafeBytes: Self.room(slot)))
        unsafe Self.begin(&writer, session: session, isReduced: track.pointee.section.reducedSizeRTCP)
        if feedback.contains(.fullIntraRequest), !feedback.contains(.pictureLossIndication) {
            let entry = unsafe FIREntry(ssrc: media, sequenceNumber: source.pointee.fullIntraSequence)
            unsafe source.pointee.fullIntraSequence &+= 1
            _ = unsafe writer.appendFullIntraRequest(from: session.pointee.rtcpSSRC, entry)
        } else {
            _ = unsafe writer.appendPictureLossIndication(from: session.pointee.rtcpSSRC, about: media)
        }
        let length = writer.count
        unsafe self.seal(length, in: slot, to: session)
        unsafe source.pointee.requestedKeyFrames &+= 1
        self.counters.keyFrameRequestsOut &+= 1
    }

    /// REMB: the publisher is to send no more than this in all (draft-alvestrand-rmcat-remb-03 §2.2).
    mutating func sendMaximumBitrate(
        _ bitrate: Bitrate,
        to session: SessionPointer,
        about media: SSRC,
        isReduced: Bool
    ) {
        let slot = unsafe self.egress.nextSlot()
        var writer = unsafe RTCPWriter(MutableRawSpan(_unsafeBytes: Self.room(slot)))
        unsafe Self.begin(&writer, session: session, isReduced: isReduced)
        let sources: InlineArray<1, SSRC> = [media]
        _ = unsafe writer.appendMaximumBitrate(bitrate, from: session.pointee.rtcpSSRC, ssrcs: sources.span)
        let length = writer.count
        unsafe self.seal(length, in: slot, to: session)
    }

    // MARK: To subscribers

    /// A sender report of one leg, in its own time line, from the publisher's capture clock (RFC 3550 §6.4.1).
    mutating func sendSenderReport(_ leg: LegPointer, at now: Instant) {
        guard let track = unsafe leg.pointee.track, let rank = unsafe leg.pointee.rewriter.source,
            unsafe leg.pointee.statistics.packetCount > 0
        else { return }
        let session = unsafe leg.pointee.session
        let layer = unsafe track.pointee.layer(rank: rank)
        let times = unsafe track.pointee.layers[layer].clock.legTimes(
            at: now,
            wallClock: self.wallClock,
            publisher: track.pointee.publisherClock,
            timestampOffset: leg.pointee.rewriter.timestampOffset
        )
        guard let times else { return }
        let counts = unsafe leg.pointee.statistics.senderReportCounts
        let slot = unsafe self.egress.nextSlot()
        var writer = unsafe RTCPWriter(MutableRawSpan(_unsafeBytes: Self.room(slot)))
        let report = unsafe SenderReport(
            ssrc: leg.pointee.ssrc,
            ntpTime: times.ntp,
            rtpTimestamp: times.rtpTimestamp,
            packetCount: counts.packets,
            octetCount: counts.octets
        )
        _ = writer.append(report, blocks: Span())
        _ = unsafe writer.appendSourceDescription(
            of: leg.pointee.ssrc,
            cname: track.pointee.cname,
            mid: leg.pointee.mid
        )
        let length = writer.count
        unsafe self.seal(length, in: slot, to: session)
        unsafe leg.pointee.statistics.senderReportSent(ntp: times.ntp)
    }

    /// BYE: nothing more comes on this SSRC (RFC 3550 §6.6).
    mutating func sendGoodbye(_ leg: LegPointer) {
        let session = unsafe leg.pointee.session
        guard unsafe session.pointee.isConnected, unsafe leg.pointee.statistics.packetCount > 0 else { return }
        let slot = unsafe self.egress.nextSlot()
        var writer = unsafe RTCPWriter(MutableRawSpan(_unsafeBytes: Self.room(slot)))
        _ = unsafe writer.appendReceiverReport(from: leg.pointee.ssrc, blocks: Span())
        let ssrcs = unsafe InlineArray<1, SSRC>(repeating: leg.pointee.ssrc)
        _ = writer.appendGoodbye(ssrcs.span)
        let length = writer.count
        unsafe self.seal(length, in: slot, to: session)
    }
}
