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
    /// Places of 20 ms so far, sent or silent.
    private var place: Int64 = 0
    private var packetCount: UInt64 = 0
    private var byteCount: UInt64 = 0
    private(set) var nextPacket = Instant.zero
    private let firstTimestamp: UInt32
    private let phase: PublishingPhase?
    /// Nothing but silence, as DTX would send it: a packet every 400 ms.
    private(set) var isSilent = false
    private static let silentStep: Int64 = 20

    init(_ loop: OpusLoop, mid: String, phase: PublishingPhase?) {
        self.loop = loop
        self.mid = mid
        self.phase = phase
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
        /// When it was to leave.
        let due: Instant
        let sequence: UInt64
        let timestamp: UInt32
        let isFirst: Bool
        let level: UInt8
        let payload: [UInt8]
    }

    /// The packet that is due; `nil` when none is.
    func takeDuePacket(at now: Instant) -> Packet? {
        guard self.section != nil, now >= self.nextPacket else { return nil }
        let start = self.startedAt ?? self.begin(at: now)
        guard now >= self.nextPacket else { return nil }
        let index = Int(self.place % Int64(self.loop.packets.count))
        let packet = Packet(
            due: self.nextPacket,
            sequence: self.sequence,
            timestamp: self.firstTimestamp &+ UInt32(truncatingIfNeeded: self.place * 960),
            isFirst: self.packetCount == 0,
            level: self.isSilent ? 127 : self.loop.levels[index],
            payload: self.loop.packets[index]
        )
        self.sequence += 1
        self.packetCount += 1
        self.place += self.isSilent ? Self.silentStep : 1
        self.byteCount += UInt64(packet.payload.count)
        self.nextPacket = start + OpusLoop.packetDuration * self.place
        return packet
    }

    private func begin(at now: Instant) -> Instant {
        let start = self.phase?.next(from: now, interval: OpusLoop.packetDuration) ?? now
        self.startedAt = start
        self.nextPacket = start
        return start
    }

    /// Starts or ends silence at once.
    func setSilent(_ isSilent: Bool, at now: Instant) {
        guard isSilent != self.isSilent else { return }
        self.isSilent = isSilent
        guard !isSilent, let start = self.startedAt else { return }
        // A talker does not wait for the next packet of its silence; time that has a packet already is not used again.
        let spent = max(self.place - Self.silentStep + 1, 0)
        self.place = max(spent, (now - start).count / OpusLoop.packetDuration.count)
        self.nextPacket = start + OpusLoop.packetDuration * self.place
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
