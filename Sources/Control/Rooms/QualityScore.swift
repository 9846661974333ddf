import Basics
import MediaControl

/// How good a participant's connection is: 1 (unusable) to 5 (excellent), with the figures it was made from.
package struct QualityScore: Sendable, Equatable {
    /// One of the two ways that media goes.
    package struct Direction: Sendable, Equatable {
        package var score: Double
        /// 0 to 1: of audio or of video, whichever is worse.
        package var fractionLost: Double
        /// In seconds.
        package var jitter: Double

        package init(fractionLost: Double, jitter: Double, roundTripTime: Double?) {
            self.score = QualityScore.score(fractionLost: fractionLost, jitter: jitter, roundTripTime: roundTripTime)
            self.fractionLost = fractionLost
            self.jitter = jitter
        }
    }

    /// From the participant to the server; `nil` when nothing comes.
    package var uplink: Direction?
    /// To the participant; `nil` when nothing is sent.
    package var downlink: Direction?
    /// In seconds; `nil` before it was measured.
    package var roundTripTime: Double?

    /// - Returns: `nil` where neither direction has media.
    package init?(uplink: Direction?, downlink: Direction?, roundTripTime: Double?) {
        guard uplink != nil || downlink != nil else { return nil }
        self.uplink = uplink
        self.downlink = downlink
        self.roundTripTime = roundTripTime
    }

    /// The worse of the two directions: a call is as good as that.
    package var score: Double { min(self.uplink?.score ?? 5, self.downlink?.score ?? 5) }
    package var fractionLost: Double { max(self.uplink?.fractionLost ?? 0, self.downlink?.fractionLost ?? 0) }
    package var jitter: Double { max(self.uplink?.jitter ?? 0, self.downlink?.jitter ?? 0) }

    /// A simplified E-model (ITU-T G.107), as VoIP monitors use it: delay and loss take away from 93.2, the rest is
    /// mapped to an opinion score of 1 to 4.5, and that is stretched to 1 to 5. Written out in
    /// docs/protocols/signalling.md.
    ///
    /// - Parameters:
    ///   - fractionLost: 0 to 1; what is outside is taken for the nearer end.
    ///   - jitter: in seconds.
    ///   - roundTripTime: in seconds; `nil` counts as none.
    static func score(fractionLost: Double, jitter: Double, roundTripTime: Double?) -> Double {
        // One way, with a jitter buffer of twice the jitter, in milliseconds.
        let delay = max(roundTripTime ?? 0, 0) / 2 * 1_000 + max(jitter, 0) * 2 * 1_000 + 10
        var rating = 93.2 - (delay < 160 ? delay / 40 : (delay - 120) / 10)
        rating -= 250 * min(max(fractionLost, 0), 1)
        rating = min(max(rating, 0), 100)
        let opinion = 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6
        return ((1 + (min(max(opinion, 1), 4.5) - 1) / 3.5 * 4) * 10).rounded() / 10
    }
}

/// Makes a score each second out of what has been counted since the last one.
struct QualityMonitor {
    private struct Counted {
        var received: UInt64 = 0
        var bytes: UInt64 = 0
        var lost: Int64 = 0
    }

    /// By SSRC.
    private var inbound: [UInt32: Counted] = [:]
    private var sent: [String: UInt64] = [:]
    /// The last result.
    private(set) var score: QualityScore?
    /// What came of audio since the last time, by mid; only where there were packets enough.
    private(set) var audio: [String: (fractionLost: Double, bitrate: Bitrate)] = [:]

    /// Fewer packets than this in a second say nothing about loss: one of three lost is not 33 %.
    private static let fewestPackets = 5.0

    mutating func update(_ statistics: SessionStatistics) {
        guard statistics.transport.connected else {
            self = QualityMonitor()
            return
        }
        let roundTripTime = statistics.outbound.compactMap(\.roundTripTime).filter { $0.isFinite }.max()
        let uplink = self.countInbound(statistics.inbound)
        let downlink = self.countOutbound(statistics.outbound)
        self.score = QualityScore(
            uplink: uplink.map { .init(fractionLost: $0.loss, jitter: $0.jitter, roundTripTime: roundTripTime) },
            downlink: downlink.map { .init(fractionLost: $0.loss, jitter: $0.jitter, roundTripTime: roundTripTime) },
            roundTripTime: roundTripTime
        )
    }

    private mutating func countInbound(_ list: [InboundRTPStatistics]) -> (loss: Double, jitter: Double)? {
        var next: [UInt32: Counted] = [:]
        var losses = KindLosses()
        var jitter: Double?
        self.audio = [:]
        for entry in list {
            let counted = Counted(
                received: entry.packetsReceived,
                bytes: entry.bytesReceived,
                lost: entry.packetsLost
            )
            next[entry.ssrc.value] = counted
            let last = self.inbound[entry.ssrc.value] ?? Counted()
            guard counted.received > last.received else { continue }
            let received = Double(counted.received - last.received)
            // Late packets and retransmissions make the count go down (RFC 3550 §6.4.1): then nothing was lost.
            let lost = Double(max(counted.lost.subtractingReportingOverflow(last.lost).partialValue, 0))
            let fraction = lost / (received + lost)
            losses.add(fraction, of: received + lost, isAudio: entry.kind == .audio)
            if entry.kind == .audio, received + lost >= Self.fewestPackets {
                let bits = Int64(clamping: counted.bytes.subtractingReportingOverflow(last.bytes).partialValue) &* 8
                self.audio[entry.mid] = (fraction, Bitrate(bitsPerSecond: max(bits, 0)))
            }
            jitter = max(jitter ?? 0, entry.jitter.isFinite ? entry.jitter : 0)
        }
        self.inbound = next
        return jitter.map { (losses.worst(atLeast: Self.fewestPackets), $0) }
    }

    private mutating func countOutbound(_ list: [OutboundRTPStatistics]) -> (loss: Double, jitter: Double)? {
        var next: [String: UInt64] = [:]
        var losses = KindLosses()
        var jitter: Double?
        for entry in list {
            next[entry.mid] = entry.packetsSent
            let last = self.sent[entry.mid] ?? 0
            guard entry.packetsSent > last else { continue }
            // The receiver's own count, of its last interval.
            let loss = entry.fractionLost.isFinite ? min(max(entry.fractionLost, 0), 1) : 0
            losses.add(loss, of: Double(entry.packetsSent - last), isAudio: entry.kind == .audio)
            jitter = max(jitter ?? 0, entry.jitter.isFinite ? entry.jitter : 0)
        }
        self.sent = next
        return jitter.map { (losses.worst(atLeast: Self.fewestPackets), $0) }
    }

    /// Loss by kind, so that the many packets of video do not hide what happens to the few of audio.
    private struct KindLosses {
        private var packets = (audio: 0.0, video: 0.0)
        private var lost = (audio: 0.0, video: 0.0)

        mutating func add(_ fraction: Double, of count: Double, isAudio: Bool) {
            if isAudio {
                self.packets.audio += count
                self.lost.audio += fraction * count
            } else {
                self.packets.video += count
                self.lost.video += fraction * count
            }
        }

        func worst(atLeast fewest: Double) -> Double {
            let audio = self.packets.audio >= fewest ? self.lost.audio / self.packets.audio : 0
            let video = self.packets.video >= fewest ? self.lost.video / self.packets.video : 0
            return max(audio, video)
        }
    }
}
