import Basics
import Negotiation
import RTP
import SDP
import Testing

@Suite struct AnswerTests {
    @Test func thereAreOffers() {
        #expect(Offer.real.count >= 25)
    }

    @Test(arguments: Offer.real + [.safariPublisher, .pionPublisher])
    func keepsTheRules(_ offer: Offer) throws {
        var server = Server()
        let session = try server.receive(offer.text)
        let answer = try server.answer()
        #expect(brokenRules(offer: try SessionDescription(parsing: offer.text), answer: answer) == [])
        #expect(session.sections.count == answer.media.filter { $0.port != 0 }.count)
        #expect(!session.sections.isEmpty)
        #expect(!server.negotiator.isICERestart)
        #expect(server.negotiator.session == session)
    }

    @Test func chromiumSimulcastPublisher() throws {
        var server = Server()
        let session = try server.receive(Offer.named("chromium-offer-audio-video-simulcast3-allcodecs"))
        #expect(session.transport.usernameFragment == "gVFn")
        #expect(session.transport.fingerprints.map { $0.hash } == [.sha256])
        #expect(session.sections.map { $0.direction } == [.receive, .receive])
        let audio = try #require(session.sections.first)
        #expect(audio.codecs.map { $0.payloadType } == [111])
        #expect(audio.codecs.first?.formatParameters == "minptime=10;useinbandfec=1")
        #expect(audio.codecs.first?.feedback == .transportWide)
        #expect(audio.extensions[.audioLevel] == 1 && audio.extensions[.mid] == 4 && audio.extensions[.rid] == 0)
        #expect(audio.remoteSSRCs == [RemoteSSRC(media: SSRC(1_336_544_971))])
        #expect(audio.cname == "HPHr49708j6NB3Se")
        let video = try #require(session.sections.last)
        #expect(video.rids == ["q", "h", "f"])
        #expect(video.codecs.map { $0.payloadType } == [96, 102, 104, 108, 114, 116, 39, 45, 98, 100])
        #expect(video.codecs.map { $0.rtxPayloadType } == [97, 103, 107, 109, 115, 117, 40, 46, 99, 101])
        #expect(video.extensions[.rid] == 10 && video.extensions[.repairedRID] == 11)
        #expect(video.extensions[.dependencyDescriptor] == 12 && video.extensions[.videoOrientation] == 13)
        let publication = try #require(server.negotiator.publications.last)
        #expect(publication.trackID == "1317add2-6e69-4a79-9d95-213e1184d43c")
        #expect(publication.streamID == "cf2e9597-95ce-4863-b4fd-5725e2c786e0")
        #expect(publication.rids == ["q", "h", "f"] && publication.pausedRIDs.isEmpty)
        let answered = try #require(try server.answer().media.last)
        #expect(answered.value(of: "simulcast") == "recv q;h;f")
        #expect(answered.all(SDPAttribute.RID.self).map { $0.attributeValue } == ["q recv", "h recv", "f recv"])
    }

    @Test func firefoxSimulcastPublisher() throws {
        var server = Server()
        let session = try server.receive(Offer.named("firefox-offer-audio-video-simulcast3-allcodecs"))
        let video = try #require(session.sections.last)
        #expect(video.mid == "1" && video.rids == ["q", "h", "f"])
        #expect(
            video.remoteSSRCs == [
                RemoteSSRC(media: SSRC(1_080_822_502), retransmission: SSRC(1_593_188_781)),
                RemoteSSRC(media: SSRC(674_364_060), retransmission: SSRC(1_006_209_328)),
                RemoteSSRC(media: SSRC(662_284_880), retransmission: SSRC(563_296_849)),
            ]
        )
        // The limits of Firefox's decoder must not become limits of its encoder.
        #expect(video.codecs.allSatisfy { $0.formatParameters.isEmpty })
        let extensions = try #require(try server.answer().media.last).all(SDPAttribute.ExtensionMapping.self)
        #expect(extensions.first { $0.id == 8 }?.direction == .receiveOnly)
        #expect(extensions.first { $0.id == 3 }.map { $0.direction == nil } == true)
    }

    @Test func gstreamerWritesCapitalsAndBundleOnly() throws {
        var server = Server()
        let session = try server.receive(Offer.named("gst-VP8-offer"))
        #expect(session.sections.map { $0.mid } == ["video0", "audio1"])
        let audio = try #require(session.sections.last)
        #expect(audio.codecs.map { $0.codec } == [.opus])
        #expect(audio.codecs.first?.rtxPayloadType == 98)
        // It offers transport-wide feedback without the extension that numbers the packets.
        #expect(audio.codecs.first?.feedback == .nack)
        #expect(audio.codecs.first?.formatParameters == "")
        #expect(server.negotiator.publications.map { $0.trackID } == ["webrtctransceiver0", "webrtctransceiver1"])
    }

    @Test func aiortcFingerprintsAndRejectedDataChannel() throws {
        var server = Server()
        let session = try server.receive(Offer.named("aiortc-H264-offer"))
        #expect(session.transport.fingerprints.map { $0.hash } == [.sha256, .sha384, .sha512])
        #expect(session.sections.map { $0.mid } == ["0", "1"])
        let answer = try server.answer()
        #expect(answer.media.map { $0.port } == [9, 9, 0])
        #expect(answer.bundle == ["0", "1"])
        #expect(answer.media.last?.formats == ["webrtc-datachannel"])
    }

    @Test func livekitOffersSevenMLines() throws {
        var server = Server()
        let session = try server.receive(Offer.named("livekit-1.2.0-publisher-offer"))
        #expect(session.sections.count == 6)
        #expect(session.sections.allSatisfy { $0.direction == .send })
        let ssrcs = session.sections.flatMap { [$0.localSSRC, $0.localRTXSSRC] }
        #expect(Set(ssrcs).count == 12)
    }

    @Test func safariAndPion() throws {
        var server = Server()
        let safari = try server.receive(Offer.safariPublisher.text)
        #expect(safari.sections.map { $0.codecs.map { $0.codec } } == [[.opus], [.h264, .h264, .vp8, .vp9]])
        server = Server()
        let pion = try server.receive(Offer.pionPublisher.text)
        #expect(pion.transport.usernameFragment == "fjhFbUcYtGxSuXbb")
        #expect(pion.sections.map { $0.codecs.map { $0.payloadType } } == [[96], [111]])
        // `sendrecv` is publishing; tracks come down on m-lines of their own.
        #expect(pion.sections.map { $0.direction } == [.receive, .receive])
    }

    @Test func candidatesWithPrioritiesAndTheirEnd() throws {
        var server = Server()
        try server.receive(Offer.make([("a", Offer.audio()), ("v", Offer.video())]))
        let media = try server.answer().media
        #expect(
            media.first?.candidates == [
                "candidate:1 1 udp 2130706431 192.0.2.1 7880 typ host",
                "candidate:2 1 udp 2130706175 2001:db8::1 7880 typ host",
            ]
        )
        #expect(media.first?.hasEndOfCandidates == true)
        #expect(media.last?.candidates == [])
    }

    @Test func labelsNameWhatIsBound() throws {
        var server = Server()
        let session = try server.receive(
            Offer.make([("a", Offer.audio("recvonly")), ("v", Offer.video("recvonly"))])
        )
        let label = SectionLabel(streamID: "PA_1", trackID: "TR 1\r\na=evil", cname: "c1")
        let media = try server.answer(["v": label]).media
        let video = try #require(media.last)
        #expect(video.direction == .sendOnly)
        #expect(video.value(of: "msid") == "PA_1 TR_1__a_evil")
        let section = try #require(session.sections.last)
        let group = video.first(SDPAttribute.SourceGroup.self)
        #expect(group == .init(semantics: "FID", ssrcs: [section.localSSRC.value, section.localRTXSSRC.value]))
        #expect(
            video.all(SDPAttribute.SourceAttribute.self).filter { $0.name == "cname" }.map { $0.value } == ["c1", "c1"]
        )
        let audio = try #require(media.first)
        #expect(audio.value(of: "msid") == "sluice-a track-a")
        #expect(audio.all(SDPAttribute.SourceAttribute.self).first { $0.name == "cname" }?.value?.isEmpty == false)
    }

    @Test func answerBeforeAnyOfferIsEmpty() {
        let server = Server()
        #expect(server.negotiator.answer(local: serverTransport, labels: [:]) == "")
    }

    @Test(arguments: [
        ("sendrecv", true, true, NegotiatedSection.Direction.receive), ("sendonly", true, true, .receive),
        ("recvonly", true, true, .send), ("inactive", true, true, .inactive), ("sendonly", false, true, .inactive),
        ("sendrecv", false, true, .send), ("sendrecv", false, false, .inactive), ("recvonly", false, true, .send),
        ("recvonly", true, false, .inactive),
        ("sendrecv", true, false, .receive),
    ])
    func direction(_ offered: String, _ canPublish: Bool, _ canSubscribe: Bool, _ expected: NegotiatedSection.Direction)
        throws
    {
        var server = Server()
        let offer = Offer.make([("a", Offer.audio(offered))])
        let session = try server.receive(offer, canPublish: canPublish, canSubscribe: canSubscribe)
        #expect(session.sections.map { $0.direction } == [expected])
        #expect(brokenRules(offer: try SessionDescription(parsing: offer), answer: try server.answer()) == [])
    }

    /// RFC 8829 §5.1.2: DTLS-SRTP it is whichever of these the m-line names, and the answer repeats it.
    @Test(arguments: [
        "RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "TCP/DTLS/RTP/SAVP", "TCP/DTLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP",
        "UDP/TLS/RTP/SAVPF",
    ])
    func `every profile that means DTLS-SRTP is taken`(profile: String) throws {
        let offer = Offer.make([("a", Offer.audio())]).replacing("UDP/TLS/RTP/SAVPF", with: profile)
        var server = Server()
        #expect(try server.receive(offer).sections.map(\.direction) == [.receive])
        #expect(try server.answer().media.map(\.transport) == [profile])
    }

    @Test func aSingleMLineNeedsNoBundleAndNoMid() throws {
        let offer = Offer.make([("0", Offer.audio())], group: []).replacing("a=mid:0\r\n", with: "")
        var server = Server()
        #expect(try server.receive(offer).sections.map { $0.mid } == ["0"])
        let answer = try server.answer()
        #expect(answer.bundle == nil)
        #expect(answer.media.first?.mid == nil)
        #expect(answer.media.first?.candidates.count == 2)
    }
}

extension Offer {
    /// Safari 17: H.264 first, unified plan, rtx and the header extensions of libwebrtc.
    static let safariPublisher = Offer(
        name: "Safari, written by hand",
        text: Offer.make(
            [
                (
                    "0",
                    [
                        "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126", "a=rtcp:9 IN IP4 0.0.0.0",
                        "a=ice-options:trickle", "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
                        "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid", "a=sendrecv", "a=msid:- 6E1B-47F5",
                        "a=rtcp-rsize",
                        "a=rtpmap:111 opus/48000/2", "a=rtcp-fb:111 transport-cc",
                        "a=fmtp:111 minptime=10;useinbandfec=1", "a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111",
                        "a=rtpmap:9 G722/8000", "a=rtpmap:126 telephone-event/8000",
                        "a=ssrc:1873403141 cname:OJ2vxVZBuu7XyKNH",
                    ]
                ),
                (
                    "1",
                    [
                        "m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 100 101 127 103 104 105", "a=rtcp:9 IN IP4 0.0.0.0",
                        "a=extmap:14 urn:ietf:params:rtp-hdrext:toffset",
                        "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
                        "a=extmap:13 urn:3gpp:video-orientation", "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
                        "a=sendrecv", "a=msid:- 4C2A-90D1", "a=rtcp-rsize",
                        "a=rtpmap:96 H264/90000", "a=rtcp-fb:96 goog-remb", "a=rtcp-fb:96 ccm fir", "a=rtcp-fb:96 nack",
                        "a=rtcp-fb:96 nack pli",
                        "a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640c1f",
                        "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96", "a=rtpmap:98 H264/90000", "a=rtcp-fb:98 nack",
                        "a=fmtp:98 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
                        "a=rtpmap:99 rtx/90000", "a=fmtp:99 apt=98", "a=rtpmap:100 VP8/90000", "a=rtcp-fb:100 nack pli",
                        "a=rtpmap:101 rtx/90000", "a=fmtp:101 apt=100", "a=rtpmap:127 VP9/90000",
                        "a=fmtp:127 profile-id=0", "a=rtpmap:103 rtx/90000", "a=fmtp:103 apt=127",
                        "a=rtpmap:104 red/90000", "a=rtpmap:105 ulpfec/90000", "a=ssrc-group:FID 2231627014 632943048",
                        "a=ssrc:2231627014 cname:OJ2vxVZBuu7XyKNH", "a=ssrc:632943048 cname:OJ2vxVZBuu7XyKNH",
                    ]
                ),
            ],
            session: ["a=extmap-allow-mixed", "a=msid-semantic: WMS"]
        )
    )

    /// Pion 4: credentials in each m-line, the fingerprint in the session part, `rtcp-fb` lines with a trailing blank.
    static let pionPublisher = Offer(
        name: "Pion, written by hand",
        text: """
            v=0
            o=- 8275935483287593102 1712345678 IN IP4 0.0.0.0
            s=-
            t=0 0
            a=msid-semantic:WMS*
            a=fingerprint:sha-256 \(Offer.digest)
            a=extmap-allow-mixed
            a=group:BUNDLE 0 1
            m=video 9 UDP/TLS/RTP/SAVPF 96 97
            c=IN IP4 0.0.0.0
            a=setup:actpass
            a=mid:0
            a=ice-ufrag:fjhFbUcYtGxSuXbb
            a=ice-pwd:AtGqXxKxTgGwyGBXZbuYzsiPYGMkgYDl
            a=rtcp-mux
            a=rtcp-rsize
            a=rtpmap:96 VP8/90000
            a=rtcp-fb:96 goog-remb\u{20}
            a=rtcp-fb:96 ccm fir
            a=rtcp-fb:96 nack\u{20}
            a=rtcp-fb:96 nack pli
            a=rtcp-fb:96 transport-cc\u{20}
            a=rtpmap:97 rtx/90000
            a=fmtp:97 apt=96
            a=extmap:1 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
            a=ssrc-group:FID 3735928559 3735928560
            a=ssrc:3735928559 cname:pion
            a=ssrc:3735928559 msid:pion video
            a=msid:pion video
            a=sendrecv
            m=audio 9 UDP/TLS/RTP/SAVPF 111 9 0 8
            c=IN IP4 0.0.0.0
            a=setup:actpass
            a=mid:1
            a=ice-ufrag:fjhFbUcYtGxSuXbb
            a=ice-pwd:AtGqXxKxTgGwyGBXZbuYzsiPYGMkgYDl
            a=rtcp-mux
            a=rtcp-rsize
            a=rtpmap:111 opus/48000/2
            a=fmtp:111 minptime=10;useinbandfec=1
            a=rtcp-fb:111 transport-cc\u{20}
            a=rtpmap:9 G722/8000
            a=extmap:1 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
            a=ssrc:305419896 cname:pion
            a=sendrecv

            """
    )
}
