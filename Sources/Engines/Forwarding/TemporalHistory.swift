/// Which frames of the lower temporal layers the next ones are decoded from, in streams that tell it by TL0PICIDX and
/// layer bits only (RFC 7741 §4.2, RFC 9628 §4.2 in non-flexible mode).
///
/// Bounds: the last 8 frames of the base layer, and the last 4 of each layer above it.
struct TemporalHistory: Sendable, BitwiseCopyable {
    private static let depth = 4
    private static let unknown = Int64.min

    /// By TL0PICIDX modulo 8.
    private var bases = InlineArray<8, Int64>(repeating: unknown)
    private var baseIndices = InlineArray<8, UInt8>(repeating: 0)
    /// Four of each layer 1...3.
    private var upper = InlineArray<12, Int64>(repeating: unknown)
    private var next = InlineArray<3, UInt8>(repeating: 0)
    /// By layer: frames before this one are not referred to any more.
    private var floors = InlineArray<4, Int64>(repeating: unknown)
    /// The highest frame, and in bit *i* whether frame `highest - i` has come.
    private var highest = Self.unknown
    private var seen: UInt64 = 0

    init() {}

    /// - Parameters:
    ///   - frame: increases in decoding order.
    ///   - layer: 0...3.
    ///   - step: between one frame's number and the next one's.
    mutating func note(_ frame: Int64, layer: Int, tl0PictureIndex: UInt8, step: Int64) {
        let distance = self.highest == Self.unknown ? 64 : (frame - self.highest) / step
        if distance > 0 {
            self.seen = distance < 64 ? self.seen << UInt64(distance) | 1 : 1
            self.highest = frame
        } else if distance > -64 {
            self.seen |= 1 << UInt64(-distance)
        }
        if layer == 0 {
            self.bases[Int(tl0PictureIndex & 7)] = frame
            self.baseIndices[Int(tl0PictureIndex & 7)] = tl0PictureIndex
            return
        }
        let row = (layer - 1) * Self.depth
        for index in row..<(row + Self.depth) where self.upper[index] == frame { return }
        self.upper[row + Int(self.next[layer - 1])] = frame
        self.next[layer - 1] = (self.next[layer - 1] + 1) & 3
    }

    /// Frames of the layers above `layer` that come after `frame` refer to none of these layers before it.
    mutating func cut(above layer: Int, at frame: Int64) {
        for upper in (layer + 1)..<max(4, layer + 1) { self.floors[upper] = max(self.floors[upper], frame) }
    }

    /// The frame of the base layer with this index; `nil` when it is too old or has not come.
    func base(_ tl0PictureIndex: UInt8) -> Int64? {
        let frame = self.bases[Int(tl0PictureIndex & 7)]
        return frame != Self.unknown && self.baseIndices[Int(tl0PictureIndex & 7)] == tl0PictureIndex ? frame : nil
    }

    /// The newest frame of the base layer that is known and before `frame`.
    func lastBase(before frame: Int64) -> Int64? {
        var found = Self.unknown
        for index in 0..<8 where self.bases[index] < frame { found = max(found, self.bases[index]) }
        return found == Self.unknown ? nil : found
    }

    /// The newest frame of those above `base` and below `frame` that has not come, though later ones have: what it is, and
    /// whether it is referred to, nobody knows yet.
    /// - Parameter step: between one frame's number and the next one's.
    func missing(above base: Int64, below frame: Int64, step: Int64) -> Int64? {
        var candidate = frame - step
        while candidate > base, candidate > self.highest - 64 * step {
            let age = (self.highest - candidate) / step
            if age < 0 || self.seen & (1 << UInt64(age)) == 0 { return candidate }
            candidate -= step
        }
        return nil
    }

    /// The last frame of a layer 1...3 before `frame` that may be referred to.
    func latest(layer: Int, before frame: Int64) -> Int64? {
        let row = (layer - 1) * Self.depth
        // A floor counts for what comes after it; of what was before it the older ones are forgotten.
        let floor = frame > self.floors[layer] ? self.floors[layer] : Self.unknown
        var found = Self.unknown
        for index in row..<(row + Self.depth) where self.upper[index] < frame && self.upper[index] > floor {
            found = max(found, self.upper[index])
        }
        return found == Self.unknown ? nil : found
    }
}
