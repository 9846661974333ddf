import LoadClient

/// A second of a run.
package struct TimelinePoint: Sendable, Equatable {
    package enum Phase: String, Sendable { case joining, settling, measuring }

    /// Since the run began.
    package var seconds = 0.0
    package var phase = Phase.joining
    package var connected = 0
    package var packetsPerSecond = 0.0
    package var bitsPerSecond = 0.0
    /// Packets that did not come by themselves, of those that should have; 0 to 1.
    package var loss = 0.0
    /// Forwarding latency in milliseconds: p50, p95, p99.
    package var latency = [0.0, 0.0, 0.0]
    /// Video streams by the height of their picture; 0 = nothing comes.
    package var pictures: [Int: Int] = [:]
    /// In seconds; `nil` when the server does not say.
    package var cpuPerPacket: Double?
    /// Of the server; 1 = one core.
    package var serverCPU: Double?
    package var serverBytes: Double?
    /// Of the busiest client thread; 1 = always busy.
    package var clientCPU = 0.0
    /// Share of the time in which that thread could have run and had no core.
    package var clientWait = 0.0
    /// CPU time of this process, of all cores that it may use.
    package var clientProcessCPU = 0.0

    package init() {}
}

/// Takes a sample each second, and the sums of the measurement.
struct Timeline {
    /// Two days.
    private static let largestCount = 172_800

    /// Figures that are older than this at the end, or at the beginning, are not of the whole measurement.
    private static let largestMetricsAge = Duration.seconds(3)

    private struct TimedMetrics {
        var metrics: ServerMetrics
        var time: ContinuousClock.Instant
    }

    private let loops: [ClientLoop]
    private let figures: ServerFigures?
    private let start = ContinuousClock.now
    private var last = LoadSample()
    private var lastMetrics: TimedMetrics?
    private var lastTime: ContinuousClock.Instant
    private var lastUse: ClientUse
    private(set) var points: [TimelinePoint] = []

    private var base: LoadSample?
    private var baseMetrics: TimedMetrics?
    private var baseTime: ContinuousClock.Instant
    /// By group, of the measurement.
    private(set) var latencies: [LatencyHistogram] = []
    /// Of the measurement: how late publishers' packets left.
    private(set) var lateness = LatencyHistogram()
    private var baseUse: ClientUse

    init(loops: [ClientLoop], figures: ServerFigures?) {
        self.loops = loops
        self.figures = figures
        self.lastTime = self.start
        self.baseTime = self.start
        self.lastUse = ClientUse()
        self.baseUse = self.lastUse
    }

    /// How busy this client was during the measurement.
    var clientLoad: ClientLoad { ClientLoad(from: self.baseUse, to: self.lastUse, seconds: self.seconds) }

    /// What the measurement amounts to so far, by group.
    var totals: [LoadTotals] {
        self.last.groups.enumerated().map { index, group in
            guard let base = self.base, index < base.groups.count else { return group.totals }
            return group.totals.since(base.groups[index].totals)
        }
    }
    var refusedDatagrams: UInt64 { self.last.refusedDatagrams - (self.base?.refusedDatagrams ?? 0) }
    var overflownDatagrams: UInt64 { self.last.overflownDatagrams - (self.base?.overflownDatagrams ?? 0) }
    /// Since the last tick.
    var age: Duration { ContinuousClock.now - self.lastTime }
    var seconds: Double { (self.lastTime - self.baseTime) / .seconds(1) }
    /// At the beginning and the end of the measurement, and the seconds between; `nil` when the server did not say.
    var server: (before: ServerMetrics, after: ServerMetrics, seconds: Double)? {
        guard let before = self.baseMetrics, let after = self.lastMetrics, after.time > before.time,
            self.baseTime - before.time <= Self.largestMetricsAge, self.lastTime - after.time <= Self.largestMetricsAge
        else { return nil }
        return (before.metrics, after.metrics, (after.time - before.time) / .seconds(1))
    }

    mutating func tick(_ phase: TimelinePoint.Phase) async {
        var sample = LoadSample()
        var use = ClientUse()
        for loop in self.loops {
            let one = await loop.sample()
            use.threads.append((running: one.cpuSeconds, waiting: one.waitSeconds))
            sample.merge(one)
        }
        use.process = ProcessLimits.cpuSeconds()
        let now = ContinuousClock.now
        let total = sample.total
        let metrics = await self.figures?.read(received: total.totals.packetsReceived)
        let answered = ContinuousClock.now
        let elapsed = max((now - self.lastTime) / .seconds(1), 0.001)
        let fresh = total.totals.since(self.last.total.totals)
        var point = TimelinePoint()
        point.seconds = (now - self.start) / .seconds(1)
        point.phase = phase
        point.connected = total.totals.connected
        point.packetsPerSecond = Double(fresh.packetsReceived) / elapsed
        point.bitsPerSecond = Double(fresh.bytesReceived) * 8 / elapsed
        point.loss = RunReport.share(fresh.packetsLost, of: fresh.packetsReceived)
        point.latency = [0.5, 0.95, 0.99].map { total.latency.milliseconds(at: $0) }
        point.pictures = total.totals.pictures
        let load = ClientLoad(from: self.lastUse, to: use, seconds: elapsed)
        (point.clientCPU, point.clientWait, point.clientProcessCPU) = (load.running, load.waiting, load.process)
        if let metrics {
            point.serverBytes = metrics.residentBytes
            if let before = self.lastMetrics {
                // The last one may be of some ticks ago.
                let seconds = max((answered - before.time) / .seconds(1), 0.001)
                point.cpuPerPacket = metrics.cpuPerPacket(since: before.metrics)
                point.serverCPU = (metrics.cpuSeconds - before.metrics.cpuSeconds) / seconds
            }
            self.lastMetrics = TimedMetrics(metrics: metrics, time: answered)
        }
        if self.points.count < Self.largestCount { self.points.append(point) }
        if phase == .measuring {
            while self.latencies.count < sample.groups.count { self.latencies.append(LatencyHistogram()) }
            for (index, group) in sample.groups.enumerated() { self.latencies[index].merge(group.latency) }
            self.lateness.merge(total.lateness)
        }
        self.last = sample
        self.lastTime = now
        self.lastUse = use
    }

    /// The measurement begins with the last tick.
    mutating func beginMeasurement() {
        self.base = self.last
        self.baseMetrics = self.lastMetrics
        self.baseTime = self.lastTime
        self.baseUse = self.lastUse
        self.latencies = []
        self.lateness = LatencyHistogram()
    }
}
