import Foundation
import LoadRunner
import TestSupport
import Testing

@Suite struct TokenNotesTests {
    private static func token(_ claims: String) -> String {
        let payload = Data(claims.utf8).base64EncodedString()
            .replacing("+", with: "-")
            .replacing("/", with: "_")
            .replacing("=", with: "")
        return "e30.\(payload).c2ln"
    }

    private static func scenario(rooms: Int = 1) -> Scenario {
        var scenario = Scenario(name: "one room")
        var publisher = ParticipantGroup(name: "publishers")
        publisher.publishes = true
        scenario.publishers = [publisher]
        scenario.subscribers = [ParticipantGroup(name: "subscribers")]
        scenario.rooms = rooms
        return scenario
    }

    @Test(arguments: [
        (#"{"iss":"key","room":"*","exp":2000}"#, 3, []),
        (#"{"iss":"key","room":"load0","exp":2000}"#, 1, []),
        (#"{"iss":"key","room":"load0","exp":2000}"#, 2, ["load0 to load1"]),
        (#"{"iss":"key","room":"other","exp":2000}"#, 1, ["this run uses load0"]),
        (#"{"iss":"key","sub":"ada","room":"*","exp":2000}"#, 1, ["\"ada\", and 2 participants"]),
        (#"{"iss":"key","sub":"ödipus?","room":"*","exp":900}"#, 1, ["ödipus?", "expired 100 s ago"]),
        (#"["no claims"]"#, 1, []),
    ])
    func `a token that will not do for all is told of before the run`(
        _ claims: String,
        _ rooms: Int,
        _ expected: [String]
    ) {
        let notes = TokenNotes.notes(
            on: Self.token(claims),
            for: Self.scenario(rooms: rooms),
            rooms: "load",
            now: 1_000
        )
        #expect(notes.count == expected.count, "\(notes)")
        for (note, part) in zip(notes, expected) { #expect(note.contains(part), "\(note)") }
    }

    @Test func `what is no JWT is the server's to judge`() {
        for token in ["", "secret", "a.b", "a.!!.c"] {
            #expect(TokenNotes.notes(on: token, for: Self.scenario(), rooms: "load", now: 0).isEmpty)
        }
    }
}
