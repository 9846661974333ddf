/// A set of layers, spatial 0...3 by temporal 0...3: what an operating point (spatial, temporal) is a member of.
///
/// In the packets of a frame it says: this frame is part of what a subscriber at these operating points is sent.
@usableFromInline package struct LayerSet: Hashable, Sendable, BitwiseCopyable {
    /// Bit 4 * spatial + temporal.
    @usableFromInline package var bits: UInt16

    @inlinable package init(bits: UInt16) { self.bits = bits }

    package static let none = LayerSet(bits: 0)
    package static let all = LayerSet(bits: 0xFFFF)

    /// - Parameters: both are taken modulo 4.
    @inlinable package func contains(spatial: Int, temporal: Int) -> Bool {
        self.bits & (1 << UInt16((spatial & 3) * 4 + temporal & 3)) != 0
    }

    /// All operating points at or above these layers.
    @inlinable package static func atLeast(spatial: Int, temporal: Int) -> LayerSet {
        // Four bits of one spatial layer, then the same for all of them.
        let row = (0xF << UInt16(temporal & 3)) & 0xF as UInt16
        return LayerSet(bits: (row &* 0x1111) & (0xFFFF << UInt16((spatial & 3) * 4)))
    }

    /// All operating points of one spatial layer.
    @inlinable package static func row(spatial: Int) -> LayerSet { LayerSet(bits: 0xF << UInt16((spatial & 3) * 4)) }

    /// By spatial layer, whether its lowest temporal layer is in the set: bit 4 * spatial.
    @inlinable package var bases: UInt16 { self.bits & 0x1111 }
}

/// What one packet is of its frame, read once for all subscribers (`FrameReader`).
@usableFromInline package struct FrameInfo: Sendable, BitwiseCopyable {
    @usableFromInline package struct Flags: OptionSet, Sendable, BitwiseCopyable {
        @usableFromInline package let rawValue: UInt16
        @inlinable package init(rawValue: UInt16) { self.rawValue = rawValue }

        /// Layers may be chosen by frame; without it frames are passed as they come (no descriptor, one layer).
        package static let layered = Flags(rawValue: 1)
        /// Layers may be chosen in this stream, but not for this packet: its descriptor cannot be read.
        package static let unreadable = Flags(rawValue: 2)
        /// The first packet of the frame.
        package static let first = Flags(rawValue: 4)
        /// The last packet of the frame; with spatial layers not necessarily of the picture.
        @usableFromInline package static let last = Flags(rawValue: 8)
        /// The first packet of a key picture: where a subscriber may start.
        @usableFromInline package static let keyStart = Flags(rawValue: 16)
        /// No packet of the stream with a higher sequence number has come yet.
        @usableFromInline package static let newest = Flags(rawValue: 32)
        /// With this packet all of a frame has come: of this one, or of the one before.
        @usableFromInline package static let completes = Flags(rawValue: 64)
        /// Its dependency descriptor was read.
        package static let descriptor = Flags(rawValue: 128)
        /// Its dependency descriptor has a structure.
        package static let structure = Flags(rawValue: 256)
        /// Its dependency descriptor has a mask of active decode targets.
        package static let targetMask = Flags(rawValue: 512)
    }

    /// The frame in decoding order, 64 bits, never reused in the stream. Frames of one picture have different ones.
    @usableFromInline package var frame: Int64 = 0
    /// The publisher's sequence number, unwrapped.
    package var sequence: Int64 = 0
    /// Of the picture that the frame belongs to.
    package var timestamp: UInt32 = 0
    @usableFromInline package var flags: Flags = []
    /// The operating points that the frame belongs to.
    package var members = LayerSet.all
    /// Those that may begin with it, when it can be decoded.
    package var switches = LayerSet.none
    package var spatialID: UInt8 = 0
    package var temporalID: UInt8 = 0
    /// The highest spatial layer that the publisher lately sent: 0...3.
    package var topSpatialID: UInt8 = 0
    package var referenceCount: UInt8 = 0
    /// `frame` minus that of each frame that it is decoded from.
    package var references = InlineArray<10, UInt16>(repeating: 0)
    /// As in the dependency descriptor.
    package var frameNumber: UInt16 = 0

    @inlinable package init() {}

    /// The first packet of a key picture.
    @inlinable package var isKeyFrameStart: Bool { self.flags.contains(.keyStart) }

    /// A key picture starts here, and nothing behind it has gone by: a switch that begins here misses nothing.
    @inlinable package var canStart: Bool { self.flags.isSuperset(of: [.keyStart, .newest]) }

    mutating func refer(to other: Int64) {
        let difference = self.frame - other
        guard difference > 0, difference <= 0xFFFF, self.referenceCount < 10 else { return }
        self.references[Int(self.referenceCount)] = UInt16(difference)
        self.referenceCount += 1
    }
}
