package import Basics
import Negotiation
import RTP

/// What one published video track sends.
package struct VideoProfile: Sendable, Equatable {
    package struct Layer: Sendable, Equatable {
        /// `nil` = no simulcast.
        package var rid: String?
        package var width: Int
        package var height: Int
        package var bitrate: Bitrate

        package init(rid: String?, width: Int, height: Int, bitrate: Bitrate) {
            self.rid = rid
            self.width = width
            self.height = height
            self.bitrate = bitrate
        }
    }

    /// Smallest first.
    package var layers: [Layer]
    package var framesPerSecond: Int
    /// VP8 temporal layers: 1 or 3 (the pattern 0 2 1 2 of libwebrtc).
    package var temporalLayers: Int
    /// Bytes of RTP payload at most.
    package var largestPayload: Int
    /// Whether packets have dependency descriptors; `nil` = as in Chromium.
    package var describesFrames: Bool?

    package init(
        layers: [Layer],
        framesPerSecond: Int = 30,
        temporalLayers: Int = 1,
        largestPayload: Int = 1_100,
        describesFrames: Bool? = nil
    ) {
        self.layers = layers
        self.framesPerSecond = max(framesPerSecond, 1)
        self.temporalLayers = temporalLayers
        self.largestPayload = min(max(largestPayload, 64), 1_300)
        self.describesFrames = describesFrames
    }

    /// One 720p stream.
    package static func single(_ bitrate: Bitrate) -> Self {
        VideoProfile(layers: [Layer(rid: nil, width: 1_280, height: 720, bitrate: bitrate)])
    }

    /// What Chromium sends of a 720p camera.
    package static let simulcast = VideoProfile(
        layers: [
            Layer(rid: "q", width: 320, height: 180, bitrate: .kbps(150)),
            Layer(rid: "h", width: 640, height: 360, bitrate: .kbps(500)),
            Layer(rid: "f", width: 1_280, height: 720, bitrate: .kbps(1_500)),
        ],
        temporalLayers: 3
    )
}

/// The state of one layer that is being sent: frames of VP8 with real descriptors and key-frame headers, and bytes of no
/// meaning in place of pictures.
struct VideoSourceLayer {
    let profile: VideoProfile.Layer
    let ssrc: SSRC
    let retransmissionSSRC: SSRC
    var sequence: UInt64
    var retransmissionSequence: UInt64
    var pictureID: UInt16
    var tl0PictureIndex: UInt8 = 0
    /// `nil` = packets have no dependency descriptors.
    private(set) var describer: FrameDescriber?
    var frameIndex = 0
    var needsKeyFrame = true
    var isWanted = true
    var packetCount: UInt64 = 0
    var byteCount: UInt64 = 0
    var keyFrameCount: UInt64 = 0

    init(
        _ profile: VideoProfile.Layer,
        of video: VideoProfile,
        describesFrames: Bool,
        ssrc: SSRC,
        retransmissionSSRC: SSRC,
        using random: inout RandomSource
    ) {
        self.profile = profile
        if describesFrames {
            self.describer = FrameDescriber(
                temporalLayers: video.temporalLayers,
                firstFrameNumber: UInt16.random(in: .min ... .max, using: &random)
            )
        }
        self.ssrc = ssrc
        self.retransmissionSSRC = retransmissionSSRC
        self.sequence = UInt64.random(in: 1..<30_000, using: &random)
        self.retransmissionSequence = UInt64.random(in: 1..<30_000, using: &random)
        self.pictureID = UInt16.random(in: 0..<0x7FFF, using: &random)
    }

    /// The temporal layer of the next frame, and whether it depends on nothing of its own layer.
    private static let pattern: [(layer: UInt8, isSync: Bool)] = [(0, false), (2, true), (1, true), (2, false)]

    struct Frame {
        let isKeyFrame: Bool
        let temporal: UInt8
        let isSync: Bool
        let pictureID: UInt16
        let tl0PictureIndex: UInt8
        let byteCount: Int
    }

    /// Begins the next frame. A key frame has five times the bytes of the others.
    mutating func nextFrame(_ video: VideoProfile) -> Frame {
        let isKeyFrame = self.needsKeyFrame
        if isKeyFrame {
            self.needsKeyFrame = false
            self.frameIndex = 0
            self.keyFrameCount += 1
        }
        let place = video.temporalLayers > 1 ? Self.pattern[self.frameIndex % 4] : (layer: 0, isSync: false)
        if place.layer == 0 { self.tl0PictureIndex &+= 1 }
        self.pictureID = (self.pictureID &+ 1) & 0x7FFF
        self.frameIndex += 1
        self.describer?.beginFrame()
        let bytes = Int(self.profile.bitrate.bitsPerSecond) / 8 / video.framesPerSecond
        return Frame(
            isKeyFrame: isKeyFrame,
            temporal: place.layer,
            isSync: place.isSync,
            pictureID: self.pictureID,
            tl0PictureIndex: self.tl0PictureIndex,
            byteCount: max(isKeyFrame ? bytes * 5 : bytes, 64)
        )
    }

    /// Writes the payload of one packet: descriptor (RFC 7741 §4.2), at the first the frame header (RFC 6386 §9.1), filler.
    func write(
        _ frame: Frame,
        isFirst: Bool,
        hasTemporalLayers: Bool,
        to payload: UnsafeMutableRawBufferPointer
    ) {
        var offset = 0
        func put(_ byte: UInt8) {
            guard offset < payload.count else { return }
            unsafe payload[offset] = byte
            offset += 1
        }
        // X, and S on the first; frames of the highest temporal layer are referred to by none (N).
        put(0x80 | (isFirst ? 0x10 : 0) | (frame.temporal == 2 ? 0x20 : 0))
        put(hasTemporalLayers ? 0xE0 : 0x80)
        put(0x80 | UInt8(frame.pictureID >> 8))
        put(UInt8(truncatingIfNeeded: frame.pictureID))
        if hasTemporalLayers {
            put(frame.tl0PictureIndex)
            put(frame.temporal << 6 | (frame.isSync ? 0x20 : 0))
        }
        guard isFirst else { return }
        put(frame.isKeyFrame ? 0x10 : 0x11)
        put(0)
        put(0)
        guard frame.isKeyFrame else { return }
        for byte in [0x9D, 0x01, 0x2A] as [UInt8] { put(byte) }
        put(UInt8(truncatingIfNeeded: self.profile.width))
        put(UInt8(truncatingIfNeeded: self.profile.width >> 8))
        put(UInt8(truncatingIfNeeded: self.profile.height))
        put(UInt8(truncatingIfNeeded: self.profile.height >> 8))
    }
}
