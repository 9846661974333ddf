import CoreMetrics
import Synchronization

/// One set of labels of one metric, as swift-metrics writes to it. Only the control plane does: media workers keep
/// counters of their own and are asked for them by a collector.
final class MetricSeries: Sendable {
    private enum Content {
        case number(Double)
        case histogram(HistogramSnapshot)
    }

    private let content: Mutex<Content>

    /// - Parameter bounds: of a histogram's buckets; empty for everything else.
    init(bounds: [Double]) {
        self.content = Mutex(bounds.isEmpty ? .number(0) : .histogram(HistogramSnapshot(bounds: bounds)))
    }

    var value: MetricSample.Value {
        switch self.content.withLock({ $0 }) {
        case .number(let number): .number(number)
        case .histogram(let histogram): .histogram(histogram)
        }
    }

    func add(_ amount: Double) {
        self.content.withLock { content in
            if case .number(let number) = content { content = .number(number + amount) }
        }
    }

    /// Sets a gauge, or adds an observation to a histogram.
    func record(_ value: Double) {
        self.content.withLock { content in
            switch content {
            case .number:
                content = .number(value)
            case .histogram(var histogram):
                histogram.observe(value)
                content = .histogram(histogram)
            }
        }
    }
}

/// All series of one metric name. Guarded by the registry's lock.
struct MetricStorage {
    /// Series of one name: beyond it, all labels become `other`, so that nothing a client sends makes the set grow.
    static let maxSeries = 500

    let definition: MetricDefinition
    private let table: SeriesTable

    init(_ definition: MetricDefinition) {
        self.definition = definition
        self.table = SeriesTable()
        for labels in definition.initialLabels { self.table.add(labels, MetricSeries(bounds: definition.bounds)) }
    }

    func series(_ dimensions: [(String, String)]) -> MetricSeries {
        // The same labels in another order are the same series; the order of the table is the one that is shown.
        let names = self.definition.fixedLabels?.map(\.name) ?? []
        let position: (String) -> Int = { names.firstIndex(of: $0) ?? names.count }
        let labels = dimensions.map { MetricLabel($0.0, $0.1) }
            .sorted { (position($0.name), $0.name) < (position($1.name), $1.name) }
        return self.table.series(labels, bounds: self.definition.bounds)
    }

    var samples: [MetricSample] { self.table.samples }
}

private final class SeriesTable: Sendable {
    private struct State {
        var positions: [[MetricLabel]: Int] = [:]
        var entries: [(labels: [MetricLabel], series: MetricSeries)] = []
    }

    private let state = Mutex(State())

    var samples: [MetricSample] {
        self.state.withLock { $0.entries }.map { MetricSample($0.labels, $0.series.value) }
    }

    func add(_ labels: [MetricLabel], _ series: MetricSeries) {
        self.state.withLock { state in
            state.positions[labels] = state.entries.count
            state.entries.append((labels, series))
        }
    }

    func series(_ labels: [MetricLabel], bounds: [Double]) -> MetricSeries {
        self.state.withLock { state in
            if let position = state.positions[labels] { return state.entries[position].series }
            var labels = labels
            if state.entries.count >= MetricStorage.maxSeries {
                labels = labels.map { MetricLabel($0.name, "other") }
                if let position = state.positions[labels] { return state.entries[position].series }
            }
            let series = MetricSeries(bounds: bounds)
            state.positions[labels] = state.entries.count
            state.entries.append((labels, series))
            return series
        }
    }
}
