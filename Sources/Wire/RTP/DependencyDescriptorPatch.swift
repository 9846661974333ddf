import Basics

/// What a subscriber's dependency descriptor says differently from the publisher's.
@usableFromInline package struct DependencyDescriptorPatch: Hashable, Sendable, BitwiseCopyable {
    package var frameNumber: UInt16
    /// Bit *i*: decode target *i* can be decoded from what the subscriber is sent; `nil` = the publisher's mask, or none,
    /// stays.
    package var activeTargets: UInt32?
    /// Of the structure that the packet follows: 1...32. Not looked at without `activeTargets`, and where the descriptor
    /// itself has the structure.
    package var targetCount: UInt8

    package init(frameNumber: UInt16, activeTargets: UInt32? = nil, targetCount: UInt8 = 0) {
        self.frameNumber = frameNumber
        self.activeTargets = activeTargets
        self.targetCount = targetCount
    }

    /// The most that a mask adds to a descriptor: five flags and 32 bits, rounded up.
    package static let maximumGrowth = 5

    /// Writes the changed descriptor to the start of `output`. All other bits are as they were; a mask that was not there
    /// makes it up to `maximumGrowth` bytes longer.
    ///
    /// - Parameter descriptor: the publisher's value, at most 255 bytes.
    /// - Returns: the number of bytes; `nil` when `output` is too small, the descriptor is broken or would be longer than
    ///   255 bytes. `output` is worthless then.
    package func write(_ descriptor: RawSpan, into output: inout MutableRawSpan) -> Int? {
        let count = descriptor.byteCount
        guard count >= 3, count <= 255, count <= output.byteCount else { return nil }
        let flags = count > 3 ? descriptor.uint8(at: 3) : 0
        var maskPosition = DependencyDescriptor.structurePosition
        var width = Int(self.targetCount)
        if flags & 0x80 != 0, self.activeTargets != nil {
            guard let structure = DependencyStructure(descriptor: descriptor) else { return nil }
            maskPosition = structure.endPosition
            width = structure.targetCount
        }
        guard let activeTargets = self.activeTargets, width >= 1, width <= 32 else {
            for offset in 0..<count { output.store(descriptor.uint8(at: offset), at: offset) }
            output.store(self.frameNumber, at: 1)
            return count
        }
        var writer = DescriptorBitWriter(position: 0, byteCount: min(output.byteCount, 255))
        writer.write(UInt32(descriptor.uint8(at: 0)), count: 8, into: &output)
        writer.write(UInt32(self.frameNumber), count: 16, into: &output)
        writer.write(UInt32(flags >> 3) | 0x08, count: 5, into: &output)
        var reader = DescriptorBitReader(descriptor, position: min(DependencyDescriptor.structurePosition, count * 8))
        if count > 3 { Self.copy(&reader, upTo: maskPosition, &writer, into: &output) }
        writer.write(activeTargets & (width == 32 ? .max : 1 << UInt32(width) - 1), count: width, into: &output)
        if flags & 0x40 != 0 { _ = reader.readBits(width) }
        // With the zeros at the end, of which there may be more than needed: there is no telling them from fields.
        if count > 3 { Self.copy(&reader, upTo: count * 8, &writer, into: &output) }
        guard !writer.isExhausted, !reader.isExhausted else { return nil }
        return (writer.position + 7) / 8
    }

    private static func copy(
        _ reader: inout DescriptorBitReader,
        upTo end: Int,
        _ writer: inout DescriptorBitWriter,
        into output: inout MutableRawSpan
    ) {
        while reader.position < end {
            let count = min(end - reader.position, 32)
            let value = reader.readBits(count)
            guard !reader.isExhausted else { return }
            writer.write(value, count: count, into: &output)
            guard !writer.isExhausted else { return }
        }
    }
}
