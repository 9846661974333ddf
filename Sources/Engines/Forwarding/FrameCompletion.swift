/// Tells when all packets of a frame have come, in whatever order: for the last 8 frames of a stream.
struct FrameCompletion: Sendable, BitwiseCopyable {
    private struct Entry: BitwiseCopyable {
        var frame: Int64 = .min
        var lowest: Int64 = 0
        var highest: Int64 = 0
        var count: Int64 = 0
        var hasFirst = false
        var hasLast = false
    }

    private var entries = InlineArray<8, Entry>(repeating: Entry())
    /// The entry that the last packet was for.
    private var current = 0

    init() {}

    /// Notes a packet.
    /// - Returns: whether the frame is complete with it. A packet that comes twice may make one seem so that is not.
    mutating func note(_ frame: Int64, sequence: Int64, isFirst: Bool, isLast: Bool) -> Bool {
        if self.entries[self.current].frame != frame {
            guard let index = self.index(of: frame, sequence: sequence) else { return false }
            self.current = index
        }
        var entry = self.entries[self.current]
        entry.lowest = min(entry.lowest, sequence)
        entry.highest = max(entry.highest, sequence)
        entry.count &+= 1
        entry.hasFirst = entry.hasFirst || isFirst
        entry.hasLast = entry.hasLast || isLast
        self.entries[self.current] = entry
        return entry.hasFirst && entry.hasLast && entry.count == entry.highest &- entry.lowest &+ 1
    }

    /// The frame's entry, or the oldest one made its own; `nil` for a frame older than all.
    private mutating func index(of frame: Int64, sequence: Int64) -> Int? {
        var oldest = 0
        for index in 0..<8 {
            if self.entries[index].frame == frame { return index }
            if self.entries[index].frame < self.entries[oldest].frame { oldest = index }
        }
        guard self.entries[oldest].frame < frame else { return nil }
        self.entries[oldest] = Entry(frame: frame, lowest: sequence, highest: sequence)
        return oldest
    }
}
