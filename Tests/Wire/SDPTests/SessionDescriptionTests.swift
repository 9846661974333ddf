import SDP
import Testing

@Suite struct SessionDescriptionTests {
    @Test func thereAreFixtures() {
        #expect(SDPFixture.all.count >= 34)
    }

    @Test(arguments: SDPFixture.all)
    func printsWhatItParsed(_ fixture: SDPFixture) throws {
        let crlf = fixture.text.replacing("\n", with: "\r\n")
        let fromLF = try SessionDescription(parsing: fixture.text)
        #expect(fromLF.description == crlf)
        #expect(try SessionDescription(parsing: crlf) == fromLF)
    }

    @Test func readsTheSessionPart() throws {
        let text = "v=0\no=- 12 3 IN IP4 192.0.2.1\ns=talk\ni=x\nt=0 0\na=group:BUNDLE a b\na=ice-lite\n"
        let session = try SessionDescription(parsing: text)
        #expect(session.origin == Origin(sessionID: "12", version: "3", address: "IN IP4 192.0.2.1"))
        #expect(session.name == "talk")
        #expect(session.timing == "0 0")
        #expect(session.bundle == ["a", "b"])
        #expect(session.isICELite)
        #expect(session.media.isEmpty)
    }

    @Test func readsAnMLine() throws {
        let session = try SessionDescription(
            parsing: """
                v=0
                o=- 1 1 IN IP4 0.0.0.0
                s=-
                t=0 0
                m=video 9/2 UDP/TLS/RTP/SAVPF 96 97
                c=IN IP4 0.0.0.0
                b=AS:500
                a=mid:v
                a=ice-ufrag:abcd
                a=ice-pwd:0123456789012345678901
                a=ice-options:trickle ice2
                a=candidate:1 1 UDP 1 192.0.2.1 9 typ host
                a=end-of-candidates
                a=rtcp-mux
                a=rtcp-rsize
                a=bundle-only
                a=x-unknown:kept as it is:really
                a=recvonly

                """
        )
        let media = try #require(session.media.first)
        #expect(media.port == 9 && media.portCount == 2)
        #expect(media.payloadTypes == [96, 97])
        #expect(media.mid == "v")
        #expect(media.iceUsernameFragment == "abcd")
        #expect(media.iceOptions == ["trickle", "ice2"])
        #expect(media.candidates == ["candidate:1 1 UDP 1 192.0.2.1 9 typ host"])
        #expect(media.hasEndOfCandidates && media.hasRTCPMux && media.hasReducedSizeRTCP && media.isBundleOnly)
        #expect(media.direction == .receiveOnly)
        #expect(media.value(of: "x-unknown") == "kept as it is:really")
    }

    @Test func dataChannelAttributes() throws {
        let fixture = try #require(SDPFixture.all.first { $0.name == "firefox-offer-datachannel-only.sdp" })
        let media = try #require(try SessionDescription(parsing: fixture.text).media.first)
        #expect(media.sctpPort == 5000)
        #expect(media.maximumMessageSize == 1_073_741_823)
        #expect(media.payloadTypes.isEmpty)
    }
}
