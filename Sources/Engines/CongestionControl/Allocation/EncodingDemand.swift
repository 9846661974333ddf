package import Basics

/// Which simulcast layers of one published track anybody has use for: what nobody wants need not be encoded.
///
/// A layer is wanted as soon as one subscriber wants it or a higher one (a lower one is what it falls back to), and for
/// 5 s after the last; the lowest for 30 s, so that whoever joins sees a picture at once.
@usableFromInline package struct EncodingDemand: Sendable, BitwiseCopyable {
    /// Layers 0...7.
    package static let maximumLayerCount = 8
    private static let lowerAfter = Nanoseconds.seconds(5)
    private static let stopAfter = Nanoseconds.seconds(30)

    /// Bit *i* is set when layer *i* is to be sent.
    package private(set) var layers: UInt8
    /// When a layer falls away without further news; `distantFuture` when none does.
    package private(set) var nextDeadline = Instant.distantFuture
    private let top: Int8
    /// The highest layer that is wanted now; -1 = none.
    private var wanted: Int8 = -1
    /// Until when each layer that is no longer wanted is still sent.
    private var keptUntil = InlineArray<8, Instant>(repeating: .zero)

    /// All layers are sent at first: nobody has said yet what is wanted.
    /// - Parameter layerCount: 1...8.
    package init(layerCount: Int, at now: Instant) {
        let count = min(max(layerCount, 1), Self.maximumLayerCount)
        self.layers = UInt8(truncatingIfNeeded: (1 << count) - 1)
        self.top = Int8(count - 1)
        self.wanted = self.top
        self.update(highestWanted: nil, at: now)
    }

    /// Takes the highest layer that any subscriber would take if its connection carried it (its tile and limits counted
    /// in); `nil` = nobody wants the track.
    /// - Returns: whether `layers` is another now.
    @discardableResult
    package mutating func update(highestWanted: Int?, at now: Instant) -> Bool {
        let wanted = min(Int8(clamping: max(highestWanted ?? -1, -1)), self.top)
        var layer = Int(wanted) + 1
        while layer <= Int(self.wanted) {
            self.keptUntil[layer] = now + (layer == 0 ? Self.stopAfter : Self.lowerAfter)
            layer += 1
        }
        self.wanted = wanted
        return self.advance(to: now)
    }

    /// Lets layers fall away whose time is over. Returns whether `layers` is another now.
    @discardableResult
    package mutating func advance(to now: Instant) -> Bool {
        var layers: UInt8 = 0
        self.nextDeadline = .distantFuture
        for layer in 0..<Self.maximumLayerCount {
            if layer <= Int(self.wanted) {
                layers |= 1 << UInt8(layer)
            } else if self.layers & 1 << UInt8(layer) != 0, now < self.keptUntil[layer] {
                layers |= 1 << UInt8(layer)
                self.nextDeadline = min(self.nextDeadline, self.keptUntil[layer])
            }
        }
        defer { self.layers = layers }
        return layers != self.layers
    }
}
