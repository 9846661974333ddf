import Negotiation
import SDP
import TestSupport
import Testing

/// Damaged offers: whatever comes, the server answers by the rules or refuses, and goes on.
@Suite struct MutationTests {
    @Test(arguments: 0..<8)
    func damagedOffersAreAnsweredOrRefused(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let originals = try Offer.fixtures.map { offer in
            let parsed = try SessionDescription(parsing: offer.text)
            return parsed.description.split(separator: "\r\n").map { String($0) }
        }.filter { $0.count < 200 }
        var answered = 0
        var refused = 0
        for _ in 0..<1_250 {
            var lines = originals[Int.random(in: 0..<originals.count, using: &random)]
            for _ in 0..<Int.random(in: 1...4, using: &random) { Self.damage(&lines, using: &random) }
            let text = lines.joined(separator: "\r\n") + "\r\n"
            var server = Server(codecs: Codec.allCases, seed: seed)
            do throws(NegotiationError) {
                try server.receive(text)
            } catch {
                #expect(!error.reason.isEmpty)
                refused += 1
                continue
            }
            answered += 1
            // Reading both texts again costs more than the answer: every fourth is enough.
            guard answered.isMultiple(of: 4) else { continue }
            let offer = try SessionDescription(parsing: text)
            let broken = brokenRules(offer: offer, answer: try server.answer())
            #expect(broken == [], "\(text)")
        }
        // A generator that only ever made one of them would test nothing.
        #expect(answered > 50 && refused > 50)
    }

    private static func damage(_ lines: inout [String], using random: inout SeededRandom) {
        guard !lines.isEmpty else { return }
        let index = Int.random(in: 0..<lines.count, using: &random)
        switch Int.random(in: 0..<8, using: &random) {
        case 0: lines.remove(at: index)
        case 1: lines.insert(lines[index], at: Int.random(in: 0...lines.count, using: &random))
        case 2: lines.swapAt(index, Int.random(in: 0..<lines.count, using: &random))
        case 3: lines[index] = String(lines[index].prefix(Int.random(in: 0...lines[index].count, using: &random)))
        case 4:
            let numbers = ["0", "-1", "65536", "4294967296", "18446744073709551616", "127", "128", "96", "1"]
            let words = lines[index].split(separator: " ", omittingEmptySubsequences: false)
            let word = Int.random(in: 0..<words.count, using: &random)
            let number = Substring(numbers[Int.random(in: 0..<numbers.count, using: &random)])
            lines[index] = words.enumerated().map { $0 == word ? number : $1 }.joined(separator: " ")
        case 5:
            var scalars = Array(lines[index].unicodeScalars)
            guard !scalars.isEmpty else { return }
            let position = Int.random(in: 0..<scalars.count, using: &random)
            scalars[position] = UnicodeScalar(UInt8.random(in: 0...255, using: &random))
            lines[index] = String(String.UnicodeScalarView(scalars))
        case 6: lines[index] += String(repeating: " 7", count: Int.random(in: 1...300, using: &random))
        default:
            let other = lines[Int.random(in: 0..<lines.count, using: &random)]
            lines[index] = String(lines[index].prefix(6)) + String(other.dropFirst(6))
        }
    }
}
