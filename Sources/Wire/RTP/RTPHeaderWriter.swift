public import Basics

/// The header of a packet to send, as values; `write` turns it into bytes (RFC 3550 §5.1, RFC 8285 §4).
///
/// A value whose extension has no id in `extensions` is left out, so the same header can go to legs that negotiated
/// different things.
@usableFromInline package struct OutgoingHeader: Sendable, BitwiseCopyable {
    @usableFromInline package var marker: Bool
    /// 0...127.
    @usableFromInline package var payloadType: UInt8
    @usableFromInline package var sequenceNumber: UInt16
    @usableFromInline package var timestamp: UInt32
    @usableFromInline package var ssrc: SSRC
    /// The ids of the leg that the packet goes to.
    @usableFromInline package var extensions: HeaderExtensionMap

    @usableFromInline package var mid: ShortText?
    @usableFromInline package var rid: ShortText?
    @usableFromInline package var repairedRID: ShortText?
    @usableFromInline package var audioLevel: AudioLevel?
    @usableFromInline package var transportSequenceNumber: UInt16?
    @usableFromInline package var absoluteSendTime: AbsoluteSendTime?
    @usableFromInline package var videoOrientation: UInt8?
    /// Where the descriptor lies in the `source` that `write` is given; 0..<0 for none.
    @inlinable package var dependencyDescriptor: Range<Int> {
        get { self.descriptorOffset..<(self.descriptorOffset &+ self.descriptorLength) }
        set {
            self.descriptorOffset = newValue.lowerBound
            self.descriptorLength = newValue.count
        }
    }
    // Two integers, because a range is not trivially copyable.
    @usableFromInline var descriptorOffset: Int
    @usableFromInline var descriptorLength: Int

    @inlinable package init(
        marker: Bool,
        payloadType: UInt8,
        sequenceNumber: UInt16,
        timestamp: UInt32,
        ssrc: SSRC,
        extensions: HeaderExtensionMap = HeaderExtensionMap()
    ) {
        self.marker = marker
        self.payloadType = payloadType
        self.sequenceNumber = sequenceNumber
        self.timestamp = timestamp
        self.ssrc = ssrc
        self.extensions = extensions
        self.mid = nil
        self.rid = nil
        self.repairedRID = nil
        self.audioLevel = nil
        self.transportSequenceNumber = nil
        self.absoluteSendTime = nil
        self.videoOrientation = nil
        self.descriptorOffset = 0
        self.descriptorLength = 0
    }

    /// Where things lie in a header that was written.
    @usableFromInline package struct Layout: Hashable, Sendable, BitwiseCopyable {
        /// The payload's offset.
        @usableFromInline package let headerLength: Int
        /// Of the 16-bit transport-wide sequence number; 0 = not there.
        @usableFromInline package let transportSequenceNumberOffset: Int
        /// Of the 24-bit send time; 0 = not there.
        @usableFromInline package let absoluteSendTimeOffset: Int

        @inlinable init(headerLength: Int, transportSequenceNumberOffset: Int, absoluteSendTimeOffset: Int) {
            self.headerLength = headerLength
            self.transportSequenceNumberOffset = transportSequenceNumberOffset
            self.absoluteSendTimeOffset = absoluteSendTimeOffset
        }
    }

    /// The bytes of a value and whether it is sent; 0 = left out.
    @inlinable func valueLength(of kind: HeaderExtension) -> Int {
        guard self.extensions[kind] != 0 else { return 0 }
        return switch kind {
        case .mid: self.mid?.count ?? 0
        case .rid: self.rid?.count ?? 0
        case .repairedRID: self.repairedRID?.count ?? 0
        case .audioLevel: self.audioLevel == nil ? 0 : 1
        case .transportSequenceNumber: self.transportSequenceNumber == nil ? 0 : 2
        case .absoluteSendTime: self.absoluteSendTime == nil ? 0 : 3
        case .videoOrientation: self.videoOrientation == nil ? 0 : 1
        case .dependencyDescriptor: self.dependencyDescriptor.count
        }
    }

    /// Writes the header to the start of `bytes`, with the two-byte form only when an id or a length needs it.
    ///
    /// - Parameters:
    ///   - bytes: the packet to be; 12 bytes and up.
    ///   - source: the packet that `dependencyDescriptor` points into. Never the same memory as `bytes`.
    /// - Returns: `nil` when `bytes` is too small, or the descriptor lies outside `source` or has more than 255 bytes;
    ///   nothing was written then.
    @inlinable package func write(into bytes: inout MutableRawSpan, source: RawSpan) -> Layout? {
        guard self.dependencyDescriptor.lowerBound >= 0, self.dependencyDescriptor.upperBound <= source.byteCount,
            self.dependencyDescriptor.count <= 255
        else { return nil }
        var valueCount = 0
        var valueBytes = 0
        var needsTwoBytes = false
        for index in 0..<8 {
            guard let kind = HeaderExtension(rawValue: UInt8(truncatingIfNeeded: index)) else { continue }
            let length = self.valueLength(of: kind)
            guard length > 0 else { continue }
            valueCount &+= 1
            valueBytes &+= length
            if length > 16 || self.extensions[kind] > 14 { needsTwoBytes = true }
        }
        let elementHead = needsTwoBytes ? 2 : 1
        let blockLength = (valueBytes &+ valueCount &* elementHead &+ 3) & ~3
        let headerLength = valueCount == 0 ? 12 : 16 &+ blockLength
        guard headerLength <= bytes.byteCount else { return nil }

        bytes.store(UInt8(valueCount == 0 ? 0x80 : 0x90), at: 0)
        bytes.store(self.payloadType & 0x7F | (self.marker ? 0x80 : 0), at: 1)
        bytes.store(self.sequenceNumber, at: 2)
        bytes.store(self.timestamp, at: 4)
        bytes.store(self.ssrc.value, at: 8)
        guard valueCount > 0 else {
            return Layout(headerLength: 12, transportSequenceNumberOffset: 0, absoluteSendTimeOffset: 0)
        }
        bytes.store(needsTwoBytes ? 0x1000 : 0xBEDE as UInt16, at: 12)
        bytes.store(UInt16(truncatingIfNeeded: blockLength / 4), at: 14)

        var offset = 16
        var sequenceOffset = 0
        var timeOffset = 0
        for index in 0..<8 {
            guard let kind = HeaderExtension(rawValue: UInt8(truncatingIfNeeded: index)) else { continue }
            let length = self.valueLength(of: kind)
            guard length > 0 else { continue }
            if needsTwoBytes {
                bytes.store(self.extensions[kind], at: offset)
                bytes.store(UInt8(truncatingIfNeeded: length), at: offset &+ 1)
            } else {
                bytes.store(self.extensions[kind] &<< 4 | UInt8(truncatingIfNeeded: length &- 1), at: offset)
            }
            offset &+= elementHead
            if kind == .transportSequenceNumber { sequenceOffset = offset }
            if kind == .absoluteSendTime { timeOffset = offset }
            self.writeValue(of: kind, into: &bytes, at: offset, source: source)
            offset &+= length
        }
        while offset < headerLength {
            bytes.store(0 as UInt8, at: offset)
            offset &+= 1
        }
        return Layout(
            headerLength: headerLength,
            transportSequenceNumberOffset: sequenceOffset,
            absoluteSendTimeOffset: timeOffset
        )
    }

    /// As above, for a header without a dependency descriptor.
    @inlinable package func write(into bytes: inout MutableRawSpan) -> Layout? {
        self.write(into: &bytes, source: RawSpan())
    }

    @inlinable func writeValue(
        of kind: HeaderExtension,
        into bytes: inout MutableRawSpan,
        at offset: Int,
        source: RawSpan
    ) {
        switch kind {
        case .mid: Self.writeText(self.mid, into: &bytes, at: offset)
        case .rid: Self.writeText(self.rid, into: &bytes, at: offset)
        case .repairedRID: Self.writeText(self.repairedRID, into: &bytes, at: offset)
        case .audioLevel: bytes.store(self.audioLevel?.rawValue ?? 127, at: offset)
        case .transportSequenceNumber: bytes.store(self.transportSequenceNumber ?? 0, at: offset)
        case .absoluteSendTime: self.absoluteSendTime?.write(into: &bytes, at: offset)
        case .videoOrientation: bytes.store(self.videoOrientation ?? 0, at: offset)
        case .dependencyDescriptor:
            for index in 0..<self.dependencyDescriptor.count {
                bytes.store(source.uint8(at: self.dependencyDescriptor.lowerBound &+ index), at: offset &+ index)
            }
        }
    }

    @inlinable static func writeText(_ text: ShortText?, into bytes: inout MutableRawSpan, at offset: Int) {
        guard let text else { return }
        for index in 0..<text.count { bytes.store(text.byte(at: index), at: offset &+ index) }
    }
}
