import Basics
import Negotiation
import RTP

/// Publishes Opus-shaped packets, 50 a second.
struct Talker {
    let client: SimulatedClient
    let mid: String
    private(set) var sequence: UInt64
    private var timestamp: UInt32 = 1_000
    private var nextPacket: Instant?
    private(set) var sentCount = 0

    init(client: SimulatedClient, mid: String, firstSequence: UInt64 = 100) {
        self.client = client
        self.mid = mid
        self.sequence = firstSequence
    }

    /// Sends what is due.
    mutating func talk(in call: SimulatedCall, at now: Instant) {
        let due = self.nextPacket ?? now
        guard now >= due else { return }
        self.nextPacket = due + .milliseconds(20)
        guard let section = self.client.section(self.mid), let codec = section.codecs.first else { return }
        let payload = (0..<80).map { UInt8(truncatingIfNeeded: Int(self.sequence) &* 31 &+ $0) }
        let packet = self.client.seal(
            mid: self.mid,
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
        self.timestamp &+= 960
        self.sentCount += 1
    }
}
