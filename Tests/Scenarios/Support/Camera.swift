import Basics
import Forwarding
import Negotiation
import RTP
import TestSupport

/// Publishes VP8-shaped video, 30 frames a second, in one or more simulcast layers; makes key frames when asked by PLI.
struct Camera {
    struct Layer {
        let rid: String?
        let ssrc: SSRC
        let width: UInt16
        let height: UInt16
        var sequence: UInt64
        var pictureID: UInt16
        var pictureCount = 0
        /// TL0PICIDX: counts the pictures of the lowest temporal layer.
        var baseIndex: UInt8 = 0
        /// In dependency descriptors.
        var frameNumber: UInt16
        var timestamp: UInt32
        var needsKeyFrame = true
        var isOn = true
        var sentKeyFrames = 0
        /// Packets by their 16-bit number, to send again when asked for.
        var sent: [UInt16: Sent] = [:]
        var retransmissionSequence: UInt64 = 7
    }

    struct Sent {
        let datagram: [UInt8]
        let payload: [UInt8]
        let timestamp: UInt32
        let marker: Bool
    }

    let client: SimulatedClient
    let mid: String
    var layers: [Layer]
    private var nextFrame: Instant?
    private var readRTCP = 0
    private var transportSequence: UInt16 = 0
    private(set) var sentPackets = 0
    private(set) var nacksReceived = 0
    private(set) var feedbackReceived = 0
    private(set) var pictureLossReceived = 0
    var packetsPerFrame = 4
    /// 1...3; above the first, every other frame is of the highest.
    var temporalLayers = 1
    enum Descriptors: CaseIterable {
        case none
        /// All of a frame is in its template: three bytes.
        case plain
        /// As Chromium describes VP8: what a frame is decoded from stands in each of its packets.
        case own
    }
    /// Dependency descriptors.
    var descriptors = Descriptors.none
    /// Of each layer, in place of `packetsPerFrame`, smallest layer first.
    var packetsByLayer: [Int] = []
    /// Of each packet, about.
    var payloadSize = 400
    /// Of the packets of each frame, in order, in place of `payloadSize`.
    var payloadSizes: [Int] = []
    /// How much larger a key frame is.
    var keyFrameFactor = 1
    /// Answers NACKs through RTX (RFC 4588), as browsers do; else with the very same datagram.
    var usesRTX = false
    /// As libwebrtc does: a request for one layer makes key frames of all, and none is heard for 300 ms after it.
    var isLibwebrtc = false
    private var heardAt: Instant?
    var interval = Nanoseconds.microseconds(33_333)
    /// What encoder and pacer take: a frame is sent this long after it was captured.
    var encodingTime = Nanoseconds.zero
    /// From one packet of a frame to the next.
    var packetSpacing = Nanoseconds.zero
    /// When each frame was captured, by the clock of the call.
    private(set) var captures: [Instant] = []

    /// - Parameter rids: smallest layer first; empty = no simulcast.
    init(client: SimulatedClient, mid: String, rids: [String] = [], firstSSRC: UInt32 = 0x5000) {
        self.client = client
        self.mid = mid
        let section = client.section(mid)
        let names: [String?] = rids.isEmpty ? [nil] : rids
        self.layers = names.enumerated().map { index, rid in
            Layer(
                rid: rid,
                ssrc: rids.isEmpty ? section?.localSSRC ?? SSRC(firstSSRC) : SSRC(firstSSRC + UInt32(index)),
                width: UInt16(320 << index),
                height: UInt16(180 << index),
                sequence: 65_000 + UInt64(index) * 100,
                pictureID: UInt16(100 + index * 500),
                frameNumber: UInt16(65_500 - index * 500),
                timestamp: UInt32(90_000 * (index + 1))
            )
        }
    }

    /// Sends what is due, and does what RTCP asks for.
    mutating func film(in call: SimulatedCall, at now: Instant) {
        self.answerFeedback(in: call)
        let due = self.nextFrame ?? now
        guard now >= due else { return }
        self.nextFrame = due + self.interval
        self.captures.append(due + Nanoseconds(-self.encodingTime.count))
        for index in self.layers.indices where self.layers[index].isOn { self.sendFrame(index, in: call) }
    }

    private mutating func sendFrame(_ index: Int, in call: SimulatedCall) {
        guard let codec = self.client.section(self.mid)?.codecs.first(where: { $0.codec == .vp8 }) else { return }
        let isKeyFrame = self.layers[index].needsKeyFrame
        self.layers[index].needsKeyFrame = false
        if isKeyFrame { self.layers[index].sentKeyFrames += 1 }
        let temporalID = self.nextTemporalID(index, isKeyFrame: isKeyFrame)
        let usual = index < self.packetsByLayer.count ? self.packetsByLayer[index] : self.packetsPerFrame
        let count = isKeyFrame ? usual * self.keyFrameFactor : usual
        for part in 0..<count {
            let layer = self.layers[index]
            var payload: [UInt8] = [
                part == 0 ? 0x90 : 0x80, self.temporalLayers > 1 ? 0xE0 : 0x80, UInt8(layer.pictureID >> 8) | 0x80,
                UInt8(layer.pictureID & 0xFF),
            ]
            // The layer, and that it may be switched up to here: it is predicted from the lowest only.
            if self.temporalLayers > 1 { payload += [layer.baseIndex, temporalID << 6 | (temporalID > 0 ? 0x20 : 0)] }
            if part == 0 {
                payload += [isKeyFrame ? 0x10 : 0x11, 0, 0]
                if isKeyFrame {
                    payload += [0x9D, 0x01, 0x2A]
                    payload += [UInt8(layer.width & 0xFF), UInt8(layer.width >> 8)]
                    payload += [UInt8(layer.height & 0xFF), UInt8(layer.height >> 8)]
                }
            }
            let size = self.payloadSizes.isEmpty ? self.payloadSize : self.payloadSizes[part % self.payloadSizes.count]
            payload += (0..<size).map { UInt8(truncatingIfNeeded: Int(layer.sequence) &* 7 &+ $0) }
            let marker = part == count - 1
            let packet = self.client.seal(
                mid: self.mid,
                rid: layer.rid,
                descriptor: self.descriptor(
                    layer,
                    isFirst: part == 0,
                    isLast: marker,
                    temporalID: Int(temporalID),
                    isKeyFrame: isKeyFrame
                ),
                payloadType: codec.payloadType,
                sequence: layer.sequence,
                timestamp: layer.timestamp,
                ssrc: layer.ssrc,
                marker: marker,
                payload: payload,
                transportSequence: self.transportSequence
            )
            self.transportSequence &+= 1
            if let packet {
                self.layers[index].sent[UInt16(truncatingIfNeeded: layer.sequence)] = Sent(
                    datagram: packet,
                    payload: payload,
                    timestamp: layer.timestamp,
                    marker: marker
                )
            }
            call.send(packet, from: self.client, after: self.packetSpacing * Int64(part))
            self.sentPackets += 1
            self.layers[index].sequence += 1
        }
        self.layers[index].frameNumber &+= 1
        self.layers[index].pictureID = (self.layers[index].pictureID + 1) & 0x7FFF
        self.layers[index].timestamp &+= self.ticksPerFrame
    }

    /// Of three temporal layers with the pattern of `nextTemporalID`, or of one: what `FrameReader` is told of each frame.
    private static let structures = [
        1: DescriptorBuilder(
            targetCount: 1,
            templates: [
                .init(spatialID: 0, temporalID: 0, indications: [2]),
                .init(spatialID: 0, temporalID: 0, indications: [2], frameDiffs: [1]),
            ]
        ),
        3: DescriptorBuilder(
            targetCount: 3,
            templates: [
                .init(spatialID: 0, temporalID: 0, indications: [2, 2, 2]),
                .init(spatialID: 0, temporalID: 0, indications: [2, 2, 2], frameDiffs: [4]),
                .init(spatialID: 0, temporalID: 1, indications: [0, 1, 2], frameDiffs: [2]),
                .init(spatialID: 0, temporalID: 2, indications: [0, 0, 1], frameDiffs: [1]),
            ]
        ),
    ]

    private func descriptor(
        _ layer: Layer,
        isFirst: Bool,
        isLast: Bool,
        temporalID: Int,
        isKeyFrame: Bool
    ) -> [UInt8] {
        guard self.descriptors != .none, let structure = Self.structures[self.temporalLayers] else { return [] }
        let template = isKeyFrame ? 0 : temporalID + 1
        var extras = DescriptorBuilder.Extras()
        extras.hasStructure = isKeyFrame && isFirst
        if self.descriptors == .own, !isKeyFrame { extras.frameDiffs = structure.templates[template].frameDiffs }
        return structure.descriptor(
            isFrameStart: isFirst,
            isFrameEnd: isLast,
            template: template,
            frameNumber: layer.frameNumber,
            extras: extras
        )
    }

    private mutating func nextTemporalID(_ index: Int, isKeyFrame: Bool) -> UInt8 {
        let phase = isKeyFrame ? 0 : self.layers[index].pictureCount
        self.layers[index].pictureCount = phase + 1
        let pattern: [UInt8] = self.temporalLayers == 1 ? [0] : self.temporalLayers == 2 ? [0, 1] : [0, 2, 1, 2]
        let temporalID = pattern[phase % pattern.count]
        if temporalID == 0 { self.layers[index].baseIndex &+= 1 }
        return temporalID
    }

    private mutating func sendAgain(_ number: UInt16, of index: Int, in call: SimulatedCall) {
        guard let sent = self.layers[index].sent[number] else { return }
        guard self.usesRTX else {
            // The very same sealed packet again: the first copy was lost, so it is no replay.
            call.send(sent.datagram, from: self.client)
            return
        }
        guard let section = self.client.section(self.mid),
            let type = section.codecs.first(where: { $0.codec == .vp8 })?.rtxPayloadType
        else { return }
        let rid = self.layers[index].rid
        let packet = self.client.seal(
            mid: self.mid,
            repairedRID: rid,
            payloadType: type,
            sequence: self.layers[index].retransmissionSequence,
            timestamp: sent.timestamp,
            ssrc: rid == nil ? section.localRTXSSRC : SSRC(self.layers[index].ssrc.value + 0x1000),
            marker: sent.marker,
            payload: [UInt8(number >> 8), UInt8(number & 0xFF)] + sent.payload,
            transportSequence: self.transportSequence
        )
        self.transportSequence &+= 1
        self.layers[index].retransmissionSequence += 1
        call.send(packet, from: self.client)
    }

    private var ticksPerFrame: UInt32 { UInt32(((self.interval.inSeconds * 90_000).rounded())) }

    /// Sender reports of all layers: the timestamp of this moment by the publisher's wall clock.
    func report(in call: SimulatedCall, at now: Instant, clock: NTPAnchor) {
        guard let last = self.captures.last else { return }
        // A layer's `timestamp` is the next frame's already.
        let since = (now - last).inSeconds * 90_000 - Double(self.ticksPerFrame)
        for layer in self.layers where layer.isOn {
            let report = SenderReport(
                ssrc: layer.ssrc,
                ntpTime: clock.ntp(at: now),
                rtpTimestamp: layer.timestamp &+ UInt32(bitPattern: Int32(since.rounded())),
                packetCount: UInt32(truncatingIfNeeded: self.sentPackets),
                octetCount: UInt32(truncatingIfNeeded: self.sentPackets * 400)
            )
            call.send(self.client.sealRTCP { _ = $0.append(report, blocks: Span()) }, from: self.client)
        }
    }

    private mutating func answerFeedback(in call: SimulatedCall) {
        while self.readRTCP < self.client.rtcp.count {
            let bytes = self.client.rtcp[self.readRTCP]
            self.readRTCP += 1
            guard var compound = RTCPCompoundView(bytes.span.bytes) else { continue }
            while let view = compound.next() {
                switch view.kind {
                case .pictureLossIndication:
                    self.pictureLossReceived += 1
                    let media = view.mediaSSRC
                    if self.isLibwebrtc {
                        guard self.heardAt.map({ call.now - $0 >= .milliseconds(300) }) ?? true else { continue }
                        self.heardAt = call.now
                    }
                    for index in self.layers.indices where self.isLibwebrtc || self.layers[index].ssrc == media {
                        self.layers[index].needsKeyFrame = true
                    }
                case .nack:
                    let media = view.mediaSSRC
                    var numbers: [UInt16] = []
                    view.forEachLostSequenceNumber { numbers.append($0.value) }
                    self.nacksReceived += numbers.count
                    for index in self.layers.indices where self.layers[index].ssrc == media {
                        for number in numbers { self.sendAgain(number, of: index, in: call) }
                    }
                case .transportFeedback: self.feedbackReceived += 1
                default: break
                }
            }
        }
    }
}

/// What a VP8 receiver makes of packets: the frames that are whole, in order, and what is wrong with them.
struct PictureWatcher {
    /// Outgoing numbers that arrived, in order of number.
    static func gaps(_ packets: [SimulatedClient.Packet]) -> Int {
        var unwrapper = SequenceUnwrapper()
        let numbers = Set(packets.map { unwrapper.unwrap($0.header.sequenceNumber) }).sorted()
        guard let first = numbers.first, let last = numbers.last else { return 0 }
        return Int(last - first + 1) - numbers.count
    }

    /// Picture ids of frame starts, in order of arrival.
    static func pictureIDs(_ packets: [SimulatedClient.Packet]) -> [UInt16] {
        packets.compactMap { packet in
            guard let descriptor = VP8Descriptor(packet.payload.span.bytes), descriptor.isFrameStart else { return nil }
            return descriptor.pictureID
        }
    }
}
