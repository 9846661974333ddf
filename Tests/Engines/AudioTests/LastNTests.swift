import Audio
import Testing

@Suite("Last N")
struct LastNTests {
    private enum Event {
        case join(String), leave(Character), spoke(String), limit(Int?)
    }

    private static let table: [(Event, String)] = [
        (.join("abcde"), "abc"),
        (.spoke("b"), "abc"),
        // Somebody else takes the place of the last that never spoke.
        (.spoke("e"), "abe"),
        (.spoke("a"), "abe"),
        // All of them have spoken now: b did so longest ago.
        (.spoke("d"), "ade"),
        (.spoke("eda"), "ade"),
        (.join("f"), "ade"),
        (.leave("d"), "abe"),
        (.leave("b"), "ace"),
        (.spoke("x"), "ace"),
        (.join("a"), "ace"),
        (.limit(1), "a"),
        (.limit(0), ""),
        (.limit(-3), ""),
        (.limit(nil), "acef"),
        (.limit(3), "ace"),
    ]

    @Test("those that spoke last, then those that joined first, in order of joining")
    func table() {
        var lastN = LastN<Character>(limit: 3)
        for (index, row) in Self.table.enumerated() {
            switch row.0 {
            case .join(let keys): for key in keys { lastN.join(key) }
            case .leave(let key): lastN.leave(key)
            case .spoke(let keys): for key in keys { lastN.spoke(key) }
            case .limit(let limit): lastN.limit = limit
            }
            #expect(String(lastN.shown()) == row.1, "row \(index)")
        }
    }

    @Test("a viewer sees N others")
    func viewer() {
        var lastN = LastN<Character>(limit: 2)
        for key in "abcd" { lastN.join(key) }
        lastN.spoke("d")
        #expect(lastN.shown(to: "a") == ["b", "d"])
        #expect(lastN.shown(to: "d") == ["a", "b"])
        #expect(lastN.shown(to: "z") == ["a", "d"])
    }
}
