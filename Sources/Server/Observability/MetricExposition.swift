/// The two text formats that scrapers ask for.
package enum MetricExposition: Sendable, Equatable {
    /// Prometheus text format 0.0.4.
    case prometheus
    /// OpenMetrics 1.0.
    case openMetrics

    package var contentType: String {
        switch self {
        case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        }
    }

    /// What an `Accept` field prefers; the Prometheus format where it leaves the choice.
    package init(accepting accept: String?) {
        var best = (quality: 0.0, format: Self.prometheus)
        for range in (accept ?? "").split(separator: ",") {
            let parts = range.split(separator: ";").map { $0.filter { !$0.isWhitespace }.lowercased() }
            let quality = parts.first { $0.hasPrefix("q=") }.flatMap { Double($0.dropFirst(2)) } ?? 1
            // A version that is not ours (0.0.1, or one to come) is another format.
            let isOurs = !parts.contains {
                $0.hasPrefix("version=") && !["version=1.0.0", "version=0.0.4"].contains($0)
            }
            guard isOurs, quality > best.quality else { continue }
            switch parts.first {
            case "application/openmetrics-text": best = (quality, .openMetrics)
            case "text/plain", "text/*", "*/*": best = (quality, .prometheus)
            default: break
            }
        }
        self = best.format
    }
}

extension MetricRegistry {
    /// The answer to a scrape.
    ///
    /// - Parameter accept: the request's `Accept` field.
    package func scrape(accept: String?) -> (contentType: String, body: String) {
        let format = MetricExposition(accepting: accept)
        return (format.contentType, self.text(format))
    }

    package func text(_ format: MetricExposition) -> String {
        var writer = ExpositionWriter(format)
        for (definition, samples) in self.gather() { writer.write(definition, samples) }
        return writer.finish()
    }
}

private struct ExpositionWriter {
    private let format: MetricExposition
    private var text = ""

    init(_ format: MetricExposition) { self.format = format }

    mutating func write(_ definition: MetricDefinition, _ samples: [MetricSample]) {
        // OpenMetrics names a counter's family without `_total`.
        let isCounter = definition.kind == .counter && definition.name.hasSuffix("_total")
        let family = self.format == .openMetrics && isCounter ? String(definition.name.dropLast(6)) : definition.name
        self.text += "# HELP \(family) \(self.escaped(definition.help, quotes: self.format == .openMetrics))\n"
        self.text += "# TYPE \(family) \(definition.kind.rawValue)\n"
        let sampleName =
            self.format == .openMetrics && definition.kind == .counter && !isCounter
            ? definition.name + "_total" : definition.name
        for sample in samples {
            switch sample.value {
            case .count(let count): self.line(sampleName, sample.labels, String(count))
            case .number(let number): self.line(sampleName, sample.labels, Self.number(number))
            case .histogram(let histogram): self.write(histogram, definition.name, sample.labels)
            }
        }
    }

    func finish() -> String { self.format == .openMetrics ? self.text + "# EOF\n" : self.text }

    private mutating func write(_ histogram: HistogramSnapshot, _ name: String, _ labels: [MetricLabel]) {
        var cumulative: UInt64 = 0
        for (bound, count) in zip(histogram.bounds + [.infinity], histogram.counts) {
            cumulative &+= count
            let text =
                bound == bound.rounded() && bound < 1e15 && self.format == .openMetrics
                ? "\(bound)" : Self.number(bound)
            self.line(name + "_bucket", labels + [MetricLabel("le", text)], String(cumulative))
        }
        self.line(name + "_sum", labels, Self.number(histogram.sum))
        self.line(name + "_count", labels, String(cumulative))
    }

    private mutating func line(_ name: String, _ labels: [MetricLabel], _ value: String) {
        self.text += name
        if !labels.isEmpty {
            let pairs = labels.map { "\($0.name)=\"\(self.escaped($0.value, quotes: true))\"" }
            self.text += "{\(pairs.joined(separator: ","))}"
        }
        self.text += " \(value)\n"
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        // Whole numbers without `.0` and without an exponent, as people expect a counter.
        if value == value.rounded(), abs(value) < 9e15 { return String(Int64(value)) }
        return "\(value)"
    }

    private func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for character in text.unicodeScalars {
            switch character {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }
}
