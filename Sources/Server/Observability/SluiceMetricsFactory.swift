package import CoreMetrics

/// Lets `Counter`, `Gauge`, `Meter`, `Recorder` and `Timer` of swift-metrics write to a `MetricRegistry`.
///
/// A name of `MetricDefinitions` has the type it has there: a `Recorder` or `Timer` on a histogram's name observes.
package struct SluiceMetricsFactory: MetricsFactory {
    private let registry: MetricRegistry

    package init(_ registry: MetricRegistry) { self.registry = registry }

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        Handler(self.registry.series(label, dimensions, as: .counter))
    }

    package func makeFloatingPointCounter(
        label: String,
        dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        Handler(self.registry.series(label, dimensions, as: .counter))
    }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        Handler(self.registry.series(label, dimensions, as: .gauge))
    }

    package func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        Handler(self.registry.series(label, dimensions, as: aggregate ? .histogram : .gauge))
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        Handler(self.registry.series(label, dimensions, as: .histogram))
    }

    // A series outlives its handlers: a counter that went away and came back goes on from where it was.
    package func destroyCounter(_ handler: any CounterHandler) {}
    package func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
    package func destroyMeter(_ handler: any MeterHandler) {}
    package func destroyRecorder(_ handler: any RecorderHandler) {}
    package func destroyTimer(_ handler: any TimerHandler) {}
}

private final class Handler: CounterHandler, FloatingPointCounterHandler, MeterHandler, RecorderHandler, TimerHandler {
    private let series: MetricSeries

    init(_ series: MetricSeries) { self.series = series }

    func increment(by amount: Int64) { self.series.add(Double(max(0, amount))) }
    func increment(by amount: Double) { self.series.add(amount) }
    func decrement(by amount: Double) { self.series.add(-amount) }
    func set(_ value: Int64) { self.series.record(Double(value)) }
    func set(_ value: Double) { self.series.record(value) }
    func record(_ value: Int64) { self.series.record(Double(value)) }
    func record(_ value: Double) { self.series.record(value) }
    func recordNanoseconds(_ duration: Int64) { self.series.record(Double(duration) / 1e9) }
    /// Prometheus counters never go back.
    func reset() {}
}

extension MetricRegistry {
    /// Makes this the target of swift-metrics for the whole process. Once, at start-up.
    package func bootstrap() { MetricsSystem.bootstrap(SluiceMetricsFactory(self)) }
}
