import Basics
import ControlTestSupport
import Rooms
import Signalling
import Testing

/// The protocol of design/interfaces.md, section 4, over a real WebSocket.
@Suite(.timeLimit(.minutes(2))) struct SignallingFlowTests {
    @Test func twoJoinAndOneIsSentWhatTheOtherPublishes() async throws {
        try await TestServer.run { server in
            try await WebSocketClient.open(port: server.port) { alice in
                #expect(alice.handshake.status == 101)
                #expect(alice.handshake.headers["sec-websocket-protocol"] == "sluice.v1")
                let joined = try await alice.join(identity: "alice")
                #expect(joined["roomId"] == "r")
                #expect(joined["participants"] == [])
                #expect(joined["iceServers"] == [])
                #expect(joined["resumeToken"]?.stringValue?.isEmpty == false)
                #expect(joined["serverVersion"]?.stringValue?.isEmpty == false)
                let aliceID = try #require(joined["participantId"]?.stringValue)

                try await alice.send("publish", ["tracks": [["mid": "0", "source": "screen", "name": "slides"]]])
                try await alice.send("offer", ["sdp": .string(Offer().publishing("video").sdp)], id: 2)
                let published = try await alice.expect("trackPublished")
                #expect(published["mid"] == "0")
                let answer = try await alice.expect("answer")
                #expect(answer["sdp"]?.stringValue?.hasPrefix("v=0\r\n") == true)
                #expect(answer["bindings"] == [])

                try await WebSocketClient.open(port: server.port) { bob in
                    let joined = try await bob.join(identity: "bob")
                    let track = try #require(joined["participants"]?.arrayValue?.first?["tracks"]?.arrayValue?.first)
                    #expect(track["source"] == "screen")
                    #expect(track["name"] == "slides")
                    #expect(track["kind"] == "video")
                    #expect(track["codec"] == "vp8")
                    #expect(track["muted"] == false)
                    try await bob.send("offer", ["sdp": .string(Offer().taking("video").sdp)], id: 7)
                    let answer = try await bob.expect("answer")
                    #expect(answer["bindings"] == [["mid": "0", "trackId": track["id"] ?? .null]])
                    #expect(answer["sdp"]?.stringValue?.contains("a=msid:\(aliceID) ") == true)
                }
                #expect(try await alice.expect("participantJoined")["participant"]?["identity"] == "bob")
            }
        }
    }

    @Test func aTrackThatComesLaterIsToldWithItsSection() async throws {
        try await TestServer.run { server in
            try await WebSocketClient.open(port: server.port) { bob in
                _ = try await bob.join(identity: "bob")
                try await bob.send("offer", ["sdp": .string(Offer().taking("audio", "video").sdp)])
                _ = try await bob.expect("answer")
                try await WebSocketClient.open(port: server.port) { alice in
                    _ = try await alice.join(identity: "alice")
                    try await alice.send("offer", ["sdp": .string(Offer().publishing("video").sdp)])
                    _ = try await alice.expect("answer")
                    try await alice.send("leave")
                    #expect(try await alice.expectClose() == 1000)
                }
                let track = try await bob.expect("trackPublished")["track"]?["id"]
                #expect(try await bob.expect("subscribed") == ["trackId": track ?? .null, "mid": "1"])
                #expect(try await bob.expect("trackUnpublished") == ["trackId": track ?? .null])
                #expect(try await bob.expect("participantLeft")["reason"] == "left")
            }
        }
    }

    @Test func withoutAutoSubscribeTheClientChooses() async throws {
        try await TestServer.run { server in
            try await WebSocketClient.open(port: server.port) { alice in
                _ = try await alice.join(identity: "alice")
                try await alice.send("offer", ["sdp": .string(Offer().publishing("video").sdp)])
                let track = try await alice.expect("trackPublished")["track"]?["id"] ?? .null
                try await WebSocketClient.open(port: server.port) { bob in
                    try await bob.send("join", ["roomId": "r", "autoSubscribe": false])
                    _ = try await bob.expect("joined")
                    try await bob.send("offer", ["sdp": .string(Offer().taking("video").sdp)])
                    #expect(try await bob.expect("answer")["bindings"] == [])
                    try await bob.send("subscribe", ["trackId": track, "mid": "0"], id: 5)
                    #expect(try await bob.expect("subscribed") == ["trackId": track, "mid": "0"])
                    try await bob.send("prefer", ["trackId": track, "maxHeight": 360, "priority": 200, "paused": true])
                    try await bob.send("unsubscribe", ["trackId": track], id: 6)
                    #expect(try await bob.expect("unsubscribed") == ["trackId": track])
                    try await bob.send("subscribe", ["trackId": "TR_none"], id: 8)
                    #expect(try await bob.expect("error")["code"] == "noSuchTrack")
                }
            }
        }
    }

    @Test func everyReplyAndEveryErrorEchoesTheID() async throws {
        try await TestServer.run { server in
            try await WebSocketClient.open(port: server.port) { client in
                let cases: [(text: String, type: String, code: String?)] = [
                    (#"{"type":"stats","payload":{},"id":1}"#, "error", "badMessage"),
                    (#"{"type":"join","payload":{"roomId":"r"},"id":2}"#, "joined", nil),
                    (#"{"type":"join","payload":{"roomId":"r"},"id":3}"#, "error", "badMessage"),
                    (#"{"type":"offer","payload":{"sdp":"v=0"},"id":4}"#, "error", "sdpInvalid"),
                    (#"{"type":"nonsense","payload":{},"id":5}"#, "error", "badMessage"),
                    (#"{"type":"stats","payload":{},"id":6}"#, "stats", nil),
                    (#"{"type":"mute","payload":{"trackId":"x","muted":true},"id":7}"#, "error", "noSuchTrack"),
                    (#"{"type":"offer","payload":{"sdp":"x","to":"PA_none"},"id":8}"#, "error", "noSuchParticipant"),
                    (
                        #"{"type":"setMetadata","payload":{"metadata":"\#(String(repeating: "x", count: 4_095))"},"id":9}"#,
                        "error", "badMessage"
                    ),
                ]
                for (index, entry) in cases.enumerated() {
                    try await client.send(text: entry.text)
                    guard case .text(let reply) = try await client.receive() else {
                        Issue.record("no reply to \(entry.text)")
                        return
                    }
                    #expect(reply["type"]?.stringValue == entry.type, "\(entry.text)")
                    #expect(reply["id"] == JSONValue(index + 1), "\(entry.text)")
                    if let code = entry.code {
                        #expect(reply["payload"]?["code"]?.stringValue == code, "\(entry.text)")
                    }
                }
            }
        }
    }

    @Test func peersMayCallEachOtherDirectly() async throws {
        try await TestServer.run { server in
            try await WebSocketClient.open(port: server.port) { alice in
                let aliceID = try await alice.join(identity: "alice")["participantId"]?.stringValue ?? ""
                try await WebSocketClient.open(port: server.port) { bob in
                    let bobID = try await bob.join(identity: "bob")["participantId"]?.stringValue ?? ""
                    try await bob.send("offer", ["sdp": "any text", "to": .string(aliceID)])
                    try await bob.send("ice", ["candidate": "c", "sdpMid": "0", "to": .string(aliceID)])
                    try await bob.send("ice", ["candidate": .null, "to": .string(aliceID)])
                    // An answer from bob would go to alice the same way; the one without `to` has no meaning.
                    try await bob.send("answer", ["sdp": "x"], id: 3)
                    #expect(try await bob.expect("error")["code"] == "badMessage")
                    #expect(bobID.hasPrefix("PA_"))
                    try await bob.send("leave", ["to": .string(aliceID)])
                    try await bob.send("join", ["to": .string(aliceID), "roomId": "theirs"])
                    try await bob.send("mute", ["to": .string(bobID), "any": [1, 2]])
                    #expect(try await bob.expect("mute") == ["any": [1, 2], "from": .string(bobID)])
                    // Leaving a call is not leaving the room.
                    try await bob.send("stats")
                    _ = try await bob.expect("stats")
                }
                #expect(try await alice.expect("offer")["sdp"] == "any text")
                let candidate = try await alice.expect("ice")
                #expect(candidate["sdpMid"] == "0")
                #expect(candidate["from"]?.stringValue?.hasPrefix("PA_") == true)
                #expect(candidate["to"] == nil)
                #expect(try await alice.expect("ice")["candidate"] == .null)
                #expect(try await alice.expect("leave")["from"] != nil)
                #expect(try await alice.expect("join")["roomId"] == "theirs")
            }
        }
    }

    @Test func aLostWebSocketIsResumed() async throws {
        try await TestServer.run { server in
            let first = try await WebSocketClient.open(port: server.port) { client in
                let joined = try await client.join(identity: "alice")
                try await client.send("offer", ["sdp": .string(Offer().publishing("audio").sdp)])
                _ = try await client.expect("answer")
                return joined
            }
            try await WebSocketClient.open(port: server.port) { client in
                try await client.send("join", ["roomId": "r", "resume": first["resumeToken"] ?? .null])
                let joined = try await client.expect("joined")
                #expect(joined["participantId"] == first["participantId"])
                #expect(joined["resumeToken"] != first["resumeToken"])
                let room = try #require(await server.directory.room(RoomID("r")))
                #expect(await room.visibleParticipants.first?.tracks.count == 1)
                #expect(server.worker.sessions.count == 1)
            }
            try await WebSocketClient.open(port: server.port) { client in
                // A token that is good for nothing is an ordinary join.
                try await client.send("join", ["roomId": "r", "resume": "nothing"])
                #expect(try await client.expect("joined")["participantId"] != first["participantId"])
            }
        }
    }

    @Test func aSecondJoinWithOneIdentityEndsTheFirst() async throws {
        try await TestServer.run { server in
            try await WebSocketClient.open(port: server.port) { first in
                _ = try await first.join(identity: "alice")
                try await WebSocketClient.open(port: server.port) { second in
                    _ = try await second.join(identity: "alice")
                }
                #expect(try await first.expectClose() == 1008)
            }
        }
    }

    @Test func drainingIsToldAndRefusesJoins() async throws {
        try await TestServer.run { server in
            try await WebSocketClient.open(port: server.port) { alice in
                _ = try await alice.join(identity: "alice")
                await server.directory.drain(deadline: 1_795_240_800)
                #expect(try await alice.expect("draining") == ["deadline": "2026-11-21T06:00:00Z"])
                try await WebSocketClient.open(port: server.port) { bob in
                    try await bob.send("join", ["roomId": "r"], id: 1)
                    #expect(try await bob.expect("error")["code"] == "draining")
                }
            }
        }
    }

    @Test func `a server that stops goes away, and a room that is closed is over`() async throws {
        try await TestServer.run { server in
            try await WebSocketClient.open(port: server.port) { client in
                _ = try await client.join("over", identity: "alice")
                #expect(await server.directory.close(RoomID("over")))
                #expect(try await client.expectClose() == 1000)
            }
            try await WebSocketClient.open(port: server.port) { client in
                _ = try await client.join("goes on", identity: "alice")
                await server.directory.drain(deadline: 1_795_240_800)
                await server.directory.stop()
                #expect(try await client.expectClose() == 1001)
            }
        }
    }

    @Test func tokensDecideWhoAndWhat() async throws {
        try await TestServer.run(needsTokens: true) { server in
            let good = try await server.token(grants: Grants(publish: false))
            let otherRoom = try await server.token(room: "other")
            try await WebSocketClient.open(port: server.port) { client in
                for (token, code) in [(nil, "unauthorized"), ("x.y.z", "unauthorized"), (otherRoom, "forbidden")] {
                    var payload: [String: JSONValue] = ["roomId": "r", "identity": "root"]
                    if let token { payload["token"] = .string(token) }
                    try await client.send("join", .object(payload))
                    #expect(try await client.expect("error")["code"]?.stringValue == code)
                }
                let joined = try await client.join(identity: "root", token: good)
                let room = try #require(await server.directory.room(RoomID("r")))
                #expect(await room.visibleParticipants.map(\.identity) == ["alice"])
                #expect(joined["participants"] == [])
                try await client.send("publish", ["tracks": [["mid": "0", "source": "camera"]]], id: 2)
                #expect(try await client.expect("error")["code"] == "forbidden")
                try await client.send("offer", ["sdp": .string(Offer().publishing("video").sdp)], id: 3)
                #expect(try await client.expect("error")["code"] == "forbidden")
                try await client.send("offer", ["sdp": .string(Offer().taking("video").sdp)], id: 4)
                _ = try await client.expect("answer")
            }
        }
    }

    @Test func `a token without an identity lets nobody be whom another's token names`() async throws {
        try await TestServer.run(needsTokens: true) { server in
            let named = try await server.token()
            let nameless = try await server.token(identity: nil)
            try await WebSocketClient.open(port: server.port) { alice in
                _ = try await alice.join(identity: "", token: named)
                try await WebSocketClient.open(port: server.port) { other in
                    let join: JSONValue = ["roomId": "r", "identity": "alice", "token": .string(nameless)]
                    try await other.send("join", join)
                    #expect(try await other.expect("error")["code"] == "forbidden")
                    _ = try await other.join(identity: "bob", token: nameless)
                }
                let headers = ["Content-Type": "application/sdp", "Authorization": "Bearer \(nameless)"]
                let reply = try await HTTPReply.request(
                    "POST",
                    "/whip/r/alice",
                    port: server.port,
                    headers: headers,
                    body: Offer().publishing("video").sdp
                )
                #expect(reply.status == 403)
                try await alice.send("stats")
                _ = try await alice.expect("stats")
            }
        }
    }

    @Test func whoIsTakenOutDoesNotComeBackWithTheSameToken() async throws {
        try await TestServer.run(needsTokens: true) { server in
            let token = try await server.token()
            try await WebSocketClient.open(port: server.port) { client in
                let id = ParticipantID(
                    try await client.join(identity: "", token: token)["participantId"]?.stringValue ?? ""
                )
                try await server.directory.room(RoomID("r"))?.remove(id)
                #expect(try await client.expectClose() == 1008)
            }
            try await WebSocketClient.open(port: server.port) { client in
                try await client.send("join", ["roomId": "r", "token": .string(token)])
                #expect(try await client.expect("error")["code"] == "unauthorized")
            }
        }
    }

    @Test func joinsPerAddressAreLimited() async throws {
        var limits = TestServer.patientLimits
        limits.joinsPerSecondPerAddress = 2
        try await TestServer.run(limits: limits) { server in
            let port = server.port
            // Together: one after the other, they might take so long on a busy machine that all are let in.
            let codes: [String] = try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<20 {
                    group.addTask {
                        try await WebSocketClient.open(port: port) { client in
                            try await client.send("join", ["roomId": "r"])
                            guard case .text(let reply) = try await client.receive() else { return "" }
                            return reply["payload"]?["code"]?.stringValue ?? "ok"
                        }
                    }
                }
                return try await group.reduce(into: [String]()) { $0.append($1) }
            }
            #expect(codes.filter { $0 == "ok" }.count >= 2)
            #expect(codes.contains("rateLimited"))
        }
    }

    @Test func `who comes back is no joiner and is not limited as one, but wrong tokens are`() async throws {
        var limits = TestServer.patientLimits
        limits.joinsPerSecondPerAddress = 1
        // Stands still: there is one join for all time.
        try await TestServer.run(limits: limits, now: { Instant(nanoseconds: 0) }) { server in
            let port = server.port
            var token = try await WebSocketClient.open(port: port) { client in
                try await client.join(identity: "alice")["resumeToken"] ?? .null
            }
            for _ in 0..<5 {
                token = try await WebSocketClient.open(port: port) { [token] client in
                    try await client.send("join", ["roomId": "r", "resume": token])
                    return try await client.expect("joined")["resumeToken"] ?? .null
                }
            }
            try await WebSocketClient.open(port: port) { [token] client in
                try await client.send("join", ["roomId": "r", "resume": "wrong"])
                #expect(try await client.expect("error")["code"] == "rateLimited")
                // After a wrong one a connection has no other try beside the limit.
                try await client.send("join", ["roomId": "r", "resume": token])
                #expect(try await client.expect("error")["code"] == "rateLimited")
            }
        }
    }

    @Test func statsHaveTheirMembersBeforeThereIsMedia() async throws {
        try await TestServer.run { server in
            try await WebSocketClient.open(port: server.port) { client in
                try await client.send("join", ["roomId": "r"])
                _ = try await client.expect("joined")
                try await client.send("stats")
                let stats = try await client.expect("stats")
                #expect(stats == ["transport": .null, "inbound": [], "outbound": [], "quality": .null])
            }
        }
    }
}
