package import Basics
package import RTP

/// Makes the dependency descriptors of a forwarded track those of one stream: frame numbers go on over changes of source,
/// and the receiver is told which decode targets it can still decode (AV1 RTP 1.0 appendix A.4.4).
///
/// Frame numbers of frames that are left out stay out: references are differences of them.
@usableFromInline package struct DescriptorRewriter: Sendable, BitwiseCopyable {
    /// A changed mask goes with every packet for this long, so that one is sure to arrive.
    private static let announcementTime = Nanoseconds.seconds(1)

    private var frameNumbers = ContinuousNumbers()
    /// The last mask that the receiver was told, or takes for granted.
    private var announced: UInt32 = .max
    private var announceUntil = Instant(nanoseconds: .min)

    package init() {}

    /// What to change in the descriptor of a packet that is sent for the first time.
    /// - Parameters:
    ///   - reader: of the stream that the packet is from.
    ///   - layers: `LayerSelector.layersInStream`.
    ///   - generation: of `RewrittenPacket`.
    /// - Returns: `nil` for a packet whose descriptor was not read: leave the extension out.
    package mutating func patch(
        for info: FrameInfo,
        from reader: borrowing FrameReader,
        layers: SelectedLayers,
        generation: UInt32,
        at now: Instant
    ) -> DependencyDescriptorPatch? {
        guard info.flags.contains(.descriptor) else { return nil }
        let number = self.frameNumbers.rewrite(info.frameNumber, mask: 0xFFFF, generation: generation)
        var patch = DependencyDescriptorPatch(frameNumber: number)
        let targets = reader.activeTargets(for: layers)
        let allTargets = reader.allTargets
        if targets != self.announced {
            // Without a word all of them are there.
            if self.announced != .max || targets != allTargets {
                self.announceUntil = now + Self.announcementTime
            }
            self.announced = targets
        }
        let hasStructure = info.flags.contains(.structure)
        let isDue = hasStructure ? targets != allTargets : now < self.announceUntil
        if isDue || info.flags.contains(.targetMask) && !hasStructure {
            patch.activeTargets = targets
            patch.targetCount = reader.targetCount
        }
        return patch
    }

    /// What to change in the descriptor of a packet that is sent again.
    /// - Parameters:
    ///   - descriptor: the publisher's.
    ///   - generation: of `SourcePosition`.
    /// - Returns: `nil` when the descriptor is cut short.
    package mutating func patchAgain(_ descriptor: RawSpan, generation: UInt32) -> DependencyDescriptorPatch? {
        guard let number = DependencyDescriptor.frameNumber(in: descriptor) else { return nil }
        var patch = DependencyDescriptorPatch(
            frameNumber: self.frameNumbers.rewrite(number, mask: 0xFFFF, generation: generation)
        )
        // A structure makes all targets active again where no mask goes with it.
        if DependencyDescriptor.hasStructure(descriptor), self.announced != .max {
            patch.activeTargets = self.announced
        }
        return patch
    }
}

extension FrameReader {
    /// Bit *i*: decode target *i* can be decoded by a subscriber who is sent these layers.
    package func activeTargets(for layers: SelectedLayers) -> UInt32 {
        self.targetLayers.coveredTargets(
            spatial: Int(max(layers.spatial, 0)),
            temporal: Int(max(layers.temporal, 0))
        )
    }

    /// A bit for every decode target of the structure at hand.
    package var allTargets: UInt32 { self.structure.allTargets }
    /// 0 before the first structure; 1...32.
    package var targetCount: UInt8 { UInt8(truncatingIfNeeded: self.structure.targetCount) }
}
