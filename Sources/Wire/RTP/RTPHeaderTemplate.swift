public import Basics

/// The header of one stream's packets, laid out once: what differs from packet to packet is written over a copy.
///
/// `OutgoingHeader.write` makes the layout, and a header from the template is byte for byte the one that it would write.
@usableFromInline package struct RTPHeaderTemplate: Sendable, BitwiseCopyable {
    /// Longer headers have no template. `write` needs so much room, whatever the header's length.
    @usableFromInline package static let capacity = 64
    /// Of the one-byte form (RFC 8285 §4.2).
    @usableFromInline static let largestDescriptor = 16

    /// What the packets of one template have in common besides what was negotiated.
    @usableFromInline package struct Shape: Hashable, Sendable, BitwiseCopyable {
        @usableFromInline let rawValue: UInt16

        /// - Parameters:
        ///   - payloadType: as the publisher's packet has it.
        ///   - hasValue: the packet has an audio level or a video orientation.
        ///   - isNumbered: it gets a transport-wide number.
        @inlinable package init(payloadType: UInt8, hasValue: Bool, isNumbered: Bool) {
            self.rawValue = UInt16(payloadType & 0x7F) | (hasValue ? 0x80 : 0) | (isNumbered ? 0x100 : 0)
        }

        @inlinable init(rawValue: UInt16) { self.rawValue = rawValue }

        /// Of no packet.
        @usableFromInline static let none = Shape(rawValue: .max)
    }

    @usableFromInline package let shape: Shape
    /// 0 = the header is too long for a template.
    @usableFromInline let headerLength: UInt8
    /// Without the marker.
    @usableFromInline let payloadType: UInt8
    @usableFromInline let transportSequenceNumberOffset: UInt8
    @usableFromInline let absoluteSendTimeOffset: UInt8
    /// Of the audio level or the video orientation; 0 = there is none.
    @usableFromInline let valueOffset: UInt8
    /// Where the element of a dependency descriptor goes, and its id; 0 = there cannot be one in this header.
    @usableFromInline let descriptorOffset: UInt8
    @usableFromInline let descriptorID: UInt8
    /// The header, and zeros behind it.
    @usableFromInline let low: SIMD32<UInt8>
    @usableFromInline let high: SIMD32<UInt8>

    /// Fits no packet.
    package init() { self.init(shape: .none, bytes: InlineArray(repeating: 0), layout: nil, info: nil) }

    /// - Parameters:
    ///   - header: with every value that the packets are to have, whatever it is, but no dependency descriptor. Of audio
    ///     level and video orientation it has one at most.
    ///   - shape: of the packets that this is for.
    package init(_ header: OutgoingHeader, shape: Shape) {
        var bytes = InlineArray<64, UInt8>(repeating: 0)
        var header = header
        header.marker = false
        header.dependencyDescriptor = 0..<0
        var span = bytes.mutableSpan
        var target = unsafe span.mutableBytes
        let layout = header.write(into: &target)
        self.init(
            shape: shape,
            bytes: bytes,
            layout: layout,
            info: unsafe RTPHeaderInfo(bytes.span.bytes, extensions: header.extensions),
            descriptorID: header.extensions[.dependencyDescriptor]
        )
    }

    private init(
        shape: Shape,
        bytes: InlineArray<64, UInt8>,
        layout: OutgoingHeader.Layout?,
        info: RTPHeaderInfo?,
        descriptorID: UInt8 = 0
    ) {
        var low = SIMD32<UInt8>.zero
        var high = SIMD32<UInt8>.zero
        for index in 0..<32 { (low[index], high[index]) = (bytes[index], bytes[index + 32]) }
        var end = 0
        for kind in HeaderExtension.allCases { end = max(end, info?.range(of: kind)?.upperBound ?? 0) }
        let value = info?.range(of: .audioLevel) ?? info?.range(of: .videoOrientation)
        let isOneByteForm = bytes[12] == 0xBE && descriptorID <= 14
        self.shape = shape
        self.low = low
        self.high = high
        self.headerLength = UInt8(truncatingIfNeeded: layout?.headerLength ?? 0)
        self.payloadType = bytes[1]
        self.transportSequenceNumberOffset = UInt8(truncatingIfNeeded: layout?.transportSequenceNumberOffset ?? 0)
        self.absoluteSendTimeOffset = UInt8(truncatingIfNeeded: layout?.absoluteSendTimeOffset ?? 0)
        self.valueOffset = UInt8(truncatingIfNeeded: value?.lowerBound ?? 0)
        self.descriptorOffset = isOneByteForm ? UInt8(truncatingIfNeeded: end) : 0
        self.descriptorID = isOneByteForm ? descriptorID : 0
    }

    /// Whether there is a header: it is not too long.
    @inlinable package var hasHeader: Bool { self.headerLength > 0 }

    /// Writes the header of one packet to the start of `bytes`. What lies behind it up to `capacity` is spoilt.
    ///
    /// - Parameters:
    ///   - value: the audio level or the video orientation; not looked at where the shape has none.
    ///   - sendTime: not looked at where the extension was not negotiated.
    /// - Returns: `nil` when there is no template, or less room than `capacity`.
    @inlinable package func write(
        marker: Bool,
        sequenceNumber: UInt16,
        timestamp: UInt32,
        sendTime: AbsoluteSendTime,
        value: UInt8,
        into bytes: inout MutableRawSpan
    ) -> OutgoingHeader.Layout? {
        guard self.headerLength > 0, bytes.byteCount >= Self.capacity else { return nil }
        bytes.storeBytes(of: self.low, toByteOffset: 0, as: SIMD32<UInt8>.self)
        if self.headerLength > 32 { bytes.storeBytes(of: self.high, toByteOffset: 32, as: SIMD32<UInt8>.self) }
        bytes.store(self.payloadType | (marker ? 0x80 : 0), at: 1)
        bytes.store(sequenceNumber, at: 2)
        bytes.store(timestamp, at: 4)
        if self.absoluteSendTimeOffset > 0 { sendTime.write(into: &bytes, at: Int(self.absoluteSendTimeOffset)) }
        if self.valueOffset > 0 { bytes.store(value, at: Int(self.valueOffset)) }
        return OutgoingHeader.Layout(
            headerLength: Int(self.headerLength),
            transportSequenceNumberOffset: Int(self.transportSequenceNumberOffset),
            absoluteSendTimeOffset: Int(self.absoluteSendTimeOffset)
        )
    }

    /// Whether `append` can add a descriptor of so many bytes: in the one-byte form, at most 16 (RFC 8285 §4.2).
    @inlinable package func hasRoom(descriptorLength count: Int) -> Bool {
        self.descriptorID > 0 && self.descriptorOffset > 0 && count > 0 && count <= Self.largestDescriptor
            && self.headerLength(descriptorLength: count) <= Self.capacity
    }

    @inlinable func headerLength(descriptorLength count: Int) -> Int {
        (Int(self.descriptorOffset) &+ 1 &+ count &+ 3) & ~3
    }

    /// Adds a dependency descriptor to a header that `write` has just written.
    ///
    /// - Returns: the header's new layout; `nil` without room for the descriptor, or when it was not negotiated:
    ///   `OutgoingHeader` has to write this one.
    @inlinable package func append(
        descriptor: RawSpan,
        into bytes: inout MutableRawSpan
    ) -> OutgoingHeader.Layout? {
        let offset = Int(self.descriptorOffset)
        let count = descriptor.byteCount
        guard self.hasRoom(descriptorLength: count), bytes.byteCount >= Self.capacity else { return nil }
        let headerLength = self.headerLength(descriptorLength: count)
        bytes.store(self.descriptorID &<< 4 | UInt8(truncatingIfNeeded: count &- 1), at: offset)
        for index in 0..<count { bytes.store(descriptor.uint8(at: index), at: offset &+ 1 &+ index) }
        for index in (offset &+ 1 &+ count)..<headerLength { bytes.store(0 as UInt8, at: index) }
        bytes.store(UInt16(truncatingIfNeeded: (headerLength &- 16) / 4), at: 14)
        return OutgoingHeader.Layout(
            headerLength: headerLength,
            transportSequenceNumberOffset: Int(self.transportSequenceNumberOffset),
            absoluteSendTimeOffset: Int(self.absoluteSendTimeOffset)
        )
    }

    /// As above, with another frame number in the descriptor (AV1 RTP 1.0 appendix A.8.2: bytes 1 and 2).
    ///
    /// - Returns: `nil` also for a descriptor of less than 3 bytes, which there is none of.
    @inlinable package func append(
        descriptor: RawSpan,
        frameNumber: UInt16,
        into bytes: inout MutableRawSpan
    ) -> OutgoingHeader.Layout? {
        guard descriptor.byteCount >= 3, let layout = self.append(descriptor: descriptor, into: &bytes) else {
            return nil
        }
        bytes.store(frameNumber, at: Int(self.descriptorOffset) &+ 2)
        return layout
    }
}
