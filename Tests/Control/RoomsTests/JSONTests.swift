import Rooms
import TestSupport
import Testing

@Suite struct JSONTests {
    @Test(
        arguments: [
            ("null", JSONValue.null), ("true", true), (" false ", false), ("0", 0), ("-7", -7), ("1.5e1", 15.0),
            ("9223372036854775807", .integer(.max)), ("9223372036854775808", .number(9_223_372_036_854_775_808)),
            (#""a\u00e9\n\ud83d\ude00\/""#, "aé\n😀/"), ("[]", []), ("[1,[2]]", [1, [2]]), ("{}", [:]),
            (#"{"a":{"b":[true,null]}}"#, ["a": ["b": [true, .null]]]),
        ] as [(String, JSONValue)]
    )
    func readsWhatIsJSON(text: String, value: JSONValue) throws { #expect(try JSONValue(parsing: text) == value) }

    @Test(arguments: [
        "", " ", "nul", "tru", "01", "-", "1.", ".5", "1e", "+1", "0x1", "NaN", "Infinity", "1e999", "[1,]", "[,1]",
        "[1 2]",
        "{", "{a:1}", #"{"a"}"#, #"{"a":1,}"#, #"{"a":1 "b":2}"#, #""unclosed"#, "\"a\nb\"", #""\x""#, #""\u12""#,
        #""\ud800""#, #""\ud800x""#, #""\ud800\u0041""#, #""\udc00""#, "1 1", "[1]]", #"{"a":1,"a":2}"#,
        #"{"a":1,"\u0061":2}"#, String(repeating: "9", count: 70), "'a'", "// c\n1",
    ])
    func refusesWhatIsNot(text: String) { #expect(throws: JSONError.self) { try JSONValue(parsing: text) } }

    @Test func refusesBytesThatAreNoText() {
        #expect(throws: JSONError.self) { try JSONValue(parsing: [0x22, 0xC0, 0x80, 0x22]) }
        #expect(throws: JSONError.self) { try JSONValue(parsing: [0x22, 0xED, 0xA0, 0x80, 0x22]) }
    }

    @Test func nestsToItsLimitAndNotBelow() throws {
        let nested = { String(repeating: "[", count: $0) + String(repeating: "]", count: $0) }
        _ = try JSONValue(parsing: nested(16))
        #expect(throws: JSONError.tooDeep) { try JSONValue(parsing: nested(17)) }
        #expect(throws: JSONError.tooDeep) { try JSONValue(parsing: String(repeating: #"{"a":"#, count: 10_000)) }
    }

    @Test func isBoundedInSize() {
        let text = "\"" + String(repeating: "x", count: 65_535) + "\""
        #expect(throws: JSONError.tooLarge) { try JSONValue(parsing: text) }
    }

    @Test func writesWhatItReads() throws {
        let text = #"{"a":[1,-2.5,true,null],"b":"quote \" back \\ tab \t nul \u0000 é 😀"}"#
        #expect(try JSONValue(parsing: text).text == text)
    }

    /// Random bytes out of what JSON is made of: never a trap, and what is read survives a round trip.
    @Test func neverTrapsOnNoise() throws {
        var random = SeededRandom(seed: 71)
        let pieces = [
            "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "d800", "dc00", "1", "-", "e", ".", "true", "null", "é",
            " ", "a",
        ]
        var readable = 0
        for _ in 0..<20_000 {
            let text = (0..<Int.random(in: 0..<12, using: &random)).map { _ in
                pieces.randomElement(using: &random) ?? ""
            }
            guard let value = try? JSONValue(parsing: text.joined()) else { continue }
            readable += 1
            #expect(try JSONValue(parsing: value.text) == value)
        }
        #expect(readable > 100)
    }
}
