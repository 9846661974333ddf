package import Basics

/// The buckets of a `DurationHistogram`.
package protocol DurationScale: Sendable {
    /// Upper bounds in nanoseconds, ascending.
    static var bounds: InlineArray<13, Int64> { get }
}

/// 1 ms to 10 s: what a person waits for.
package enum HandshakeScale: DurationScale {
    package static var bounds: InlineArray<13, Int64> {
        [
            1_000_000, 2_500_000, 5_000_000, 10_000_000, 25_000_000, 50_000_000, 100_000_000, 250_000_000, 500_000_000,
            1_000_000_000, 2_500_000_000, 5_000_000_000, 10_000_000_000,
        ]
    }
}

/// 2 us to 50 ms: what a packet waits for.
package enum ForwardingScale: DurationScale {
    package static var bounds: InlineArray<13, Int64> {
        [
            2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000,
            10_000_000,
            50_000_000,
        ]
    }
}

/// Durations in buckets, cumulative as Prometheus wants them only when they are printed.
package struct DurationHistogram<Scale: DurationScale>: BitwiseCopyable, Sendable {
    /// Upper bounds in seconds.
    package static var bounds: [Double] {
        let bounds = Scale.bounds
        return bounds.indices.map { Double(bounds[$0]) / 1e9 }
    }

    /// The last one counts what is above all bounds.
    package var buckets = InlineArray<14, UInt64>(repeating: 0)
    package var count: UInt64 = 0
    package var sumNanoseconds: UInt64 = 0

    package init() {}

    package mutating func record(_ duration: Nanoseconds) {
        let nanoseconds = max(0, duration.count)
        let bounds = Scale.bounds
        var index = 0
        while index < bounds.count, nanoseconds > bounds[index] { index += 1 }
        self.buckets[index] &+= 1
        self.count &+= 1
        self.sumNanoseconds &+= UInt64(nanoseconds)
    }
}
