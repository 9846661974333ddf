import Basics
import FuzzEntry
import RTP

/// RTP packets: header, extensions, payload descriptors and retransmissions.
///
/// The first byte of an input chooses the extension ids, the rest is a packet.
@main
enum FuzzRTP {
    static func main() {
        fuzz { bytes, count in
            var input = FuzzInput(bytes, count)
            let first = input.byte()
            FuzzRTP.read(input.takeAll(), extensions: FuzzRTP.extensions(first))
            return 0
        }
    }

    /// Eight ids in a row from 1 to 7, or from high numbers that need the two-byte form.
    private static func extensions(_ first: UInt8) -> HeaderExtensionMap {
        var map = HeaderExtensionMap()
        for kind in HeaderExtension.allCases {
            map[kind] = (first & 0x80 == 0 ? first & 0x07 : first) &+ kind.rawValue &+ 1
        }
        // 255 wraps to 0, which means "not negotiated".
        return map
    }

    private static func read(_ packet: UnsafeRawBufferPointer, extensions: HeaderExtensionMap) {
        let span = RawSpan(_unsafeBytes: packet)
        _ = classifyDatagram(span)
        if let view = RTPPacketView(span) {
            require(view.headerLength >= 12, "a header has 12 bytes")
            require(
                view.headerLength + view.payloadLength + view.paddingLength == packet.count && view.payloadLength >= 0,
                "the parts are the whole"
            )
            require(view.payload.byteCount == view.payloadLength, "the payload is as long as it says")
            for index in -1...16 {
                require((view.csrc(at: index) != nil) == (0..<view.csrcCount).contains(index), "CSRCs")
            }
            _ = (view.extensionProfile, view.marker, view.payloadType, view.sequenceNumber, view.timestamp, view.ssrc)
        }
        guard let header = RTPHeaderInfo(span, extensions: extensions) else {
            require(RTPPacketView(headerOnly: span) == nil || packet.count > 0xFFFF, "both readers agree")
            return
        }
        for kind in HeaderExtension.allCases {
            guard let range = header.range(of: kind) else { continue }
            require(extensions[kind] != 0, "only negotiated extensions are seen")
            require(range.lowerBound >= 17 && range.upperBound <= header.headerLength, "extensions lie in the header")
        }
        Self.checkRoundTrip(header, packet, extensions)
        guard let padding = header.paddingLength(ofPlaintext: span) else { return }
        let payload = header.headerLength..<(packet.count - padding)
        require(payload.lowerBound <= payload.upperBound, "padding lies behind the header")
        if let retransmission = RTXPayload(span, headerLength: header.headerLength, paddingLength: padding) {
            require(
                retransmission.payloadOffset + retransmission.payloadLength + padding == packet.count,
                "the original payload lies within the retransmission"
            )
        }
        withHeapCopy(of: UnsafeRawBufferPointer(rebasing: packet[payload])) { Self.read(payload: $0) }
    }

    private static func read(payload: UnsafeMutableRawBufferPointer) {
        let span = RawSpan(_unsafeBytes: UnsafeRawBufferPointer(payload))
        for format in PayloadFormat.allCases {
            let keyFrame = keyFrameStart(in: span, format: format)
            require(keyFrame == nil || payload.count > 0, "nothing starts no key frame")
        }
        if let old = VP8Descriptor(span) {
            require(old.byteCount <= payload.count, "the descriptor lies within the payload")
            var target = MutableRawSpan(_unsafeBytes: payload)
            require(
                old.rewrite(&target, payloadOffset: 0, pictureID: 0x1234, tl0PicIdx: 0x56, keyIndex: 0x17),
                "it fits"
            )
            guard let new = VP8Descriptor(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(payload))) else {
                fatalError("a rewritten VP8 descriptor does not parse")
            }
            require(new.byteCount == old.byteCount && new.keyFrame == old.keyFrame, "rewriting keeps the rest")
            require(
                new.temporalID == old.temporalID && new.isLayerSync == old.isLayerSync
                    && new.isPictureIDLong == old.isPictureIDLong,
                "rewriting keeps the layers"
            )
            if old.pictureIDOffset != 0 {
                require(new.pictureID == (old.isPictureIDLong ? 0x1234 : 0x34), "the picture id is the new one")
            }
            if old.tl0PicIdxOffset != 0 { require(new.tl0PicIdx == 0x56, "TL0PICIDX is the new one") }
            if old.keyIndexOffset != 0 { require(new.keyIndex == 0x17, "KEYIDX is the new one") }
        }
        Self.readVP9(payload)
    }

    private static func readVP9(_ payload: UnsafeMutableRawBufferPointer) {
        let span = RawSpan(_unsafeBytes: UnsafeRawBufferPointer(payload))
        guard let old = VP9Descriptor(span) else { return }
        require(old.byteCount <= payload.count && old.declaredLayerCount <= 8, "the descriptor lies within the payload")
        for layer in -1...8 { _ = old.size(ofLayer: layer, in: span) }
        var target = MutableRawSpan(_unsafeBytes: payload)
        require(old.rewrite(&target, payloadOffset: 0, pictureID: 0x1234, tl0PicIdx: 0x56), "it fits")
        guard let new = VP9Descriptor(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(payload))) else {
            fatalError("a rewritten VP9 descriptor does not parse")
        }
        require(new.byteCount == old.byteCount && new.spatialID == old.spatialID, "rewriting keeps the rest")
        if old.pictureIDOffset != 0 {
            require(new.pictureID == (old.isPictureIDLong ? 0x1234 : 0x34), "the picture id is the new one")
        }
    }

    /// The values of a header, written anew, read the same.
    private static func checkRoundTrip(
        _ header: RTPHeaderInfo,
        _ packet: UnsafeRawBufferPointer,
        _ extensions: HeaderExtensionMap
    ) {
        let span = RawSpan(_unsafeBytes: packet)
        var outgoing = OutgoingHeader(
            marker: header.marker,
            payloadType: header.payloadType,
            sequenceNumber: header.sequenceNumber.value,
            timestamp: header.timestamp,
            ssrc: header.ssrc,
            extensions: extensions
        )
        outgoing.mid = header.mid(in: span)
        outgoing.rid = header.rid(in: span)
        outgoing.repairedRID = header.repairedRID(in: span)
        outgoing.audioLevel = header.audioLevel(in: span)
        outgoing.transportSequenceNumber = header.transportSequenceNumber(in: span)?.value
        outgoing.absoluteSendTime = header.absoluteSendTime(in: span)
        outgoing.videoOrientation = header.videoOrientation(in: span)
        let descriptor = header.range(of: .dependencyDescriptor) ?? 0..<0
        outgoing.dependencyDescriptor = descriptor
        // The largest header: 12 + 4 + 8 elements. Its real size is found first, then written at exactly that size.
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 512, alignment: 1)
        defer { room.deallocate() }
        var roomSpan = MutableRawSpan(_unsafeBytes: room)
        guard let layout = outgoing.write(into: &roomSpan, source: span) else { fatalError("512 bytes are too few") }
        let exact = UnsafeMutableRawBufferPointer.allocate(byteCount: layout.headerLength, alignment: 1)
        defer { exact.deallocate() }
        var exactSpan = MutableRawSpan(_unsafeBytes: exact)
        require(outgoing.write(into: &exactSpan, source: span) == layout, "a header fits its own size")
        var small = MutableRawSpan(_unsafeBytes: UnsafeMutableRawBufferPointer(rebasing: exact.dropLast()))
        require(outgoing.write(into: &small, source: span) == nil, "a header does not fit one byte less")
        let copySpan = RawSpan(_unsafeBytes: UnsafeRawBufferPointer(exact))
        guard let copy = RTPHeaderInfo(copySpan, extensions: extensions) else {
            fatalError("our own header does not parse")
        }
        require(copy.headerLength == layout.headerLength, "the length is the length")
        require(
            copy.marker == header.marker && copy.payloadType == header.payloadType && copy.ssrc == header.ssrc
                && copy.sequenceNumber == header.sequenceNumber && copy.timestamp == header.timestamp,
            "the fixed fields survive"
        )
        require(
            copy.mid(in: copySpan) == outgoing.mid && copy.rid(in: copySpan) == outgoing.rid
                && copy.repairedRID(in: copySpan) == outgoing.repairedRID
                && copy.audioLevel(in: copySpan) == outgoing.audioLevel
                && copy.transportSequenceNumber(in: copySpan)?.value == outgoing.transportSequenceNumber
                && copy.absoluteSendTime(in: copySpan) == outgoing.absoluteSendTime
                && copy.videoOrientation(in: copySpan) == outgoing.videoOrientation,
            "the extensions survive"
        )
        let copied = copy.range(of: .dependencyDescriptor) ?? 0..<0
        require(
            exact[copied].elementsEqual(packet[descriptor]) && copied.count == descriptor.count,
            "the dependency descriptor survives"
        )
    }
}
