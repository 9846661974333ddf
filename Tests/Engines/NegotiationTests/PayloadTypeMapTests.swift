import Basics
import Negotiation
import RTP
import Testing

@Suite struct PayloadTypeMapTests {
    private static func section(_ codecs: [(Codec, UInt8, String)]) -> NegotiatedSection {
        NegotiatedSection(
            mid: "0",
            kind: .video,
            direction: .receive,
            codecs: codecs.map { codec, payloadType, parameters in
                NegotiatedCodec(
                    codec: codec,
                    payloadType: payloadType,
                    rtxPayloadType: payloadType + 1,
                    clockRate: 90_000,
                    channels: 1,
                    formatParameters: parameters,
                    feedback: []
                )
            },
            extensions: HeaderExtensionMap()
        )
    }

    private static func h264(_ mode: Int, _ profile: String) -> String {
        "level-asymmetry-allowed=1;packetization-mode=\(mode);profile-level-id=\(profile)"
    }

    @Test func codecsFindTheirOwn() {
        let source = Self.section([
            (.vp8, 96, ""), (.vp9, 98, "profile-id=0"), (.vp9, 100, "profile-id=2"), (.av1, 45, ""),
        ])
        let sink = Self.section([
            (.av1, 99, "profile=0"), (.vp9, 121, "profile-id=2"), (.vp9, 122, ""), (.vp8, 120, "max-fs=1"),
        ])
        #expect(payloadTypeMap(from: source, to: sink) == [96: 120, 98: 122, 100: 121, 45: 99])
    }

    @Test func h265MustAgreeInItsProfile() {
        let source = Self.section([(.h265, 49, "level-id=93;tx-mode=SRST"), (.h265, 51, "profile-id=2")])
        let sink = Self.section([(.h265, 60, "profile-id=1;level-id=180"), (.h265, 62, "profile-id=4")])
        #expect(payloadTypeMap(from: source, to: sink) == [49: 60])
    }

    @Test func whatTheSinkLacksIsLeftOut() {
        let source = Self.section([(.vp8, 96, ""), (.av1, 45, "profile=1"), (.vp9, 98, "profile-id=2")])
        let sink = Self.section([(.av1, 45, "profile=0"), (.vp9, 98, "profile-id=0")])
        #expect(payloadTypeMap(from: source, to: sink).isEmpty)
    }

    @Test(arguments: [
        // The same profile, spelt otherwise.
        (h264(1, "42e01f"), [h264(1, "42001f"), h264(1, "42c028"), h264(0, "42e01f")], 1),
        (h264(1, "4d801f"), [h264(1, "4d001f"), h264(1, "42e01f")], 1),
        // Any profile of the same mode before the same profile of the other.
        (h264(0, "640c1f"), [h264(1, "640c1f"), h264(0, "42e01f")], 1),
        // Mode 0 is a subset of mode 1; the other way round better than nothing, but never in place of mode 1 or of mode 2.
        (h264(0, "42e01f"), [h264(1, "42e01f")], 0),
        (h264(1, "42e01f"), [h264(0, "42e01f"), h264(1, "640c1f")], 1),
        (h264(1, "42e01f"), [h264(0, "42e01f")], 0),
        (h264(1, "42e01f"), [""], 0),
        (h264(1, "42e01f"), [h264(2, "42e01f")], nil),
        (h264(2, "42e01f"), [h264(0, "42e01f"), h264(1, "42e01f")], nil),
        // Without parameters: mode 0, Baseline.
        ("", [h264(0, "42e01f"), h264(0, "42000a")], 1),
        (h264(1, "nonsense"), [h264(1, "42e01f"), h264(1, "42001f")], 1),
    ])
    func h264Profiles(_ source: String, _ sinks: [String], _ expected: Int?) {
        let map = payloadTypeMap(
            from: Self.section([(.h264, 102, source)]),
            to: Self.section(sinks.enumerated().map { (.h264, UInt8(2 * $0), $1) })
        )
        #expect(map[102] == expected.map { UInt8(2 * $0) })
    }

    @Test func fromOneBrowserToAnother() throws {
        var publisher = Server()
        var subscriber = Server()
        let source = try publisher.receive(Offer.named("chromium-offer-audio-video-simulcast3-allcodecs"))
        let sink = try subscriber.receive(Offer.named("firefox-offer-recvonly"))
        let audio = try #require(source.sections.first)
        let firefoxAudio = try #require(sink.sections.first)
        #expect(payloadTypeMap(from: audio, to: firefoxAudio) == [111: 109])
        let video = try #require(source.sections.last)
        let firefoxVideo = try #require(sink.sections.last)
        // Firefox has no H.264 here, and its VP9 is profile 0.
        #expect(payloadTypeMap(from: video, to: firefoxVideo) == [96: 120, 98: 121, 45: 99])
    }
}
