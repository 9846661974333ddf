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
    ///   - targets: of the stream that the packet is from, for `LayerSelector.layersInStream`.
    ///   - generation: of `RewrittenPacket`.
    /// - Returns: `nil` for a packet whose descriptor was not read: leave the extension out.
    package mutating func patch(
        for info: FrameInfo,
        targets: ReachableTargets,
        generation: UInt32,
        at now: Instant
    ) -> DependencyDescriptorPatch? {
        guard info.flags.contains(.descriptor) else { return nil }
        let number = self.rewrite(info.frameNumber, generation: generation)
        var patch = DependencyDescriptorPatch(frameNumber: number)
        if targets.reachable != self.announced {
            // Without a word all of them are there.
            if self.announced != .max || targets.reachable != targets.all {
                self.announceUntil = now + Self.announcementTime
            }
            self.announced = targets.reachable
        }
        let hasStructure = info.flags.contains(.structure)
        let isDue = hasStructure ? targets.reachable != targets.all : now < self.announceUntil
        if isDue || info.flags.contains(.targetMask) && !hasStructure {
            patch.activeTargets = targets.reachable
            patch.targetCount = targets.count
        }
        return patch
    }

    /// Whether a mask goes with what is sent now, or something is to be noted about it: `patch` is to be asked then. If not,
    /// a descriptor that has neither mask nor structure changes by its number only (`rewrite`).
    package func announces(_ targets: ReachableTargets, at now: Instant) -> Bool {
        targets.reachable != self.announced || now < self.announceUntil
    }

    /// The number of a frame that is sent for the first time.
    ///
    /// - Parameters: as for `patch`.
    package mutating func rewrite(_ frameNumber: UInt16, generation: UInt32) -> UInt16 {
        self.frameNumbers.rewrite(frameNumber, mask: 0xFFFF, generation: generation)
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

/// The decode targets of a dependency structure, and those of them that a subscriber can decode.
package struct ReachableTargets: BitwiseCopyable, Sendable {
    /// Bit *i*: decode target *i* can be decoded.
    package let reachable: UInt32
    /// A bit for every decode target of the structure.
    package let all: UInt32
    /// 0 before the first structure; 1...32.
    package let count: UInt8
}

extension FrameReader {
    /// What a subscriber can decode who is sent these layers.
    ///
    /// `mutating`, though it changes nothing: this is asked for every packet and subscriber, and of a value that is only
    /// lent Swift 6.3 copies all 5 KiB to read a part (docs/performance.md).
    package mutating func targets(for layers: SelectedLayers) -> ReachableTargets {
        let reachable = self.targetLayers.coveredTargets(
            spatial: Int(max(layers.spatial, 0)),
            temporal: Int(max(layers.temporal, 0))
        )
        return ReachableTargets(reachable: reachable, all: self.allTargets, count: self.targetCount)
    }
}
