import Basics
import Forwarding
import Negotiation
import RTP

/// What one leg's packet says differently from the publisher's, besides its header: the numbers that make its frames
/// those of one stream.
struct PacketPatch: BitwiseCopyable, Sendable {
    /// Of VP8 or VP9; VP9 has no `keyIndex`.
    var payload = VP8Patch(pictureID: 0, tl0PictureIndex: 0, keyIndex: 0)
    /// `nil` = the packet goes without a dependency descriptor.
    var descriptor: DependencyDescriptorPatch?
    /// It ends the picture for this subscriber, who is not sent the upper layers.
    var setsMarker = false
}

extension Leg {
    /// What to change in a packet that is sent for the first time.
    ///
    /// - Parameters: not by value: both are large, and this is done for every subscriber.
    @inline(__always)
    mutating func patch(
        _ packet: UnsafePointer<SourcePacket>,
        from source: UnsafeMutablePointer<SourceLayer>,
        generation: UInt32,
        setsMarker: Bool,
        at now: Instant
    ) -> PacketPatch {
        var patch = PacketPatch(payload: unsafe self.patch(packet.pointee.payloadDescriptor, generation: generation))
        patch.setsMarker = setsMarker
        if self.usesDescriptors, unsafe packet.pointee.frame.flags.contains(.descriptor) {
            patch.descriptor = unsafe self.descriptor.patch(
                for: packet.pointee.frame,
                targets: source.pointee.frames.targets(for: self.selector.layersInStream),
                generation: generation,
                at: now
            )
        }
        return patch
    }

    /// Whether a packet's dependency descriptor goes to the subscriber with another frame number and nothing else new, in a
    /// header of the leg's template.
    @inline(__always)
    mutating func changesOnlyFrameNumber(
        _ entry: UnsafePointer<ForwardingBatch.Entry>,
        from source: UnsafeMutablePointer<SourceLayer>,
        at now: Instant
    ) -> Bool {
        guard unsafe entry.pointee.flags.isDisjoint(with: [.structure, .targetMask]),
            self.template.hasRoom(descriptorLength: unsafe Int(entry.pointee.descriptorLength))
        else { return false }
        let targets = unsafe source.pointee.frames.targets(for: self.selector.layersInStream)
        return !self.descriptor.announces(targets, at: now)
    }

    /// What to change in a packet that is sent again.
    ///
    /// - Parameter descriptor: the publisher's dependency descriptor; empty = none.
    mutating func patchAgain(
        _ payload: PayloadDescriptor,
        descriptor: RawSpan,
        generation: UInt32
    ) -> PacketPatch {
        var patch = PacketPatch(payload: self.patch(payload, generation: generation))
        if self.usesDescriptors, descriptor.byteCount > 0 {
            patch.descriptor = self.descriptor.patchAgain(descriptor, generation: generation)
        }
        return patch
    }

    /// The numbers that stand in a payload descriptor.
    mutating func patch(_ payload: PayloadDescriptor, generation: UInt32) -> VP8Patch {
        switch payload {
        case .vp8(let descriptor):
            return self.vp8.rewrite(
                pictureID: descriptor.pictureIDOffset == 0 ? nil : descriptor.pictureID,
                isLong: descriptor.isPictureIDLong,
                tl0PictureIndex: descriptor.tl0PicIdxOffset == 0 ? nil : descriptor.tl0PicIdx,
                keyIndex: descriptor.keyIndexOffset == 0 ? nil : descriptor.keyIndex,
                generation: generation
            )
        case .vp9(let descriptor):
            let patch = self.vp9.rewrite(
                pictureID: descriptor.pictureIDOffset == 0 ? nil : descriptor.pictureID,
                isLong: descriptor.isPictureIDLong,
                tl0PictureIndex: descriptor.tl0PicIdxOffset == 0 ? nil : descriptor.tl0PicIdx,
                generation: generation
            )
            return VP8Patch(pictureID: patch.pictureID, tl0PictureIndex: patch.tl0PictureIndex, keyIndex: 0)
        case .none: return VP8Patch(pictureID: 0, tl0PictureIndex: 0, keyIndex: 0)
        }
    }
}

extension PayloadDescriptor {
    /// Writes a leg's numbers over the publisher's.
    func apply(_ patch: VP8Patch, in payload: UnsafeMutableRawBufferPointer) {
        var span = unsafe MutableRawSpan(_unsafeBytes: payload)
        switch self {
        case .vp8(let descriptor):
            descriptor.rewrite(
                &span,
                payloadOffset: 0,
                pictureID: patch.pictureID,
                tl0PicIdx: patch.tl0PictureIndex,
                keyIndex: patch.keyIndex
            )
        case .vp9(let descriptor):
            descriptor.rewrite(
                &span,
                payloadOffset: 0,
                pictureID: patch.pictureID,
                tl0PicIdx: patch.tl0PictureIndex
            )
        case .none: break
        }
    }
}
