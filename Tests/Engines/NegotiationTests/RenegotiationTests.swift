import Basics
import Negotiation
import SDP
import Testing

@Suite struct RenegotiationTests {
    @Test func versionGrowsAndTheSessionStays() throws {
        var server = Server()
        let offer = Offer.make([("a", Offer.audio())])
        try server.receive(offer)
        let first = try server.answer().origin
        try server.receive(offer)
        let second = try server.answer().origin
        #expect(first.sessionID == second.sessionID)
        #expect(first.version == "1" && second.version == "2")
        #expect(try server.answer().origin == second)
    }

    @Test func mLinesMayBeAddedButNotTakenAway() throws {
        var server = Server()
        try server.receive(Offer.make([("a", Offer.audio())]))
        let both = try server.receive(Offer.make([("a", Offer.audio()), ("v", Offer.video())]))
        #expect(both.sections.map { $0.mid } == ["a", "v"])
        #expect(throws: NegotiationError.self) { try server.receive(Offer.make([("a", Offer.audio())])) }
        #expect(server.negotiator.session == both)
    }

    @Test(arguments: [
        [("v", Offer.video()), ("a", Offer.audio())],  // reordered
        [("a", Offer.audio()), ("w", Offer.video())],  // renamed
        [("a", Offer.audio()), ("v", Offer.audio())],  // another kind
    ])
    func mLinesInUseStayWhatTheyAre(_ sections: [(String, [String])]) throws {
        var server = Server()
        try server.receive(Offer.make([("a", Offer.audio()), ("v", Offer.video())]))
        let error = #expect(throws: NegotiationError.self) { try server.receive(Offer.make(sections)) }
        guard case .invalid(let reason) = error else { Issue.record("\(String(describing: error))"); return }
        #expect(reason.contains("in use"))
    }

    /// Of one m-line, as it stands in an offer.
    private static func line(_ mid: String?, _ attributes: [String]) -> String {
        var text = Offer.make([(mid ?? "none", attributes)])
        text.removeSubrange(..<(text.firstRange(of: "m=")?.lowerBound ?? text.startIndex))
        if mid == nil { text.replace("a=mid:none\r\n", with: "") }
        return text
    }

    /// An offer whose m-lines may have no mid.
    private static func offer(group: [String], _ lines: [(String?, [String])]) -> String {
        var text = Offer.make([("none", Offer.audio())], group: group)
        text.removeSubrange((text.firstRange(of: "m=")?.lowerBound ?? text.endIndex)...)
        if group.isEmpty { text.replace("a=group:BUNDLE \r\n", with: "") }
        return text + lines.map { Self.line($0, $1) }.joined()
    }

    @Test(
        arguments: [
            // Stopped without its mid, and another m-line takes the name.
            (
                [("a", Offer.audio()), ("b", Offer.audio())],
                [(nil, Offer.audio("inactive", port: 0)), ("b", Offer.audio()), ("a", Offer.video())], ["b", "a"]
            ),
            // The name that was made for the first one.
            ([(nil, Offer.audio("recvonly"))], [(nil, Offer.audio(port: 0)), ("0", Offer.video("recvonly"))], ["0"]),
            // The name that is made for the second one.
            ([("1", Offer.audio("recvonly"))], [(nil, Offer.audio(port: 0)), (nil, Offer.video("recvonly"))], []),
        ] as [([(String?, [String])], [(String?, [String])], [String])]
    )
    func aMidStaysAudioOrVideoWhereverItGoes(
        _ first: [(String?, [String])],
        _ second: [(String?, [String])],
        _ group: [String]
    ) throws {
        var server = Server()
        try server.receive(Self.offer(group: first.compactMap(\.0), first))
        let error = #expect(throws: NegotiationError.self) { try server.receive(Self.offer(group: group, second)) }
        guard case .invalid(let reason) = error else { Issue.record("\(String(describing: error))"); return }
        #expect(reason.contains("new a=mid"), "\(reason)")
    }

    @Test func aMidMayComeBackAsAnotherKindOnceItsMLineIsStopped() throws {
        var server = Server()
        try server.receive(Offer.make([("a", Offer.audio()), ("b", Offer.audio())]))
        try server.receive(Offer.make([("a", Offer.audio("inactive", port: 0)), ("b", Offer.audio())], group: ["b"]))
        let again = try server.receive(Offer.make([("a", Offer.video()), ("b", Offer.audio())], group: ["b", "a"]))
        #expect(again.sections.map { $0.kind } == [.video, .audio])
    }

    @Test func ssrcsStayWithTheMLine() throws {
        var server = Server()
        let first = try server.receive(Offer.make([("v", Offer.video("recvonly"))]))
        for direction in ["inactive", "recvonly", "sendonly", "recvonly"] {
            let next = try server.receive(Offer.make([("v", Offer.video(direction))]))
            #expect(next.sections.first?.localSSRC == first.sections.first?.localSSRC)
            #expect(next.sections.first?.localRTXSSRC == first.sections.first?.localRTXSSRC)
        }
    }

    @Test func aStoppedMLineIsReusedWithFreshSSRCs() throws {
        var server = Server()
        let first = try server.receive(Offer.make([("a", Offer.audio("recvonly")), ("v", Offer.video("recvonly"))]))
        let stopped = try server.receive(
            Offer.make([("a", Offer.audio("recvonly")), ("v", Offer.video("inactive", port: 0))], group: ["a"])
        )
        #expect(stopped.sections.map { $0.mid } == ["a"])
        #expect(try server.answer().media.map { $0.port } == [9, 0])
        // Another kind under another name in the same place (RFC 8829 §5.2.2).
        let text = Offer.make([("a", Offer.audio("recvonly")), ("b", Offer.audio("recvonly"))])
        let reused = try server.receive(text)
        #expect(reused.sections.map { $0.mid } == ["a", "b"])
        #expect(reused.sections.last?.kind == .audio)
        #expect(reused.sections.first?.localSSRC == first.sections.first?.localSSRC)
        #expect(reused.sections.last?.localSSRC != first.sections.last?.localSSRC)
        #expect(reused.sections.last?.localRTXSSRC != first.sections.last?.localRTXSSRC)
        #expect(brokenRules(offer: try SessionDescription(parsing: text), answer: try server.answer()) == [])
    }

    @Test func theFirstMLineMayStopAndTheTransportMovesOn() throws {
        var server = Server()
        try server.receive(Offer.make([("a", Offer.audio()), ("v", Offer.video())]))
        try server.receive(Offer.make([("a", Offer.audio("inactive", port: 0)), ("v", Offer.video())], group: ["v"]))
        #expect(!server.negotiator.isICERestart)
        #expect(try server.answer().media.map { $0.candidates.count } == [0, 2])
    }

    @Test func everyMLineMayStop() throws {
        var server = Server()
        let first = try server.receive(Offer.make([("a", Offer.audio())]))
        let empty = try server.receive(Offer.make([("a", Offer.audio("inactive", port: 0))], group: []))
        #expect(empty.sections.isEmpty)
        #expect(empty.transport == first.transport)
        #expect(try server.answer().bundle == nil)
    }

    @Test func aRejectedMLineMayBeOfferedAgain() throws {
        let data = ("d", ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel"])
        var server = Server()
        try server.receive(Offer.make([data, ("a", Offer.audio())]))
        try server.receive(Offer.make([data, ("a", Offer.audio())]))
        #expect(try server.answer().media.map { $0.port } == [0, 9])
        let reused = try server.receive(Offer.make([("v", Offer.video()), ("a", Offer.audio())]))
        #expect(reused.sections.map { $0.mid } == ["v", "a"])
    }

    @Test func aThousandRenegotiationsDoNotGrow() throws {
        var server = Server()
        var sizes: Set<Int> = []
        var ssrcs: Set<SSRC> = []
        for round in 0..<1_000 {
            let isStopped = round.isMultiple(of: 2)
            let text = Offer.make(
                [
                    ("a", Offer.audio("sendonly")),
                    ("v\(1_000 + round / 2)", Offer.video("recvonly", port: isStopped ? 9 : 0)),
                ],
                group: isStopped ? nil : ["a"]
            )
            let session = try server.receive(text)
            #expect(session.sections.count == (isStopped ? 2 : 1))
            if isStopped {
                sizes.insert(try server.answer().media.flatMap { $0.attributes }.count)
                if let section = session.sections.last { ssrcs.insert(section.localSSRC) }
            }
        }
        #expect(sizes.count == 1)
        #expect(ssrcs.count == 500)
    }
}

@Suite struct ICERestartTests {
    private static let otherPassword = "abcdefghijkl0123456789"

    @Test func bothCredentialsChange() throws {
        var server = Server()
        let sections = [("a", Offer.audio())]
        try server.receive(Offer.make(sections))
        #expect(!server.negotiator.isICERestart)
        let session = try server.receive(Offer.make(sections, ufrag: "efgh", password: Self.otherPassword))
        #expect(server.negotiator.isICERestart)
        #expect(session.transport.usernameFragment == "efgh")
        try server.receive(Offer.make(sections, ufrag: "efgh", password: Self.otherPassword))
        #expect(!server.negotiator.isICERestart)
    }

    @Test func oneOfThemAloneIsAnError() throws {
        var server = Server()
        try server.receive(Offer.make([("a", Offer.audio())]))
        #expect(throws: NegotiationError.self) { try server.receive(Offer.make([("a", Offer.audio())], ufrag: "efgh")) }
        #expect(throws: NegotiationError.self) {
            try server.receive(Offer.make([("a", Offer.audio())], password: Self.otherPassword))
        }
        #expect(server.negotiator.session?.transport.usernameFragment == "abcd")
    }

    @Test func anotherCertificateIsAnotherSession() throws {
        var server = Server()
        try server.receive(Offer.make([("a", Offer.audio())]))
        let digest = Array(repeating: "CD", count: 32).joined(separator: ":")
        let error = #expect(throws: NegotiationError.self) {
            try server.receive(Offer.make([("a", Offer.audio())], fingerprint: "sha-256 \(digest)"))
        }
        #expect(try #require(error).reason.contains("a=fingerprint"))
    }

    @Test func byFragment() throws {
        var server = Server()
        try server.receive(Offer.make([("a", Offer.audio()), ("v", Offer.video())]))
        let trickle = try TrickleFragment(parsing: "a=ice-ufrag:abcd\r\na=ice-pwd:\(Offer.password)\r\n")
        _ = try server.negotiator.receive(fragment: trickle)
        #expect(!server.negotiator.isICERestart)
        let restart = TrickleFragment(usernameFragment: "efgh", password: Self.otherPassword)
        let session = try server.negotiator.receive(fragment: restart)
        #expect(server.negotiator.isICERestart)
        #expect(session.transport.usernameFragment == "efgh")
        #expect(session.sections.count == 2)
        let reply = server.negotiator.restartFragment(local: serverTransport)
        #expect(
            try TrickleFragment(parsing: reply.description)
                == TrickleFragment(
                    usernameFragment: "srvu",
                    password: "serverpasswordserverpass",
                    options: ["trickle", "ice2"],
                    isICELite: true,
                    mids: ["a"],
                    candidates: [
                        "candidate:1 1 udp 2130706431 192.0.2.1 7880 typ host",
                        "candidate:2 1 udp 2130706175 2001:db8::1 7880 typ host",
                    ],
                    hasEndOfCandidates: true
                )
        )
    }

    @Test func fragmentWithHalfACredential() throws {
        var server = Server()
        #expect(throws: NegotiationError.self) { try server.negotiator.receive(fragment: TrickleFragment()) }
        try server.receive(Offer.make([("a", Offer.audio())]))
        #expect(throws: NegotiationError.self) {
            try server.negotiator.receive(fragment: TrickleFragment(usernameFragment: "efgh"))
        }
    }
}
