/// How long packets took, in buckets that grow with the value: within 3 % from 1 microsecond to an hour, in 8 KiB.
package struct LatencyHistogram: Sendable {
    /// 32 buckets an octave.
    private static let bitsPerOctave: UInt64 = 5
    private static let bucketCount = 1_024

    private var buckets = [UInt64](repeating: 0, count: Self.bucketCount)
    package private(set) var count: UInt64 = 0
    package private(set) var maximumNanoseconds: Int64 = 0

    package init() {}

    package mutating func record(nanoseconds: Int64) {
        self.buckets[Self.bucket(UInt64(clamping: nanoseconds) / 1_000)] &+= 1
        self.count &+= 1
        self.maximumNanoseconds = max(self.maximumNanoseconds, nanoseconds)
    }

    package mutating func merge(_ other: Self) {
        for index in self.buckets.indices { self.buckets[index] &+= other.buckets[index] }
        self.count &+= other.count
        self.maximumNanoseconds = max(self.maximumNanoseconds, other.maximumNanoseconds)
    }

    /// The value that this share of the packets did not exceed, in milliseconds; 0 when there were none.
    /// - Parameter quantile: 0 to 1.
    package func milliseconds(at quantile: Double) -> Double {
        guard self.count > 0 else { return 0 }
        let rank = max(1, UInt64((Double(self.count) * quantile).rounded(.up)))
        var seen: UInt64 = 0
        for (index, count) in self.buckets.enumerated() {
            seen += count
            if seen >= rank { return min(Double(Self.upperBound(index)), self.maximumMicroseconds) / 1_000 }
        }
        return self.maximumMicroseconds / 1_000
    }

    private var maximumMicroseconds: Double { Double(self.maximumNanoseconds) / 1_000 }

    private static func bucket(_ microseconds: UInt64) -> Int {
        let perOctave: UInt64 = 1 << self.bitsPerOctave
        guard microseconds >= perOctave else { return Int(microseconds) }
        let shift = UInt64(63 - microseconds.leadingZeroBitCount) - self.bitsPerOctave
        return min(Int(shift << self.bitsPerOctave + microseconds >> shift), self.bucketCount - 1)
    }

    private static func upperBound(_ bucket: Int) -> UInt64 {
        let perOctave = 1 << Int(self.bitsPerOctave)
        guard bucket >= perOctave else { return UInt64(bucket) }
        let shift = bucket / perOctave - 1
        return UInt64(bucket - shift * perOctave + 1) << UInt64(shift) - 1
    }
}
