import Benchmark
import Workloads

// Wall clock only: virtual machines have no counters of instructions, CPU time is counted in steps of 10 ms, and what
// allocates is counted exactly by `AllocationCheck`.
let benchmarks: @Sendable () -> Void = {
    for workload in Workload.all() {
        Benchmark(
            workload.name,
            configuration: Benchmark.Configuration(
                metrics: [.throughput, .wallClock],
                warmupIterations: 2,
                // An iteration is a thousand operations; the tables are told, and show one.
                scalingFactor: .kilo,
                maxDuration: .seconds(2),
                maxIterations: 1_000
            )
        ) { workload.run($0.scaledIterations.count) }
    }
}
