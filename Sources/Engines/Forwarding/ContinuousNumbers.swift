/// Makes a number that every source counts on its own go on by one over changes of source: picture ids, TL0PICIDX, frame
/// numbers of dependency descriptors.
///
/// Within a source the numbers keep their distances, gaps too, because frames refer to each other by differences. The
/// first source's pass as they are. Remembers the last 8 stays at a source, for packets that are late or repeated.
struct ContinuousNumbers: Sendable, BitwiseCopyable {
    private static let capacity = 8

    private struct Stay: BitwiseCopyable {
        var generation: UInt32 = 0
        /// Outgoing = the source's - offset, modulo the number's size.
        var offset: UInt16 = 0
    }

    private var stays = InlineArray<8, Stay>(repeating: Stay())
    private var newest = 0
    private var count = 0
    /// The highest of the newest stay as it went out.
    private var last: UInt16 = 0

    init() {}

    /// The outgoing number.
    /// - Parameters:
    ///   - mask: the size of the number as it is carried: 2^n - 1.
    ///   - generation: of `RewrittenPacket` or `SourcePosition`. A new one starts a new stay.
    mutating func rewrite(_ number: UInt16, mask: UInt16, generation: UInt32) -> UInt16 {
        let age = Int32(bitPattern: generation &- self.stays[self.newest].generation)
        if self.count == 0 || age > 0 { self.start(number, generation: generation) }
        let stay = self.stays[self.newest]
        guard generation == stay.generation else { return self.rewriteOld(number, mask: mask, generation: generation) }
        let outgoing = (number &- stay.offset) & mask
        let step = (outgoing &- self.last) & mask
        if step <= mask / 2 { self.last = outgoing }
        return outgoing
    }

    private mutating func start(_ number: UInt16, generation: UInt32) {
        let offset = self.count == 0 ? 0 : number &- (self.last &+ 1)
        self.newest = self.count == 0 ? 0 : (self.newest + 1) % Self.capacity
        self.stays[self.newest] = Stay(generation: generation, offset: offset)
        self.count = min(self.count + 1, Self.capacity)
        self.last = number &- offset
    }

    private func rewriteOld(_ number: UInt16, mask: UInt16, generation: UInt32) -> UInt16 {
        for index in 0..<self.count where self.stays[index].generation == generation {
            return (number &- self.stays[index].offset) & mask
        }
        // Too old for the memory: as it is. The receiver has long given the frame up.
        return number & mask
    }
}
