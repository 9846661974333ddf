import Basics
import Forwarding
import Negotiation
import RTP

/// Publishes Opus-shaped packets, 50 a second, and sender reports when asked to.
struct Talker {
    let client: SimulatedClient
    let mid: String
    private(set) var sequence: UInt64
    private var timestamp: UInt32 = 1_000
    private var nextPacket: Instant?
    private(set) var sentCount = 0
    private var byteCount: UInt32 = 0
    var interval = Nanoseconds.milliseconds(20)
    /// Written into the packets, in -dBov.
    var level: UInt8?
    var payloadSize = 80
    /// When each packet was captured, by the clock of the call.
    private(set) var captures: [Instant] = []

    init(client: SimulatedClient, mid: String, firstSequence: UInt64 = 100) {
        self.client = client
        self.mid = mid
        self.sequence = firstSequence
    }

    /// Sends what is due.
    mutating func talk(in call: SimulatedCall, at now: Instant) {
        let due = self.nextPacket ?? now
        guard now >= due else { return }
        self.nextPacket = due + self.interval
        self.captures.append(due)
        guard let section = self.client.section(self.mid), let codec = section.codecs.first else { return }
        let payload = (0..<self.payloadSize).map { UInt8(truncatingIfNeeded: Int(self.sequence) &* 31 &+ $0) }
        let packet = self.client.seal(
            mid: self.mid,
            audioLevel: self.level.map { AudioLevel(level: $0, hasVoice: $0 < 60) },
            payloadType: codec.payloadType,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: section.localSSRC,
            marker: false,
            payload: payload,
            transportSequence: UInt16(truncatingIfNeeded: self.sequence)
        )
        call.send(packet, from: self.client)
        self.sequence += 1
        self.timestamp &+= UInt32(truncatingIfNeeded: self.interval.count / 1_000 * 48 / 1_000)
        self.sentCount += 1
        self.byteCount &+= UInt32(self.payloadSize)
    }

    /// A sender report: the timestamp of this moment by the publisher's wall clock.
    func report(in call: SimulatedCall, at now: Instant, clock: NTPAnchor) {
        guard let section = self.client.section(self.mid), let last = self.captures.last else { return }
        // `timestamp` is the next packet's already.
        let since = (now - (last + self.interval)).inSeconds * 48_000
        let report = SenderReport(
            ssrc: section.localSSRC,
            ntpTime: clock.ntp(at: now),
            rtpTimestamp: self.timestamp &+ UInt32(bitPattern: Int32(since.rounded())),
            packetCount: UInt32(truncatingIfNeeded: self.sentCount),
            octetCount: self.byteCount
        )
        call.send(self.client.sealRTCP { _ = $0.append(report, blocks: Span()) }, from: self.client)
    }
}
