import MediaPlane
import Testing

@Suite struct MemoryReturnTests {
    /// The seconds at which memory is given back, from 0.
    private static func seconds(_ sessions: [Int]) -> [Int] {
        var policy = MemoryReturn()
        return sessions.indices.filter { policy.isDue(sessions: sessions[$0]) }
    }

    @Test(arguments: [
        (name: "nobody", sessions: [0, 0, 0], expected: []),
        (name: "they come and stay", sessions: [0, 200, 400, 400, 400], expected: []),
        (name: "all leave at once", sessions: [400, 400, 0, 0, 0, 0], expected: [3]),
        (name: "all leave over some seconds", sessions: [5_000, 3_000, 1_000, 0, 0, 0], expected: [4]),
        (name: "a few leave", sessions: [5_000, 4_000, 4_000, 4_000], expected: []),
        (name: "few of few leave", sessions: [80, 20, 20, 20], expected: []),
        (name: "some leave, later the others", sessions: [400, 200, 200, 200, 0, 0, 0], expected: [2, 5]),
        (name: "they come again and leave again", sessions: [400, 0, 0, 400, 400, 0, 0], expected: [2, 6]),
    ])
    func `memory is given back once many have left, and only then`(name: String, sessions: [Int], expected: [Int]) {
        #expect(Self.seconds(sessions) == expected, "\(name)")
    }

    @Test func `it does not wait for the last of many who leave one by one`() throws {
        let sessions = (0...1_000).map { max(0, 5_000 - 50 * $0) }
        let seconds = Self.seconds(sessions)
        let first = try #require(seconds.first)
        #expect(sessions[first] > 2_500)
        // Each time costs a walk through the heaps.
        #expect((2...16).contains(seconds.count))
        let last = try #require(seconds.last)
        #expect(sessions[last] < 64)
    }

    @Test func `come and go in equal measure gives nothing back`() {
        #expect(Self.seconds((0..<600).map { 1_000 + ($0.isMultiple(of: 2) ? 100 : 0) }) == [])
    }
}
