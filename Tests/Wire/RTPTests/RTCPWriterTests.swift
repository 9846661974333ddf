import Basics
import RTP
import TestSupport
import Testing

@Suite struct RTCPWriterTests {
    static let report = SenderReport(
        ssrc: SSRC(1),
        ntpTime: NTPTime(rawValue: 0x0102_0304_0506_0708),
        rtpTimestamp: 9,
        packetCount: 10,
        octetCount: 11
    )
    static func block(_ ssrc: UInt32, lost: Int32) -> ReportBlock {
        ReportBlock(
            ssrc: SSRC(ssrc),
            fractionLost: 64,
            cumulativeLost: lost,
            extendedHighestSequenceNumber: 0x1_0002,
            jitter: 3,
            lastSenderReport: 4,
            delaySinceLastSenderReport: 5
        )
    }

    /// One packet of every type.
    static func everything(capacity: Int = 1_500, results: (Bool) -> Void = { _ in }) -> [UInt8] {
        rtcp(capacity: capacity) { writer in
            let blocks = [Self.block(20, lost: -2), Self.block(21, lost: 7)]
            results(writer.append(Self.report, blocks: blocks.span))
            results(writer.appendReceiverReport(from: SSRC(2), blocks: blocks.span))
            results(writer.appendSourceDescription(of: SSRC(3), cname: "someone@here", mid: ShortText("v1")))
            results(writer.appendGoodbye([SSRC(4), SSRC(5)].span))
            let lost = [65_535, 0, 1, 15, 16, 40].map { SequenceNumber(UInt16($0)) }
            results(writer.appendNACK(from: SSRC(6), about: SSRC(7), lost: lost.span))
            results(writer.appendPictureLossIndication(from: SSRC(8), about: SSRC(9)))
            results(writer.appendFullIntraRequest(from: SSRC(10), FIREntry(ssrc: SSRC(11), sequenceNumber: 12)))
            results(writer.appendMaximumBitrate(.kbps(1_500), from: SSRC(13), ssrcs: [SSRC(14), SSRC(15)].span))
            var builder = TransportFeedbackBuilder(senderSSRC: SSRC(16), mediaSSRC: SSRC(17))
            let arrivals = (0..<20).map {
                PacketArrival(SequenceNumber($0), microseconds: $0 % 3 == 0 ? nil : Int64($0) * 9_000)
            }
            results(builder.append(arrivals.span, to: &writer) > 0)
        }
    }

    @Test func `what is written is read back`() throws {
        let bytes = Self.everything()
        #expect(
            kinds(bytes) == [
                .senderReport, .receiverReport, .sourceDescription, .goodbye, .nack, .pictureLossIndication,
                .fullIntraRequest, .receiverEstimatedMaximumBitrate, .transportFeedback,
            ]
        )
        var lost: [UInt16] = []
        var items: [String] = []
        _ = withExact(bytes) { bytes in
            forEachRTCPPacket(in: bytes) { packet in
                let (sender, media) = (packet.senderSSRC?.value, packet.mediaSSRC?.value)
                switch packet.kind {
                case .senderReport:
                    let report = packet.senderReport
                    let blocks = [packet.reportBlock(at: 0), packet.reportBlock(at: 1), packet.reportBlock(at: 2)]
                    #expect(
                        report == Self.report && blocks == [Self.block(20, lost: -2), Self.block(21, lost: 7), nil]
                    )
                case .receiverReport:
                    let blocks = [packet.reportBlock(at: 0), packet.reportBlock(at: 1)]
                    #expect(sender == 2 && blocks == [Self.block(20, lost: -2), Self.block(21, lost: 7)])
                case .sourceDescription:
                    var found: [SDESItem] = []
                    let isWhole = packet.forEachSDESItem { found.append($0) }
                    items = found.map { "\($0.ssrc) \($0.kind) \(packet.string(of: $0))" }
                    let mid = found.last.flatMap { packet.shortText(of: $0) }
                    #expect(isWhole && mid == ShortText("v1"))
                case .goodbye:
                    let ssrcs = [packet.goodbyeSSRC(at: 0), packet.goodbyeSSRC(at: 1), packet.goodbyeSSRC(at: 2)]
                    #expect(ssrcs == [SSRC(4), SSRC(5), nil])
                case .nack:
                    packet.forEachLostSequenceNumber { lost.append($0.value) }
                    let length = packet.bytes.byteCount
                    #expect(sender == 6 && media == 7 && length == 12 + 3 * 4)
                case .pictureLossIndication: #expect(sender == 8 && media == 9)
                case .fullIntraRequest:
                    let entries = [packet.fullIntraRequest(at: 0), packet.fullIntraRequest(at: 1)]
                    #expect(
                        sender == 10 && media == 0 && entries == [FIREntry(ssrc: SSRC(11), sequenceNumber: 12), nil]
                    )
                case .receiverEstimatedMaximumBitrate:
                    let bitrate = packet.maximumBitrate
                    let ssrcs = [packet.maximumBitrateSSRC(at: 0), packet.maximumBitrateSSRC(at: 1)]
                    // 18 significant bits: 1,500,000 needs 21, and its lowest three are zero.
                    #expect(sender == 13 && bitrate == .kbps(1_500) && ssrcs == [SSRC(14), SSRC(15)])
                case .transportFeedback:
                    let hasFeedback = packet.transportFeedback != nil
                    #expect(sender == 16 && media == 17 && hasFeedback)
                case .congestionControlFeedback, .extendedReport, .other, .malformed: Issue.record("\(packet.kind)")
                }
            }
        }
        #expect(lost == [65_535, 0, 1, 15, 16, 40])
        #expect(items == ["3 cname someone@here", "3 mid v1"])
    }

    @Test func `a buffer of any size holds whole packets only`() {
        let whole = Self.everything()
        for capacity in 0..<whole.count {
            var results: [Bool] = []
            let bytes = Self.everything(capacity: capacity) { results.append($0) }
            // Feedback takes as many arrivals as there is room for; everything else is all or nothing.
            #expect(results.contains(false) || bytes.count < whole.count, "\(capacity) bytes")
            #expect((kinds(bytes) ?? []).count == results.filter(\.self).count, "\(capacity) bytes")
            #expect(kinds(bytes)?.contains(.malformed) != true, "\(capacity) bytes")
        }
    }

    @Test func `counts that the header cannot carry are refused`() {
        let bytes = rtcp { writer in
            let blocks = (0..<32).map { Self.block($0, lost: 0) }
            let ssrcs = (0..<256).map { SSRC($0) }
            let written = [
                writer.append(Self.report, blocks: blocks.span),
                writer.appendReceiverReport(from: SSRC(1), blocks: blocks.span),
                writer.appendGoodbye(ssrcs.span),
                writer.appendMaximumBitrate(.zero, from: SSRC(1), ssrcs: ssrcs.span),
                writer.appendSourceDescription(of: SSRC(1), cname: String(repeating: "x", count: 256)),
                writer.appendNACK(from: SSRC(1), about: SSRC(2), lost: [SequenceNumber]().span),
            ]
            #expect(written == [Bool](repeating: false, count: 6))
        }
        #expect(bytes.isEmpty)
    }

    @Test(arguments: 0...9) func `a CNAME of any length is padded to a word`(count: Int) {
        let cname = String("abcdefghij".prefix(count))
        for mid in [nil, ShortText("7")] {
            let bytes = rtcp { writer in
                let written = writer.appendSourceDescription(of: SSRC(1), cname: cname, mid: mid)
                #expect(written)
            }
            var items: [String] = []
            _ = withExact(bytes) { bytes in
                forEachRTCPPacket(in: bytes) { packet in
                    var found: [SDESItem] = []
                    let isWhole = packet.forEachSDESItem { found.append($0) }
                    items = found.map { packet.string(of: $0) }
                    #expect(isWhole)
                }
            }
            #expect(items == [cname] + (mid.map { [$0.string] } ?? []) && bytes.count.isMultiple(of: 4))
        }
    }

    @Test func `cumulative loss is clamped to 24 bits`() {
        for (lost, expected) in [(Int32.max, 0x7F_FFFF), (.min, -0x80_0000), (-1, -1), (5, 5)] as [(Int32, Int32)] {
            let bytes = rtcp { writer in
                let written = writer.appendReceiverReport(from: SSRC(1), blocks: [Self.block(2, lost: lost)].span)
                #expect(written)
            }
            var read: Int32?
            _ = withExact(bytes) { bytes in
                forEachRTCPPacket(in: bytes) { read = $0.reportBlock(at: 0)?.cumulativeLost }
            }
            #expect(read == expected)
        }
    }

    @Test func `random lists of losses come back from a NACK in order`() {
        let seed: UInt64 = 4585
        var random = SeededRandom(seed: seed)
        for _ in 0..<300 {
            var sequence = UInt16.random(in: 0 ... .max, using: &random)
            let lost = (0..<Int.random(in: 1...80, using: &random)).map { _ in
                sequence &+= .random(in: 1...25, using: &random)
                return SequenceNumber(sequence)
            }
            let bytes = rtcp { writer in
                let written = writer.appendNACK(from: SSRC(1), about: SSRC(2), lost: lost.span)
                #expect(written)
            }
            var read: [SequenceNumber] = []
            _ = withExact(bytes) { bytes in
                forEachRTCPPacket(in: bytes) { $0.forEachLostSequenceNumber { read.append($0) } }
            }
            #expect(read == lost, "seed \(seed)")
        }
    }

    @Test func `random bitrates come back from a REMB within 18 bits`() {
        let seed: UInt64 = 18
        var random = SeededRandom(seed: seed)
        for _ in 0..<300 {
            let value = Int64.random(in: 0 ... .max, using: &random) >> Int64.random(in: 0...62, using: &random)
            let bytes = rtcp { writer in
                let written = writer.appendMaximumBitrate(
                    Bitrate(bitsPerSecond: value),
                    from: SSRC(1),
                    ssrcs: [SSRC]().span
                )
                #expect(written)
            }
            var read: Int64 = -1
            _ = withExact(bytes) { bytes in
                forEachRTCPPacket(in: bytes) { read = $0.maximumBitrate?.bitsPerSecond ?? -1 }
            }
            #expect(read <= value && value - read <= value >> 17, "seed \(seed)")
        }
    }
}
