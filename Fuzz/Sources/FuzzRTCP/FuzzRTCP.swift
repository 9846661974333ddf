import Basics
import FuzzEntry
import RTP

/// Compound RTCP: every accessor of every packet, and what the writer makes of the values.
@main
enum FuzzRTCP {
    static func main() {
        fuzz { bytes, count in
            let datagram = UnsafeRawBufferPointer(start: bytes, count: count)
            guard var compound = RTCPCompoundView(RawSpan(_unsafeBytes: datagram)) else { return 0 }
            var byteCount = 0
            while let packet = compound.next() {
                byteCount += packet.bytes.byteCount
                FuzzRTCP.read(packet)
            }
            require(byteCount <= count, "packets do not overlap")
            return 0
        }
    }

    private static func read(_ packet: borrowing RTCPPacketView) {
        require(packet.bytes.byteCount >= 4, "a packet has a header")
        _ = (packet.senderSSRC, packet.mediaSSRC, packet.packetType, packet.count)
        for index in [-1, packet.reportBlockCount, .max] { require(packet.reportBlock(at: index) == nil, "bounds") }
        for index in [-1, packet.goodbyeCount, .max] { require(packet.goodbyeSSRC(at: index) == nil, "bounds") }
        for index in [-1, packet.fullIntraRequestCount, .max] {
            require(packet.fullIntraRequest(at: index) == nil, "bounds")
        }
        for index in [-1, packet.maximumBitrateSSRCCount, .max] {
            require(packet.maximumBitrateSSRC(at: index) == nil, "bounds")
        }
        Self.checkReports(packet)
        Self.checkDescription(packet)
        Self.checkRequests(packet)
        Self.checkNACK(packet)
        Self.checkTransportFeedback(packet)
        Self.checkCongestionControlFeedback(packet)
    }

    /// Writes into memory of 64 KiB and hands out the first packet of what was written.
    private static func written(
        _ write: (inout RTCPWriter) -> Bool,
        _ read: (borrowing RTCPPacketView) -> Void
    ) {
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 1)
        defer { room.deallocate() }
        var writer = RTCPWriter(MutableRawSpan(_unsafeBytes: room))
        require(write(&writer), "what fits is written")
        let text = UnsafeRawBufferPointer(rebasing: room[0..<writer.count])
        guard var compound = RTCPCompoundView(RawSpan(_unsafeBytes: text)), let packet = compound.next() else {
            fatalError("our own packet does not parse")
        }
        read(packet)
    }

    private static func checkReports(_ packet: borrowing RTCPPacketView) {
        let blocks = (0..<packet.reportBlockCount).compactMap { packet.reportBlock(at: $0) }
        require(blocks.count == packet.reportBlockCount && blocks.count <= 31, "all blocks are there")
        let report = packet.senderReport
        guard let sender = packet.senderSSRC, report != nil || packet.kind == .receiverReport else { return }
        Self.written {
            if let report { return $0.append(report, blocks: blocks.span) }
            return $0.appendReceiverReport(from: sender, blocks: blocks.span)
        } _: { copy in
            require(copy.senderReport == report && copy.senderSSRC == sender, "reports survive")
            require((0..<copy.reportBlockCount).compactMap { copy.reportBlock(at: $0) } == blocks, "blocks survive")
        }
    }

    private static func checkDescription(_ packet: borrowing RTCPPacketView) {
        var cname: (ssrc: SSRC, text: String)?
        var mid: ShortText?
        let byteCount = packet.bytes.byteCount
        var items: [SDESItem] = []
        packet.forEachSDESItem { items.append($0) }
        require(items.count <= byteCount / 2, "items are bounded")
        for item in items {
            require(item.range.lowerBound >= 10 && item.range.upperBound <= byteCount, "items lie in the packet")
            let text = packet.string(of: item)
            if item.kind == .cname, text.utf8.count <= 255 { cname = (item.ssrc, text) }
            if item.kind == .mid { mid = packet.shortText(of: item) }
        }
        if let cname {
            Self.written {
                $0.appendSourceDescription(of: cname.ssrc, cname: cname.text, mid: mid)
            } _: { copy in
                var found: [(SDESItemKind, String)] = []
                let isComplete = copy.forEachSDESItem { found.append(($0.kind, copy.string(of: $0))) }
                require(isComplete && found.count == (mid == nil ? 1 : 2), "items survive")
                require(found[0] == (.cname, cname.text), "the CNAME survives")
            }
        }
        let sources = (0..<packet.goodbyeCount).compactMap { packet.goodbyeSSRC(at: $0) }
        if packet.kind == .goodbye {
            Self.written {
                $0.appendGoodbye(sources.span)
            } _: { copy in
                require((0..<copy.goodbyeCount).compactMap { copy.goodbyeSSRC(at: $0) } == sources, "BYE survives")
            }
        }
    }

    private static func checkRequests(_ packet: borrowing RTCPPacketView) {
        guard let sender = packet.senderSSRC else { return }
        for index in 0..<packet.fullIntraRequestCount {
            guard let entry = packet.fullIntraRequest(at: index) else { fatalError("an entry is missing") }
            if index > 0 { continue }
            Self.written {
                $0.appendFullIntraRequest(from: sender, entry)
            } _: {
                require($0.fullIntraRequest(at: 0) == entry, "FIR survives")
            }
        }
        if let bitrate = packet.maximumBitrate {
            require(bitrate >= .zero, "a bitrate is not negative")
            let sources = (0..<packet.maximumBitrateSSRCCount).compactMap { packet.maximumBitrateSSRC(at: $0) }
            require(sources.count == packet.maximumBitrateSSRCCount, "all sources are there")
            Self.written {
                $0.appendMaximumBitrate(bitrate, from: sender, ssrcs: sources.span)
            } _: { copy in
                // Values with more than 18 significant bits come only of the largest.
                require(copy.maximumBitrate == bitrate || bitrate.bitsPerSecond == .max, "REMB survives")
                require(copy.maximumBitrateSSRCCount == sources.count, "REMB's sources survive")
            }
        }
    }

    private static func checkNACK(_ packet: borrowing RTCPPacketView) {
        guard packet.kind == .nack, let sender = packet.senderSSRC, let media = packet.mediaSSRC else { return }
        var lost: [SequenceNumber] = []
        packet.forEachLostSequenceNumber { lost.append($0) }
        require(!lost.isEmpty && lost.count <= (packet.bytes.byteCount - 12) / 4 * 17, "a NACK is bounded")
        // The writer wants each number once, in order; one turn of them is all there are.
        var ordered: [SequenceNumber] = []
        for number in lost where ordered.last.map({ number.distance(from: $0) > 0 }) ?? true { ordered.append(number) }
        Self.written {
            $0.appendNACK(from: sender, about: media, lost: ordered.span)
        } _: { copy in
            var numbers: [SequenceNumber] = []
            copy.forEachLostSequenceNumber { numbers.append($0) }
            require(numbers == ordered && copy.mediaSSRC == media, "NACKs survive")
        }
    }

    /// When packets came, by sequence number; the time base wraps with its 24 bits of 64 ms.
    private static func arrivals(_ feedback: borrowing TransportFeedbackView) -> [PacketArrival] {
        var arrivals: [PacketArrival] = []
        var time = feedback.referenceTime
        var count = 0
        feedback.forEachStatus { status in
            switch status {
            case .received(let number, let delta):
                time = time + delta
                arrivals.append(PacketArrival(number, microseconds: time.count / 1_000))
                count += 1
            case .lost(_, let run):
                require(run > 0, "no run is empty")
                count += run
            }
        }
        require(count == feedback.statusCount, "all statuses are delivered")
        return arrivals
    }

    private static func checkTransportFeedback(_ packet: borrowing RTCPPacketView) {
        guard let feedback = packet.transportFeedback, let sender = packet.senderSSRC, let media = packet.mediaSSRC
        else { return }
        let arrivals = Self.arrivals(feedback)
        // Runs of half a turn and more are not in order any more.
        guard !arrivals.isEmpty, feedback.statusCount < 32_768 else { return }
        var builder = TransportFeedbackBuilder(
            senderSSRC: sender,
            mediaSSRC: media,
            feedbackCount: feedback.feedbackCount
        )
        var done = 0
        while done < arrivals.count {
            var taken = 0
            Self.written {
                taken = builder.append(arrivals.span.extracting(done...), to: &$0)
                return taken > 0
            } _: { copy in
                guard let view = copy.transportFeedback else { fatalError("our own feedback does not parse") }
                let copied = Self.arrivals(view)
                require(copied.count == taken, "all packets survive")
                for (index, arrival) in copied.enumerated() {
                    let original = arrivals[done + index]
                    require(arrival.sequenceNumber == original.sequenceNumber, "numbers survive")
                    let difference = (arrival.microseconds ?? 0) - (original.microseconds ?? 0)
                    require(difference % (64_000 << 24) == 0, "times survive: \(difference)")
                }
            }
            done += taken
        }
    }

    private static func reports(_ feedback: borrowing CongestionControlFeedbackView) -> [PacketReport] {
        var reports: [PacketReport] = []
        feedback.forEachPacket { reports.append($0) }
        return reports
    }

    private static func checkCongestionControlFeedback(_ packet: borrowing RTCPPacketView) {
        guard let feedback = packet.congestionControlFeedback, let sender = packet.senderSSRC else { return }
        let reports = Self.reports(feedback)
        require(reports.count <= (packet.bytes.byteCount - 12) / 2, "reports are bounded")
        for report in reports where report.arrival == .none {
            require(report.mark == .notCapable, "what has not come has no mark")
        }
        let timestamp = feedback.timestamp
        Self.written {
            $0.appendCongestionControlFeedback(from: sender, about: reports.span, timestamp: timestamp)
        } _: { copy in
            guard let view = copy.congestionControlFeedback else { fatalError("our own feedback does not parse") }
            require(view.timestamp == timestamp && Self.reports(view) == reports, "reports survive")
        }
    }
}
