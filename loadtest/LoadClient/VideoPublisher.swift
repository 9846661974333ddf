import Basics
import Forwarding
import Negotiation
import RTP

/// One published video m-line: its layers, and what was sent of them lately, to be sent again when asked for.
final class VideoPublisher {
    private static let historyCount = 1_024

    /// A packet that was sent: header fields, and what its payload is made of.
    struct Sent {
        var sequence: UInt64
        var timestamp: UInt32
        var marker: Bool
        /// The dependency descriptor; empty = none.
        var descriptor: [UInt8]
        var payload: [UInt8]
    }

    let profile: VideoProfile
    let mid: String
    private let describesFrames: Bool
    private(set) var section: NegotiatedSection?
    var layers: [VideoSourceLayer] = []
    private var histories: [[Sent]] = []
    private(set) var payloadType: UInt8 = 0
    private(set) var retransmissionType: UInt8?
    private var startedAt: Instant?
    private var frameCount: Int64 = 0
    private(set) var nextFrame = Instant.zero
    private var random = RandomSource.system
    private let firstTimestamp: UInt32
    private let phase: PublishingPhase?

    init(_ profile: VideoProfile, mid: String, describesFrames: Bool, phase: PublishingPhase?) {
        self.profile = profile
        self.mid = mid
        self.describesFrames = describesFrames
        self.phase = phase
        var random = RandomSource.system
        self.firstTimestamp = UInt32.random(in: .min ... .max, using: &random)
    }

    func start(_ section: NegotiatedSection) {
        guard section.mid == self.mid, let codec = section.codecs.first(where: { $0.codec == .vp8 }) else { return }
        self.section = section
        self.payloadType = codec.payloadType
        self.retransmissionType = codec.rtxPayloadType
        for layer in self.profile.layers {
            // With RIDs there are no SSRCs in the offer: they are anything (RFC 8853 §5.5).
            let isSingle = layer.rid == nil
            let ssrc = isSingle ? section.localSSRC : SSRC(UInt32.random(in: 1 ... .max, using: &self.random))
            let repair = isSingle ? section.localRTXSSRC : SSRC(UInt32.random(in: 1 ... .max, using: &self.random))
            self.layers.append(
                VideoSourceLayer(
                    layer,
                    of: self.profile,
                    describesFrames: self.describesFrames,
                    ssrc: ssrc,
                    retransmissionSSRC: repair,
                    using: &self.random
                )
            )
            self.histories.append([])
        }
    }

    func requestKeyFrame(of media: SSRC) {
        for index in self.layers.indices where self.layers[index].ssrc == media {
            self.layers[index].needsKeyFrame = true
        }
    }

    func setWanted(rids: [String]) {
        for index in self.layers.indices {
            guard let rid = self.layers[index].profile.rid else { continue }
            let isWanted = rids.contains(rid)
            if isWanted, !self.layers[index].isWanted { self.layers[index].needsKeyFrame = true }
            self.layers[index].isWanted = isWanted
        }
    }

    /// The timestamp of the frame that is due, and since when it is; `nil` when none is.
    func takeDueFrame(at now: Instant) -> (timestamp: UInt32, due: Instant)? {
        guard self.section != nil, now >= self.nextFrame else { return nil }
        let start = self.startedAt ?? self.begin(at: now)
        guard now >= self.nextFrame else { return nil }
        let due = self.nextFrame
        let timestamp =
            self.firstTimestamp
            &+ UInt32(
                truncatingIfNeeded: self.frameCount * 90_000 / Int64(self.profile.framesPerSecond)
            )
        self.frameCount += 1
        self.nextFrame = start + Nanoseconds(self.frameCount * 1_000_000_000 / Int64(self.profile.framesPerSecond))
        // A process that was held up does not send a second's frames at once.
        if now - self.nextFrame > .seconds(1) {
            let resumed = self.aligned(now)
            self.startedAt = resumed + Nanoseconds(-(self.nextFrame - start).count)
            self.nextFrame = resumed
        }
        return (timestamp, due)
    }

    private func aligned(_ now: Instant) -> Instant {
        let interval = Nanoseconds(1_000_000_000 / Int64(self.profile.framesPerSecond))
        return self.phase?.next(from: now, interval: interval) ?? now
    }

    private func begin(at now: Instant) -> Instant {
        let start = self.aligned(now)
        self.startedAt = start
        self.nextFrame = start
        return start
    }

    func remember(_ packet: Sent, layer: Int) {
        let slot = Int(truncatingIfNeeded: packet.sequence) & (Self.historyCount - 1)
        if self.histories[layer].isEmpty {
            self.histories[layer] = Array(
                repeating: Sent(sequence: 0, timestamp: 0, marker: false, descriptor: [], payload: []),
                count: Self.historyCount
            )
        }
        self.histories[layer][slot] = packet
    }

    func find(_ number: UInt16, of media: SSRC) -> (layer: Int, packet: Sent)? {
        guard let layer = self.layers.firstIndex(where: { $0.ssrc == media }), !self.histories[layer].isEmpty else {
            return nil
        }
        let packet = self.histories[layer][Int(number) & (Self.historyCount - 1)]
        guard packet.sequence != 0, UInt16(truncatingIfNeeded: packet.sequence) == number else { return nil }
        return (layer, packet)
    }

    func senderReports(at now: Instant, clock: NTPAnchor) -> [SenderReport] {
        guard let startedAt = self.startedAt else { return [] }
        let ticks = UInt32(truncatingIfNeeded: max((now - startedAt).count, 0) / 1_000 * 90 / 1_000)
        return self.layers.filter { $0.packetCount > 0 && $0.isWanted }.map { layer in
            SenderReport(
                ssrc: layer.ssrc,
                ntpTime: clock.ntp(at: now),
                rtpTimestamp: self.firstTimestamp &+ ticks,
                packetCount: UInt32(truncatingIfNeeded: layer.packetCount),
                octetCount: UInt32(truncatingIfNeeded: layer.byteCount)
            )
        }
    }
}
