package import Basics

/// An item of a source description; `rawValue` is its type on the wire (RFC 3550 §6.5, RFC 9143 §15, RFC 8852 §3).
@usableFromInline package enum SDESItemKind: UInt8, Hashable, Sendable, BitwiseCopyable {
    case cname = 1
    case rid = 12
    case repairedRID = 13
    case mid = 15
}

/// One item, with the place of its text in the packet's `bytes`: 0 to 255 bytes, UTF-8 by the standard, unchecked.
@usableFromInline package struct SDESItem: Hashable, Sendable {
    package let ssrc: SSRC
    package let kind: SDESItemKind
    package let range: Range<Int>
}

extension RTCPPacketView {
    /// Calls `body` for every item of the kinds that Sluice knows. Work is one step per item of at least 2 bytes.
    ///
    /// - Returns: `false` when a chunk or an item overruns the packet; items before it have been delivered.
    @discardableResult
    package func forEachSDESItem(_ body: (SDESItem) -> Void) -> Bool {
        guard self.kind == .sourceDescription else { return false }
        let end = self.bytes.byteCount
        var offset = 4
        for _ in 0..<self.count {
            guard end - offset >= 4 else { return false }
            let ssrc = SSRC(self.bytes.uint32(at: offset))
            offset += 4
            while true {
                guard offset < end else { return false }
                let type = self.bytes.uint8(at: offset)
                guard type != 0 else { break }
                guard end - offset >= 2 else { return false }
                let length = Int(self.bytes.uint8(at: offset + 1))
                offset += 2
                guard length <= end - offset else { return false }
                if let kind = SDESItemKind(rawValue: type) {
                    body(SDESItem(ssrc: ssrc, kind: kind, range: offset..<(offset + length)))
                }
                offset += length
            }
            // At least one zero byte, then on to the next word: packets start at a multiple of 4.
            offset = (offset + 4) & ~3
        }
        return offset <= end
    }

    /// A MID or RID item's text.
    package func shortText(of item: SDESItem) -> ShortText? { ShortText(self.bytes, range: item.range) }

    /// An item's text, such as the CNAME; bytes that are not UTF-8 are replaced. Allocates.
    package func string(of item: SDESItem) -> String {
        guard item.range.lowerBound >= 0, item.range.upperBound <= self.bytes.byteCount else { return "" }
        return String(decoding: self.bytes.array(item.range), as: UTF8.self)
    }

    /// How many sources say BYE: 0...31.
    package var goodbyeCount: Int { self.kind == .goodbye ? self.count : 0 }

    /// - Returns: `nil` from `goodbyeCount` on.
    package func goodbyeSSRC(at index: Int) -> SSRC? {
        guard index >= 0, index < self.goodbyeCount else { return nil }
        return SSRC(self.bytes.uint32(at: 4 + index * 4))
    }
}
