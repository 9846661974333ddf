import Basics
import Forwarding
import TestSupport
import Testing

@Suite("The parts together: two layers, one subscriber that loses packets")
struct ForwardingPathTests {
    private struct Facts: BitwiseCopyable {
        var timestamp: UInt32
        var pictureID: UInt16
    }

    /// What the subscriber was sent under one number.
    private struct Sent: Equatable {
        var payload: [UInt8]
        var timestamp: UInt32
        var pictureID: UInt16
    }

    /// A layer's packets: three a frame, a key frame every 60 frames, numbered from its own origins.
    private static func packet(layer: Int, frame: Int64, index: Int64) -> (
        sequence: Int64, facts: Facts, bytes: [UInt8]
    ) {
        let sequence = Int64(70_000 + 31_000 * layer) + frame * 3 + index
        let facts = Facts(
            timestamp: UInt32(truncatingIfNeeded: 4_294_900_000 + Int64(layer) * 777_777 + frame * 3_000),
            pictureID: UInt16((Int64(layer) * 9_000 + frame) & 0x7FFF)
        )
        let bytes = (0..<64).map { UInt8(truncatingIfNeeded: sequence &* 29 &+ Int64(layer) &+ Int64($0)) }
        return (sequence, facts, bytes)
    }

    /// Of a frame without layers.
    private static func info(
        _ packet: (sequence: Int64, facts: Facts, bytes: [UInt8]),
        isKey: Bool,
        index: Int64
    ) -> FrameInfo {
        var info = FrameInfo()
        info.frame = packet.sequence / 3
        info.sequence = packet.sequence
        info.timestamp = packet.facts.timestamp
        info.flags = .newest
        if index == 0 { info.flags.insert(.first) }
        if index == 0, isKey { info.flags.insert(.keyStart) }
        if index == 2 { info.flags.formUnion([.last, .completes]) }
        return info
    }

    @Test("each packet that is asked for again is the packet that was sent, and the stream has no holes of its own")
    func repair() {
        var random = SeededRandom(seed: 77)
        var selector = LayerSelector()
        var rewriter = RTPRewriter(kind: .video, clockRate: 90_000, using: &random)
        var vp8 = VP8Rewriter()
        var low = PacketCache<Facts>(kind: .video)
        var high = PacketCache<Facts>(kind: .video)
        var clocks = [SenderReportClock(clockRate: 90_000), SenderReportClock(clockRate: 90_000)]
        let ntp = NTPTime(unixNanoseconds: 1_700_000_000_000_000_000)
        for layer in 0..<2 {
            let first = Self.packet(layer: layer, frame: 0, index: 0)
            clocks[layer].senderReport(ntp: ntp, rtp: first.facts.timestamp)
        }
        var sent: [Int64: Sent] = [:]
        var lost: [Int64] = []
        var repaired = 0
        var wrong = 0
        var switches = 0
        var lastPicture: UInt16?
        for frame in 0..<6_000 as Range<Int64> {
            let now = Instant(nanoseconds: frame * 33_333_333)
            // The upper layer comes and goes.
            let layers = (frame / 200) % 3 == 2 ? 0...0 : 0...1
            _ = selector.tick(at: now)
            for (layer, index) in layers.flatMap({ layer in (0..<3 as Range<Int64>).map { (layer, $0) } }) {
                let packet = Self.packet(layer: layer, frame: frame, index: index)
                if layer == 0 {
                    low.store(
                        packet.sequence,
                        bytes: packet.bytes.span.bytes,
                        headerLength: 12,
                        facts: packet.facts,
                        at: now
                    )
                } else {
                    high.store(
                        packet.sequence,
                        bytes: packet.bytes.span.bytes,
                        headerLength: 12,
                        facts: packet.facts,
                        at: now
                    )
                }
                let info = Self.info(packet, isKey: frame % 60 == 0, index: index)
                switch selector.decide(layer: layer, info, at: now).action {
                case .drop: continue
                case .forward: break
                case .switchAndForward:
                    let reference = rewriter.referenceSource.flatMap {
                        clocks[layer].translate(packet.facts.timestamp, to: clocks[$0])
                    }
                    let result = rewriter.switchSource(
                        to: layer,
                        sequence: packet.sequence,
                        timestamp: packet.facts.timestamp,
                        referenceTimestamp: reference,
                        at: now
                    )
                    guard result == .switched else { continue }
                    selector.takeSwitch(to: layer, info, at: now)
                    switches += 1
                }
                guard
                    let header = rewriter.rewrite(
                        source: layer,
                        sequence: packet.sequence,
                        timestamp: packet.facts.timestamp,
                        marker: index == 2,
                        at: now
                    )
                else { continue }
                let patch = vp8.rewrite(
                    pictureID: packet.facts.pictureID,
                    isLong: true,
                    tl0PictureIndex: nil,
                    keyIndex: nil,
                    generation: header.generation
                )
                if let lastPicture, patch.pictureID != lastPicture, patch.pictureID != (lastPicture + 1) & 0x7FFF {
                    wrong += 1
                }
                lastPicture = patch.pictureID
                sent[header.sequence] = Sent(
                    payload: packet.bytes,
                    timestamp: header.timestamp,
                    pictureID: patch.pictureID
                )
                if random.chance(0.1) { lost.append(header.sequence) }
            }
            // The NACK comes three frames later.
            while lost.count > 3 {
                let number = lost.removeFirst()
                guard let position = rewriter.source(of: SequenceNumber(UInt16(truncatingIfNeeded: number))) else {
                    wrong += 1
                    continue
                }
                let found =
                    position.source == 0
                    ? Self.lookup(low, position.sequence, at: now) : Self.lookup(high, position.sequence, at: now)
                guard let (payload, facts) = found else { continue }
                let patch = vp8.rewrite(
                    pictureID: facts.pictureID,
                    isLong: true,
                    tl0PictureIndex: nil,
                    keyIndex: nil,
                    generation: position.generation
                )
                let again = Sent(
                    payload: payload,
                    timestamp: facts.timestamp &+ position.timestampOffset,
                    pictureID: patch.pictureID
                )
                if again != sent[position.outgoingSequence] || position.outgoingSequence != number { wrong += 1 }
                repaired += 1
            }
        }
        #expect(wrong == 0)
        #expect(repaired > 1_000)
        #expect(switches > 20)
    }

    private static func lookup(
        _ cache: borrowing PacketCache<Facts>,
        _ sequence: Int64,
        at now: Instant
    ) -> ([UInt8], Facts)? {
        guard let found = cache.lookup(sequence, roundTripTime: .seconds(1), at: now) else { return nil }
        return (found.bytes.array(), found.facts)
    }
}
