import LoadClient
import Testing

@Suite struct AskedNumbersTests {
    @Test func `what was asked for is known until 512 numbers later`() {
        var asked = AskedNumbers()
        for number in [-600, -1, 0, 7] as [Int64] { #expect(!asked.contains(number)) }
        for number in [-600, -1, 0, 7] as [Int64] { asked.note(number) }
        for number in [-600, -1, 0, 7] as [Int64] { #expect(asked.contains(number)) }
        for number in [-599, 1, 6, 8, 519, 512, 511] as [Int64] { #expect(!asked.contains(number)) }
        asked.note(519)
        #expect(asked.contains(519) && !asked.contains(7))
    }
}
