public import Basics

/// A MID or RID: 1 to 16 token characters (RFC 8866 §9), held without an allocation.
///
/// The standards allow longer ones; no client makes them, and the one-byte form of the header extensions carries no
/// more than 16 bytes. A longer one is treated as absent.
@usableFromInline package struct ShortText: Hashable, Sendable, BitwiseCopyable {
    package static let maximumLength = 16

    /// The bytes, the first in the lowest position; unused positions are zero, so that equality is three words.
    @usableFromInline let low: UInt64
    @usableFromInline let high: UInt64
    @usableFromInline let length: UInt8

    @inlinable package var count: Int { Int(self.length) }

    /// - Parameter range: of the text in `bytes`.
    /// - Returns: `nil` when it is empty, too long, out of bounds or not made of token characters.
    @inlinable package init?(_ bytes: RawSpan, range: Range<Int>) {
        guard range.lowerBound >= 0, range.upperBound <= bytes.byteCount, (1...16).contains(range.count) else {
            return nil
        }
        var words: (low: UInt64, high: UInt64) = (0, 0)
        for index in 0..<range.count {
            let byte = bytes.uint8(at: range.lowerBound &+ index)
            guard Self.isTokenCharacter(byte) else { return nil }
            if index < 8 {
                words.low |= UInt64(byte) &<< UInt64(index &* 8)
            } else {
                words.high |= UInt64(byte) &<< UInt64((index &- 8) &* 8)
            }
        }
        self.low = words.low
        self.high = words.high
        self.length = UInt8(truncatingIfNeeded: range.count)
    }

    /// - Returns: `nil` when it is empty, too long or not made of token characters.
    package init?(_ string: some StringProtocol) {
        var words: (low: UInt64, high: UInt64) = (0, 0)
        var count = 0
        for byte in string.utf8 {
            guard count < Self.maximumLength, Self.isTokenCharacter(byte) else { return nil }
            if count < 8 {
                words.low |= UInt64(byte) << UInt64(count * 8)
            } else {
                words.high |= UInt64(byte) << UInt64((count - 8) * 8)
            }
            count += 1
        }
        guard count > 0 else { return nil }
        self.low = words.low
        self.high = words.high
        self.length = UInt8(truncatingIfNeeded: count)
    }

    /// - Parameter index: 0..<`count`; beyond it the answer is 0.
    @inlinable package func byte(at index: Int) -> UInt8 {
        switch index {
        case 0..<8: UInt8(truncatingIfNeeded: self.low &>> UInt64(index &* 8))
        case 8..<16: UInt8(truncatingIfNeeded: self.high &>> UInt64((index &- 8) &* 8))
        default: 0
        }
    }

    /// Allocates when longer than 15 bytes: for logs and signalling.
    package var string: String { String(decoding: (0..<self.count).map { self.byte(at: $0) }, as: UTF8.self) }

    @inlinable static func isTokenCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x30...0x39, 0x41...0x5A, 0x5E...0x7E: true
        default: false
        }
    }
}

extension ShortText: CustomStringConvertible {
    @usableFromInline package var description: String { self.string }
}
