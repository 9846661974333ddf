/// How loud a published audio track was between two readings: the levels that its packets carry (RFC 6464), added up.
///
/// Two additions per packet; the mean is taken by whoever reads.
package struct SpeechActivity: BitwiseCopyable, Sendable {
    private var sum: UInt32 = 0
    private var count: UInt32 = 0

    package init() {}

    /// - Parameter level: 0 (loudest) to 127 (silence), in -dBov; the upper bit (voice activity) is ignored.
    @inline(__always) package mutating func add(level: UInt8) {
        self.sum &+= UInt32(level & 0x7F)
        self.count &+= 1
    }

    /// The mean level and the packets since the last reading; `nil` when there were none.
    package mutating func take() -> (level: UInt8, packetCount: Int)? {
        guard self.count > 0 else { return nil }
        let mean = (self.sum + self.count / 2) / self.count
        let result = (level: UInt8(clamping: mean), packetCount: Int(self.count))
        self.sum = 0
        self.count = 0
        return result
    }
}
