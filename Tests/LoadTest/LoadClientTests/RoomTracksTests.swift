import LoadClient
import TestSupport
import Testing

@Suite struct RoomTracksTests {
    private func take(_ json: String, _ tracks: inout RoomTracks) -> [RoomTracks.Change] {
        guard let message = SignalMessage(Array(json.utf8)) else {
            Issue.record("no message: \(json)")
            return []
        }
        return tracks.receive(message)
    }

    @Test func `a track flows once it is bound, pauses when the server or its owner says so, and ends`() {
        var tracks = RoomTracks()
        _ = self.take(
            #"{"type":"joined","id":1,"payload":{"roomId":"r","participantId":"p1","resumeToken":"x","participants":"#
                + #"[{"id":"p2","tracks":[{"id":"t2","kind":"audio","muted":false}]}]}}"#,
            &tracks
        )
        let answer = #"{"type":"answer","id":2,"payload":{"sdp":"v=0","bindings":[{"mid":"1","trackId":"t2"}]}}"#
        #expect(self.take(answer, &tracks) == [.bound(trackID: "t2"), .state(mid: "1", .flowing)])
        #expect(self.take(answer, &tracks) == [])
        let layer = #"{"type":"layer","payload":{"trackId":"t2","spatial":-1,"paused":true}}"#
        #expect(self.take(layer, &tracks) == [.state(mid: "1", .paused)])
        let muted =
            #"{"type":"participantChanged","payload":{"participant":{"id":"p2","#
            + #""tracks":[{"id":"t2","kind":"audio","muted":true}]}}}"#
        #expect(self.take(muted, &tracks) == [.state(mid: "1", .paused)])
        // Muted still.
        let flows = #"{"type":"layer","payload":{"trackId":"t2","spatial":0,"paused":false}}"#
        #expect(self.take(flows, &tracks) == [.state(mid: "1", .paused)])
        let left = #"{"type":"participantLeft","payload":{"participantId":"p2","reason":"left"}}"#
        #expect(self.take(left, &tracks) == [.state(mid: "1", .unbound)])
    }

    @Test func `later tracks are bound by name, and one's own are known by their mid`() {
        var tracks = RoomTracks()
        _ = self.take(#"{"type":"joined","payload":{"participantId":"p1"}}"#, &tracks)
        let own =
            #"{"type":"trackPublished","payload":{"participantId":"p1","mid":"0","track":{"id":"t1","kind":"audio"}}}"#
        #expect(self.take(own, &tracks) == [])
        #expect(tracks.published == ["0": "t1"])
        let bound = #"{"type":"subscribed","payload":{"trackId":"t5","mid":"3"}}"#
        #expect(self.take(bound, &tracks) == [.bound(trackID: "t5"), .state(mid: "3", .flowing)])
        let ended = #"{"type":"trackUnpublished","payload":{"trackId":"t5"}}"#
        #expect(self.take(ended, &tracks) == [.state(mid: "3", .unbound)])
        #expect(self.take(ended, &tracks) == [])
    }

    @Test func `errors that answer nothing are kept, and what is no message is none`() {
        var tracks = RoomTracks()
        _ = self.take(#"{"type":"error","payload":{"code":"badMessage","message":"no"}}"#, &tracks)
        #expect(tracks.errors == ["no"])
        let quality = #"{"payload":{"participantId":"p1","score":5},"type":"quality"}"#
        for text in ["", "[]", "{}", "{\"type\":3}", "\u{0}", quality] {
            #expect(SignalMessage(Array(text.utf8)) == nil)
        }
    }
}
