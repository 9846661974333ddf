import Basics
import Forwarding
import Negotiation
import RTP

/// One published audio m-line: 50 packets of Opus a second.
final class AudioPublisher {
    let mid: String
    let loop: OpusLoop
    private(set) var section: NegotiatedSection?
    private(set) var payloadType: UInt8 = 0
    private(set) var sequence: UInt64
    private var startedAt: Instant?
    private var packetCount: Int64 = 0
    private var byteCount: UInt64 = 0
    private(set) var nextPacket = Instant.zero
    private let firstTimestamp: UInt32
    /// Nothing but silence, as DTX would send it: a packet every 400 ms.
    var isSilent = false

    init(_ loop: OpusLoop, mid: String) {
        self.loop = loop
        self.mid = mid
        var random = RandomSource.system
        self.sequence = UInt64.random(in: 1..<30_000, using: &random)
        self.firstTimestamp = UInt32.random(in: .min ... .max, using: &random)
    }

    func start(_ section: NegotiatedSection) {
        guard section.mid == self.mid, let codec = section.codecs.first(where: { $0.codec == .opus }) else { return }
        self.section = section
        self.payloadType = codec.payloadType
    }

    struct Packet {
        let sequence: UInt64
        let timestamp: UInt32
        let isFirst: Bool
        let level: UInt8
        let payload: [UInt8]
    }

    /// The packet that is due; `nil` when none is.
    func takeDuePacket(at now: Instant) -> Packet? {
        guard self.section != nil, now >= self.nextPacket else { return nil }
        let start = self.startedAt ?? now
        self.startedAt = start
        let place = Int(self.packetCount % Int64(self.loop.packets.count))
        let packet = Packet(
            sequence: self.sequence,
            timestamp: self.firstTimestamp &+ UInt32(truncatingIfNeeded: self.packetCount * 960),
            isFirst: self.packetCount == 0,
            level: self.isSilent ? 127 : self.loop.levels[place],
            payload: self.loop.packets[place]
        )
        let step: Int64 = self.isSilent ? 20 : 1
        self.sequence += 1
        self.packetCount += step
        self.byteCount += UInt64(packet.payload.count)
        self.nextPacket = start + Nanoseconds(OpusLoop.packetDuration.count * self.packetCount)
        return packet
    }

    func senderReports(at now: Instant, clock: NTPAnchor) -> [SenderReport] {
        guard let startedAt = self.startedAt, let section = self.section else { return [] }
        let ticks = UInt32(truncatingIfNeeded: max((now - startedAt).count, 0) / 1_000 * 48 / 1_000)
        return [
            SenderReport(
                ssrc: section.localSSRC,
                ntpTime: clock.ntp(at: now),
                rtpTimestamp: self.firstTimestamp &+ ticks,
                packetCount: UInt32(truncatingIfNeeded: self.packetCount),
                octetCount: UInt32(truncatingIfNeeded: self.byteCount)
            )
        ]
    }
}
