import Synchronization

/// Every metric of the process: those that swift-metrics makes, and those that collectors bring at each scrape.
package final class MetricRegistry: Sendable {
    private struct State {
        var families: [String: MetricStorage] = [:]
        var collectors: [@Sendable () -> [MetricFamily]] = []
    }

    /// Names outside the table come from libraries; more than this many are not kept.
    private static let maxUnknownNames = 100

    private let definitions: [String: MetricDefinition]
    private let order: [String]
    private let state: Mutex<State>

    package init(definitions: [MetricDefinition] = MetricDefinitions.all) {
        self.definitions = Dictionary(definitions.map { ($0.name, $0) }) { first, _ in first }
        self.order = definitions.map(\.name)
        var state = State()
        for definition in definitions { state.families[definition.name] = MetricStorage(definition) }
        self.state = Mutex(state)
    }

    /// Asks `collect` at every scrape, on the thread of the scrape. Samples with the same name and labels are added up,
    /// so that each media worker can report its own.
    package func addCollector(_ collect: @escaping @Sendable () -> [MetricFamily]) {
        self.state.withLock { $0.collectors.append(collect) }
    }

    /// The series with these labels, made on first use.
    ///
    /// - Parameter kind: what the caller is about to do with it; the table's own type wins.
    func series(_ name: String, _ labels: [(String, String)], as kind: MetricDefinition.Kind) -> MetricSeries {
        // Nearly every name is that of the table.
        let known = self.state.withLock { $0.families[name] }
        if let known { return known.series(labels) }
        let name = Self.validName(name)
        return self.state.withLock { state in
            if let storage = state.families[name] { return storage.series(labels) }
            guard state.families.count < self.definitions.count + Self.maxUnknownNames else {
                return MetricSeries(bounds: [])
            }
            let definition = Self.definition(ofUnknown: name, kind)
            let storage = MetricStorage(definition)
            state.families[name] = storage
            return storage.series(labels)
        }
    }

    /// Everything there is at this moment, in the order of the table, the rest by name.
    package func gather() -> [(definition: MetricDefinition, samples: [MetricSample])] {
        let (families, collectors) = self.state.withLock { ($0.families, $0.collectors) }
        var totals = families.mapValues { MetricTotals($0.definition, $0.samples) }
        for collect in collectors {
            for family in collect() { totals[family.name]?.add(family.samples) }
        }
        let known = self.order + totals.keys.filter { self.definitions[$0] == nil }.sorted()
        return known.compactMap { name in
            guard let total = totals[name], !total.samples.isEmpty else { return nil }
            return (total.definition, total.samples)
        }
    }

    private static func definition(ofUnknown name: String, _ kind: MetricDefinition.Kind) -> MetricDefinition {
        let help = "Measured by a library."
        return switch kind {
        case .counter: .counter(name, help)
        case .gauge: .gauge(name, help)
        case .histogram: .histogram(name, help, bounds: [0.001, 0.01, 0.1, 1, 10])
        }
    }

    /// Libraries write `http.server.requests`; Prometheus knows letters, digits and `_`.
    private static func validName(_ name: String) -> String {
        let scalars = name.unicodeScalars.map { scalar -> Character in
            let isValid = ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) || ("0"..."9").contains(scalar)
            return isValid ? Character(scalar) : "_"
        }
        let text = String(scalars)
        return text.first?.isNumber == true ? "_" + text : text
    }
}

/// Adds up the samples of one name.
private struct MetricTotals {
    let definition: MetricDefinition
    private(set) var samples: [MetricSample]
    private var positions: [[MetricLabel]: Int]

    init(_ definition: MetricDefinition, _ samples: [MetricSample]) {
        self.definition = definition
        self.samples = samples
        self.positions = Dictionary(samples.enumerated().map { ($1.labels, $0) }) { first, _ in first }
    }

    mutating func add(_ others: [MetricSample]) {
        for other in others {
            guard let position = self.positions[other.labels] else {
                guard self.samples.count < MetricStorage.maxSeries else { continue }
                self.positions[other.labels] = self.samples.count
                self.samples.append(other)
                continue
            }
            switch (self.samples[position].value, other.value) {
            case (.count(let lhs), .count(let rhs)): self.samples[position].value = .count(lhs &+ rhs)
            case (.histogram(var lhs), .histogram(let rhs)):
                // An empty one of the table has no opinion on the buckets.
                if lhs.count == 0 { lhs = rhs } else { lhs.add(rhs) }
                self.samples[position].value = .histogram(lhs)
            case (.number(let lhs), .number(let rhs)): self.samples[position].value = .number(lhs + rhs)
            case (.number(let lhs), .count(let rhs)): self.samples[position].value = .number(lhs + Double(rhs))
            case (.count(let lhs), .number(let rhs)): self.samples[position].value = .number(Double(lhs) + rhs)
            case (.histogram, _), (_, .histogram): break
            }
        }
    }
}
