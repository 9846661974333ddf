/// The replay windows of the peer's RTCP, one for each SSRC it sends from: libsrtp, and so every browser, counts the
/// SRTCP index separately for each.
///
/// Holds at most `capacity` SSRCs, and only ones that were authenticated; past that the one unused for longest goes.
struct SRTCPReplayTable {
    static let capacity = 256
    private static let windowSize: UInt32 = 64

    private struct Entry {
        let ssrc: UInt32
        var highest: UInt32
        /// Bit n: `highest - n` was seen.
        var seen: UInt64
        var lastUse: UInt64
    }

    private var entries: [Entry] = []
    private var useCount: UInt64 = 0

    func wasSeen(_ index: UInt32, ssrc: UInt32) -> Bool {
        guard let entry = self.entries.first(where: { $0.ssrc == ssrc }), index <= entry.highest else { return false }
        let age = entry.highest - index
        return age >= Self.windowSize || entry.seen & (1 << UInt64(age)) != 0
    }

    mutating func accept(_ index: UInt32, ssrc: UInt32) {
        self.useCount &+= 1
        guard let position = self.entries.firstIndex(where: { $0.ssrc == ssrc }) else {
            let entry = Entry(ssrc: ssrc, highest: index, seen: 1, lastUse: self.useCount)
            if self.entries.count < Self.capacity {
                self.entries.append(entry)
            } else if let oldest = self.entries.indices.min(by: {
                self.entries[$0].lastUse < self.entries[$1].lastUse
            }) {
                self.entries[oldest] = entry
            }
            return
        }
        var entry = self.entries[position]
        if index > entry.highest {
            let advance = index - entry.highest
            entry.seen = advance >= Self.windowSize ? 1 : entry.seen << UInt64(advance) | 1
            entry.highest = index
        } else {
            entry.seen |= 1 << UInt64(entry.highest - index)
        }
        entry.lastUse = self.useCount
        self.entries[position] = entry
    }
}
