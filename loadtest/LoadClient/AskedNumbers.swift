/// The sequence numbers that were asked for lately. A stream without RTX is sent the very same packets again, which tell
/// nothing of that by themselves.
package struct AskedNumbers: Sendable {
    private static let count = 512

    private var numbers: [Int64] = []

    package init() {}

    /// - Parameter sequence: unwrapped.
    package mutating func note(_ sequence: Int64) {
        if self.numbers.isEmpty { self.numbers = Array(repeating: .min, count: Self.count) }
        self.numbers[Self.slot(sequence)] = sequence
    }

    /// Whether it was asked for, and none since that is 512 before or after it.
    package func contains(_ sequence: Int64) -> Bool {
        !self.numbers.isEmpty && self.numbers[Self.slot(sequence)] == sequence
    }

    private static func slot(_ sequence: Int64) -> Int { Int(sequence & Int64(Self.count - 1)) }
}
