import Basics
import RTP

/// The rules by which a packet is read, one function each.
extension FrameReader {
    /// No layers that could be told apart: frames are pictures, known by their timestamps.
    /// - Parameters:
    ///   - isKeyFrame: several packets of a picture may say so: H.264's parameter sets, and the slices behind them.
    ///   - mayBegin: nothing that a decoder needs is missing in front of the packet.
    mutating func readWhole(_ info: inout FrameInfo, isKeyFrame: Bool, mayBegin: Bool, marker: Bool) {
        let before = self.highestFrame
        info.frame = self.takeFrame(
            info.timestamp,
            modulus: 1 << 32,
            scale: 1,
            restarts: isKeyFrame && info.flags.contains(.newest)
        )
        if isKeyFrame, mayBegin, info.frame != self.lastKeyPicture {
            self.lastKeyPicture = info.frame
            info.flags.formUnion([.keyStart, .first])
        }
        // Behind the marker of the frame before; streams without markers are taken to be whole.
        if info.sequence == self.lastMarkerSequence &+ 1 || before == .min { info.flags.insert(.first) }
        if marker { info.flags.insert(.last) }
        if !self.hasSeenMarker, info.frame > before { info.flags.formUnion([.first, .last]) }
    }

    mutating func readVP8(_ info: inout FrameInfo, _ payload: PayloadDescriptor, marker: Bool) {
        guard case .vp8(let vp8) = payload, vp8.pictureIDOffset != 0 else {
            self.leaveUnread(&info)
            return
        }
        let isKeyStart = vp8.keyFrame != nil
        info.frame = self.takeFrame(
            UInt32(vp8.pictureID),
            modulus: vp8.isPictureIDLong ? 0x8000 : 0x80,
            scale: 1,
            restarts: isKeyStart && info.flags.contains(.newest)
        )
        info.flags.insert(.layered)
        if vp8.isFrameStart { info.flags.insert(.first) }
        if marker { info.flags.insert(.last) }
        let layer = Int(vp8.temporalID)
        info.temporalID = vp8.temporalID
        info.members = .atLeast(spatial: 0, temporal: layer)
        if isKeyStart {
            info.flags.insert(.keyStart)
            info.switches = .all
            self.history = TemporalHistory()
        } else {
            let base = layer == 0 ? vp8.tl0PicIdx &- 1 : vp8.tl0PicIdx
            self.refer(&info, base: base, before: info.frame, upTo: vp8.isLayerSync ? 0 : layer, step: 1)
        }
        self.history.note(info.frame, layer: layer, tl0PictureIndex: vp8.tl0PicIdx, step: 1)
    }

    mutating func readVP9(_ info: inout FrameInfo, _ payload: PayloadDescriptor) {
        // More than four spatial layers are nobody's (ATTACKS A-56).
        guard case .vp9(let vp9) = payload, vp9.pictureIDOffset != 0, vp9.hasLayerIndices, vp9.spatialID < 4 else {
            self.leaveUnread(&info)
            return
        }
        let spatialID = Int(vp9.spatialID)
        let layer = min(Int(vp9.temporalID), 3)
        let isKeyPicture = !vp9.isInterPicturePredicted && spatialID == 0
        let isKeyStart = isKeyPicture && vp9.isFrameStart
        let base = self.takeFrame(
            UInt32(vp9.pictureID),
            modulus: vp9.isPictureIDLong ? 0x8000 : 0x80,
            scale: 4,
            restarts: isKeyStart && info.flags.contains(.newest)
        )
        info.frame = base + Int64(spatialID)
        info.flags.insert(.layered)
        if vp9.isFrameStart { info.flags.insert(.first) }
        if vp9.isFrameEnd { info.flags.insert(.last) }
        info.spatialID = UInt8(spatialID)
        info.temporalID = UInt8(layer)
        // Frames that no upper layer is predicted from are for those who watch just this layer (K-SVC).
        info.members = .atLeast(spatial: spatialID, temporal: layer)
        if vp9.isNotReferenceForUpperLayers { info.members.bits &= LayerSet.row(spatial: spatialID).bits }
        if isKeyPicture {
            info.switches = .all
            if isKeyStart {
                info.flags.insert(.keyStart)
                self.history = TemporalHistory()
                if vp9.declaredLayerCount > 0 { self.setTop(UInt8(min(vp9.declaredLayerCount, 4) - 1)) }
            }
        } else if !vp9.isInterPicturePredicted {
            info.switches = .row(spatial: spatialID)
        }
        if vp9.isInterLayerPredicted, spatialID > 0 { info.refer(to: info.frame - 1) }
        if vp9.isInterPicturePredicted { self.referToPictures(&info, vp9, base: base, layer: layer) }
        if !vp9.isFlexible {
            self.history.note(base, layer: layer, tl0PictureIndex: vp9.tl0PicIdx, step: 4)
            if vp9.isSwitchingUpPoint { self.history.cut(above: layer, at: base) }
        }
    }

    private func referToPictures(_ info: inout FrameInfo, _ vp9: VP9Descriptor, base: Int64, layer: Int) {
        if vp9.isFlexible {
            for index in 0..<vp9.referenceCount { info.refer(to: info.frame - Int64(vp9.referenceDiffs[index]) * 4) }
            return
        }
        self.refer(
            &info,
            base: layer == 0 ? vp9.tl0PicIdx &- 1 : vp9.tl0PicIdx,
            before: base,
            upTo: layer,
            step: 4
        )
    }

    /// Refers to the base layer's frame with an index, to the last one of each layer above it up to one's own, and to
    /// frames that have not come and may be such.
    /// - Parameters:
    ///   - frame: the frame at hand, or its picture's first.
    ///   - layer: 0 = to the base only.
    private func refer(
        _ info: inout FrameInfo,
        base index: UInt8,
        before frame: Int64,
        upTo layer: Int,
        step: Int64
    ) {
        let offset = step == 1 ? 0 : Int64(info.spatialID)
        let base = self.history.base(index)
        if let base { info.refer(to: base + offset) }
        if layer > 0 {
            for lower in 1...layer {
                guard let latest = self.history.latest(layer: lower, before: frame) else { continue }
                info.refer(to: latest + offset)
            }
        } else if base != nil {
            return
        }
        guard let floor = base ?? self.history.lastBase(before: frame) else { return }
        var end = frame
        while info.referenceCount < 10, let missing = self.history.missing(above: floor, below: end, step: step) {
            info.refer(to: missing + offset)
            end = missing
        }
    }

    mutating func readDescriptor(_ info: inout FrameInfo, _ bytes: RawSpan) {
        guard let number = DependencyDescriptor.frameNumber(in: bytes) else {
            self.leaveUnread(&info)
            return
        }
        guard self.hasTakenStructure || !DependencyDescriptor.hasStructure(bytes),
            let read = self.descriptor(bytes)
        else {
            // Its structure is not here yet, most likely: it is on its way, or it is lost and asked for.
            info.frame = self.frame(UInt32(number), modulus: 0x1_0000, scale: 1)
            info.flags.insert(.unreadable)
            return
        }
        info.frame = self.takeFrame(
            UInt32(number),
            modulus: 0x1_0000,
            scale: 1,
            restarts: read.hasStructure && info.flags.contains(.newest)
        )
        info.frameNumber = number
        info.flags.formUnion([.layered, .descriptor])
        if read.isFrameStart { info.flags.insert(.first) }
        if read.isFrameEnd { info.flags.insert(.last) }
        if read.hasStructure {
            info.flags.formUnion([.keyStart, .structure])
            self.noteStructure(of: info.frame)
        }
        if let active = read.activeTargets {
            info.flags.insert(.targetMask)
            if info.flags.contains(.newest) { self.setActiveTargets(active, isNew: false) }
        }
        info.spatialID = read.spatialID
        info.temporalID = read.temporalID
        if let template = read.plainTemplate {
            info.members = self.targetLayers.members(ofTemplate: template)
            info.switches = self.targetLayers.switches(ofTemplate: template)
        } else {
            info.members = self.targetLayers.points(of: read.indications.present)
            info.switches = self.targetLayers.points(of: read.indications.switchable)
        }
        info.references = read.frameDiffs
        info.referenceCount = UInt8(read.frameDiffCount)
    }

    /// A packet that does not say which frame it is of goes the way of the newest one.
    private func leaveUnread(_ info: inout FrameInfo) {
        info.frame = self.newestFrame
        info.flags.insert(.unreadable)
    }
}
