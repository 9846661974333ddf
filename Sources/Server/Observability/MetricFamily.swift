/// All samples of one metric name, as a collector reports them at the moment of a scrape.
package struct MetricFamily: Sendable, Equatable {
    /// A name of `MetricDefinitions`, which knows its type and its help.
    package var name: String
    package var samples: [MetricSample]

    package init(_ name: String, _ samples: [MetricSample]) {
        self.name = name
        self.samples = samples
    }
}

/// One value, or one histogram, with the labels that tell it from its neighbours.
package struct MetricSample: Sendable, Equatable {
    package enum Value: Sendable, Equatable {
        case count(UInt64)
        case number(Double)
        case histogram(HistogramSnapshot)
    }

    /// In the order in which they are printed.
    package var labels: [MetricLabel]
    package var value: Value

    package init(_ labels: [MetricLabel] = [], _ value: Value) {
        self.labels = labels
        self.value = value
    }
}

package struct MetricLabel: Sendable, Hashable {
    package var name: String
    package var value: String

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// Observations in buckets; the counts are not cumulative.
package struct HistogramSnapshot: Sendable, Equatable {
    /// Upper bounds, rising, without infinity.
    package var bounds: [Double]
    /// One per bound, and one more for what is larger than all.
    package var counts: [UInt64]
    package var sum: Double

    package init(bounds: [Double]) {
        self.bounds = bounds
        self.counts = Array(repeating: 0, count: bounds.count + 1)
        self.sum = 0
    }

    /// For a collector that counts by itself.
    package init(bounds: [Double], counts: [UInt64], sum: Double) {
        self.init(bounds: bounds)
        for (index, count) in counts.prefix(self.counts.count).enumerated() { self.counts[index] = count }
        self.sum = sum
    }

    package var count: UInt64 { self.counts.reduce(0, &+) }

    package mutating func observe(_ value: Double) {
        guard !value.isNaN else { return }
        let index = self.bounds.firstIndex { value <= $0 } ?? self.bounds.count
        self.counts[index] &+= 1
        self.sum += value
    }

    /// Adds another of the same bounds; others are ignored.
    mutating func add(_ other: Self) {
        guard other.bounds == self.bounds else { return }
        for index in self.counts.indices { self.counts[index] &+= other.counts[index] }
        self.sum += other.sum
    }
}
