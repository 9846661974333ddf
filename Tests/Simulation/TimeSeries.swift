import TestSupport

/// What happened in one trial, in bins of 100 ms, for every flow.
enum TimeSeries {
    static func text(_ scenario: Scenario, system: System, seed: UInt64) -> String {
        let trial = Trial(system: system, seed: seed)
        let figures = scenario.run(trial)
        var lines = figures.map { figure in "# \(figure.name) = \(number(figure.value))" }
        lines.append("scenario,flow,second,capacity,estimate,sent,received,padding,delay50,delay95,delaymax,lost,layer")
        for (index, flow) in trial.flows.enumerated() {
            let capacity = trial.links[flow.path.link].capacity
            for (bin, values) in flow.metrics.bins.enumerated() {
                let (from, to) = (Double(bin) / 10, Double(bin + 1) / 10)
                let delays = [0.5, 0.95, 1].map { Int(flow.metrics.delay($0, from: from, to: to)) }
                let columns: [Int] =
                    [
                        Int(capacity.value(at: Microseconds(bin) * 100_000)) / 1_000, Int(values.estimate) / 1_000,
                        values.sentBytes * 8 / 100, values.receivedMedia * 8 / 100, values.sentPadding * 8 / 100,
                    ] + delays + [values.lostPackets, Self.layer(of: flow, at: to)]
                let fields = columns.map(String.init).joined(separator: ",")
                lines.append("\(scenario.id),\(index),\(number(from)),\(fields)")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The spatial layer of the first track that goes out; -1 = none.
    private static func layer(of flow: SendingEndpoint, at seconds: Double) -> Int {
        guard let viewer = flow as? LayeredSubscriber, let track = viewer.tracks.first else { return -1 }
        return track.layers.last { Double($0.time) / 1e6 < seconds }?.spatial ?? -1
    }
}
