import Basics
import Forwarding
import RTP
import Testing

@testable import LoadClient

@Suite struct FrameDescriberTests {
    @Test(arguments: [1, 3])
    func `a server reads from the descriptors what the frames are, and what each is decoded from`(layers: Int) throws {
        var profile = VideoProfile.simulcast
        profile.temporalLayers = layers
        var random = RandomSource.system
        var source = VideoSourceLayer(
            profile.layers[0],
            of: profile,
            describesFrames: true,
            ssrc: SSRC(1),
            retransmissionSSRC: SSRC(2),
            using: &random
        )
        var reader = FrameReader()
        var sequence: Int64 = 100
        var key: Int64 = 0
        var last: Int64?
        for number in 0..<100 {
            source.needsKeyFrame = number == 0 || number == 50
            let frame = source.nextFrame(profile)
            for part in 0..<3 {
                let describer = try #require(source.describer)
                let descriptor = describer.descriptor(of: frame, isFirst: part == 0, isLast: part == 2)
                let info = reader.read(
                    sequence: sequence,
                    timestamp: UInt32(number * 3_000),
                    marker: part == 2,
                    payload: .none,
                    isKeyFrameStart: frame.isKeyFrame && part == 0,
                    descriptor: descriptor.span.bytes
                )
                let comment: Comment = "frame \(number), packet \(part)"
                if frame.isKeyFrame, part == 0 { key = info.frame }
                #expect(info.flags.contains(.descriptor), comment)
                #expect(info.flags.contains(.structure) == (frame.isKeyFrame && part == 0), comment)
                #expect(info.flags.contains(.first) == (part == 0), comment)
                #expect(info.flags.contains(.last) == (part == 2), comment)
                #expect(info.temporalID == frame.temporal, comment)
                // As Chromium's of VP8: what a packet's frame is decoded from, in every packet.
                #expect(frame.isKeyFrame || descriptor.count == 5, comment)
                sequence += 1
                // What has fewer temporal layers than the frame's does without it; one may begin with it where all that
                // it is decoded from is there: with T1 at all three, and with T2 nowhere.
                for temporal in 0..<layers {
                    let isMember = info.members.contains(spatial: 0, temporal: temporal)
                    #expect(isMember == (temporal >= Int(frame.temporal)), comment)
                    let isSwitch = info.switches.contains(spatial: 0, temporal: temporal)
                    #expect(isSwitch == (frame.temporal == 0 || frame.temporal == 1 && temporal == 2), comment)
                }
                guard part == 0 else { continue }
                if let last { #expect(info.frame == last + 1, comment) }
                last = info.frame
                #expect(info.referenceCount == (frame.isKeyFrame ? 0 : 1), comment)
                // As the pattern 0 2 1 2 has it; nothing refers to what was before the key frame.
                let step = layers == 1 ? 1 : [0: 4, 1: 2, 2: 1][Int(frame.temporal)]
                if !frame.isKeyFrame { #expect(Int(info.references[0]) == step, comment) }
                if !frame.isKeyFrame { #expect(info.frame - Int64(info.references[0]) >= key, comment) }
            }
        }
    }
}
